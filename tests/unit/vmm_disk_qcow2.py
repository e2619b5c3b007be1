#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_disk_qcow2.py VMM

The subcommands of vmm disk on qcow2 images, made by qemu-img and by itself.
"""

import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import unittest

from disk_commands import InFolder, MIB, content, disk, qemu_img, stored


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


unittest.main(argv=sys.argv[:1])
