#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_snapshot.py VMM PAYLOADS [TEST]...

Snapshots and what is restored from them, by a guest that notices what is not as it was.
As root.
"""

import ctypes
import errno
import glob
import json
import mmap
import os
import platform
import re
import shutil
import signal
import struct
import subprocess
import time
import zlib

import vm
from sequence import Receiver
from steady import DISK_LEN, LACKS_FEATURES, SteadyTest, golden, qmp, unpack
from vm import FORCED, OK, USAGE, Vm, not_on_arm64, on_hardware, on_nested_svm

# By hand there may be more of them.
CYCLES = int(os.environ.get('VMM_TEST_CYCLES', '12'))
DAMAGES = int(os.environ.get('VMM_TEST_DAMAGES', '25'))       # places in a file

MS_OFF = 10                 # that a clock may be
MEMORY_PAGES = 64 << 8
WATCHED_PAGES = 512         # as steady.c has it
FAR_PAGES = {*range(12000, 12600), 15000}       # which it has not

LIBC = ctypes.CDLL(None)


class Snapshot(SteadyTest):
    def restore(self, name, *arguments):
        one = Vm([self.vmm, 'restore', self.path(name), *arguments])
        self.addCleanup(one.__exit__)
        return one

    def freeze(self, one, name, *arguments):
        """The guest's last words are in the snapshot; the VM ends with it."""
        self.vmm_ok('snapshot', 'web', self.path(name), '--stop', *arguments)
        self.assertEqual(one.finish(), FORCED)

    def frozen(self, name='snap', *arguments):
        one = self.begin('web', *arguments)
        last = self.go_on(one)
        self.freeze(one, name)
        return last

    def goes_on(self, *arguments):
        last = self.frozen('snap', *arguments)

        one = self.restore('snap')

        self.assertGreaterEqual(self.round_of(one), last)
        self.go_on(one)
        self.end(one)

    def test_guest_goes_on_where_it_was(self):
        self.goes_on()

    @not_on_arm64('the registers are those of x86')
    @on_hardware
    def test_registers_are_as_they_were(self):
        self.guest = 'registers'
        self.goes_on('--cpus', '2', '--cmdline', 'cpus=2')

    @on_nested_svm
    def test_guest_of_the_guest_goes_on(self):
        self.guest = 'nested'
        self.goes_on()

    def begin_sequence(self):
        self.guest = 'sequence'
        receiver = Receiver(self.path('wire'))
        return self.begin('web', '--net', f'socket={self.path("wire")}'), receiver

    @not_on_arm64('the guest is one of x86')
    def test_packets_are_sent_each_once_and_in_order(self):
        one, receiver = self.begin_sequence()
        self.go_on(one)
        self.freeze(one, 'snap')

        one = self.restore('snap')

        self.go_on(one)
        self.end(one)
        (before, after), nr = receiver.all_of(one)
        self.assertEqual(before + after, list(range(nr)))

    @not_on_arm64('the guest is one of x86')
    def test_packets_go_on_from_the_snapshot(self):
        one, receiver = self.begin_sequence()
        first = self.go_on(one)
        self.vmm_ok('snapshot', 'web', self.path('snap'))
        # It tells of a packet later than the card has taken it, by as many as are under way.
        last = self.go_on(one, 17)
        one.process.kill()
        one.finish()

        one = self.restore('snap')

        self.go_on(one)
        self.end(one)
        (before, after), nr = receiver.all_of(one)
        self.assertEqual(before, list(range(len(before))))
        self.assertEqual(after, list(range(after[0], nr)))
        self.assertIn(after[0], range(first, last))
        self.assertGreaterEqual(len(before), last)

    def test_vm_goes_on_after_its_snapshot(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('snap'))

        self.go_on(one)
        self.end(one)

    def test_snapshot_of_a_paused_vm_leaves_it_paused(self):
        one = self.begin()
        self.vmm_ok('pause', 'web')

        self.vmm_ok('snapshot', 'web', self.path('snap'))

        self.assertEqual(self.state_of('web'), 'paused')
        self.vmm_ok('resume', 'web')
        self.go_on(one)
        self.end(one)

    def test_guest_that_is_off_is_not_kept(self):
        one = self.begin('web', '--action', 'shutdown=pause')
        one.type(b'q')
        one.wait(lambda: self.state_of('web') == 'shutdown', 'the end')

        self.assert_refused(['snapshot', 'web', self.path('snap'), '--stop'],
                            'the guest has ended')

        self.assertEqual(os.listdir(self.folder), ['disk.img'])
        self.vmm_ok('kill', 'web')

    # As a job.

    def take_as_job(self, client, path, name, *more):
        """All is there before the first of it is looked at; what is answered."""
        take = ('x-vmm-snapshot', {'path': self.path(path), 'job-id': name, 'paused': True})
        requests = [take, *more]
        client.send(b''.join(qmp.request(*each) for each in requests))
        return [client.reply() for _ in requests]

    def concluded(self, one, client, name):
        def job():
            return next(each for each in client.command('query-jobs') if each['id'] == name)

        one.wait(lambda: job()['status'] == 'concluded', 'its end')
        return job()

    def test_job_goes_on_by_itself(self):
        one = self.begin()
        last = self.go_on(one)
        with self.client('web') as client:
            taken, running, again, dismissed = self.take_as_job(
                client, 'snap', 'it', ('query-jobs',),
                ('x-vmm-snapshot', {'path': self.path('other'), 'job-id': 'it'}),
                ('job-dismiss', {'id': 'it'}))

            self.assertEqual(taken, {'return': {}})
            self.assertEqual(running['return'][0]['status'], 'running')
            self.assertIn('already in use', again['error']['desc'])
            self.assertIn("in state 'running'", dismissed['error']['desc'])
            job = self.concluded(one, client, 'it')
            self.assertNotIn('error', job)
            self.assertEqual((job['current-progress'], job['total-progress']), (128 << 20,) * 2)
            self.assertEqual([each['data']['status'] for each in client.events
                              if each['event'] == 'JOB_STATUS_CHANGE'],
                             ['created', 'running', 'waiting', 'pending', 'concluded'])

            self.take_as_job(client, 'snap', 'second')
            self.assertIn('exists', self.concluded(one, client, 'second')['error'])
        self.assertEqual(self.state_of('web'), 'paused')
        self.vmm_ok('kill', 'web')
        one.finish()
        one = self.restore('snap')
        self.assertGreaterEqual(self.round_of(one), last)
        self.end(one)

    def test_job_that_is_called_off_leaves_nothing(self):
        one = self.begin()
        with self.client('web') as client:
            _, cancelled = self.take_as_job(client, 'snap', 'it', ('job-cancel', {'id': 'it'}))

            self.assertEqual(cancelled, {'return': {}})
            self.assertIn('called off', self.concluded(one, client, 'it')['error'])
            self.assertEqual(client.command('query-status')['status'], 'running')
        self.assertEqual(os.listdir(self.folder), ['disk.img'])
        self.go_on(one)
        self.end(one)

    def test_many_cycles_lose_nothing(self):
        one = self.begin('web', '--cpus', '2')
        last = 0
        for i in range(CYCLES):
            last = self.go_on(one, 2)
            self.freeze(one, f'snap{i % 2}', '--force')
            one = self.restore(f'snap{i % 2}')
            self.assertGreaterEqual(self.round_of(one), last)
        self.end(one)

    def test_restored_twice_at_once(self):
        last = self.frozen()
        disk = f'id=disk0,path={self.disk},overlay=temporary'

        both = [self.restore('snap', '--name', name, '--disk', disk) for name in ('a', 'b')]

        for one in both:
            self.assertGreaterEqual(self.round_of(one), last)
            self.go_on(one)
        for one in both:
            self.end(one)

    def test_paused_one_goes_on_when_told(self):
        self.frozen()
        one = self.restore('snap', '--paused')
        one.wait(lambda: self.state_of('web') == 'paused', 'a pause')

        self.vmm_ok('resume', 'web')

        self.go_on(one)
        self.end(one)

    def test_console_leads_where_it_is_told_to(self):
        self.frozen()
        log = self.path('log')

        self.vmm_ok('restore', self.path('snap'), '--detach', '--serial', f'file:{log}')

        self.go_on(self.console('web'))
        self.vmm_ok('kill', 'web')
        with open(log, 'rb') as file:
            self.assertRegex(file.read(), rb'round \d+')

    def test_restored_vm_can_be_reset(self):
        self.frozen()
        one = self.restore('snap')
        self.go_on(one)

        self.vmm_ok('reset', 'web')

        one.wait_for(b'READY')
        self.go_on(one)
        self.end(one)

    def test_restored_vm_needs_its_snapshot_no_more(self):
        self.frozen()
        one = self.restore('snap')
        self.round_of(one)

        shutil.rmtree(self.path('snap'))

        self.go_on(one)
        self.end(one)

    def test_attached_disk_is_there_again(self):
        more = self.file('more.img', bytes(DISK_LEN))
        one = self.begin()
        self.vmm_ok('attach', 'web', '--disk', f'{more},id=more')
        self.freeze(one, 'snap')

        one = self.restore('snap')

        self.go_on(one)
        ids = [disk['device'] for disk in
               json.loads(self.vmm_ok('qmp', 'web', 'query-block'))]
        self.assertEqual(ids, ['disk0', 'more'])
        self.end(one)

    def test_attached_card_is_there_again(self):
        one = self.begin()
        self.vmm_ok('attach', 'web', '--net', 'none,id=more')
        self.freeze(one, 'snap')

        one = self.restore('snap')

        self.go_on(one)
        self.end(one)

    def limited(self):
        """A guest whose disk and card have limits, in bursts too."""
        one = self.start('steady', '--name', 'web', '--memory', '64M',
                         '--disk', f'{self.disk},iops=100,iops-max=200,iops-max-length=5',
                         '--net', 'none,id=card,pps-rx=7,pps-rx-max=9,pps-rx-max-length=2')
        one.wait_for(b'READY')
        return one

    def limit(self, card, **disk):
        none = dict.fromkeys(('bps', 'bps_rd', 'bps_wr', 'iops', 'iops_rd', 'iops_wr'), 0)
        self.vmm_ok('qmp', 'web', 'block_set_io_throttle',
                    json.dumps({'device': 'disk0', **none, **disk}))
        self.vmm_ok('qmp', 'web', 'x-vmm-net-set-limits', json.dumps({'name': 'card', **card}))

    def kept_limits(self):
        with open(os.path.join(self.path('snap'), 'config.yaml'), encoding='ascii') as config:
            return re.findall(r'(?:[bp]ps|iops|group).*', config.read())

    def test_limits_are_those_given_last(self):
        one = self.limited()
        self.limit({'pps-tx': 99}, bps_rd=1000, bps_rd_max=3000, group='g')
        self.vmm_ok('attach', 'web', '--net', 'none,id=more,pps-rx=10')
        self.freeze(one, 'snap')

        one = self.restore('snap')

        self.go_on(one)
        disk, = (each['inserted'] for each in json.loads(self.vmm_ok('qmp', 'web', 'query-block')))
        self.assertEqual((disk['bps_rd'], disk['bps_rd_max'], disk['iops'], disk['group']),
                         (1000, 3000, 0, 'g'))
        self.assertEqual(self.kept_limits(),
                         ['bps-rd: 1000', 'bps-rd-max: 3000', 'bps-rd-max-length: 1',
                          'group: "g"', 'pps-tx: 99', 'pps-rx: 10'])

    def test_limits_that_were_taken_away_are_none(self):
        one = self.limited()
        self.limit({})
        self.freeze(one, 'snap')

        one = self.restore('snap')

        self.go_on(one)
        self.assertEqual(self.kept_limits(), [])

    def test_cable_that_was_pulled_still_is(self):
        one = self.begin('web', '--net', 'none,id=card')
        self.vmm_ok('qmp', 'web', 'set_link', '{"name": "card", "up": false}')
        self.freeze(one, 'snap')

        one = self.restore('snap')
        self.go_on(one)
        self.freeze(one, 'more')

        with open(os.path.join(self.path('more'), 'state'), 'rb') as state:
            self.assertIn(b'link_down' + struct.pack('<I', 1) + b'\1', state.read())

    def test_kernel_may_be_gone_meanwhile(self):
        kernel = self.path('kernel')
        shutil.copy(self.payload('echo'), kernel)
        one = Vm([self.vmm, 'run', '--name', 'web', '--kernel', kernel])
        self.addCleanup(one.__exit__)
        one.wait_for(b'READY')
        os.unlink(kernel)
        self.freeze(one, 'snap')

        one = self.restore('snap')

        one.type(b'q')
        self.assertEqual(one.finish(), OK)

    def test_all_names_are_absolute(self):
        shutil.copy(self.payload('steady'), self.path('kernel'))
        one = Vm([self.vmm, 'run', '--name', 'web', '--memory', '64M', '--kernel', 'kernel',
                  '--disk', 'disk.img', '--net', 'socket=lan,listen,dump=packets',
                  '--vsock', 'vsock'],
                 cwd=self.folder)
        self.addCleanup(one.__exit__)
        one.wait_for(b'READY')
        os.unlink(self.path('kernel'))

        self.freeze(one, 'snap')

        with open(os.path.join(self.path('snap'), 'config.yaml'), encoding='ascii') as config:
            text = config.read()
        for name in 'kernel', 'disk.img', 'lan', 'packets', 'vsock':
            self.assertIn(f'"{os.path.realpath(self.folder)}/{name}"', text)

    def test_chain_of_differences(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')
        self.go_on(one)
        self.vmm_ok('snapshot', 'web', self.path('one'), '--diff')
        last = self.go_on(one)
        self.freeze(one, 'two', '--diff')

        chain = json.loads(self.vmm_ok('snapshot', 'info', '--json', self.path('two')))
        self.assertEqual([os.path.basename(each['path']) for each in chain],
                         ['two', 'one', 'base'])
        self.vmm_ok('snapshot', 'verify', self.path('two'))
        one = self.restore('two')

        self.assertGreaterEqual(self.round_of(one), last)
        self.go_on(one)
        self.end(one)

    def test_merged_chain_stands_by_itself(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')
        self.go_on(one)
        self.vmm_ok('snapshot', 'web', self.path('one'), '--diff')
        last = self.go_on(one)
        self.freeze(one, 'two', '--diff')

        self.vmm_ok('snapshot', 'merge', self.path('one'))
        shutil.rmtree(self.path('base'))
        self.vmm_ok('snapshot', 'verify', self.path('two'))
        self.vmm_ok('snapshot', 'merge', self.path('two'))
        shutil.rmtree(self.path('one'))
        one = self.restore('two')

        self.assertGreaterEqual(self.round_of(one), last)
        self.go_on(one)
        self.end(one)

    def test_damaged_chain_is_not_merged(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('snap'), '--track')
        self.freeze(one, 'one', '--diff')
        self.damaged('memory', whole_page(self.path('snap')), 1)

        self.assert_refused(['snapshot', 'merge', self.path('one')], 'snap.*is damaged')

        self.assertEqual(sorted(os.listdir(self.folder)), ['disk.img', 'one', 'snap'])

    def console(self, name):
        """What a VM in the background answers."""
        one = Vm([self.vmm, 'console', name])
        self.addCleanup(one.__exit__)
        return one

    def test_clones_go_on_each_for_itself(self):
        last = self.frozen()
        with open(self.disk, 'rb') as disk:
            before = disk.read()

        self.assertEqual(self.vmm_ok('clone', self.path('snap'), 'a', 'b', '--count', '2'),
                         'a1\na2\nb1\nb2\n')

        for name in ('a1', 'a2', 'b1', 'b2'):
            one = self.console(name)
            self.assertGreaterEqual(self.round_of(one), last)
            self.go_on(one)
        self.vmm_ok('kill', 'a1', 'a2', 'b1', 'b2')
        with open(self.disk, 'rb') as disk:
            self.assertEqual(disk.read(), before)

    def generation_of(self, one):
        seen = len(one.out)
        one.type(b'g')
        one.wait(lambda: one.out[seen:].endswith((b' new\n', b' same\n')), 'an id')
        return one.out[seen:].split()

    @not_on_arm64('nothing tells a guest of arm64 that it is one of several')
    def test_each_knows_that_it_is_another(self):
        one = self.start('generation', '--name', 'web')
        one.wait_for(b'READY')
        first, news = self.generation_of(one)
        self.assertEqual(news, b'same')
        self.vmm_ok('snapshot', 'web', self.path('snap'))
        self.assertEqual(self.generation_of(one), [first, b'same'])
        one.type(b'q')
        self.assertEqual(one.finish(), OK)

        ids = [first]
        for name in ('a', 'b'):
            one = self.restore('snap', '--name', name)
            other, news = self.generation_of(one)
            self.assertNotIn(other, ids)
            self.assertEqual(news, b'new')
            self.assertEqual(self.generation_of(one), [other, b'same'])
            ids.append(other)

    def address_of(self, one, byte=b'?'):
        """That of the guest's card, and whether it was told that this has changed."""
        seen = len(one.out)
        one.type(byte)
        one.wait(lambda: one.out[seen:].endswith((b' new\n', b' same\n')), 'an address')
        address, news = one.out[seen:].split()
        return int(address, 16), news

    def frozen_card(self):
        """A guest whose card has an address that was made up."""
        one = self.start('card', '--name', 'web', '--net', 'none,id=card')
        one.wait_for(b'READY')
        address, _ = self.address_of(one)
        self.freeze(one, 'snap')
        return address

    def test_card_keeps_its_address(self):
        first = self.frozen_card()

        for more in [], ['--net', 'id=card,none']:
            one = self.restore('snap', '--name', 'other', *more)

            self.assertEqual(self.address_of(one), (first, b'same'))
            self.assertEqual(self.address_of(one, b'b'), (first, b'same'))
            one.type(b'q')
            self.assertEqual(one.finish(), OK)

    def test_card_gets_no_other_mtu(self):
        self.frozen_card()
        self.assert_refused(['restore', self.path('snap'), '--net', 'id=card,none,mtu=9000'],
                            "net 'card': mtu is as it was")

    def test_card_gets_a_new_address(self):
        first = self.frozen_card()
        one = self.restore('snap', '--new-mac')
        second, news = self.address_of(one)
        self.assertNotEqual(second, first)
        self.assertEqual((second >> 32, news), (0x5254, b'new'))
        self.assertEqual(self.address_of(one), (second, b'same'))
        self.freeze(one, 'more')

        one = self.restore('more')

        self.assertEqual(self.address_of(one), (second, b'same'))
        self.assertEqual(self.address_of(one, b'b'), (second, b'same'))

    def test_card_gets_the_address_that_is_given(self):
        self.frozen_card()
        given = 0x020000000007

        one = self.restore('snap', '--new-mac', '--net', 'id=card,none,mac=02:00:00:00:00:07')

        self.assertEqual(self.address_of(one), (given, b'new'))
        self.assertEqual(self.address_of(one, b'b'), (given, b'same'))

    def test_clones_get_addresses_of_their_own(self):
        first = self.frozen_card()
        self.vmm_ok('clone', self.path('snap'), 'a', 'b', '--new-mac')

        others = [self.address_of(self.console(name)) for name in ('a', 'b')]

        self.assertEqual(len({first, others[0][0], others[1][0]}), 3)
        self.assertEqual([news for _, news in others], [b'new', b'new'])
        self.vmm_ok('kill', 'a', 'b')

    def time_of(self, one, byte=b'?'):
        """The guest's, between two of the host's, in ms."""
        seen = len(one.out)
        asked = time.time()
        one.type(byte)
        one.wait(lambda: b'time ' in one.out[seen:] and one.out.endswith(b'\n'), 'a time')
        return asked * 1e3, int(one.out.split()[-1]) / 1e6, time.time() * 1e3

    def ahead(self, one):
        """By how many ms at least, and at most, the guest's clock is ahead."""
        times = [self.time_of(one) for _ in range(30)]
        return (max(guest - after for _, guest, after in times),
                min(guest - before for before, guest, _ in times))

    def second_is_right(self, one):
        """The real-time clock begins one when the other clock does, which is asked after it."""
        for _ in range(5):
            guest = self.time_of(one, b'r')[1]
            second = int(re.findall(rb'second (\d+)', one.out)[-1])
            if 0 <= guest / 1e3 % 60 - second < 0.1:
                return True
        return False

    def test_clocks_are_the_host_s_when_asked(self):
        one = self.start('clock', '--name', 'web')
        one.wait_for(b'READY')
        least, most = self.ahead(one)
        self.assertLess(least, MS_OFF)
        self.assertGreater(most, -MS_OFF)
        for i in range(3):
            self.freeze(one, f'snap{i}')
            time.sleep(0.3)

            one = self.restore(f'snap{i}', '--clock', 'host')

            least, most = self.ahead(one)
            self.assertLess(least, MS_OFF)
            self.assertGreater(most, -MS_OFF)
        self.assertTrue(self.second_is_right(one))

    def test_clocks_go_on_where_they_stopped_else(self):
        one = self.start('clock', '--name', 'web')
        one.wait_for(b'READY')
        before, last, _ = self.time_of(one)
        self.freeze(one, 'snap')
        time.sleep(1)

        one = self.restore('snap')

        _, first, after = self.time_of(one)
        self.assertGreaterEqual(first, last)
        self.assertLess(first - last, after - before - 900)
        self.assertTrue(self.second_is_right(one))

    def test_clone_keeps_what_it_writes_where_told(self):
        self.frozen()
        self.vmm_ok('clone', self.path('snap'), 'a', '--disks', self.folder)
        self.go_on(self.console('a'))
        self.vmm_ok('snapshot', 'a', self.path('more'), '--stop')

        self.assertTrue(os.path.exists(self.path('a-disk0.qcow2')))
        one = self.restore('more')
        self.go_on(one)
        self.end(one)

    def test_running_vm_without_a_disk_to_write_is_cloned(self):
        one = self.start('echo', '--name', 'web')
        one.wait_for(b'READY')

        self.assertEqual(self.vmm_ok('clone', 'web', 'other'), 'other\n')

        other = self.console('other')
        other.type(b'a')
        other.wait_for(b'<97>')
        self.vmm_ok('kill', 'other')
        one.type(b'q')
        self.assertEqual(one.finish(), OK)

    def test_clone_that_is_broken_off_leaves_no_memory_behind(self):
        def folders():
            return set(glob.glob('/var/tmp/vmm-clone-*'))

        slow = os.path.join(self.payloads, 'slow_sync.so')
        one = self.start('echo', '--name', 'web', env={**os.environ, 'LD_PRELOAD': slow})
        one.wait_for(b'READY')
        before = folders()
        cloning = subprocess.Popen([self.vmm, 'clone', 'web', 'other'],
                                   stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        one.wait(lambda: folders() - before, 'a folder')

        cloning.send_signal(signal.SIGINT)
        self.assertEqual(cloning.wait(vm.SECONDS), -signal.SIGINT)

        left = folders() - before
        one.wait(lambda: not left & folders(), 'the end of those of other tests')
        self.assertNotIn('other', self.vmm_ok('list'))
        one.type(b'q')
        self.assertEqual(one.finish(), OK)

    def test_running_vm_with_a_disk_is_not_cloned(self):
        one = self.begin()

        self.assert_refused(['clone', 'web', 'other'], "goes on writing to its disk 'disk0'")

        self.go_on(one)
        self.end(one)

    def test_running_vm_with_a_disk_is_refused_before_a_snapshot(self):
        self.frozen()
        one = self.restore('snap', '--record', '600')   # so that none can be taken

        self.go_on(one)

        self.assert_refused(['clone', 'web', 'other'], "goes on writing to its disk 'disk0'")
        self.end(one)

    def test_clone_of_a_taken_name_is_refused(self):
        self.frozen()
        self.vmm_ok('clone', self.path('snap'), 'a')

        done = self.run_vmm('clone', self.path('snap'), 'a')

        self.assertRegex(done.stderr, "'a'")
        self.assertEqual(done.returncode, USAGE)
        self.vmm_ok('kill', 'a')

    def test_disk_stays_what_the_guest_knows(self):
        self.frozen()

        self.assert_refused(['restore', self.path('snap'), '--disk',
                             f'id=disk0,path={self.disk},serial=7'],
                            'serial is as it was when the snapshot was taken')

    def test_difference_holds_what_was_written_only(self):
        one = self.begin()
        whole = json.loads(self.vmm_ok('snapshot', 'web', self.path('base'), '--track',
                                       '--json'))
        self.vmm_ok('pause', 'web')
        self.vmm_ok('snapshot', 'web', self.path('one'), '--diff')
        nothing = json.loads(self.vmm_ok('snapshot', 'web', self.path('two'), '--diff',
                                         '--json'))
        self.vmm_ok('resume', 'web')

        self.assertGreater(whole['pages'], 512)
        self.assertLess(nothing['pages'], 8)
        self.end(one)

    def test_difference_of_nothing_is_one_to_go_on_from(self):
        one = self.start('echo', '--name', 'web')
        one.wait_for(b'READY')
        self.vmm_ok('pause', 'web')
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')
        nothing = json.loads(self.vmm_ok('snapshot', 'web', self.path('one'), '--diff',
                                         '--json'))
        self.assertEqual(nothing['pages'], 0)

        self.freeze(one, 'two', '--diff')

        self.vmm_ok('snapshot', 'verify', self.path('two'))
        one = self.restore('two')
        one.type(b'A')
        one.wait_for(b'<65>')

    def test_difference_needs_one_that_was_tracked(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('base'))

        done = self.run_vmm('snapshot', 'web', self.path('one'), '--diff')

        self.assertRegex(done.stderr, 'was not noted: take one with --track first')
        self.assertEqual(done.returncode, USAGE)
        self.end(one)

    def test_difference_does_not_replace_what_it_builds_upon(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')
        self.vmm_ok('snapshot', 'web', self.path('one'), '--diff')
        os.symlink(self.folder, self.path('link'))

        for name in 'base', 'one', 'link/base':
            self.assert_refused(['snapshot', 'web', self.path(name), '--diff', '--force'],
                                'is what the new snapshot would build upon')

        self.go_on(one)
        self.freeze(one, 'two', '--diff')
        self.vmm_ok('snapshot', 'verify', self.path('two'))

    def test_whole_one_does_not_replace_what_a_difference_builds_upon(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track', '--force')
        self.vmm_ok('snapshot', 'web', self.path('one'), '--diff')
        self.vmm_ok('snapshot', 'web', self.path('two'), '--diff')
        os.symlink(self.folder, self.path('link'))

        for name, above, *more in (('base', 'one', '--track'), ('one', 'two'),
                                   ('link/base', 'one', '--stop')):
            self.assert_refused(['snapshot', 'web', self.path(name), '--force', *more],
                                f"is what .*/{above}' builds upon")

        self.vmm_ok('snapshot', 'verify', self.path('two'))
        self.vmm_ok('snapshot', 'merge', self.path('one'))
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track', '--force')
        self.vmm_ok('snapshot', 'verify', self.path('two'))
        self.go_on(one)
        self.end(one)

    def test_what_is_gone_keeps_nothing_from_being_replaced(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')
        self.vmm_ok('snapshot', 'web', self.path('one'), '--diff')
        shutil.rmtree(self.path('one'))

        self.vmm_ok('snapshot', 'web', self.path('base'), '--track', '--force')

        self.go_on(one)
        self.end(one)

    def test_difference_replaces_another(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('snap'))
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')

        self.freeze(one, 'snap', '--diff', '--force')

        self.vmm_ok('snapshot', 'verify', self.path('snap'))

    def test_difference_without_its_parent_is_refused(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')
        self.freeze(one, 'one', '--diff')

        os.rename(self.path('base'), self.path('away'))
        self.assert_refused(['restore', self.path('one')], 'cannot open snapshot .*base')

        shutil.copytree(self.path('one'), self.path('base'))
        self.assert_refused(['restore', self.path('one')], 'builds upon')

    def test_nothing_is_overwritten_unasked(self):
        self.frozen()
        os.mkdir(self.path('full'))
        with open(os.path.join(self.path('full'), 'file'), 'w', encoding='ascii'):
            pass
        one = self.begin()

        for name, force, why in (('snap', [], '--force replaces it'),
                                 ('full', ['--force'], 'exists, and is no snapshot'),
                                 ('no/where', [], 'cannot make')):
            done = self.run_vmm('snapshot', 'web', self.path(name), *force)
            self.assertIn(why, done.stderr)
            self.assertEqual(done.returncode, USAGE)
        self.vmm_ok('snapshot', 'web', self.path('snap'), '--force')
        self.assertEqual(sorted(os.listdir(self.folder)), ['disk.img', 'full', 'snap'])
        self.end(one)

    def test_full_disk_leaves_nothing_and_the_vm_goes_on(self):
        host = self.path('host')
        os.mkdir(host)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1M', 'none', host], check=True)
        self.addCleanup(subprocess.run, ['umount', host], check=True)
        one = self.begin()

        for options in ([], ['--track'], ['--stop']):
            done = self.run_vmm('snapshot', 'web', os.path.join(host, 'snap'), *options)
            self.assertRegex(done.stderr, 'No space left on device')
            self.assertEqual(done.returncode, USAGE)
            self.assertEqual(os.listdir(host), [])
            self.go_on(one)
        self.end(one)

    def test_snapshot_that_fails_at_the_end_lets_the_vm_go_on(self):
        one = self.begin('web', preexec_fn=lambda: refuse_rename(errno.EIO))

        for options in [], ['--stop']:
            self.assert_refused(['snapshot', 'web', self.path('snap'), *options],
                                'cannot rename .*: Input/output error')
            self.assertEqual(os.listdir(self.folder), ['disk.img'])
            self.go_on(one)
        self.end(one)

    def test_file_system_without_flags_of_rename_can_have_snapshots(self):
        one = self.begin('web', preexec_fn=lambda: refuse_rename(errno.EINVAL))
        ids = []
        for options in [], ['--force'], ['--force']:
            self.vmm_ok('snapshot', 'web', self.path('snap'), *options)
            self.vmm_ok('snapshot', 'verify', self.path('snap'))
            self.assertEqual(sorted(os.listdir(self.folder)), ['disk.img', 'snap'])
            ids.append(json.loads(self.vmm_ok('snapshot', 'info', '--json',
                                              self.path('snap')))[0]['id'])

        self.assertEqual(len(set(ids)), 3)
        self.end(one)

    def test_one_that_is_broken_off_leaves_the_vm_running(self):
        slow = os.path.join(self.payloads, 'slow_sync.so')
        one = self.begin('web', env={**os.environ, 'LD_PRELOAD': slow})
        for options, number in ([], signal.SIGINT), (['--stop'], signal.SIGINT), \
                               (['--stop'], signal.SIGKILL):
            taking = subprocess.Popen([self.vmm, 'snapshot', 'web', self.path('snap'), *options],
                                      stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            one.wait(lambda: glob.glob(self.path('snap.*')), 'a folder')

            taking.send_signal(number)
            self.assertEqual(taking.wait(vm.SECONDS), -number)

            one.wait(lambda: not glob.glob(self.path('snap.*')), 'its end')
            self.assertFalse(os.path.exists(self.path('snap')))
            self.assertEqual(self.state_of('web'), 'running')
            self.go_on(one)
        self.end(one)

    def test_temporary_overlay_cannot_be_kept(self):
        one = self.start('steady', '--name', 'web', '--disk',
                         f'{self.disk},overlay=temporary', '--memory', '64M')
        one.wait_for(b'READY')

        for name in 'snap', 'no/where':         # before anything is written
            self.assert_refused(['snapshot', 'web', self.path(name)],
                                "disk 'disk0' has a temporary overlay")
        self.assertFalse(os.path.exists(self.path('snap')))
        self.go_on(one)
        self.end(one)

    def test_disk_that_was_written_since_is_refused(self):
        self.frozen()
        with open(self.disk, 'r+b') as disk:
            disk.write(b'x')
        one = self.restore('snap', '--force')
        self.round_of(one)
        one.kill(signal.SIGKILL)
        one.finish()

        self.assert_refused(['restore', self.path('snap')],
                            "disk 'disk0': .* was changed after the snapshot")

    def test_overlay_that_was_written_since_is_refused(self):
        overlay = self.path('overlay.qcow2')
        one = self.start('steady', '--name', 'web', '--memory', '64M',
                         '--disk', f'{self.disk},overlay={overlay}')
        one.wait_for(b'READY')
        self.vmm_ok('snapshot', 'web', self.path('snap'))
        self.go_on(one)
        self.end(one)

        for command in (['restore', self.path('snap')], ['clone', self.path('snap'), 'a'],
                        ['restore', self.path('snap'), '--disk', f'id=disk0,path={overlay}']):
            self.assert_refused(command, "disk 'disk0': .*overlay.* was changed after")

    def test_other_name_of_a_disk_that_was_written_since_is_refused(self):
        self.frozen()
        with open(self.disk, 'r+b') as disk:
            disk.write(b'x')

        for more in '', ',overlay=temporary':
            self.assert_refused(['restore', self.path('snap'), '--disk',
                                 f'id=disk0,path={os.path.basename(self.disk)}{more}'],
                                "disk 'disk0': .* was changed after the snapshot",
                                cwd=self.folder)

    def test_disk_that_was_moved_is_known_by_its_new_name(self):
        last = self.frozen()
        moved = self.path('moved.img')
        os.rename(self.disk, moved)
        one = self.restore('snap', '--disk', f'id=disk0,path={moved},overlay=temporary')
        self.assertGreaterEqual(self.round_of(one), last)
        one.kill(signal.SIGKILL)
        one.finish()

        with open(moved, 'r+b') as disk:
            disk.write(b'x')

        for more in '', ',overlay=temporary':
            self.assert_refused(['restore', self.path('snap'), '--disk',
                                 f'id=disk0,path={moved}{more}'],
                                "disk 'disk0': '.*moved.img' was changed after the snapshot")
        shutil.copyfile(moved, self.path('copy.img'))
        one = self.restore('snap', '--disk', f'id=disk0,path={self.path("copy.img")}')
        self.round_of(one)

    def test_what_the_snapshot_has_not_cannot_be_replaced(self):
        self.frozen()

        for option, why in ((('--disk', f'id=other,path={self.disk}'), "disk 'other'"),
                            (('--net', 'id=net0,none'), "net 'net0'")):
            self.assert_refused(['restore', self.path('snap'), *option],
                                why + '.*the snapshot has none of that id')

    def test_what_an_option_stands_in_for_has_to_be_said(self):
        self.frozen()

        self.assert_refused(['restore', self.path('snap'), '--disk', self.disk], 'say by id=')
        self.assert_refused(['restore', self.path('snap'), '--net', 'none'], 'say by id=')

    def test_no_snapshot_is_told_as_such(self):
        os.mkdir(self.path('empty'))

        self.assert_refused(['restore', self.path('empty')], 'is no snapshot')
        self.assert_refused(['restore', self.path('nothing')], 'No such file')
        self.assert_refused(['snapshot', 'verify', self.disk], 'cannot open snapshot')

    def damaged(self, name, at, value=None):
        """The file with a byte changed, or cut off there."""
        path = os.path.join(self.path('snap'), name)
        with open(path, 'rb') as file:
            whole = file.read()
        with open(path, 'r+b') as file:
            if value is None:
                file.truncate(at)
            else:
                file.seek(at)
                file.write(bytes([whole[at] ^ value]))
        return path, whole

    def test_any_damage_is_noticed(self):
        self.frozen()
        for name in ('manifest', 'config.yaml', 'state'):
            size = os.path.getsize(os.path.join(self.path('snap'), name))
            for at in [*range(0, size, max(1, size // DAMAGES)), size - 1]:
                for value in (None, 1 << at % 8):
                    path, whole = self.damaged(name, at, value)
                    self.assert_refused(['restore', self.path('snap')], 'snapshot|damaged|cut')
                    with open(path, 'wb') as file:
                        file.write(whole)

        one = self.restore('snap')
        self.go_on(one)
        self.end(one)

    def test_damaged_memory_is_found_by_verify(self):
        self.frozen()
        self.vmm_ok('snapshot', 'verify', self.path('snap'))
        path, whole = self.damaged('memory', whole_page(self.path('snap')), 1)
        self.assert_refused(['snapshot', 'verify', self.path('snap')], 'is damaged')
        with open(path, 'wb') as file:
            file.write(whole)
        self.vmm_ok('snapshot', 'verify', self.path('snap'))

        self.damaged('memory', len(whole) - 4096)

        self.assert_refused(['snapshot', 'verify', self.path('snap')], 'cut off')
        self.assert_refused(['restore', self.path('snap')], 'cut off')

    def working_set(self, name='snap'):
        """In pages."""
        return json.loads(self.vmm_ok('snapshot', 'info', '--json', self.path(name)))[0][
            'working-set']

    def recorded(self, name='snap'):
        """What a VM that ends early has used of it."""
        one = self.restore(name, '--record', '600', '--disk',
                           f'id=disk0,path={self.disk},overlay=temporary')
        self.go_on(one)
        self.end(one)
        return self.working_set(name)

    def test_working_set_is_recorded_when_the_vm_ends(self):
        self.frozen()
        self.assertEqual(self.working_set(), 0)
        with open(os.path.join(self.path('snap'), 'memory'), 'rb') as file:
            file.read()         # into the cache

        used = self.recorded()

        self.assertGreaterEqual(used, WATCHED_PAGES)
        self.assertLess(used, WATCHED_PAGES + 50)
        self.assertLess(len(cached(self.path('snap'))), WATCHED_PAGES + 50)
        self.assertIn(f'  used     {used * 4} KiB of it at first\n',
                      self.vmm_ok('snapshot', 'info', self.path('snap')))

    def test_working_set_is_recorded_when_time_is_up_and_when_reset(self):
        self.frozen()
        one = self.restore('snap', '--record', '1')
        one.wait(self.working_set, 'a working set')
        self.freeze(one, 'next')
        one = self.restore('next', '--record', '600')
        self.go_on(one)

        self.vmm_ok('reset', 'web')

        self.assertGreaterEqual(self.working_set('next'), WATCHED_PAGES)
        one.wait_for(b'READY')
        self.end(one)

    def test_working_set_is_recorded_when_a_snapshot_is_taken(self):
        self.frozen()
        one = self.restore('snap', '--record', '600')
        self.go_on(one)

        self.vmm_ok('snapshot', 'web', self.path('next'))

        self.assertGreaterEqual(self.working_set(), WATCHED_PAGES)
        self.go_on(one)
        self.end(one)

    def use(self, name, pages):
        """Have the snapshot say that these were used."""
        bitmap = bytearray(MEMORY_PAGES // 8)
        for page in pages:
            bitmap[page // 8] |= 1 << page % 8
        self.file(os.path.join(name, 'working-set'),
                  bitmap + struct.pack('<Q', zlib.crc32(bitmap)))

    def forget(self, name):
        """Its memory is no longer in the host's cache."""
        kind = subprocess.check_output(['stat', '-f', '-c', '%T', self.folder], text=True)
        if kind == 'tmpfs\n':
            self.skipTest('files of a tmpfs are always in memory')
        with open(os.path.join(self.path(name), 'memory'), 'rb') as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def test_prefetch_reads_what_was_used(self):
        self.frozen()
        self.use('snap', FAR_PAGES)
        self.forget('snap')

        one = self.restore('snap', '--prefetch', '--paused')

        one.wait(lambda: FAR_PAGES <= cached(self.path('snap')), 'the working set')
        self.vmm_ok('resume', 'web')
        self.go_on(one)
        self.end(one)

    def test_prefetch_reads_from_all_of_a_chain(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')
        self.go_on(one)
        self.freeze(one, 'snap', '--diff')
        self.use('snap', FAR_PAGES)
        self.forget('base')

        one = self.restore('snap', '--prefetch', '--paused')

        one.wait(lambda: FAR_PAGES <= cached(self.path('base')), 'the working set')
        self.vmm_ok('kill', 'web')

    def test_merged_chain_keeps_its_working_set(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')
        self.freeze(one, 'snap', '--diff')
        used = self.recorded()

        self.vmm_ok('snapshot', 'merge', self.path('snap'))

        self.assertEqual(self.working_set(), used)

    def test_merge_leaves_a_damaged_working_set_behind(self):
        one = self.begin()
        self.vmm_ok('snapshot', 'web', self.path('base'), '--track')
        self.freeze(one, 'snap', '--diff')
        self.use('snap', FAR_PAGES)
        self.damaged('working-set', 100, 1)

        self.vmm_ok('snapshot', 'merge', self.path('snap'))

        self.assertEqual(self.working_set(), 0)

    def test_damaged_working_set_is_not_used(self):
        self.frozen()
        self.recorded()
        for at, value in ((100, 1), (100, None), (0, None)):
            path, whole = self.damaged('working-set', at, value)

            for command in 'info', 'verify':
                done = self.run_vmm('snapshot', command, self.path('snap'))
                self.assertEqual(done.returncode, OK)
                self.assertIn("'working-set' is damaged", done.stderr)
            with open(path, 'wb') as file:
                file.write(whole)
        self.damaged('working-set', 100, 1)

        one = self.restore('snap', '--prefetch')

        self.go_on(one)
        self.end(one)
        self.assertIn("nothing is read ahead: snapshot", one.said())

    def test_prefetch_needs_a_working_set_to_do_something(self):
        self.frozen()

        one = self.restore('snap', '--prefetch')

        self.go_on(one)
        self.end(one)
        self.assertIn("'working-set': No such file", one.said())

    def test_killed_while_writing_leaves_the_old_one(self):
        last = self.frozen()
        one = self.begin('web', '--memory', '512M')
        for delay in (0, 0.002, 0.005, 0.01):
            taking = subprocess.Popen([self.vmm, 'snapshot', 'web', self.path('snap'), '--force'],
                                      stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            time.sleep(delay)
            one.kill(signal.SIGKILL)
            taking.wait()
            one.finish()
            self.vmm_ok('snapshot', 'verify', self.path('snap'))
            one = self.begin()
        self.assertGreater(last, 0)
        self.end(one)

    def test_end_of_the_vm_ends_its_snapshot(self):
        one = self.begin('web', '--memory', '512M')
        taking = subprocess.Popen([self.vmm, 'snapshot', 'web', self.path('snap')],
                                  stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        one.insist()
        self.assertEqual(one.finish(), FORCED)
        taking.communicate(timeout=vm.SECONDS)

        left = [name for name in os.listdir(self.folder) if name.startswith('snap.')]

        self.assertEqual(left, [])


    def test_snapshots_of_earlier_releases_are_restored(self):
        self.assertTrue(golden())
        for archive in golden():
            work = self.path(os.path.basename(archive))
            os.mkdir(work)
            unpack(archive, work)
            one = Vm([self.vmm, 'restore', os.path.join(work, 'snapshot'),
                      '--disk', f'id=disk0,path={work}/disk', '--vsock', f'{work}/vsock'])
            self.addCleanup(one.__exit__)
            if self.lacks_features(one):
                continue
            self.go_on(one)
            self.end(one)

    def lacks_features(self, one):
        """All has been read then but for what this processor is not."""
        try:
            self.round_of(one)
        except (AssertionError, BrokenPipeError):
            one.finish()
            self.assertRegex(one.said(), LACKS_FEATURES)
            return True
        return False


def refuse_rename(number):
    """renameat2(2) fails from now on, in this process and those it starts."""
    call = {'x86_64': 316, 'aarch64': 276}[platform.machine()]
    load, equal, done = 0x20, 0x15, 0x06
    fails, works = 0x50000 | number, 0x7fff0000
    filters = b''.join(struct.pack('HBBI', *each) for each in (
        (load, 0, 0, 0), (equal, 0, 1, call), (done, 0, 0, fails), (done, 0, 0, works)))
    keep = ctypes.create_string_buffer(filters)
    program = struct.pack('HP', len(filters) // 8, ctypes.addressof(keep))
    no_new_privs, set_seccomp, filter_mode = 38, 22, 2
    assert not LIBC.prctl(no_new_privs, 1, 0, 0, 0)
    assert not LIBC.prctl(set_seccomp, filter_mode, program, 0, 0)


def whole_page(snapshot):
    """Where in the memory something is."""
    with open(os.path.join(snapshot, 'memory'), 'rb') as file:
        return os.lseek(file.fileno(), 0, os.SEEK_DATA)


def cached(snapshot):
    """The pages of its memory that are in the host's cache."""
    with open(os.path.join(snapshot, 'memory'), 'r+b') as file, \
         mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE) as memory:
        there = (ctypes.c_char * (len(memory) // mmap.PAGESIZE))()
        at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        assert not LIBC.mincore(ctypes.c_void_p(at), ctypes.c_size_t(len(memory)), there)
        return {page for page, each in enumerate(bytes(there)) if each & 1}


if __name__ == '__main__':
    vm.main()
