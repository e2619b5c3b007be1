#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_disk.py VMM

The subcommands of vmm disk on single images, beside qemu-img, which knows the same formats.
"""

import fcntl
import json
import os
import pty
import random
import signal
import struct
import subprocess
import sys
import time
import unittest

from disk_commands import InFolder, MIB, VMM, content, disk, qemu_img, stored

VMDK_TYPES = ('monolithicSparse', 'monolithicFlat', 'twoGbMaxExtentSparse',
              'twoGbMaxExtentFlat', 'streamOptimized')


class Convert(InFolder):
    def test_every_kind_of_vmdk_is_read_as_qemu_wrote_it(self):
        for kind in VMDK_TYPES:
            with self.subTest(kind):
                source = self.path(kind + '.vmdk')
                target = self.path(kind + '.raw')
                qemu_img('convert', '-f', 'raw', '-O', 'vmdk', '-o', f'subformat={kind}',
                         self.raw, source)
                self.assert_done('convert', source, target)
                self.assertEqual(content(target), content(self.raw))
                self.assert_done('compare', source, self.raw)

    def test_disk_of_several_extents_is_read(self):
        source, target = self.path('a.vmdk'), self.path('b.raw')
        with open(self.raw, 'r+b') as file:
            file.truncate(5 << 30)
            file.seek((2 << 30) - 512)
            file.write(b'across the end of an extent' * 40)
            file.seek((5 << 30) - 512)
            file.write(b'the end' * 73)
        qemu_img('convert', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse',
                 self.raw, source)
        self.assert_done('convert', source, target)
        qemu_img('compare', '-f', 'raw', '-F', 'raw', self.raw, target)
        self.assert_done('compare', source, target)

    def test_zeros_take_no_space_whether_holes_or_written(self):
        source = self.make('zeros.raw', bytes(4 * MIB) + b'x' * 4096 + bytes(4 * MIB))
        self.assert_done('convert', source, self.path('b.raw'))
        self.assertEqual(content(self.path('b.raw')), content(source))
        self.assertLessEqual(os.stat(self.path('b.raw')).st_blocks * 512, 64 * 1024)

    def test_size_that_is_no_multiple_of_a_block_of_the_host_is_kept(self):
        source = self.make('odd.raw', b'x' * (4096 * 3 + 512))
        self.assert_done('convert', source, self.path('b.raw'))
        self.assertEqual(content(self.path('b.raw')), content(source))

    def test_target_has_the_mode_of_any_new_file(self):
        self.assert_done('convert', self.raw, self.path('b.raw'))
        self.make('other', b'')
        self.assertEqual(os.stat(self.path('b.raw')).st_mode,
                         os.stat(self.path('other')).st_mode)

    def test_result_is_told_as_json(self):
        text = self.assert_done('convert', '--json', self.raw, self.path('b.raw'))
        self.assertEqual(json.loads(text),
                         {'target': self.path('b.raw'), 'virtual-size': 8 * MIB})

    def test_existing_target_is_replaced_only_by_force(self):
        target = self.make('b.raw', b'precious')
        self.assert_refused('b.raw.* exists: add --force', 'convert', self.raw, target)
        self.assert_done('convert', '--force', self.raw, target)
        self.assertEqual(content(target), content(self.raw))

    def test_target_in_use_is_not_replaced_even_by_force(self):
        target = self.make('b.raw', b'precious')
        for command in (['convert', '--force', self.raw, target],
                        ['create', '--force', '-s', '1M', target]):
            for kind, mode in ((fcntl.F_WRLCK, 'r+b'), (fcntl.F_RDLCK, 'rb')):
                with open(target, mode) as file:
                    fcntl.fcntl(file, fcntl.F_OFD_SETLK,
                                struct.pack('hhqqi4x', kind, 0, 0, 0, 0))
                    self.assert_refused("b.raw' is in use.* not replaced", *command)
        self.assert_done(*command)

    def test_target_that_is_no_file_is_not_replaced(self):
        os.symlink(self.raw, self.path('link.raw'))
        self.assert_refused('not a regular file', 'convert', '--force',
                            self.make('s.raw', bytes(512)), self.path('link.raw'))
        self.assert_refused('no name of a file', 'convert', self.raw, self.folder + '/')

    def test_source_is_not_its_own_target(self):
        self.assert_refused('is the source itself', 'convert', '--force', self.raw, self.raw)

    def test_missing_source_is_named(self):
        self.assert_refused('none.raw.*No such file', 'convert', self.path('none.raw'),
                            self.path('b.raw'))

    def test_missing_folder_of_the_target_is_an_error(self):
        self.assert_refused('cannot create.*No such file', 'convert', self.raw,
                            self.path('none/b.raw'))

    def test_content_of_another_format_is_not_taken_for_raw(self):
        source = self.make('b.raw', b'QFI\xfb'.ljust(MIB, b'\0'))
        self.assert_refused('begins like a qcow2 image', 'convert', source,
                            self.path('c.raw'))
        self.assert_done('convert', '--from-format', 'raw', source, self.path('c.raw'))

    def test_format_that_cannot_be_written_is_refused(self):
        self.assert_refused('vmdk images can only be read', 'convert', self.raw,
                            self.path('b.vmdk'))

    def test_truncated_source_leaves_no_target(self):
        source = self.path('a.vmdk')
        qemu_img('convert', '-f', 'raw', '-O', 'vmdk', self.raw, source)
        os.truncate(source, os.stat(source).st_size - 256 * 1024)
        self.assert_refused('a.vmdk.*Input/output error', 'convert', source,
                            self.path('b.raw'))

    def test_place_that_cannot_be_read_is_told(self):
        self.make('a.raw', b'x' * (8 * MIB))
        source = self.path('a.qcow2')
        self.assert_done('convert', self.raw, source)
        damaged = 5 * MIB + 3 * 65536
        with open(source, 'r+b') as file:
            file.seek(4 * 65536 + damaged // 65536 * 8)
            l2 = int.from_bytes(file.read(8), 'big')
            self.assertEqual(l2 >> 62, 2)
            file.seek(-8, os.SEEK_CUR)
            file.write((1 << 63 | 1 << 40).to_bytes(8, 'big'))	# beyond the end
        for options in ([], ['--compress', 'zlib']):
            self.assert_refused(f"a.qcow2' at {damaged}, .*vmm disk check.*Input/output error",
                                'convert', *options, source, self.path('b.qcow2'))

    def test_source_that_is_being_written_is_refused(self):
        lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)
        with open(self.raw, 'r+b') as file:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
            self.assert_refused('being written by another', 'convert', self.raw,
                                self.path('b.raw'))

    def test_interrupted_conversion_leaves_no_target(self):
        def raise_blocked():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            os.kill(os.getpid(), signal.SIGINT)

        self.assert_refused('interrupted', 'convert', self.raw, self.path('b.raw'),
                            preexec_fn=raise_blocked)

    def test_target_without_space_is_removed(self):
        small = self.path('small')
        os.mkdir(small)
        unshare = ['unshare', '-m' if os.geteuid() == 0 else '-rm']
        if subprocess.run([*unshare, 'true'], check=False).returncode:
            self.skipTest('no mount namespaces here')
        run = subprocess.run([*unshare, 'sh', '-c', 'mount -t tmpfs -o size=256k none "$1"; '
                              '"$3" disk convert "$2" "$1/b.raw"; echo $?; ls -A "$1"',
                              'sh', small, self.raw, VMM],
                             capture_output=True, text=True, check=False)
        self.assertEqual(run.stdout, '1\n')
        self.assertRegex(run.stderr,
                         r"\Avmm: cannot write '.*b.raw': No space left on device\n\Z")

    def test_progress_is_shown_on_a_terminal_only(self):
        self.make('big.raw', random.Random(1).randbytes(48 * MIB))
        master, slave = pty.openpty()
        fcntl.ioctl(slave, 0x5414, struct.pack('HHHH', 24, 80, 0, 0))	# TIOCSWINSZ
        # Compressing takes longer than what is too short to be shown, on any machine.
        subprocess.run([VMM, 'disk', 'convert', '--compress', 'zlib', self.path('big.raw'),
                        self.path('b.qcow2')], check=True, stderr=slave)
        os.close(slave)
        self.assert_progress('converting', master)

    def assert_progress(self, what, master):
        shown = b''
        try:
            while piece := os.read(master, 4096):
                shown += piece
        except OSError:
            os.close(master)
        self.assertRegex(shown.decode(), rf'\A(\r{what} +\d+ % \[#*\.*\][^\r\n]*\x1b\[K)+'
                         r'\r\x1b\[K\Z')

    def test_progress_of_what_only_reads_tables_is_shown(self):
        image = self.path('a.qcow2')
        qemu_img('create', '-f', 'qcow2', image, '5T')
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
        for what, *command in (('checking', 'check', image), ('mapping', 'map', image),
                               ('changing', 'snapshot', 'create', image, 'first'),
                               ('resizing', 'resize', '--shrink', '-s', '4T', image)):
            with self.subTest(what):
                master, slave = pty.openpty()
                with open(image, 'r+b') as held:
                    # Who opens it now waits until it is let go.
                    fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                    process = subprocess.Popen([VMM, 'disk', *command], stderr=slave,
                                               stdout=subprocess.DEVNULL)
                    os.close(slave)
                    signal.sigwait([signal.SIGIO])
                    time.sleep(0.3)     # what is over sooner is not shown
                self.assert_progress(what, master)
                self.assertEqual(process.wait(), 0)



class Compare(InFolder):
    def test_first_difference_is_told_to_the_byte(self):
        for at in (0, 1, 5000, 3 * MIB + 77, 8 * MIB - 1):
            data = bytearray(content(self.raw))
            data[at] ^= 1
            data[-1] ^= 1 if at < len(data) - 1 else 0
            other = self.make('b.raw', data)
            status, text, _ = disk('compare', self.raw, other)
            self.assertEqual((status, text), (2, f'The disks differ from byte {at} on.\n'))
            status, text, _ = disk('compare', '--json', self.raw, other)
            self.assertEqual((status, json.loads(text)),
                             (2, {'identical': False, 'first-difference': at}))

    def test_zeros_beyond_the_end_count_only_if_strict(self):
        other = self.make('b.raw', content(self.raw) + bytes(MIB))
        self.assertEqual(disk('compare', self.raw, other),
                         (0, 'The disks are identical.\n', ''))
        self.assertEqual(disk('compare', '--strict', other, self.raw),
                         (2, f'The disks differ from byte {8 * MIB} on.\n', ''))
        os.truncate(other, 9 * MIB - 512)
        with open(other, 'ab') as file:
            file.write(b'x' * 512)
        self.assertEqual(disk('compare', self.raw, other)[:2],
                         (2, f'The disks differ from byte {9 * MIB - 512} on.\n'))

    def test_what_cannot_be_read_is_an_error_not_a_difference(self):
        self.assert_refused('No such file', 'compare', self.raw, self.path('none'))
        self.assert_refused("'IMAGE IMAGE' is missing", 'compare', self.raw)


class Map(InFolder):
    def covers(self, image):
        """What is stored, by our map and by qemu-img's, as bytes' ranges."""
        ours = [(e['start'], e['length']) for e in json.loads(
            self.assert_done('map', '--json', image)) if e['stored'] in ('data', 'compressed')]
        theirs = [(e['start'], e['length']) for e in json.loads(
            qemu_img('map', '--output=json', image)) if e['data']]
        return self.join(ours), self.join(theirs)

    @staticmethod
    def join(ranges):
        joined = []
        for start, length in ranges:
            if joined and joined[-1][1] == start:
                joined[-1][1] = start + length
            else:
                joined.append([start, start + length])
        return joined

    def test_map_covers_the_disk_without_gaps(self):
        extents = json.loads(self.assert_done('map', '--json', self.raw))
        self.assertEqual(self.join([(e['start'], e['length']) for e in extents]),
                         [[0, 8 * MIB]])

    def test_raw_image_is_stored_where_qemu_says(self):
        ours, theirs = self.covers(self.raw)
        self.assertEqual(ours, theirs)

    def test_vmdk_image_is_stored_where_qemu_says(self):
        for kind in ('monolithicSparse', 'streamOptimized', 'twoGbMaxExtentSparse'):
            image = self.path(kind + '.vmdk')
            qemu_img('convert', '-f', 'raw', '-O', 'vmdk', '-o', f'subformat={kind}',
                     self.raw, image)
            ours, theirs = self.covers(image)
            self.assertEqual(ours, theirs)

    def test_offset_is_where_the_bytes_are_in_the_file(self):
        image = self.path('a.vmdk')
        qemu_img('convert', '-f', 'raw', '-O', 'vmdk', self.raw, image)
        stored, disk_bytes = content(image), content(self.raw)
        for e in json.loads(self.assert_done('map', '--json', image)):
            if e['stored'] == 'data':
                at, length = e['start'], min(e['length'], 8 * MIB - e['start'])
                self.assertEqual(stored[e['offset']:e['offset'] + length],
                                 disk_bytes[at:at + length])

    def test_text_has_a_line_for_each_extent(self):
        extents = json.loads(self.assert_done('map', '--json', self.raw))
        lines = self.assert_done('map', self.raw).splitlines()
        self.assertEqual(len(lines), len(extents) + 1)
        self.assertEqual(lines[0].split(), ['start', 'length', 'stored', 'depth', 'offset'])
        self.assertEqual(lines[1].split()[:3], [str(extents[0]['start']),
                                                str(extents[0]['length']),
                                                extents[0]['stored']])


class Info(InFolder):
    def test_facts_are_those_that_qemu_finds(self):
        image = self.path('a.vmdk')
        qemu_img('convert', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized',
                 self.raw, image)
        ours, = json.loads(self.assert_done('info', '--json', image))
        theirs = json.loads(qemu_img('info', '--output=json', image))
        self.assertEqual(ours['format'], theirs['format'])
        self.assertEqual(ours['virtual-size'], theirs['virtual-size'])
        self.assertEqual(ours['allocated'], theirs['actual-size'])
        self.assertEqual(ours['details'], {'type': 'streamOptimized', 'extents': 1,
                                           'cluster-size': 65536, 'compression': 'zlib'})

    def test_text_says_the_same(self):
        self.assertRegex(self.assert_done('info', self.raw),
                         r'(?m)^virtual size +8 MiB \(8388608 bytes\)$')


    def test_output_that_cannot_be_written_is_an_error(self):
        for command in (['info', self.raw], ['info', '--json', self.raw], ['map', self.raw],
                        ['compare', self.raw, self.raw]):
            with open('/dev/full', 'wb') as full:
                run = subprocess.run([VMM, 'disk', *command], stdout=full, text=True,
                                     stderr=subprocess.PIPE, check=False)
            self.assertEqual(run.returncode, 1)
            self.assertRegex(run.stderr, r'\Avmm: .*cannot write the output\n\Z')


class CreateAndResize(InFolder):
    def test_new_image_reads_as_zeros_and_takes_no_space(self):
        self.assert_done('create', '--size', '10M', self.path('b.raw'))
        self.assertEqual(content(self.path('b.raw')), bytes(10 * MIB))
        self.assertEqual(os.stat(self.path('b.raw')).st_blocks, 0)

    def test_existing_image_is_replaced_only_by_force(self):
        self.assert_refused('exists: add --force', 'create', '-s', '1M', self.raw)
        self.assert_done('create', '-s', '1M', '--force', self.raw)
        self.assertEqual(content(self.raw), bytes(MIB))

    def test_size_that_cannot_be_is_refused(self):
        image = self.path('b.raw')
        self.assert_refused('multiple of 512', 'create', '-s', '1000', image)
        self.assert_refused('size', 'create', '-s', '0', image)
        self.assert_refused('--size is missing', 'create', image)

    def test_format_of_a_backing_file_that_is_none_is_refused(self):
        self.assert_refused('goes with --backing', 'create', '-s', '1M', '-F', 'raw',
                            self.path('b.qcow2'))
        self.assert_refused('no --backing-format', 'rebase', '-b', 'none', '-F', 'raw', self.raw)

    def test_size_that_an_image_cannot_get_is_refused(self):
        self.assert_refused('multiple of 512', 'resize', '-s', '8388609', self.raw)

    def test_format_that_cannot_be_made_is_refused(self):
        self.assert_refused('can only be read', 'create', '-s', '1M', self.path('b.vmdk'))
        self.assert_refused("format 'cooked' is unknown", 'create', '-s', '1M', '-f', 'cooked',
                            self.path('b'))

    def test_disk_grows_by_zeros(self):
        before = content(self.raw)
        text = self.assert_done('resize', '--size', '9M', '--json', self.raw)
        self.assertEqual(json.loads(text), {'path': self.raw, 'virtual-size': 9 * MIB})
        self.assertEqual(content(self.raw), before + bytes(MIB))

    def test_disk_shrinks_only_if_asked_to(self):
        before = content(self.raw)
        self.assert_refused(r'would lose its last 1 MiB \(1048576 bytes\), of which .* are '
                            'stored; add --shrink', 'resize', '--size', '7M', self.raw)
        self.assert_done('resize', '--size', '7M', '--shrink', self.raw)
        self.assertEqual(content(self.raw), before[:7 * MIB])

    def test_image_in_use_is_not_resized(self):
        lock = struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 0, 0, 0)
        with open(self.raw, 'rb') as file:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
            self.assert_refused('in use by another', 'resize', '-s', '9M', self.raw)


class Commands(unittest.TestCase):
    def test_disk_alone_lists_what_there_is(self):
        status, text, errors = disk()
        self.assertEqual((status, errors), (1, ''))
        self.assertRegex(text, r'(?m)^  convert +\w')
        self.assertEqual(disk('--help'), (0, text, ''))

    def test_misspelt_subcommand_names_the_nearest(self):
        self.assertEqual(disk('convret'), (1, '', "vmm: unknown command 'disk convret': "
                                           "did you mean 'disk convert'?\n"))

    def test_help_of_a_subcommand_is_had_in_both_orders(self):
        text = disk('convert', '--help')[1]
        self.assertTrue(text.startswith('Usage: vmm disk convert [OPTION]... SOURCE TARGET'))
        run = subprocess.run([VMM, 'help', 'disk', 'convert'], capture_output=True, text=True,
                             check=True)
        self.assertEqual(run.stdout, text)


unittest.main(argv=sys.argv[:1])
