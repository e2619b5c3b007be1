#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_migrate.py VMM PAYLOADS [TEST]...

VMs that move from one monitor to another, by a guest that notices what is not as it was,
and what becomes of it when the move does not succeed.  As root.
"""

import fcntl
import io
import itertools
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import vm
from sequence import Receiver
from steady import DISK_LEN, LACKS_FEATURES, SteadyTest, golden, unpack
from vm import FORCED, OK, USAGE, Vm, not_on_arm64, on_hardware, on_nested_svm

HEADER = 24
(PLAN, STREAM, RESUME, PAGES, ZEROES, PACKED, MISSING, END, STATE, GO, BYE, READY, LOADED, RUNS,
 ASK, DONE, FAILED) = range(1, 18)

SLOW = '64K'        # so that a copy takes a while

# By hand there may be more of them.
MOVES = int(os.environ.get('VMM_TEST_MOVES', '10'))
KILLS = int(os.environ.get('VMM_TEST_KILLS', '4'))
RESETS = int(os.environ.get('VMM_TEST_RESETS', '6'))


class Between:
    """Stands between source and target, and cuts them off from each other.

    cut(from_source, type) is asked of each message: None lets it pass, 'before' and
    'after' it is where the line is cut.
    """

    def __init__(self, listen, target, cut):
        self.target, self.cut = target, cut
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(listen)
        self.socket.listen(16)
        self.closed = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                source, _ = self.socket.accept()
            except OSError:
                return
            target = socket.socket(socket.AF_UNIX)
            try:
                target.connect(self.target)
            except OSError:
                source.close()
                continue
            both = (source, target)
            threading.Thread(target=self.carry, args=(*both, True, both), daemon=True).start()
            threading.Thread(target=self.carry, args=(target, source, False, both),
                             daemon=True).start()

    @staticmethod
    def take(from_, nr):
        data = b''
        while len(data) < nr:
            more = from_.recv(nr - len(data))
            if not more:
                raise OSError('closed')
            data += more
        return data

    def carry(self, from_, to, from_source, both):
        try:
            while True:
                header = self.take(from_, HEADER)
                kind, _, _, len_ = struct.unpack('<IIQQ', header)
                where = self.cut(from_source, kind)
                message = header + self.take(from_, len_)
                if where != 'before':
                    to.sendall(message)
                if where:
                    break
        except OSError:
            pass
        for end in both:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.socket.close()


class Migrate(SteadyTest):
    def setUp(self):
        super().setUp()
        self.uri = f'unix:{self.path("door")}'

    def target(self, name='there', uri=None, *arguments):
        one = self.start(self.guest, '--name', name, '--disk', self.disk, '--memory', '64M',
                         '--incoming', uri or self.uri, *arguments)
        one.wait(lambda: self.state_of(name) == 'inmigrate', 'it waits')
        return one

    def wait_status(self, name, one, *wanted):
        one.wait(lambda: self.query(name).get('status') in wanted, wanted)

    def go(self, name='web', *arguments, uri=None):
        info = json.loads(self.vmm_ok('migrate', name, uri or self.uri, '--json', *arguments))
        self.check_counts(info)
        return info

    def check_counts(self, info):
        """Of a move that is complete."""
        ram = info['ram']
        self.assertEqual(ram['remaining'], 0)
        self.assertEqual(ram['normal'] * ram['page-size'], ram['normal-bytes'])
        self.assertGreaterEqual((ram['normal'] + ram['duplicate']) * ram['page-size'],
                                ram['total'])
        self.assertEqual(sum(ram[f'{part}-bytes'] for part in ('precopy', 'downtime', 'postcopy')),
                         ram['transferred'])
        self.assertIn(ram['multifd-bytes'], (0, ram['transferred']))
        self.assertLessEqual(info['setup-time'] + info['downtime'], info['total-time'])

    def moved(self, here, there, last):
        """It runs there from where it was, and here nothing is left."""
        self.assertEqual(here.finish(), OK, here.said())
        self.assertGreaterEqual(self.round_of(there), last)
        self.go_on(there)

    def move(self, *how, machine=()):
        here = self.begin('web', *machine)
        there = self.target('there', None, *machine)
        last = self.go_on(here)
        info = self.go('web', *how)
        self.moved(here, there, last)
        self.end(there)
        return info

    def stays(self, here, *arguments, why, uri=None):
        """The move fails, for this reason, and the guest goes on here."""
        last = self.round_of(here)
        done = self.run_vmm('migrate', 'web', uri or self.uri, *arguments)
        self.assertRegex(done.stderr, why)
        self.assertEqual(done.returncode, USAGE)
        self.assertGreaterEqual(self.round_of(here), last)
        self.go_on(here)

    # What is moved.

    def test_guest_goes_on_there(self):
        info = self.move()

        self.assertEqual(info['status'], 'completed')
        self.assertEqual(info['ram']['total'], 64 << 20)
        self.assertGreater(info['ram']['normal'], 512)
        self.assertGreater(info['ram']['duplicate'], 512)

    @not_on_arm64('the registers are those of x86')
    @on_hardware
    def test_registers_are_as_they_were(self):
        self.guest = 'registers'
        self.move(machine=('--cpus', '2', '--cmdline', 'cpus=2'))

    @on_nested_svm
    def test_guest_of_the_guest_goes_on(self):
        self.guest = 'nested'
        for how in [], ['--postcopy']:
            with self.subTest(how=how):
                self.move(*how)

    @not_on_arm64('the guest is one of x86')
    def test_packets_are_sent_each_once_and_in_order(self):
        self.guest = 'sequence'
        receiver = Receiver(self.path('wire'))
        wire = ['--net', f'socket={self.path("wire")}']
        here = self.begin('web0', *wire)
        for i, how in enumerate(([], ['--postcopy'])):
            there = self.target(f'web{i + 1}', None, *wire)
            last = self.go_on(here)
            self.go(f'web{i}', *how)
            self.moved(here, there, last)
            here = there
        self.end(here)

        heard, nr = receiver.all_of(here)

        self.assertEqual(len(heard), 3)
        self.assertEqual(list(itertools.chain(*heard)), list(range(nr)))

    def test_several_streams(self):
        self.move('--streams', '4', machine=('--cpus', '2'))

    def test_compressed(self):
        info = self.move('--compress', 'zstd')

        self.assertLess(info['ram']['transferred'], info['ram']['normal-bytes'])

    def test_back_and_forth(self):
        here = self.begin('web0', '--cpus', '2')
        for i in range(MOVES):
            there = self.target(f'web{i + 1}', None, '--cpus', '2')
            last = self.go_on(here, 2)
            self.go(f'web{i}', *(['--streams', '2'] if i % 2 else []))
            self.moved(here, there, last)
            here = there
        self.end(here)

    def test_by_tcp(self):
        here = self.begin()
        there = self.target('there', 'tcp:127.0.0.1:0')
        told = self.query('there')
        address = told['x-vmm-address']
        last = self.go_on(here)
        self.assertEqual(told['socket-address'], [
            {'type': 'inet', 'host': '127.0.0.1', 'port': address.split(':')[-1]}])

        self.go('web', uri=address)

        self.moved(here, there, last)
        self.end(there)

    def test_by_descriptor(self):
        ours, theirs = socket.socketpair()
        here = self.begin()
        there = self.start('steady', '--name', 'there', '--disk', self.disk, '--memory', '64M',
                           '--incoming', f'fd:{theirs.fileno()}', pass_fds=[theirs.fileno()])
        theirs.close()
        last = self.go_on(here)

        done = subprocess.run([self.vmm, 'migrate', 'web', f'fd:{ours.fileno()}'],
                              pass_fds=[ours.fileno()], capture_output=True, text=True,
                              timeout=vm.SECONDS, check=False)
        ours.close()

        self.assertEqual((done.returncode, done.stderr), (OK, ''))
        self.moved(here, there, last)
        self.end(there)

    def test_descriptor_of_a_move_that_is_refused_is_not_kept(self):
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.begin()

        done = subprocess.run([self.vmm, 'migrate', 'web', f'fd:{ours.fileno()}',
                               '--tls', self.folder], pass_fds=[ours.fileno()],
                              capture_output=True, text=True, timeout=vm.SECONDS, check=False)
        ours.close()

        self.assertNotEqual(done.returncode, OK)
        self.assertIn('would not use the certificates', done.stderr)
        theirs.settimeout(vm.SECONDS)
        self.assertEqual(theirs.recv(1), b'')

    def test_what_cannot_be_asked_for_is_refused(self):
        self.begin()
        for arguments, why in (
                ([], 'where to'),
                ([self.uri, '--take-back'], 'give no URI'),
                (['--take-back', '--resume'], 'no --resume'),
                ([self.uri, '--resume', '--downtime', '5'], '--downtime is as it was'),
                (['--take-back', '--throttle'], '--throttle is as it was'),
                (['unix:'], "'unix:' is not unix:PATH"),
                ([f'file:{self.path("snap")}'], 'vmm snapshot NAME DIR --stop'),
                (['fd:99'], 'descriptor 99: Bad file descriptor')):
            self.assert_refused(['migrate', 'web', *arguments], why)
        self.assertEqual(self.state_of('web'), 'running')

    def test_paused_vm_comes_paused(self):
        here = self.begin()
        there = self.target()
        last = self.go_on(here)
        self.vmm_ok('pause', 'web')

        self.go()

        self.assertEqual(here.finish(), OK)
        self.assertEqual(self.state_of('there'), 'paused')
        self.vmm_ok('resume', 'there')
        self.assertGreaterEqual(self.round_of(there), last)
        self.go_on(there)
        self.end(there)

    def test_attached_disk_moves_too(self):
        more = self.file('more.img', bytes(512))
        here = self.begin()
        self.vmm_ok('attach', 'web', '--disk', f'{more},id=more')
        there = self.target('there', None, '--disk', f'{more},id=more')
        last = self.go_on(here)

        self.go()

        self.moved(here, there, last)
        self.end(there)

    def test_moved_vm_can_be_reset_and_frozen(self):
        here = self.begin()
        there = self.target()
        self.go()
        self.assertEqual(here.finish(), OK)

        self.vmm_ok('snapshot', 'there', self.path('snap'))
        self.go_on(there)
        self.vmm_ok('reset', 'there')

        there.wait_for(b'READY')
        self.go_on(there)
        self.end(there)

    def test_memory_follows(self):
        for streams in ('1', '3'):
            with self.subTest(streams=streams):
                here = self.begin()
                there = self.target()
                last = self.go_on(here)
                mover = threading.Thread(target=self.go, args=(
                    'web', '--postcopy', '--bandwidth', SLOW, '--streams', streams))
                mover.start()
                self.wait_status('web', here, 'active')

                self.vmm_ok('qmp', 'web', 'migrate-start-postcopy')

                mover.join()
                self.moved(here, there, last)
                self.end(there)

    def test_memory_follows_over_a_line_that_breaks(self):
        here = self.begin()
        there = self.target()
        pages, cuts = [], [3, 1]

        def cut(_, kind):
            if kind == GO:
                pages.append(0)
            if kind == PAGES and pages and cuts:
                pages[0] += 1
                if pages[0] > cuts[-1]:
                    cuts.pop()
                    return 'before'
            return None

        Between(self.path('line'), self.path('door'), cut)
        last = self.go_on(here)
        mover = threading.Thread(target=self.run_vmm, args=(
            'migrate', 'web', f'unix:{self.path("line")}', '--postcopy', '--bandwidth', '256K'))
        mover.start()
        self.wait_status('web', here, 'active')

        self.vmm_ok('qmp', 'web', 'migrate-start-postcopy')

        mover.join()
        self.assertEqual(cuts, [])
        self.moved(here, there, last)
        self.end(there)

    def run_before_memory(self, seconds):
        """What is missing comes a message in so many seconds."""
        here = self.begin()
        there = self.target()
        gone = []
        # It stays, since a target that is reset drops what comes, and the line with it.
        line = self.path(f'line{time.monotonic_ns()}')

        def hold_up(_, kind):
            if kind == GO:
                gone.append(kind)
            if kind == PAGES and gone:
                time.sleep(seconds)

        Between(line, self.path('door'), hold_up)
        mover = threading.Thread(target=self.run_vmm, args=(
            'migrate', 'web', f'unix:{line}', '--postcopy', '--bandwidth', SLOW))
        mover.start()
        self.wait_status('web', here, 'active')
        self.vmm_ok('qmp', 'web', 'migrate-start-postcopy')
        there.wait(lambda: self.state_of('there') == 'running', 'it runs')
        self.assertEqual(self.query('there')['status'], 'postcopy-active')
        return here, there, mover

    def test_guest_that_is_ended_does_not_see_what_it_misses(self):
        for _ in range(3):
            here, there, mover = self.run_before_memory(60)

            self.vmm_ok('kill', 'there')

            # It would run into zeroes.
            self.assertEqual((there.finish(), there.said()), (FORCED, there.out.decode()))
            self.assertNotIn(b'lost', there.out)
            here.process.kill()
            here.finish()
            mover.join()

    def test_guest_that_is_reset_needs_no_more_memory(self):
        here, there, mover = self.run_before_memory(0.5)

        self.vmm_ok('reset', 'there')

        mover.join()
        self.assertEqual(here.finish(), OK)
        there.wait_for(b'READY')
        self.go_on(there)
        self.end(there)

    # Disks that come along.

    def own_disk(self, name='there.img', create=()):
        """The source's disk, full but for a hole; further VMs get an image of their own."""
        self.bytes = random.Random(1).randbytes(3 << 20) + bytes(1 << 20)
        self.source = self.file('here.img', self.bytes)
        if create:
            self.vmm_ok('disk', 'create', self.path(name), *create)
        else:
            # What an attempt that has failed may have left there.
            self.file(name, b'x' * len(self.bytes))
        self.other, self.disk = self.path(name), self.source

    def begin_with_disk(self):
        here = self.begin()
        self.disk = self.other
        return here

    def disk_is_right(self):
        """Beyond what the guest looks at itself."""
        raw = self.path('raw.img')
        self.vmm_ok('disk', 'convert', self.other, raw)
        with open(raw, 'rb') as file:
            self.assertEqual(file.read()[DISK_LEN:], self.bytes[DISK_LEN:])
        os.unlink(raw)

    def move_with_disk(self, *arguments):
        here = self.begin_with_disk()
        there = self.target()
        last = self.go_on(here)
        info = self.go('web', '--with-disks', *arguments)
        self.moved(here, there, last)
        self.end(there)
        self.disk_is_right()
        return info

    def test_disk_comes_along(self):
        self.own_disk()

        info = self.move_with_disk()

        self.assertEqual(info['disk']['total'], 4 << 20)
        self.assertEqual(info['disk']['remaining'], 0)
        self.assertGreater(info['disk']['transferred'], 3 << 20)

    def test_disk_is_written_all_the_time(self):
        self.own_disk()
        here = self.begin_with_disk()
        there = self.target()
        mover = threading.Thread(target=self.go, args=(
            'web', '--with-disks', '--downtime', '0', '--bandwidth', '2M'))
        mover.start()
        here.wait(lambda: self.query('web').get('ram', {}).get('dirty-sync-count', 0) > 3,
                  'rounds')
        last = self.go_on(here)

        self.end_rounds(mover)
        self.moved(here, there, last)
        self.end(there)
        self.disk_is_right()

    def test_disk_becomes_another_image(self):
        self.own_disk('there.qcow2', ['--size', '4M'])

        self.move_with_disk('--streams', '3')

    def test_disk_comes_before_memory(self):
        self.own_disk()

        self.move_with_disk('--postcopy', '--compress', 'zstd')

    def test_copy_of_a_disk_is_broken_off_and_done_again(self):
        self.own_disk()
        here = self.begin_with_disk()
        for also in ([], ['reset', 'web']):
            with self.subTest(also=also):
                there = self.target()
                self.vmm_ok('qmp', 'web', 'migrate-set-capabilities', json.dumps({
                    'capabilities': [{'capability': 'x-vmm-with-disks', 'state': True}]}))
                self.vmm_ok('qmp', 'web', 'migrate-set-parameters', '{"max-bandwidth": 1000000}')
                self.vmm_ok('qmp', 'web', 'migrate', json.dumps({'uri': self.uri}))
                here.wait(lambda: self.query('web').get('disk', {}).get('transferred'), 'a copy')
                size = {'device': 'disk0', 'size': 8 << 20}
                self.assertRegex(self.run_vmm('qmp', 'web', 'block_resize',
                                              json.dumps(size)).stderr, 'being copied')

                if also:
                    self.vmm_ok(*also)
                self.vmm_ok('qmp', 'web', 'migrate_cancel')

                self.wait_status('web', here, 'cancelled')
                self.go_on(here)
                self.assertEqual(there.finish(), USAGE)
        there = self.target()
        self.go('web', '--with-disks')

        self.assertEqual(here.finish(), OK)
        self.go_on(there)
        self.end(there)
        self.disk_is_right()

    def test_image_that_does_not_fit(self):
        self.own_disk('there.img', ['--size', '8M'])
        here = self.begin_with_disk()
        for image, why in ((self.other, 'disk .* has 4194304 bytes, and its image here 8388608'),
                           (self.source, 'in use')):
            self.disk = image
            there = self.target()
            self.stays(here, '--with-disks', why=f'the other side: .*{why}')
            self.assertEqual(there.finish(), USAGE)
        self.end(here)

    # Disks that are made where they come to.

    def new_disk(self, name='there.qcow2'):
        """As own_disk(), but where further VMs have theirs is nothing yet."""
        self.own_disk()
        os.unlink(self.other)
        os.makedirs(self.path('new'), exist_ok=True)
        self.other = self.path(f'new/{name}')

    def made(self):
        return os.listdir(self.path('new'))

    def test_image_is_made(self):
        for name in 'there.img', 'there.qcow2':
            with self.subTest(name=name):
                self.new_disk(name)

                self.move_with_disk()

                self.assertEqual(self.made(), [name])
                os.unlink(self.other)

    def test_image_is_made_before_memory_comes(self):
        self.new_disk()

        self.move_with_disk('--postcopy', '--streams', '2')

    def test_nothing_is_made_of_a_move_that_fails(self):
        self.new_disk()
        here = self.begin_with_disk()
        line = f'unix:{self.path("line")}'
        # Where the source has heard LOADED, it says GO, and does not give up any more.
        for last, where, left in ((PLAN, 'after', []), (END, 'after', []),
                                  (LOADED, 'before', ['there.qcow2'])):
            with self.subTest(last=last):
                there = self.target()
                between = Between(self.path('line'), self.path('door'),
                                  lambda _, kind, last=last, where=where:
                                      where if kind == last else None)

                self.stays(here, '--with-disks', why='connection', uri=line)

                # One that has all waits for a source that may come back.
                there.wait(lambda left=left: self.made() == left, 'all that comes')
                there.insist()
                there.finish()
                self.assertEqual(self.made(), [])
                between.close()
                os.unlink(self.path('line'))
        self.end(here)

    def test_target_that_is_killed_leaves_no_image(self):
        self.new_disk()
        here = self.begin_with_disk()
        there = self.target()
        self.vmm_ok('qmp', 'web', 'migrate-set-capabilities', json.dumps({
            'capabilities': [{'capability': 'x-vmm-with-disks', 'state': True}]}))
        self.vmm_ok('qmp', 'web', 'migrate-set-parameters', '{"max-bandwidth": 1000000}')
        self.vmm_ok('qmp', 'web', 'migrate', json.dumps({'uri': self.uri}))
        here.wait(lambda: self.query('web').get('disk', {}).get('transferred'), 'a copy')

        there.kill(signal.SIGKILL)

        there.finish()
        self.wait_status('web', here, 'failed')
        self.assertEqual(self.made(), [])
        self.go_on(here)
        self.end(here)

    def test_image_that_is_not_there_is_told_before_memory_is_sent(self):
        self.new_disk()
        here = self.begin_with_disk()
        there = self.target()

        self.stays(here, why=f"the other side: disk 'disk0': there is no '{self.other}': it is "
                   "made only when")

        self.assertEqual(there.finish(), USAGE)
        self.assertEqual(self.query('web')['ram']['transferred'], 0)
        self.end(here)

    def test_image_for_which_there_is_no_space(self):
        self.new_disk()
        mount = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', self.path('new')]
        subprocess.run(mount, check=True)
        self.addCleanup(subprocess.run, ['umount', self.path('new')], check=True)
        here = self.begin_with_disk()
        there = self.target()

        self.stays(here, '--with-disks', why="the other side: disk 'disk0': cannot write it: "
                   'No space left')

        self.assertEqual(there.finish(), USAGE)
        self.assertEqual(self.made(), [])
        self.end(here)

    def test_place_where_no_image_can_be_is_told_at_once(self):
        for disk, why in (('none/there.img', 'No such file or directory'),
                          ('there.vmdk', 'vmdk images can only be read')):
            with self.subTest(disk=disk):
                one = self.start('steady', '--name', 'there', '--disk', self.path(disk),
                                 '--incoming', self.uri)

                self.assertEqual(one.finish(), USAGE)
                self.assertRegex(one.said(), f'does not exist, and cannot be made: {why}')

    # What earlier releases have sent.

    def play(self, stream):
        """Say what a source once said; False: this host cannot have its guest."""
        words = io.BytesIO(stream)
        with socket.socket(socket.AF_UNIX) as target:
            target.connect(self.path('door'))
            for said, heard in (PLAN, READY), (STATE, LOADED), (GO, DONE), (BYE, None):
                kind = None
                while kind != said:
                    header = words.read(HEADER)
                    kind, _, _, len_ = struct.unpack('<IIQQ', header)
                    target.sendall(header + words.read(len_))
                while heard and kind != heard:
                    kind, _, _, len_ = struct.unpack('<IIQQ', Between.take(target, HEADER))
                    text = Between.take(target, len_)
                    if kind == FAILED and re.search(LACKS_FEATURES, text.decode()):
                        # All has been read then but for what this processor is not.
                        return False
                    self.assertNotEqual(kind, FAILED, text)
        self.assertEqual(words.read(), b'')
        return True

    def test_streams_of_earlier_releases_are_loaded(self):
        archives = golden('stream-')
        self.assertTrue(archives)
        for archive, name in itertools.product(archives, ('plain', 'with-disks')):
            with self.subTest(archive=archive, name=name):
                unpack(archive, self.folder)
                there = self.start(
                    'steady', '--name', 'there', '--memory', '8M', '--cpus', '2', '--disk',
                    f'{self.path("disk")},serial=golden', '--net', 'none', '--vsock',
                    self.path('vsock'), '--incoming', self.uri)
                there.wait(lambda: self.state_of('there') == 'inmigrate', 'it waits')
                with open(self.path(name), 'rb') as file:
                    loaded = self.play(file.read())
                if not loaded:
                    self.assertEqual(there.finish(), USAGE)
                    continue
                if name == 'plain':
                    self.assertEqual(self.state_of('there'), 'paused')
                    self.vmm_ok('resume', 'there')
                self.go_on(there)
                self.end(there)

    # What is told.

    def test_clients_are_told(self):
        here = self.begin()
        there = self.target()
        events = subprocess.Popen([self.vmm, 'events', '--json', 'web'], text=True,
                                  stdout=subprocess.PIPE)
        self.vmm_ok('qmp', 'web', 'migrate-set-capabilities', json.dumps(
            {'capabilities': [{'capability': 'events', 'state': True}]}))
        time.sleep(0.3)

        self.vmm_ok('qmp', 'web', 'migrate', json.dumps({'uri': self.uri}))
        self.wait_status('web', here, 'completed')
        self.assertEqual(self.state_of('web'), 'postmigrate')
        self.assertRegex(self.run_vmm('resume', 'web').stderr, 'has moved, and runs elsewhere')
        rounds = self.query('web')['ram']['dirty-sync-count']
        self.vmm_ok('qmp', 'web', 'quit')

        self.assertEqual(here.finish(), OK)
        told = [json.loads(line) for line in events.communicate(timeout=vm.SECONDS)[0].split('\n')
                if line]
        self.assertEqual([each['data']['status'] for each in told if each['event'] == 'MIGRATION'],
                         ['setup', 'active', 'device', 'completed'])
        self.assertEqual([each['data']['pass'] for each in told
                          if each['event'] == 'MIGRATION_PASS'], list(range(1, rounds + 1)))
        self.go_on(there)
        self.end(there)

    def test_vm_that_has_not_come_is_not_given_away(self):
        here = self.begin()
        there = self.target()

        for what in (['snapshot', 'there', self.path('snap')],
                     ['migrate', 'there', f'unix:{self.path("third")}']):
            self.assertRegex(self.run_vmm(*what).stderr, 'has not come yet')
        self.assertNotIn('blocked-reasons', self.query('web'))
        self.assertIn('has not come yet', self.query('there')['blocked-reasons'][0])

        self.go()
        self.assertEqual(here.finish(), OK)
        self.go_on(there)
        self.end(there)

    def test_vm_that_has_moved_is_not_given_away_again(self):
        here = self.begin()
        there = self.target()
        self.vmm_ok('qmp', 'web', 'migrate', json.dumps({'uri': self.uri}))
        self.wait_status('web', here, 'completed')

        for again in (['snapshot', 'web', self.path('snap')],
                      ['migrate', 'web', f'unix:{self.path("third")}'],
                      # Nor is it told anything.
                      ['pause', 'web'], ['reset', 'web'], ['qmp', 'web', 'inject-nmi'],
                      ['qmp', 'web', 'system_powerdown'],
                      ['qmp', 'web', 'set_link', '{"name": "net0", "up": false}']):
            self.assertRegex(self.run_vmm(*again).stderr, 'has moved, and runs elsewhere')

        self.assertEqual(self.query('web')['blocked-reasons'],
                         ['the VM has moved, and runs elsewhere'])
        self.assertRegex(self.run_vmm('migrate', 'web', '--take-back').stderr,
                         'has run elsewhere')
        self.assertFalse(os.path.exists(self.path('snap')))
        self.vmm_ok('qmp', 'web', 'quit')
        self.assertEqual(here.finish(), OK)
        self.go_on(there)
        self.end(there)

    def test_guest_that_changes_too_much_is_slowed_down(self):
        here = self.begin()
        self.target()
        # So slow that a guest for which the host has no time still writes in each round.
        mover = threading.Thread(target=self.run_vmm, args=(
            'migrate', 'web', self.uri, '--bandwidth', '512K', '--downtime', '1', '--throttle'))
        self.vmm_ok('qmp', 'web', 'migrate-set-parameters', '{"cpu-throttle-increment": 1}')
        mover.start()

        here.wait(lambda: self.query('web').get('cpu-throttle-percentage', 0) > 20, 'it is slow')

        self.vmm_ok('qmp', 'web', 'migrate_cancel')
        mover.join()
        self.assertNotIn('cpu-throttle-percentage', self.query('web'))
        self.go_on(here)
        self.end(here)

    def test_guest_that_is_slowed_down_enough_comes_over(self):
        here = self.begin()
        there = self.target()
        last = self.go_on(here)
        self.vmm_ok('qmp', 'web', 'migrate-set-parameters', '{"cpu-throttle-increment": 40}')

        self.go('web', '--bandwidth', '4M', '--downtime', '100', '--throttle')

        self.moved(here, there, last)
        self.end(there)

    def test_later_word_of_where_to_wait(self):
        here = self.begin()
        there = self.target('there', 'defer')

        self.vmm_ok('qmp', 'there', 'migrate-incoming', json.dumps({'uri': self.uri}))

        self.go()
        self.assertEqual(here.finish(), OK)
        self.go_on(there)
        self.assertRegex(self.run_vmm('qmp', 'there', 'migrate-incoming',
                                      json.dumps({'uri': self.uri})).stderr, 'already')
        self.end(there)

    def test_to_a_file(self):
        here = self.begin()
        last = self.go_on(here)
        snap = self.path('snap')
        self.assertIn('absolute', self.run_vmm('qmp', 'web', 'migrate',
                                               '{"uri": "file:snap"}').stderr)

        self.vmm_ok('qmp', 'web', 'migrate', json.dumps({'uri': f'file:{snap}'}))

        self.wait_status('web', here, 'completed')
        self.assertEqual(self.state_of('web'), 'paused')
        ram = self.query('web')['ram']
        self.assertEqual((ram['total'], ram['remaining'], ram['transferred']),
                         (64 << 20, 0, ram['normal-bytes']))
        self.vmm_ok('kill', 'web')
        here.finish()
        there = Vm([self.vmm, 'restore', snap])
        self.addCleanup(there.__exit__)
        self.assertGreaterEqual(self.round_of(there), last)
        self.go_on(there)
        self.end(there)

    def test_to_a_file_that_cannot_be(self):
        here = self.begin()

        self.assertIn('/nowhere', self.run_vmm('qmp', 'web', 'migrate',
                                               '{"uri": "file:/nowhere/snap"}').stderr)

        self.assertEqual(self.query('web'), {})
        self.go_on(here)
        self.end(here)

    def test_vm_whose_changes_are_noted_moves(self):
        here = self.begin()
        there = self.target()
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')
        last = self.go_on(here)

        self.go()

        self.moved(here, there, last)
        self.end(there)

    def test_file_does_not_hide_a_move(self):
        here = self.begin()
        there = self.target()
        self.vmm_ok('qmp', 'web', 'migrate-set-parameters', '{"max-bandwidth": 200000}')
        self.vmm_ok('qmp', 'web', 'migrate', json.dumps({'uri': self.uri}))
        self.wait_status('web', here, 'active')

        self.assertIn('under way', self.run_vmm('qmp', 'web', 'migrate', json.dumps(
            {'uri': f'file:{self.path("snap")}'})).stderr)

        self.assertEqual(self.query('web')['status'], 'active')
        self.vmm_ok('qmp', 'web', 'migrate_cancel')
        self.wait_status('web', here, 'cancelled')
        self.assertEqual(there.finish(), USAGE)
        self.end(here)

    def test_move_does_not_hide_a_file_which_can_be_cancelled(self):
        here = self.begin()
        words = [('qmp_capabilities', None), ('migrate', {'uri': f'file:{self.path("snap")}'}),
                 ('migrate', {'uri': self.uri}), ('migrate_cancel', None),
                 ('query-migrate', None)]

        answers = self.say_at_once('web', words)

        self.assertEqual([list(each) for each in answers[:4]],
                         [['return'], ['return'], ['error'], ['return']], answers)
        self.assertIn('under way', answers[2]['error']['desc'])
        self.assertIn(answers[4]['return']['status'], ('cancelling', 'cancelled'))
        self.wait_status('web', here, 'cancelled')
        self.assertFalse(os.path.exists(self.path('snap')))
        self.go_on(here)
        self.end(here)

    @staticmethod
    def say_at_once(name, words):
        """Its answers, events left out."""
        said = ''.join(json.dumps({'execute': word, **({'arguments': more} if more else {})})
                       for word, more in words)
        answers = []
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.path.join(vm.RUNTIME.name, 'vmm', name, 'qmp'))
            client.sendall(said.encode())
            for line in client.makefile():
                message = json.loads(line)
                if 'return' in message or 'error' in message:
                    answers.append(message)
                if len(answers) == len(words):
                    return answers

    def test_by_tls(self):
        here = self.begin()
        self.certify(self.folder)
        there = self.target('there', 'tls:localhost:0', '--tls', self.folder)
        address = 'tls:localhost:' + self.query('there')['x-vmm-address'].split(':')[-1]
        last = self.go_on(here)
        self.stays(here, why='--tls', uri=address)

        self.go('web', '--tls', os.path.relpath(self.folder), '--streams', '2', '--downtime',
                '5000', uri=address)

        self.moved(here, there, last)
        self.end(there)

    def certify(self, folder):
        """An authority's certificate, and one for this host."""
        for name, words, sign in (
                ('ca', 'cn=move\nca\ncert_signing_key\n', ['--generate-self-signed']),
                ('', 'cn=localhost\ndns_name=localhost\nsigning_key\n',
                 ['--generate-certificate', '--load-ca-certificate', self.path('ca-cert.pem'),
                  '--load-ca-privkey', self.path('ca-key.pem')])):
            key, cert = (self.path(f'{name}-{what}.pem'.lstrip('-')) for what in ('key', 'cert'))
            subprocess.run(['certtool', '--generate-privkey', '--key-type', 'ecdsa', '--outfile',
                            key], check=True, capture_output=True)
            subprocess.run(['certtool', *sign, '--load-privkey', key, '--template',
                            self.file('template', words.encode()), '--outfile', cert],
                           check=True, capture_output=True)

    def test_silent_stranger_does_not_keep_the_source_out(self):
        here = self.begin()
        there = self.target()
        last = self.go_on(here)
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(self.path('door'))
            self.go()
        self.moved(here, there, last)
        self.end(there)

    def test_source_that_does_not_answer_for_a_while(self):
        here = self.begin()
        there = self.target()
        done = []
        mover = threading.Thread(target=lambda: done.append(self.run_vmm(
            'migrate', 'web', self.uri, '--bandwidth', SLOW)))
        mover.start()
        self.wait_status('web', here, 'active')

        here.process.send_signal(signal.SIGSTOP)
        time.sleep(6)
        here.process.send_signal(signal.SIGCONT)

        self.end_rounds(mover)
        self.assertEqual((done[0].returncode, done[0].stderr), (OK, ''))
        self.assertEqual(here.finish(), OK)
        self.go_on(there)
        self.end(there)

    def test_target_that_is_ended_in_the_middle(self):
        here = self.begin()
        there = self.target()
        mover = threading.Thread(target=self.run_vmm, args=(
            'migrate', 'web', self.uri, '--bandwidth', SLOW))
        mover.start()
        self.wait_status('web', here, 'active')

        self.vmm_ok('kill', 'there')

        mover.join()
        there.finish()
        self.go_on(here)
        self.end(here)

    # What does not go.

    def test_cancelled_in_the_middle(self):
        here = self.begin()
        there = self.target()
        last = self.go_on(here)
        mover = threading.Thread(target=self.run_vmm, args=(
            'migrate', 'web', self.uri, '--bandwidth', SLOW))
        mover.start()
        self.wait_status('web', here, 'active')

        self.vmm_ok('qmp', 'web', 'migrate_cancel')

        mover.join()
        self.assertEqual(self.query('web')['status'], 'cancelled')
        self.assertGreaterEqual(self.round_of(here), last)
        self.assertEqual(there.finish(), USAGE)
        there = self.target()
        self.go()
        self.moved(here, there, last)
        self.end(there)

    def test_another_vm_is_refused(self):
        here = self.begin()
        for arguments, why in ((['--memory', '32M'], 'memory'), (['--cpus', '2'], 'vCPU'),
                               (['--net', 'none'], "net 'net0'")):
            with self.subTest(arguments=arguments):
                there = self.target('there', None, *arguments)
                self.stays(here, why=f'the other side: .*{why}')
                self.assertEqual(there.finish(), USAGE)
                self.assertRegex(there.said(), f'has not come: .*{why}')
        self.end(here)

    def test_other_numbers_of_queues_are_refused_before_memory(self):
        sent = []
        disk = self.disk
        taps = [f'tap=vmm{os.getpid()}{end}' for end in 'ab']
        here = self.begin('web', '--net', f'{taps[0]},queues=2')
        for more, net, why in ((',queues=3', f'{taps[1]},queues=2',
                                "disk 'disk0': .* queues=1, .* 3:"),
                               ('', 'none', "net 'net0': .* queues=2, .* 1:")):
            with self.subTest(more=more, net=net):
                self.disk = disk + more
                there = self.target('there', None, '--net', net)
                Between(self.path('line'), self.path('door'),
                        lambda from_source, kind: sent.append(kind) if from_source else None)
                self.stays(here, why=f'the other side: .*{why}', uri=f'unix:{self.path("line")}')
                self.assertEqual(there.finish(), USAGE)
                os.unlink(self.path('line'))
        # The target may have gone before a BYE comes.
        self.assertEqual(set(sent) - {BYE}, {PLAN})
        self.end(here)

    def memory_images(self, *names):
        """In memory, of whose inodes all is known whatever the folder of the test is on."""
        folder = tempfile.TemporaryDirectory(dir='/dev/shm')
        self.addCleanup(folder.cleanup)
        paths = [os.path.join(folder.name, name) for name in names]
        for path in paths:
            with open(path, 'wb') as file:
                file.write(bytes(DISK_LEN))
        return paths

    def test_other_disks_are_refused_before_memory(self):
        sent = []
        image, other, longer = self.memory_images('here.img', 'other.img', 'longer.img')
        os.truncate(longer, 2 * DISK_LEN)
        self.disk = f'{image},serial=one'
        here = self.begin()
        for disk, arguments, why in (
                (f'{longer},serial=one', [], f'{DISK_LEN} bytes, this one with {2 * DISK_LEN}:'),
                (f'{image},serial=two', [], "serial 'one', this one with 'two': .* serial="),
                (image, [], "serial 'one', this one with '':"),
                (f'{other},serial=one', [], 'another file .*--with-disks'),
                (f'{other},serial=two', ['--with-disks'], "serial 'one', this one with 'two'")):
            with self.subTest(disk=disk, arguments=arguments):
                self.disk = disk
                there = self.target()
                Between(self.path('line'), self.path('door'),
                        lambda from_source, kind: sent.append(kind) if from_source else None)
                self.stays(here, *arguments, why=f"the other side: disk 'disk0': .*{why}",
                           uri=f'unix:{self.path("line")}')
                self.assertEqual(self.query('web')['ram']['transferred'], 0)
                self.assertEqual(there.finish(), USAGE)
                self.assertRegex(there.said(), f"has not come: disk 'disk0': .*{why}")
                os.unlink(self.path('line'))
        # The target may have gone before a BYE comes.
        self.assertEqual(set(sent) - {BYE}, {PLAN})
        self.end(here)

    def test_same_disk_may_have_another_name(self):
        image, = self.memory_images('here.img')
        self.disk = image
        here = self.begin()
        os.symlink(image, self.path('there.img'))
        self.disk = self.path('there.img')
        there = self.target()
        last = self.go_on(here)

        self.go()

        self.moved(here, there, last)
        self.end(there)

    def test_nobody_there(self):
        here = self.begin()
        for uri, why in ((self.uri, 'No such file'), ('tcp:127.0.0.1:1', 'refused'),
                         ('tcp:192.0.2.1:1', 'insecure'), ('ftp:there', 'tcp:HOST:PORT')):
            self.stays(here, why=why, uri=uri)
        self.end(here)

    def test_target_that_dies(self):
        for at in (READY, PAGES, STATE, LOADED):
            with self.subTest(at=at):
                here = self.begin()
                there = self.target()
                door = Between(self.path('line'), self.path('door'),
                               lambda _, kind, at=at: 'before' if kind == at else None)
                self.stays(here, why='closed the connection', uri=f'unix:{self.path("line")}')
                door.close()
                os.unlink(self.path('line'))
                there.process.kill()
                there.finish()
                self.end(here)

    def test_disk_that_was_written_in_between_is_refused_there(self):
        here = self.begin()
        there = self.target()
        times = []

        def write(_, kind):
            if kind == LOADED:
                times.append(os.stat(self.disk).st_mtime_ns)
                os.utime(self.disk, ns=(times[0], times[0] + 10 ** 9))
            if kind == FAILED:
                os.utime(self.disk, ns=(times[0], times[0]))

        Between(self.path('line'), self.path('door'), write)
        self.stays(here, why='the other side: .*written or replaced since',
                   uri=f'unix:{self.path("line")}')
        self.assertEqual(there.finish(), USAGE)
        self.end(here)

    def test_source_that_dies(self):
        here = self.begin()
        there = self.target()
        mover = threading.Thread(target=self.run_vmm, args=(
            'migrate', 'web', self.uri, '--bandwidth', SLOW))
        mover.start()
        self.wait_status('web', here, 'active')

        here.process.kill()

        mover.join()
        self.assertEqual(there.finish(), USAGE)

    # A guest that does not wait for it.

    def in_rounds(self, *arguments):
        """A move that goes on until it is told to end."""
        mover = threading.Thread(target=self.run_vmm, args=(
            'migrate', 'web', self.uri, '--downtime', '0', '--bandwidth', '512K', *arguments))
        mover.start()
        return mover

    def rounds(self, name='web'):
        return self.query(name).get('ram', {}).get('dirty-sync-count', 0)

    def end_rounds(self, mover):
        self.vmm_ok('qmp', 'web', 'migrate-set-parameters',
                    '{"downtime-limit": 2000, "max-bandwidth": 0}')
        mover.join()

    def test_guest_resets_itself_meanwhile(self):
        for streams in ('1', '3'):
            with self.subTest(streams=streams):
                here = self.begin()
                there = self.target()
                self.go_on(here, 30)
                mover = self.in_rounds('--streams', streams)
                for _ in range(3):
                    before = self.rounds()
                    here.wait(lambda before=before: self.rounds() > before, 'a round')
                    seen = here.out.count(b'READY')

                    here.type(b'r')

                    here.wait(lambda seen=seen: here.out.count(b'READY') > seen, 'a start')
                self.assertEqual(self.query('web')['status'], 'active')
                last = self.go_on(here)
                self.assertLess(last, 30)
                self.end_rounds(mover)
                self.moved(here, there, last)
                self.end(there)

    def test_reset_does_not_wait_for_a_target_that_takes_nothing(self):
        here = self.begin()
        there = self.target()
        mover = self.in_rounds()
        here.wait(lambda: self.rounds() > 1, 'rounds')
        there.process.send_signal(signal.SIGSTOP)
        self.vmm_ok('qmp', 'web', 'migrate-set-parameters', '{"max-bandwidth": 0}')
        here.wait(lambda: self.stands_still('web'), 'nothing to be sent')

        self.vmm_ok('reset', 'web')

        mover.join()
        self.assertRegex(self.query('web')['error-desc'], 'was reset')
        here.wait_for(b'READY')
        self.go_on(here)
        there.process.send_signal(signal.SIGCONT)
        self.assertEqual(there.finish(), USAGE)
        self.end(here)

    @staticmethod
    def asked(one):
        one.type(b'?')
        return re.search(rb'round \d+\n', one.out)

    def stands_still(self, name):
        """It has sent nothing for a while."""
        sent = self.query(name)['ram']['transferred']
        time.sleep(0.5)
        return self.query(name)['ram']['transferred'] == sent

    def test_reset_at_any_moment(self):
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        for i in range(RESETS):
            with self.subTest(seed=seed, i=i):
                here = self.begin()
                there = self.target()
                self.vmm_ok('qmp', 'web', 'migrate', json.dumps({'uri': self.uri}))
                time.sleep(chance.random() * 0.06)

                here.type(b'r')

                self.wait_status('web', here, 'completed')
                # A question that comes just before the reset gets no answer.
                there.wait(lambda there=there: self.asked(there), 'a round')
                self.go_on(there)
                self.end(there)
                self.vmm_ok('qmp', 'web', 'quit')
                self.assertEqual(here.finish(), OK)

    def test_guest_that_switches_off_meanwhile(self):
        here = self.begin()
        there = self.target()
        mover = self.in_rounds()
        here.wait(lambda: self.rounds() > 1, 'rounds')

        self.end(here)

        mover.join()
        self.assertEqual(there.finish(), USAGE)
        self.assertRegex(there.said(), 'has not come: .*closed the connection')

    # Nobody can tell who runs it.

    def lose(self, when, *arguments):
        """The line is cut once, at that; what becomes of it after that is up to others."""
        cuts = [when]

        def cut(from_source, kind):
            if cuts and cuts[0][0] == kind:
                return cuts.pop()[1]
            return None

        here = self.begin()
        there = self.target()
        Between(self.path('line'), self.path('door'), cut)
        last = self.go_on(here)
        done = self.run_vmm('migrate', 'web', f'unix:{self.path("line")}', *arguments)
        self.assertEqual((done.returncode, cuts), (OK, []), done.stderr)
        self.moved(here, there, last)
        self.end(there)

    def test_go_is_lost(self):
        self.lose((GO, 'before'))

    def test_go_is_heard_and_the_answer_lost(self):
        self.lose((RUNS, 'before'))

    def test_the_last_word_is_lost(self):
        self.lose((DONE, 'before'))

    def test_target_that_is_gone_is_taken_back_from(self):
        here = self.begin()
        there = self.target()
        door = Between(self.path('line'), self.path('door'),
                       lambda _, kind: 'before' if kind == GO else None)
        last = self.go_on(here)
        self.vmm_ok('qmp', 'web', 'migrate', json.dumps({'uri': f'unix:{self.path("line")}'}))
        self.wait_status('web', here, 'postcopy-paused')
        door.close()
        self.assertRegex(self.run_vmm('resume', 'web').stderr, 'may run elsewhere')
        self.assertRegex(self.run_vmm('qmp', 'web', 'migrate_cancel').stderr, 'too late')
        there.process.kill()
        there.finish()

        self.vmm_ok('migrate', 'web', '--take-back')

        self.assertGreaterEqual(self.round_of(here), last)
        self.go_on(here)
        self.end(here)

    def test_guest_that_runs_there_is_not_taken_back(self):
        here = self.begin()
        there = self.target()
        door = Between(self.path('line'), self.path('door'),
                       lambda _, kind: 'before' if kind in (RUNS, DONE, RESUME) else None)
        self.vmm_ok('qmp', 'web', 'migrate', json.dumps({'uri': f'unix:{self.path("line")}'}))
        self.wait_status('web', here, 'postcopy-paused')

        self.assertRegex(self.run_vmm('migrate', 'web', '--take-back').stderr, 'in use')

        # Each attempt finds somebody, who then goes.
        self.assertIn(self.query('web')['status'], ('postcopy-paused', 'postcopy-recover'))
        door.close()
        self.vmm_ok('migrate', 'web', self.uri, '--resume')
        self.assertEqual(here.finish(), OK)
        self.go_on(there)
        self.end(there)

    def kill_at_any_moment(self, rounds, seconds, begin, move):
        """Whoever is left has the guest, or says that it may be elsewhere."""
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        for i in range(rounds):
            with self.subTest(seed=seed, i=i):
                here = begin()
                there = self.target()
                last = self.round_of(here)
                move(here)
                time.sleep(chance.random() * seconds)
                victim, other = (here, there) if i % 2 else (there, here)
                victim.process.kill()
                victim.finish()
                self.settle(other)
                try:
                    if i % 2:
                        self.end_or_go_on(other, last)
                    else:
                        self.stays_or_is_taken_back(here, last)
                finally:
                    for one in (here, there):
                        one.__exit__()

    def start_move(self, _):
        self.vmm_ok('qmp', 'web', 'migrate', json.dumps({'uri': self.uri}))

    def start_slow_move(self, here, capability):
        self.vmm_ok('qmp', 'web', 'migrate-set-capabilities', json.dumps(
            {'capabilities': [{'capability': capability, 'state': True}]}))
        self.vmm_ok('qmp', 'web', 'migrate-set-parameters', '{"max-bandwidth": 5000000}')
        self.start_move(here)

    def test_killed_at_any_moment(self):
        self.kill_at_any_moment(KILLS, 0.06, self.begin, self.start_move)

    def test_killed_while_memory_follows(self):
        def move(here):
            self.start_slow_move(here, 'postcopy-ram')
            self.wait_status('web', here, 'active')
            self.vmm_ok('qmp', 'web', 'migrate-start-postcopy')

        self.kill_at_any_moment(KILLS // 2, 0.6, self.begin, move)

    def test_killed_while_disks_come_along(self):
        def begin():
            self.own_disk()
            return self.begin_with_disk()

        def move(here):
            self.start_slow_move(here, 'x-vmm-with-disks')

        self.kill_at_any_moment(KILLS // 2, 1.5, begin, move)

    def settle(self, other):
        """The kernel closes what io_uring had a little later than the process ends."""
        unlocked = struct.pack('hhqqi', fcntl.F_UNLCK, 0, 0, 0, 0)
        get_lock = 36       # F_OFD_GETLK
        wanted = struct.pack('hhqqi', fcntl.F_WRLCK, 0, 0, 0, 0)
        end = time.monotonic() + vm.SECONDS
        with open(self.disk, 'rb+') as disk:
            while (other.process.poll() is not None and time.monotonic() < end and
                   fcntl.fcntl(disk, get_lock, wanted)[:2] != unlocked[:2]):
                time.sleep(0.02)

    def end_or_go_on(self, there, last):
        """It runs, ends, or waits: for a source that was never there or, a minute, for GO."""
        end = time.monotonic() + 2
        while self.state_of('there') == 'inmigrate' and time.monotonic() < end:
            time.sleep(0.05)
        if self.state_of('there') == 'running':
            if self.has_all_memory(there):
                self.assertGreaterEqual(self.round_of(there), last)
                self.go_on(there)
                self.end(there)
            else:
                # What it misses is lost, and the guest with it.
                self.vmm_ok('kill', 'there')
                self.assertEqual(there.finish(), FORCED, there.said())
        elif self.state_of('there') == 'inmigrate':
            there.process.kill()
            there.finish()
        else:
            self.assertEqual(there.finish(), USAGE)

    def has_all_memory(self, there):
        """What had come when the source ended is taken yet."""
        end = time.monotonic() + 2
        while self.query('there')['status'] != 'completed' and time.monotonic() < end:
            time.sleep(0.05)
        return self.query('there')['status'] == 'completed'

    def stays_or_is_taken_back(self, here, last):
        here.wait(lambda: self.query('web')['status'] in ('failed', 'postcopy-paused',
                                                          'completed'), 'an end')
        if self.query('web')['status'] == 'postcopy-paused':
            self.run_vmm('migrate', 'web', '--take-back')
        if self.state_of('web') == 'running':
            self.assertGreaterEqual(self.round_of(here), last)
            self.go_on(here)
            self.end(here)
        else:
            # The guest has run there, and died with its monitor.
            self.assertIn(self.state_of('web'), ('postmigrate', 'finish-migrate'))
            here.process.kill()
            here.finish()


if __name__ == '__main__':
    vm.main()
