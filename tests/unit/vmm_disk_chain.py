#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_disk_chain.py VMM

Images behind images: vmm disk info, commit and rebase.
"""

import fcntl
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import unittest

from disk_commands import InFolder, MIB, content, disk, make_raw, qemu_img, stored

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


unittest.main(argv=sys.argv[:1])
