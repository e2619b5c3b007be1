#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_disk_snapshot.py VMM

Snapshots within images, by vmm disk and by qemu-img in turn.
"""

import fcntl
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

from disk_commands import MIB, disk, qemu_img

KINDS = ('cluster_size=64k', 'compat=0.10,cluster_size=4k', 'cluster_size=16k,extended_l2=on')


class Snapshots(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='vmm-test-snapshot-', dir='/dev/shm')
        self.addCleanup(shutil.rmtree, self.folder)
        self.image = os.path.join(self.folder, 'a.qcow2')
        self.make('cluster_size=64k')

    def make(self, options, size='4M'):
        qemu_img('create', '-f', 'qcow2', '-o', options, self.image, size)

    def write(self, value, at, length):
        subprocess.run(['qemu-io', '-c', f'write -P {value} {at} {length}', self.image],
                       check=True, capture_output=True)

    def snapshot(self, verb, *name):
        status, text, errors = disk('snapshot', verb, self.image, *name)
        self.assertEqual((status, errors), (0, ''))
        return text

    def assert_good(self):
        status, text, _ = disk('check', self.image)
        self.assertEqual(status, 0, text)
        qemu_img('check', self.image)

    def content(self, *snapshot):
        path = os.path.join(self.folder, 'content.raw')
        qemu_img('convert', *(('-l', *snapshot) if snapshot else ()), '-O', 'raw', self.image,
                 path)
        with open(path, 'rb') as file:
            return file.read()

    def listed(self):
        text = disk('snapshot', 'list', '--json', self.image)[1]
        return [entry['name'] for entry in json.loads(text)]

    def assert_refused(self, pattern, *arguments):
        with open(self.image, 'rb') as file:
            before = file.read()
        status, text, errors = disk('snapshot', *arguments)
        self.assertEqual((status, text), (1, ''))
        self.assertRegex(errors, rf'\Avmm: .*{pattern}.*\n\Z')
        with open(self.image, 'rb') as file:
            self.assertEqual(file.read(), before)


class Changes(Snapshots):
    def test_either_program_works_with_snapshots_of_the_other(self):
        for options in KINDS:
            with self.subTest(options):
                self.make(options)
                self.write(1, '0', '3M')
                self.snapshot('create', 'ours')
                self.write(2, '1M', '2M')
                qemu_img('snapshot', '-c', 'theirs', self.image)
                self.write(3, '100k', '3M')
                ours, theirs = self.content('ours'), self.content('theirs')

                self.snapshot('apply', 'theirs')
                self.assert_good()
                self.assertEqual(self.content(), theirs)
                self.write(4, '2M', '1M')
                qemu_img('snapshot', '-a', 'ours', self.image)
                self.assert_good()
                self.assertEqual(self.content(), ours)
                self.write(5, '0', '64k')
                now = self.content()
                self.snapshot('delete', 'theirs')
                self.assert_good()
                self.assertEqual((self.content(), self.content('ours')), (now, ours))
                qemu_img('snapshot', '-d', 'ours', self.image)
                self.assert_good()
                self.assertEqual(self.content(), now)

    def test_applied_snapshot_stays_and_what_is_written_then_does_not_change_it(self):
        self.write(1, '0', '1M')
        self.snapshot('create', 'one')
        for value in (2, 3):
            self.write(value, '0', '4M')
            self.snapshot('apply', 'one')
            self.assert_good()
            self.assertEqual(self.content(), b'\1' * MIB + bytes(3 * MIB))

    def test_compressed_clusters_are_shared(self):
        raw = os.path.join(self.folder, 'a.raw')
        with open(raw, 'wb') as file:
            file.write(b'compress me ' * 100000)
        qemu_img('convert', '-c', '-f', 'raw', '-O', 'qcow2', raw, self.image)
        before = self.content()
        self.snapshot('create', 'one')
        self.write(7, '0', '1M')
        self.assert_good()
        self.snapshot('apply', 'one')
        self.snapshot('delete', 'one')
        self.assert_good()
        self.assertEqual(self.content(), before)

    def test_disk_gets_the_size_that_it_had(self):
        self.write(1, '0', '4M')
        self.snapshot('create', 'small')
        self.assertEqual(disk('resize', '--size', '3T', self.image)[0], 0)
        self.write(2, '2T', '64k')
        self.snapshot('create', 'large')
        self.snapshot('apply', 'small')
        self.assert_good()
        self.assertEqual(self.content(), b'\1' * 4 * MIB)
        self.snapshot('apply', 'large')
        self.assert_good()
        self.assertEqual(json.loads(qemu_img('info', '--output=json', self.image))['virtual-size'],
                         3 << 40)

    def test_what_only_a_deleted_snapshot_held_is_given_back(self):
        self.write(1, '0', '4M')
        before = os.stat(self.image).st_blocks
        self.snapshot('create', 'one')
        self.write(2, '0', '4M')
        self.assertGreater(os.stat(self.image).st_blocks, before * 3 // 2)
        self.snapshot('delete', 'one')
        self.assertLess(os.stat(self.image).st_blocks, before * 5 // 4)

    def test_state_of_a_vm_is_left_to_who_made_it(self):
        self.write(1, '0', '1M')
        subprocess.run([f'qemu-system-{platform.machine()}', '-machine', 'none', '-nodefaults',
                        '-S', '-display', 'none', '-monitor', 'stdio',
                        '-drive', f'file={self.image},format=qcow2,if=none'],
                       input='savevm theirs\nquit\n', text=True, check=True,
                       stdout=subprocess.DEVNULL)
        self.assertGreater(json.loads(self.snapshot('list', '--json'))[0]['vm-state-size'], 0)
        self.write(2, '0', '1M')
        self.snapshot('apply', 'theirs')
        self.assert_good()
        self.assertEqual(self.content()[:MIB], b'\1' * MIB)
        self.snapshot('create', 'ours')
        self.snapshot('delete', 'theirs')
        self.assert_good()

    def test_marks_that_can_no_longer_hold_are_cleared(self):
        qemu_img('bitmap', '--add', self.image, 'changed')
        self.snapshot('create', 'one')
        with open(self.image, 'rb') as file:
            file.seek(88)
            self.assertEqual(file.read(8), bytes(8))


class Listing(Snapshots):
    def test_list_tells_what_qemu_knows(self):
        self.snapshot('create', 'one')
        qemu_img('snapshot', '-c', 'two words', self.image)
        theirs = json.loads(qemu_img('info', '--output=json', self.image))['snapshots']
        ours = json.loads(disk('snapshot', 'list', '--json', self.image)[1])
        self.assertEqual([(s['id'], s['name'], s['created'], s['vm-state-size']) for s in ours],
                         [(s['id'], s['name'], s['date-sec'], s['vm-state-size'])
                          for s in theirs])
        self.assertEqual([s['virtual-size'] for s in ours], [4 * MIB] * 2)
        text = self.snapshot('list')
        self.assertRegex(text, r'\AID +CREATED +SIZE +NAME\n1 .* one\n2 .* two words\n\Z')

    def test_info_lists_those_of_each_image(self):
        top = os.path.join(self.folder, 'top.qcow2')
        self.snapshot('create', 'one')
        qemu_img('create', '-f', 'qcow2', '-b', 'a.qcow2', '-F', 'qcow2', top)
        image, base = json.loads(disk('info', '--json', top)[1])
        self.assertEqual(image['snapshots'], [])
        self.assertEqual(base['snapshots'],
                         json.loads(disk('snapshot', 'list', '--json', self.image)[1]))
        self.assertTrue(disk('info', top)[1].endswith('\n\n' + self.snapshot('list')))

    def test_nothing_is_listed_where_there_is_none(self):
        self.assertEqual(self.snapshot('list'), '')
        self.assertEqual(self.listed(), [])

    def test_name_that_no_terminal_should_see_is_made_harmless(self):
        self.snapshot('create', 'abcdefgh')
        with open(self.image, 'r+b') as file:
            data = file.read()
            file.seek(data.index(b'abcdefgh'))
            file.write(b'a\x1b[2Jb\n\xff')
        self.assertEqual(self.listed(), ['a?[2Jb??'])
        self.assertTrue(self.snapshot('list').endswith(' a?[2Jb??\n'))

    def test_id_is_used_where_no_name_is_the_same(self):
        self.write(1, '0', '64k')
        self.snapshot('create', '2')
        self.snapshot('create', 'two')
        self.snapshot('delete', '2')
        self.assertEqual(self.listed(), ['two'])
        self.snapshot('delete', '2')
        self.assertEqual(self.listed(), [])

    def test_json_is_the_list_in_the_end(self):
        for verb, name, left in (('create', 'a', ['a']), ('create', 'b', ['a', 'b']),
                                 ('apply', 'a', ['a', 'b']), ('delete', 'a', ['b'])):
            told = disk('snapshot', verb, '--json', self.image, name)[1]
            self.assertEqual([entry['name'] for entry in json.loads(told)], left)


class Refusals(Snapshots):
    def test_words_that_make_no_sense(self):
        self.assert_refused("there is no 'take', only create", 'take', self.image, 'one')
        self.assert_refused('Its name is missing', 'create', self.image)
        self.assert_refused("unexpected argument 'one'", 'list', self.image, 'one')
        self.assert_refused('is missing', 'list')

    def test_names_that_cannot_be(self):
        self.snapshot('create', 'one')
        self.assert_refused("has a snapshot 'one' already", 'create', self.image, 'one')
        self.assert_refused("has a snapshot '1' already", 'create', self.image, '1')
        self.assert_refused('has 1 to 255 bytes', 'create', self.image, '')
        self.assert_refused('has 1 to 255 bytes', 'create', self.image, 'x' * 256)
        self.assert_refused('no control characters', 'create', self.image, 'a\nb')
        self.assert_refused("has no snapshot 'two'", 'apply', self.image, 'two')
        self.assert_refused("has no snapshot 'two'", 'delete', self.image, 'two')

    def test_image_that_is_in_use(self):
        lock = struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 0, 0, 0)
        with open(self.image, 'rb') as file:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
            self.assert_refused('in use by another', 'create', self.image, 'one')

    def test_format_without_snapshots(self):
        raw = os.path.join(self.folder, 'a.raw')
        with open(raw, 'wb') as file:
            file.truncate(MIB)
        self.assert_refused('is a raw image, which has no snapshots', 'create', raw, 'one')
        self.assertEqual(disk('snapshot', 'list', raw), (0, '', ''))

    def test_damaged_image(self):
        self.write(1, '0', '1M')
        self.snapshot('create', 'one')
        with open(self.image, 'r+b') as file:
            file.seek(40)
            file.seek(int.from_bytes(file.read(8), 'big'))
            file.write((0x123456789 << 16).to_bytes(8, 'big'))	# an L2 table far beyond
        for verb, name in (('create', 'two'), ('apply', 'one'), ('delete', 'one')):
            self.assert_refused('is damaged: repair it first', verb, self.image, name)

    def test_counts_too_narrow_for_one_more(self):
        self.make('cluster_size=4k,refcount_bits=2')
        self.write(1, '0', '64k')
        self.snapshot('create', 'one')
        self.snapshot('create', 'two')
        self.assert_refused('reference counts of 2 bits', 'create', self.image, 'three')
        self.assert_good()

    def test_version_2_does_not_change_its_size(self):
        self.make('compat=0.10')
        self.assertEqual(disk('resize', '--size', '5M', self.image)[0], 0)
        self.snapshot('create', 'one')
        self.snapshot('apply', 'one')
        with open(self.image, 'r+b') as file:
            file.seek(24)
            file.write((6 * MIB).to_bytes(8, 'big'))
        self.assert_refused('version 2 and cannot change its size', 'apply', self.image, 'one')


unittest.main(argv=sys.argv[:1])
