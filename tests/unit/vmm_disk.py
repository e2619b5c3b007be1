#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_disk.py VMM

The subcommands of vmm disk, beside qemu-img, which knows the same formats.
"""

import fcntl
import json
import os
import pty
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

VMM = sys.argv[1]
MIB = 1 << 20
VMDK_TYPES = ('monolithicSparse', 'monolithicFlat', 'twoGbMaxExtentSparse',
              'twoGbMaxExtentFlat', 'streamOptimized')


def disk(*arguments, **options):
    run = subprocess.run([VMM, 'disk', *arguments], capture_output=True, text=True,
                         check=False, **options)
    return run.returncode, run.stdout, run.stderr


def qemu_img(*arguments):
    return subprocess.run(['qemu-img', *arguments], check=True, capture_output=True,
                          text=True).stdout


def content(path):
    with open(path, 'rb') as file:
        return file.read()


def stored(path):
    """The size of a file and its blocks by place, without zeros: there may be gigabytes."""
    size, at, blocks = os.stat(path).st_size, 0, {}
    with open(path, 'rb') as file:
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            for place in range(at, end, 4096):
                blocks[place] = os.pread(file.fileno(), 4096, place)
            at = end
    return size, {place: block for place, block in blocks.items() if block.strip(b'\0')}


def make_raw(path, size, seed):
    """Data, bytes that are easily compressed, and holes."""
    rng = random.Random(seed)
    with open(path, 'wb') as file:
        file.truncate(size)
        for i in range(60):
            at = rng.randrange(size // 4096) * 4096
            len_ = min(rng.randrange(1, 200) * 512, size - at)
            file.seek(at)
            file.write(rng.randbytes(len_) if i % 2 else bytes([i]) * len_)


class InFolder(unittest.TestCase):
    place = '/var/tmp'

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='vmm-test-disk-', dir=self.place)
        self.addCleanup(shutil.rmtree, self.folder)
        self.raw = self.path('a.raw')
        make_raw(self.raw, 8 * MIB, self.id())

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self, name, data):
        with open(self.path(name), 'wb') as file:
            file.write(data)
        return self.path(name)

    def assert_done(self, *arguments):
        status, text, errors = disk(*arguments)
        self.assertEqual((status, errors), (0, ''))
        return text

    def assert_refused(self, pattern, *arguments, **options):
        """One line, status 1, and no file has come, gone or changed."""
        before = self.files()
        status, text, errors = disk(*arguments, **options)
        self.assertEqual((status, text), (1, ''), errors)
        self.assertRegex(errors, rf'\Avmm: .*{pattern}.*\n\Z')
        after = self.files()
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        self.assertEqual(changed, [])

    def assert_good(self, *images):
        for image in images:
            self.assert_done('check', image)
            qemu_img('check', image)

    def files(self):
        return {name: stored(self.path(name)) for name in os.listdir(self.folder)}


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


class Qcow2(InFolder):
    def convert(self, name='a.qcow2', *options):
        self.assert_done('convert', *options, self.raw, self.path(name))
        return self.path(name)

    def test_image_that_is_converted_to_is_what_qemu_reads(self):
        for size in ('512', '4K', '64K', '2M'):
            with self.subTest(size):
                image = self.convert(f'a{size}.qcow2', '--cluster-size', size)
                self.assert_good(image)
                qemu_img('compare', self.raw, image)
                self.assert_done('convert', image, self.path(f'{size}.raw'))
                self.assertEqual(content(self.path(f'{size}.raw')), content(self.raw))

    def test_compressed_image_is_what_qemu_reads(self):
        with open(self.raw, 'ab') as file:
            file.write(b'the end!' * 64)
        for method in ('zlib', 'zstd'):
            for size in ('512', '4K', '64K', '2M'):
                with self.subTest(method, size=size):
                    image = self.convert(f'{method}{size}.qcow2', '--compress', method,
                                         '--cluster-size', size)
                    self.assert_good(image)
                    qemu_img('compare', self.raw, image)
                    self.assert_done('compare', image, self.raw)
                    info = json.loads(qemu_img('info', '--output=json', image))
                    self.assertEqual(info['format-specific']['data']['compression-type'],
                                     method)

    def test_compressed_image_is_about_as_small_as_that_of_qemu(self):
        """What is left free before a cluster that stays as it is depends on the threads."""
        image = self.convert('a.qcow2', '-z', 'zlib')
        qemu_img('convert', '-c', '-O', 'qcow2', self.raw, self.path('q.qcow2'))
        self.assertLess(os.stat(image).st_size,
                        os.stat(self.path('q.qcow2')).st_size * 1.25)
        self.assertIn('compressed', {e['stored'] for e in json.loads(
            self.assert_done('map', '--json', image))})

    def test_what_does_not_become_smaller_is_stored_as_it_is(self):
        self.make('a.raw', random.Random(1).randbytes(MIB) + bytes(MIB) + b'x' * MIB)
        image = self.convert('a.qcow2', '-z', 'zstd')
        self.assert_good(image)
        self.assertEqual([(e['start'], e['stored']) for e in json.loads(
            self.assert_done('map', '--json', image)) if e['start'] in (0, MIB, 2 * MIB)],
            [(0, 'data'), (MIB, 'absent'), (2 * MIB, 'compressed')])

    def test_compressed_image_is_written_like_any_other(self):
        image = self.convert('a.qcow2', '-z', 'zlib')
        subprocess.run(['qemu-io', '-c', 'write -P 1 3M 1M', '-c', 'discard 5M 1M', image],
                       check=True, stdout=subprocess.DEVNULL)
        self.assert_good(image)
        self.assert_done('resize', '--shrink', '-s', '4M', image)
        self.assert_good(image)

    def test_compression_that_cannot_be_is_refused(self):
        self.assert_refused('not qcow2', 'convert', '-z', 'zlib', self.raw, self.path('b.raw'))
        self.assert_refused('lzma', 'convert', '-z', 'lzma', self.raw, self.path('b.qcow2'))

    def test_interrupted_compression_leaves_no_target(self):
        def raise_blocked():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            os.kill(os.getpid(), signal.SIGINT)

        self.assert_refused('interrupted', 'convert', '-z', 'zlib', self.raw,
                            self.path('b.qcow2'), preexec_fn=raise_blocked)

    def test_compressed_target_without_space_is_removed(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300 * 1024, 300 * 1024))
        self.make('a.raw', random.Random(1).randbytes(MIB))
        self.assert_refused("cannot write '.*b.qcow2': File too large", 'convert', '-z', 'zstd',
                            self.raw, self.path('b.qcow2'), preexec_fn=limit,
                            restore_signals=False)

    def test_image_of_qemu_is_converted_whatever_it_uses(self):
        for options in (['-c'], ['-c', '-o', 'compression_type=zstd'], ['-o', 'compat=0.10'],
                        ['-o', 'extended_l2=on'], ['-o', 'refcount_bits=1']):
            with self.subTest(options):
                image, target = self.path('q.qcow2'), self.path('q.raw')
                qemu_img('convert', '-f', 'raw', '-O', 'qcow2', *options, self.raw, image)
                self.assert_done('convert', '--force', image, target)
                self.assertEqual(content(target), content(self.raw))

    def test_map_is_that_of_qemu_through_a_chain(self):
        base = self.convert('base.qcow2')
        top = self.path('top.qcow2')
        self.assert_done('create', '--backing', 'base.qcow2', top)
        subprocess.run(['qemu-io', '-c', 'write 1M 128k', '-c', 'write -z 3M 1M', top],
                       check=True, stdout=subprocess.DEVNULL)
        ours = json.loads(self.assert_done('map', '--json', top))
        theirs = json.loads(qemu_img('map', '--output=json', top))
        data = {(e['start'] + i, e['depth']) for e in ours if e['stored'] == 'data'
                for i in range(0, e['length'], 4096)}
        self.assertEqual(data, {(e['start'] + i, e['depth']) for e in theirs if e['data']
                                for i in range(0, e['length'], 4096)})
        zeros = [(e['start'], e['length'], e['depth']) for e in ours if e['stored'] == 'zero']
        self.assertEqual(zeros, [(3 * MIB, MIB, 0)])
        self.assertGreater(os.stat(base).st_size, MIB)

    def test_disk_is_mapped_through_all_of_its_tables(self):
        with open(self.raw, 'r+b') as file:
            file.truncate(1 << 30)
            for at in range(0, 1024, 31):
                file.seek(at * MIB)
                file.write(b'x' * 4096)
        for size in ('4k', '64k'):
            image = self.path(f'{size}.qcow2')
            qemu_img('convert', '-f', 'raw', '-O', 'qcow2', '-o', f'cluster_size={size}',
                     self.raw, image)
            self.assert_done('compare', image, self.raw)
            self.assert_done('convert', image, self.path(f'{size}.raw'))
            qemu_img('compare', '-f', 'raw', '-F', 'raw', self.raw, self.path(f'{size}.raw'))

    def test_overlay_takes_size_and_format_from_its_backing_file(self):
        top = self.path('top.qcow2')
        self.assert_done('create', '--backing', 'a.raw', top)
        info = json.loads(qemu_img('info', '--output=json', top))
        self.assertEqual((info['virtual-size'], info['backing-filename'],
                          info['backing-filename-format']), (8 * MIB, 'a.raw', 'raw'))
        self.assert_done('compare', top, self.raw)
        self.assert_good(top)

    def test_backing_file_that_cannot_be_is_refused(self):
        image = self.path('b.qcow2')
        self.assert_refused('none.raw.*No such file', 'create', '-b', 'none.raw', image)
        self.assert_refused('not qcow2', 'create', '-b', 'a.raw', self.path('b.raw'))
        self.assert_refused('not qcow2', 'create', '-c', '64K', '-s', '1M',
                            self.path('b.raw'))
        self.assert_refused('powers of two', 'create', '-c', '65537', '-s', '1M', image)
        self.assert_refused('larger clusters', 'create', '-c', '512', '-s', '1T', image)

    def test_what_is_behind_an_image_is_not_replaced_by_it(self):
        self.assert_done('create', '--backing', 'a.raw', self.path('b.qcow2'))
        self.assert_done('create', '--backing', 'b.qcow2', self.path('c.qcow2'))
        for behind in ('b.qcow2', 'c.qcow2'):
            self.assert_refused('in use.* what is read here', 'create', '--force', '-b',
                                behind, self.path('b.qcow2'))
        self.assert_refused('in use.* what is read here', 'convert', '--force',
                            self.path('c.qcow2'), self.path('b.qcow2'))

    def test_backing_file_outside_of_the_folder_is_followed_only_if_allowed(self):
        os.mkdir(self.path('sub'))
        self.convert('base.qcow2')
        top, allow = self.path('sub/top.qcow2'), ('--backing-files', 'on')
        self.assert_done('create', '--backing', '../base.qcow2', top)
        for command in (['info', top], ['map', top], ['compare', top, self.raw],
                        ['convert', top, self.path('b.raw')], ['resize', '-s', '9M', top],
                        ['create', '-b', 'top.qcow2', self.path('sub/more.qcow2')]):
            with self.subTest(command):
                status, text, errors = disk(*command)
                self.assertEqual((status, text), (1, ''))
                self.assertRegex(errors, 'not in its folder.*--backing-files=on')
                self.assertEqual(disk(command[0], *allow, *command[1:])[0], 0)
        self.assertEqual(content(self.path('b.raw')), content(self.raw))

    def test_backing_file_in_the_folder_can_be_forbidden(self):
        self.assert_done('create', '--backing', 'a.raw', self.path('top.qcow2'))
        self.assert_refused('none is allowed', 'map', '--backing-files', 'off',
                            self.path('top.qcow2'))

    def test_disk_grows_within_and_beyond_its_first_level_table(self):
        image = self.convert()
        for size in ('9M', '600M', '5T'):
            self.assert_done('resize', '--size', size, image)
            self.assert_good(image)
            self.assert_done('compare', image, self.raw)

    def test_disk_grows_although_it_has_snapshots(self):
        image = self.convert('a.qcow2', '--cluster-size', '4K')
        qemu_img('snapshot', '-c', 'first', image)
        self.assert_done('resize', '--size', '1100M', image)	# beyond a cluster of its table
        self.assert_good(image)
        self.assertIn('first', qemu_img('snapshot', '-l', image))
        qemu_img('snapshot', '-a', 'first', image)
        qemu_img('compare', self.raw, image)

    def test_what_is_cut_off_does_not_come_back(self):
        end = 4 * MIB + 1536
        self.make('b.raw', content(self.raw)[:end] + bytes(8 * MIB - end))
        for options in ([], ['-o', 'extended_l2=on'], ['-o', 'cluster_size=512'], ['-c'],
                        ['-c', '-o', 'compression_type=zstd,extended_l2=on'],
                        ['-o', 'compat=0.10']):
            with self.subTest(options):
                image = self.path('a.qcow2')
                qemu_img('convert', '-f', 'raw', '-O', 'qcow2', *options, self.raw, image)
                self.assert_done('resize', '--shrink', '--size', str(end), image)
                self.assert_good(image)
                self.assert_done('resize', '--size', '8M', image)
                self.assert_good(image)
                self.assert_done('compare', image, self.path('b.raw'))

    def test_space_of_what_is_cut_off_is_given_back(self):
        with open(self.raw, 'r+b') as file:
            file.write(random.Random(1).randbytes(8 * MIB))
        image = self.convert()
        self.assert_refused('of which 7 MiB .* are stored', 'resize', '--size', '1M', image)
        self.assert_done('resize', '--shrink', '--size', '1M', image)
        self.assertLess(os.stat(image).st_blocks * 512, 2 * MIB)

    def test_refused_size_leaves_all_that_the_image_promises(self):
        image = self.convert()
        with open(image, 'r+b') as file:
            file.seek(88)
            file.write((1 << 5).to_bytes(8, 'big'))	# a promise that a writer takes back
        self.assert_refused('add --shrink', 'resize', '--size', '1M', image)
        self.assert_done('resize', '--shrink', '--size', '1M', image)

    def test_snapshots_keep_what_is_cut_off(self):
        image = self.convert()
        qemu_img('snapshot', '-c', 'first', image)
        self.assert_done('resize', '--shrink', '--size', '1M', image)
        self.assert_good(image)
        qemu_img('snapshot', '-a', 'first', image)
        self.assert_good(image)
        self.assert_done('compare', image, self.raw)

    def test_growth_that_would_show_the_backing_file_is_refused(self):
        top = self.path('top.qcow2')
        self.assert_done('create', '--backing', 'a.raw', '--size', '4M', top)
        self.assert_refused('would show through', 'resize', '--size', '8M', top)

    def test_old_version_changes_its_size_unless_it_has_snapshots(self):
        image = self.path('old.qcow2')
        qemu_img('create', '-f', 'qcow2', '-o', 'compat=0.10', image, '1M')
        self.assert_done('resize', '--size', '5T', image)
        self.assert_good(image)
        qemu_img('snapshot', '-c', 'first', image)
        self.assert_refused('version 2', 'resize', '--size', '6T', image)
        self.assert_refused('version 2', 'resize', '--shrink', '--size', '1M', image)

    def test_info_is_that_of_qemu(self):
        image = self.path('a.qcow2')
        qemu_img('create', '-f', 'qcow2', '-o', 'cluster_size=4k,lazy_refcounts=on,'
                 'compression_type=zstd', image, '1G')
        qemu_img('snapshot', '-c', 'first', image)
        self.assertEqual(json.loads(self.assert_done('info', '--json', image))[0]['details'],
                         {'version': 3, 'cluster-size': 4096, 'refcount-bits': 16,
                          'compression': 'zstd', 'snapshots': 1, 'bitmaps': 0,
                          'extended-l2': 0, 'lazy-refcounts': 1, 'dirty': 0, 'corrupt': 0})

    def test_damage_is_found_and_repaired(self):
        image = self.convert()
        with open(image, 'r+b') as file:
            file.seek(2 * 65536)
            file.write(b'\0\0')	# the header's cluster is not counted any more
        self.assertEqual(disk('check', image)[0], 2)
        status, text, _ = disk('check', '--json', image)
        self.assertEqual((status, json.loads(text)['corruptions']), (2, 1))
        self.assertRegex(self.assert_done('check', '--repair', image), 'put right')
        self.assert_good(image)
        self.assert_done('compare', image, self.raw)

    def test_what_repair_can_do_is_told(self):
        image = self.convert()
        os.truncate(image, 5 * 65536)
        self.assertIn('With --repair', disk('check', image)[1])
        before = self.files()
        status, text, _ = disk('check', '--repair', image)
        self.assertEqual(status, 2)
        self.assertIn('cannot be put right', text)
        self.assertEqual(self.files(), before)
        self.assert_refused('was cut short.*vmm disk check', 'resize', '-s', '9M', image)

    def test_leaks_are_told_by_a_status_of_their_own(self):
        image = self.convert()
        with open(image, 'r+b') as file:
            nr = -(-os.stat(image).st_size // 65536)
            file.truncate((nr + 1) * 65536)
            file.seek(2 * 65536 + 2 * nr)
            file.write(b'\0\1')
        self.assertEqual(disk('check', image)[0], 3)
        self.assert_done('check', '--repair', image)
        self.assert_good(image)

    def test_what_has_nothing_to_check_is_an_error(self):
        self.assert_refused('is a raw image', 'check', self.raw)
        self.assert_refused('No such file', 'check', self.path('none'))


class Large(InFolder):
    place = '/dev/shm'

    def test_old_version_outgrows_both_tables_at_once(self):
        """Its refcount table, full, counts 4 GiB; its first-level table has one cluster."""
        image = self.path('a.qcow2')

        def sizes():
            """Clusters of the refcount table, entries of the other."""
            with open(image, 'rb') as file:
                head = file.read(72)
            return struct.unpack_from('>I', head, 56) + struct.unpack_from('>I', head, 36)

        def qemu_io(*commands):
            return subprocess.run(['qemu-io', *(f'-c{command}' for command in commands), image],
                                  check=True, capture_output=True, text=True).stdout

        qemu_img('create', '-f', 'qcow2', '-o',
                 'compat=0.10,cluster_size=4k,preallocation=metadata', image, '4080M')
        qemu_io('write -P 7 4000M 64k')
        self.assertEqual(sizes(), (1, 2040))
        self.assert_done('resize', '--size', '5T', image)
        self.assertEqual(sizes(), (2, 5 * MIB // 2))
        self.assert_good(image)

        self.assertNotIn('failed', qemu_io('write -P 9 5242879M 1M', 'read -P 7 4000M 64k'))
        self.assert_good(image)
        self.assert_refused('cannot become that large', 'resize', '--size', '9T', image)


OVERLAYS = ('compat=1.1', 'compat=0.10', 'cluster_size=512', 'cluster_size=2M',
            'cluster_size=16k,extended_l2=on', 'cluster_size=4k,refcount_bits=1')


class Chain(InFolder):
    """a.raw or a copy of it, and an overlay that holds some of its own."""
    place = '/dev/shm'		# many images: what a sync costs is not of interest here

    def make_overlay(self, base='a.raw', options='compat=1.1', size='8M'):
        top = self.path('top.qcow2')
        qemu_img('create', '-f', 'qcow2', '-o', options, '-b', base, '-F',
                 base.split('.')[-1], top, size)
        subprocess.run(['qemu-io', '-c', 'write -P 1 1000k 1M', '-c', 'write -P 2 3584 512',
                        '-c', 'write -z 3M 200k', '-c', 'write -P 3 7M 1M', top],
                       check=True, stdout=subprocess.DEVNULL)
        return top

    def make_base(self, options, name='base.qcow2'):
        qemu_img('convert', '-f', 'raw', '-O', 'qcow2', '-o', options, self.raw,
                 self.path(name))
        return name

    def read(self, image):
        target = self.path('read.raw')
        qemu_img('convert', '-O', 'raw', image, target)
        return content(target)

    def own(self, image):
        """What the image holds itself."""
        return [e for e in json.loads(self.assert_done('map', '--json', image))
                if e['depth'] == 0 and e['stored'] != 'absent']


class InfoOfChain(Chain):
    def test_chain_is_told_image_by_image(self):
        qemu_img('create', '-f', 'qcow2', '-b', 'a.raw', '-F', 'raw', self.path('b.qcow2'))
        top = self.make_overlay('b.qcow2', size='9M')
        ours = json.loads(self.assert_done('info', '--json', top))
        theirs = json.loads(qemu_img('info', '--backing-chain', '--output=json', top))
        self.assertEqual([(e['path'], e['format'], e['virtual-size'], e['allocated'])
                          for e in ours],
                         [(e['filename'], e['format'], e['virtual-size'], e['actual-size'])
                          for e in theirs])
        self.assertEqual([e['details'].get('backing-file') for e in ours],
                         ['b.qcow2', 'a.raw', None])
        blocks = self.assert_done('info', top).split('\n\n')
        self.assertEqual([block.splitlines()[0].split() for block in blocks],
                         [['path', e['path']] for e in ours])

    def test_image_is_told_without_what_is_behind_it(self):
        top = self.make_overlay()
        os.unlink(self.raw)
        self.assert_refused('a.raw.*No such file', 'info', top)
        only, = json.loads(self.assert_done('info', '--backing-files', 'off', '--json', top))
        self.assertEqual((only['path'], only['details']['backing-file']), (top, 'a.raw'))


    def test_names_that_are_no_text_are_told_all_the_same(self):
        names = 'b\udcff.raw', 'o\udcff.qcow2'
        shutil.copy(self.raw, self.path(names[0]))
        base, top = (os.fsencode(self.path(name)) for name in names)
        told = self.path('b?.raw'), self.path('o?.qcow2')
        for command, result in (
                (['create', '-b', base, '-s', '9M', top], {'path': told[1]}),
                (['resize', '-s', '10M', top], {'path': told[1]}),
                (['info', top], {'path': told[0]}),
                (['commit', top], {'path': told[1], 'backing': told[0]}),
                (['rebase', '-b', 'none', top], {'path': told[1], 'backing': None}),
                (['convert', '--force', top, base], {'target': told[0]})):
            with self.subTest(command):
                text = json.loads(self.assert_done(command[0], '--json', '--backing-files',
                                                   'on', *command[1:]))
                self.assertLessEqual(result.items(), (text[-1] if command[0] == 'info'
                                                      else text).items())

    def test_name_of_a_backing_file_has_no_word_with_the_terminal(self):
        top = self.path('top.qcow2')
        qemu_img('create', '-f', 'qcow2', '-u', '-b', 'a\033[2J\nb', '-F', 'raw', top, '1M')
        text = self.assert_done('info', '--backing-files', 'off', top)
        self.assertIn('backing-file    a?[2J?b\n', text)


class Commit(Chain):
    def test_overlay_is_empty_and_reads_as_before(self):
        for options, base in zip(OVERLAYS, ('raw', *OVERLAYS)):
            with self.subTest(options, base=base):
                make_raw(self.raw, 8 * MIB, base)
                name = 'a.raw' if base == 'raw' else self.make_base(base)
                top = self.make_overlay(name, options)
                before = self.read(top)
                self.assert_done('commit', top)
                self.assertEqual(self.own(top), [])
                self.assertEqual(self.read(top), before)
                self.assertEqual(self.read(self.path(name)), before)
                self.assert_good(top, *[self.path(name)][base == 'raw':])

    def test_space_of_the_overlay_is_given_back(self):
        top = self.make_overlay()
        self.assert_done('commit', top)
        self.assertLess(os.stat(top).st_size, 512 * 1024)

    def test_overlay_is_written_anew_afterwards(self):
        top = self.make_overlay(self.make_base('compat=1.1'))
        self.assert_done('commit', top)
        subprocess.run(['qemu-io', '-c', 'write -P 9 2M 1M', top], check=True,
                       stdout=subprocess.DEVNULL)
        self.assert_good(top)
        before = self.read(top)
        self.assert_done('commit', top)
        self.assertEqual(self.read(self.path('base.qcow2')), before)

    def test_result_is_told_as_json(self):
        top = self.make_overlay()
        result = json.loads(self.assert_done('commit', '--json', top))
        self.assertGreaterEqual(result.pop('written'), 2 * MIB)
        self.assertEqual(result, {'path': top, 'backing': self.raw, 'emptied': True})

    def test_overlay_is_kept_on_request(self):
        top = self.make_overlay()
        before, image = self.read(top), content(top)
        self.assert_done('commit', '--keep', top)
        self.assertEqual(content(self.raw), before)
        self.assertEqual(content(top), image)

    def test_smaller_backing_file_grows(self):
        for name in ('a.raw', self.make_base('compat=1.1')):
            top = self.make_overlay(name, size='20M')
            subprocess.run(['qemu-io', '-c', 'write -P 5 19M 1M', top], check=True,
                           stdout=subprocess.DEVNULL)
            before = self.read(top)
            self.assert_done('commit', top)
            self.assertEqual(self.read(self.path(name)), before)
            self.assertEqual(self.read(top), before)

    def test_larger_backing_file_keeps_its_end(self):
        top = self.make_overlay(size='8M')
        before = self.read(top)
        with open(self.raw, 'ab') as file:
            file.write(b'beyond  ' * 128)
        self.assert_done('commit', top)
        self.assertEqual(content(self.raw), before + b'beyond  ' * 128)

    def test_only_the_direct_backing_file_changes(self):
        middle = self.path('middle.qcow2')
        qemu_img('create', '-f', 'qcow2', '-b', 'a.raw', '-F', 'raw', middle)
        base, top = content(self.raw), self.make_overlay('middle.qcow2')
        before = self.read(top)
        self.assert_done('commit', top)
        self.assertEqual(content(self.raw), base)
        self.assertEqual(self.read(middle), before)
        self.assert_good(middle, top)

    def test_overlay_with_snapshots_is_refused(self):
        top = self.make_overlay()
        qemu_img('snapshot', '-c', 'first', top)
        self.assert_refused('has snapshots', 'commit', top)

    def test_what_has_nothing_behind_it_is_refused(self):
        self.assert_refused('has no backing file', 'commit', self.raw)
        self.assert_refused('has no backing file', 'commit',
                            self.path(self.make_base('compat=1.1')))

    def test_backing_file_that_others_use_is_refused(self):
        top = self.make_overlay()
        for kind in (fcntl.F_RDLCK, fcntl.F_WRLCK):
            lock = struct.pack('hhqqi4x', kind, 0, 0, 0, 0)
            with open(self.raw, 'r+b') as file:
                fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
                self.assert_refused('a.raw.* is in use', 'commit', top)

    def test_interrupted_commit_leaves_the_overlay(self):
        def raise_blocked():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            os.kill(os.getpid(), signal.SIGINT)

        self.assert_refused('interrupted', 'commit', self.make_overlay(),
                            preexec_fn=raise_blocked)

    def test_failed_commit_can_be_repeated(self):
        top = self.make_overlay()
        before, image = self.read(top), content(top)
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB))
        status, _, errors = disk('commit', top, preexec_fn=limit, restore_signals=False)
        self.assertEqual((status, errors),
                         (1, f"vmm: cannot write '{self.raw}': File too large\n"))
        self.assertEqual(content(top), image)
        self.assertNotEqual(content(self.raw), before)
        self.assertEqual(self.read(top), before)
        self.assert_done('commit', top)
        self.assertEqual(content(self.raw), before)


class Rebase(Chain):
    def setUp(self):
        super().setUp()
        make_raw(self.path('other.raw'), 8 * MIB, 'other')

    def backing(self, image):
        info = json.loads(qemu_img('info', '-U', '--output=json', image))
        return info.get('backing-filename'), info.get('backing-filename-format')

    def test_image_reads_as_before_whatever_is_behind_it(self):
        make_raw(self.path('short.raw'), 3 * MIB, 'short')
        make_raw(self.path('long.raw'), 9 * MIB, 'long')
        bases = ['other.raw', 'short.raw', 'long.raw', self.make_base('compat=1.1'), None]
        for options, base in zip(OVERLAYS, [*bases, 'other.raw']):
            with self.subTest(options, base=base):
                top = self.make_overlay('a.raw', options)
                before = self.read(top)
                self.assert_done('rebase', '--backing', base or 'none', top)
                self.assertEqual(self.backing(top), (base, base and base.split('.')[-1]))
                self.assertEqual(self.read(top), before)
                self.assert_good(top)

    def test_every_pair_of_sizes_reads_as_before(self):
        """Also where the old backing file ends within the disk, and the new one does not."""
        for old in (3 * MIB, 8 * MIB, 9 * MIB):
            for new in (2 * MIB, 8 * MIB, 9 * MIB):
                with self.subTest(old=old, new=new):
                    make_raw(self.raw, old, 'old')
                    make_raw(self.path('other.raw'), new, 'new')
                    top = self.make_overlay()
                    before = self.read(top)
                    self.assert_done('rebase', '-b', 'other.raw', top)
                    self.assertEqual(self.read(top), before)

    def test_only_what_differs_is_copied(self):
        shutil.copy(self.raw, self.path('same.raw'))
        with open(self.path('same.raw'), 'r+b') as file:
            file.seek(5 * MIB + 100)
            file.write(b'differs')
        top = self.make_overlay()
        before = self.own(top)
        result = json.loads(self.assert_done('rebase', '--json', '-b', 'same.raw', top))
        self.assertLessEqual(result.pop('written'), 65536)
        self.assertEqual(result, {'path': top, 'backing': 'same.raw'})
        self.assertEqual([e['start'] for e in self.own(top) if e not in before][:1],
                         [5 * MIB])

    def test_zeros_on_both_sides_are_neither_read_nor_written(self):
        top = self.path('top.qcow2')
        for name in ('a.raw', 'other.raw'):
            os.truncate(self.path(name), 0)
            os.truncate(self.path(name), 1 << 40)
        qemu_img('create', '-f', 'qcow2', '-b', 'a.raw', '-F', 'raw', top)
        result = json.loads(self.assert_done('rebase', '--json', '-b', 'other.raw', top))
        self.assertEqual(result['written'], 0)

    def test_image_without_backing_file_gets_one(self):
        top = self.path(self.make_base('compat=1.1', 'top.qcow2'))
        before = self.read(top)
        self.assert_done('rebase', '-b', 'other.raw', top)
        self.assertEqual(self.backing(top), ('other.raw', 'raw'))
        self.assertEqual(self.read(top), before)
        self.assert_good(top)

    def test_unsafe_changes_the_name_only(self):
        top = self.make_overlay()
        before, own = self.read(top), self.own(top)
        os.rename(self.raw, self.path('moved'))
        self.assert_refused('a.raw.*No such file', 'rebase', '-b', 'moved', top)
        self.assert_done('rebase', '--unsafe', '-b', 'moved', '-F', 'raw', top)
        self.assertEqual(self.backing(top), ('moved', 'raw'))
        self.assertEqual((self.read(top), self.own(top)), (before, own))
        self.assert_done('rebase', '--unsafe', '-b', 'none', top)
        self.assertEqual(self.backing(top), (None, None))
        self.assertEqual(self.own(top), own)

    def test_names_of_any_length_follow_each_other(self):
        for options in ('compat=1.1', 'compat=0.10', 'cluster_size=4k'):
            top = self.make_overlay('a.raw', options)
            before = self.read(top)
            for length in (0, 500, 0, 150, 180, 200, 500, 490, 120, 0):
                name = './' * length + 'a.raw'
                self.assert_done('rebase', '--unsafe', '-b', name, top)
                self.assertEqual(self.backing(top), (name, 'raw'))
                self.assertEqual(self.read(top), before)
                self.assert_good(top)

    def test_name_without_room_is_refused(self):
        top = self.make_overlay('a.raw', 'cluster_size=512')
        self.assert_refused('has no room', 'rebase', '-u', '-b', './' * 300 + 'a.raw', top)
        self.assert_refused('name too long', 'rebase', '-u', '-b', './' * 600 + 'a.raw', top)
        self.assert_done('rebase', '-u', '-b', './' * 80 + 'a.raw', top)
        self.assert_good(top)

    def test_backing_file_that_cannot_be_is_refused(self):
        top = self.make_overlay()
        self.assert_refused('none.raw.*No such file', 'rebase', '-b', 'none.raw', top)
        self.assert_refused('its own backing file', 'rebase', '-b', 'top.qcow2', top)
        self.assert_refused('its own backing file', 'rebase', '-u', '-b', 'top.qcow2', top)
        self.assert_refused('is no usable qcow2', 'rebase', '-b', 'a.raw', '-F', 'qcow2', top)
        self.assert_refused('is unknown', 'rebase', '-u', '-b', 'a.raw', '-F', 'row', top)
        self.assert_refused('cannot have a backing file', 'rebase', '-b', 'other.raw',
                            self.raw)
        self.assert_refused('disk rebase: --backing is missing', 'rebase', top)

    def test_image_with_snapshots_is_rebased_only_by_name(self):
        top = self.make_overlay()
        qemu_img('snapshot', '-c', 'first', top)
        self.assert_refused('has snapshots', 'rebase', '-b', 'other.raw', top)
        self.assert_done('rebase', '--unsafe', '-b', './a.raw', top)
        self.assert_good(top)

    def test_format_that_an_image_does_not_tell_can_be_added(self):
        top = self.path('top.qcow2')
        self.assert_done('create', '-b', 'a.raw', top)
        os.rename(self.raw, self.path('a.dat'))
        with open(top, 'r+b') as file:
            file.seek(112)
            file.write(bytes(4))	# the header ends before the format
            file.seek(8)
            file.seek(int.from_bytes(file.read(8), 'big'))
            file.write(b'a.dat')
        self.assert_refused("vmm disk rebase --unsafe -F FORMAT -b 'a.dat' tells it", 'info',
                            top)
        self.assert_done('rebase', '--unsafe', '-F', 'raw', '-b', 'a.dat', top)
        self.assertEqual(self.backing(top), ('a.dat', 'raw'))

    def test_failed_rebase_can_be_repeated(self):
        top = self.make_overlay()
        before = self.read(top)
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB))
        status, _, errors = disk('rebase', '-b', 'other.raw', top, preexec_fn=limit,
                                 restore_signals=False)
        self.assertEqual((status, errors), (1, f"vmm: cannot write '{top}': File too large\n"))
        self.assertEqual(self.backing(top)[0], 'a.raw')
        self.assertEqual(self.read(top), before)
        self.assert_done('rebase', '-b', 'other.raw', top)
        self.assertEqual(self.read(top), before)
        self.assertEqual(self.backing(top)[0], 'other.raw')


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
