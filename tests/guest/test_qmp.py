#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vmm run --qmp: what commands do to a VM, seen from its console and its end."""

import os
import socket
import sys

import vm
from vm import DIED, FATAL, FORCED, OK, USAGE, VmTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import qmp  # noqa: E402  (found by the line above)


class Qmp(VmTest):
    def begin(self, payload, *arguments):
        """The running payload, and a client that has negotiated."""
        path = os.path.join(self.folder, 'qmp')
        run = self.start(payload, '--qmp', path, *arguments)
        client = qmp.connect(path)
        self.addCleanup(client.close)
        return run, client

    def test_pause_stops_the_guest_and_cont_goes_on(self):
        run, client = self.begin('flood', '--cmdline', 'lines=100000')
        run.wait_for(b'0123456789')

        client.command('stop')

        self.assertEqual(client.command('query-status')['status'], 'paused')
        while run.read(0.3):
            pass
        before = len(run.out)
        run.read(0.5)
        self.assertEqual(len(run.out), before)
        client.command('cont')
        run.wait(lambda: len(run.out) > before, 'more output')
        self.assertEqual(client.command('query-status')['status'], 'running')
        client.command('quit')
        self.assertEqual(run.finish(), FORCED)

    def test_events_come_before_their_returns(self):
        run, client = self.begin('echo')
        client.command('stop')
        client.command('stop')
        client.command('cont')
        client.command('system_reset')
        client.command('quit')
        self.assertEqual([event['event'] for event in client.events],
                         ['STOP', 'RESUME', 'RESET', 'SHUTDOWN'])
        self.assertEqual(client.events[-1]['data'],
                         {'guest': False, 'reason': 'host-qmp-quit'})
        self.assertEqual(run.finish(), FORCED)

    def test_many_pauses_lose_no_output(self):
        run, client = self.begin('flood', '--cmdline', 'lines=300')
        try:
            for _ in range(100):
                client.command('stop')
                client.command('cont')
                run.read(0)
        except (OSError, EOFError):
            pass        # the guest was done first
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.out.count(b'\n'), 301)
        self.assertEqual(len(run.out), 300 * 64 + len('PASS\n'))

    def test_pauses_lose_no_request(self):
        disk = self.file('disk', bytes(1 << 20))
        run, client = self.begin('ioeventfd_no_exits', '--disk', disk,
                                 '--cmdline', 'requests=3000 frames=0')
        try:
            for _ in range(100):
                client.command('stop')
                client.command('cont')
        except (OSError, EOFError):
            pass        # the guest was done first
        self.assertEqual(run.finish(), OK)
        self.assertIn(b'PASS', run.out)

    def test_paused_start_waits_for_cont(self):
        run, client = self.begin('echo', '--paused')
        run.read(0.5)
        self.assertEqual(run.out, b'')
        self.assertEqual(client.command('query-status')['status'], 'prelaunch')
        client.command('cont')
        run.wait_for(b'READY')

    def test_reset_starts_the_guest_again(self):
        run, client = self.begin('echo')
        run.wait_for(b'READY')
        client.command('system_reset')
        run.wait(lambda: run.out.count(b'READY') == 2, 'READY again')

    def test_reset_while_paused_stays_paused(self):
        run, client = self.begin('echo')
        run.wait_for(b'READY')
        client.command('stop')
        client.command('system_reset')
        run.read(0.5)
        self.assertEqual(run.out.count(b'READY'), 1)
        client.command('cont')
        run.wait(lambda: run.out.count(b'READY') == 2, 'READY again')

    def test_powerdown_presses_the_button(self):
        run, client = self.begin('power_button')
        run.wait_for(b'READY')
        client.command('system_powerdown')
        self.assertEqual(run.finish(), OK)

    def test_block_statistics_count_what_the_guest_did(self):
        disk = self.file('disk', bytes(1 << 20))
        run, client = self.begin('ioeventfd_no_exits', '--disk', f'{disk},id=root',
                                 '--cmdline', 'requests=10000000 frames=0')
        [block] = client.command('query-block')
        self.assertEqual(block['inserted']['file'], disk)

        stats = {'rd_operations': 0}
        while not stats['rd_operations']:
            run.read(0.05)
            [device] = client.command('query-blockstats')
            stats = device['stats']
        client.command('stop')
        [device] = client.command('query-blockstats')

        self.assertEqual(device['stats']['rd_bytes'], 512 * device['stats']['rd_operations'])
        self.assertEqual(device['stats']['wr_operations'], 0)
        client.command('quit')
        self.assertEqual(run.finish(), FORCED)

    def test_path_that_is_no_utf8_is_told_with_question_marks(self):
        disk = self.file('disk\udcff', bytes(1 << 20))
        serial = os.path.join(self.folder, 'serial\udcff')
        _, client = self.begin('echo', '--disk', disk, '--serial', f'file:{serial}')

        [block] = client.command('query-block')
        [chardev] = client.command('query-chardev')

        self.assertEqual(block['inserted']['file'], os.path.join(self.folder, 'disk?'))
        self.assertEqual(chardev['filename'], 'file:' + os.path.join(self.folder, 'serial?'))

    def limit(self, client, device, **arguments):
        none = {key + way: 0 for key in ('bps', 'iops') for way in ('', '_rd', '_wr')}
        return client.execute('block_set_io_throttle',
                              {**none, 'device': device, **arguments})

    def reads(self, client):
        return client.command('query-blockstats')[0]['stats']['rd_operations']

    def test_limits_hold_until_they_are_taken_away(self):
        disk = self.file('disk', bytes(1 << 20))
        run, client = self.begin('ioeventfd_no_exits', '--disk', f'{disk},id=root,bps=1',
                                 '--cmdline', 'requests=10000000 frames=0')
        run.wait(lambda: self.reads(client) == 1, 'the first read')
        client.command('stop')
        client.command('cont')
        run.read(0.1)
        self.assertEqual(self.reads(client), 1)

        self.assertEqual(self.limit(client, 'root')['return'], {})
        run.wait(lambda: self.reads(client) > 100, 'more reads')
        self.assertNotIn('group', client.command('query-block')[0]['inserted'])

        self.assertEqual(self.limit(client, 'root', bps=1)['return'], {})
        client.command('system_reset')
        client.command('quit')
        self.assertEqual(run.finish(), FORCED)

    def test_disks_of_a_group_are_on_one_io_thread(self):
        disks = [self.file(name, bytes(1 << 20)) for name in 'abcd']
        run, client = self.begin('echo', '--io-threads', '2', *(
            word for path, more in zip(disks, (',iops=5', '', ',group=disk0', ',group=g'))
            for word in ('--disk', path + more)))
        inserted = [block['inserted'] for block in client.command('query-block')]
        self.assertEqual([one.get('group') for one in inserted],
                         ['disk0', None, 'disk0', 'g'])
        self.assertEqual([one['iops'] for one in inserted], [5, 0, 5, 0])

        self.assertIn("'disk1' is on another I/O thread",
                      self.limit(client, 'disk1', iops=1, group='disk0')['error']['desc'])
        self.assertIn("error", self.limit(client, 'disk2', group='g' * 65))
        self.assertEqual(self.limit(client, 'disk2', iops=7)['return'], {})
        self.assertEqual(self.limit(client, 'disk2', group='g')['return'], {})
        inserted = [block['inserted'] for block in client.command('query-block')]
        self.assertEqual([one.get('group') for one in inserted], ['disk0', None, None, 'g'])
        self.assertEqual(inserted[0]['iops'], 7)
        client.command('quit')
        self.assertEqual(run.finish(), FORCED)

    def test_different_limits_of_one_group_are_refused(self):
        disks = [self.file(name, bytes(1 << 20)) for name in 'ab']
        run = self.start('poweroff', '--disk', f'{disks[0]},iops=5,group=g',
                         '--disk', f'{disks[1]},iops=6,group=g')
        self.assertEqual(run.finish(), USAGE)
        self.assertIn(b"'disk1': another disk gives group 'g' other limits", run.err)

    def test_death_of_the_guest_is_told(self):
        run, client = self.begin(FATAL, '--paused')
        client.send(b'{"execute": "cont"}')
        events = [message for message in client.rest() if 'event' in message]
        self.assertEqual(events[-1]['event'], 'SHUTDOWN')
        self.assertEqual(events[-1]['data'], {'guest': False, 'reason': 'host-error'})
        self.assertEqual(run.finish(), DIED)

    def test_descriptor_that_listens_is_served(self):
        with socket.socket(socket.AF_UNIX) as listener:
            path = os.path.join(self.folder, 'qmp')
            listener.bind(path)
            listener.listen()
            run = self.start('echo', '--qmp', f'fd={listener.fileno()}',
                             pass_fds=[listener.fileno()])
            with qmp.Client(path) as client:
                client.execute('quit')
        self.assertEqual(run.finish(), FORCED)

    def test_path_that_is_too_long_is_refused(self):
        self.assert_refused(['run', '--kernel', self.payload('echo'), '--qmp', '/tmp/' + 200 * 'x'],
                            'sockets take 107')

    def test_socket_that_is_in_use_is_refused(self):
        path = os.path.join(self.folder, 'qmp')
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            self.assert_refused(['run', '--kernel', self.payload('echo'), '--qmp', path],
                                'in use|listens')



if __name__ == '__main__':
    vm.main()
