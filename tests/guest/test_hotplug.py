#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hot plug by QMP, seen from a payload that says what comes and goes."""

import os
import socket
import sys

import vm
from vm import FORCED, VmTest, not_on_arm64

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import qmp  # noqa: E402  (found by the line above)

FREE_SLOTS = 8


class Hotplug(VmTest):
    def begin(self, *arguments, cmdline='refuse=0 slots=0'):
        path = os.path.join(self.folder, 'qmp')
        run = self.start('hotplug', '--qmp', path, '--cmdline', cmdline, *arguments)
        client = qmp.connect(path)
        self.addCleanup(client.close)
        run.wait_for(b'READY')
        return run, client

    def add_disk(self, client, name, **more):
        path = self.file(name, bytes(1 << 20))
        client.command('blockdev-add', {'driver': 'raw', 'node-name': name,
                                        'file': {'driver': 'file', 'filename': path}})
        client.command('device_add', {'driver': 'virtio-blk-pci', 'drive': name, 'id': name,
                                      **more})

    def refused(self, client, name, arguments, pattern, error='GenericError'):
        reply = client.execute(name, arguments)
        self.assertIn('error', reply)
        self.assertEqual(reply['error']['class'], error)
        self.assertRegex(reply['error']['desc'], pattern)

    def event(self, client, name):
        """The next event of that name; the others are dropped."""
        while True:
            for at, event in enumerate(client.events):
                if event['event'] == name:
                    del client.events[:at + 1]
                    return event.get('data')
            client.events.append(client.message())

    def slots(self, client):
        [bus] = client.command('query-pci')
        return {device['slot']: device['qdev_id'] for device in bus['devices']}

    def devices(self, client):
        return [block['qdev'] for block in client.command('query-block')]

    def test_added_disk_gets_limits_and_goes_with_them(self):
        run, client = self.begin()
        self.add_disk(client, 'a')
        self.add_disk(client, 'b')
        run.wait(lambda: run.out.count(b'COME') == 2, 'both have come')
        none = {key + way: 0 for key in ('bps', 'iops') for way in ('', '_rd', '_wr')}
        for name in 'ab':
            client.command('block_set_io_throttle',
                           {**none, 'id': name, 'iops_wr': 3, 'group': 'both'})
        self.assertEqual([block['inserted']['group'] for block in client.command('query-block')],
                         ['both', 'both'])

        client.command('device_del', {'id': 'a'})
        self.event(client, 'DEVICE_DELETED')
        client.command('blockdev-del', {'node-name': 'a'})

        [left] = client.command('query-block')
        self.assertEqual((left['inserted']['group'], left['inserted']['iops_wr']), ('both', 3))
        client.command('quit')
        self.assertEqual(run.finish(), FORCED)

    def test_disk_comes_and_goes(self):
        run, client = self.begin()
        self.add_disk(client, 'data', addr='0x3')
        run.wait_for(b'COME 3\n')
        self.assertEqual(self.slots(client), {0: '', 1: '', 3: 'data'})
        self.assertEqual(self.devices(client), ['data'])
        self.refused(client, 'blockdev-del', {'node-name': 'data'}, 'in use')

        client.command('device_del', {'id': 'data'})
        run.wait_for(b'GONE 3\n')
        self.assertEqual(self.event(client, 'DEVICE_DELETED'),
                         {'device': 'data', 'path': '/machine/peripheral/data'})
        self.assertEqual(self.slots(client), {0: '', 1: ''})
        self.assertEqual(self.devices(client), [])
        self.refused(client, 'device_del', {'id': 'data'}, "'data' not found", 'DeviceNotFound')

        client.command('blockdev-del', {'node-name': 'data'})
        self.refused(client, 'blockdev-del', {'node-name': 'data'}, 'Failed to find node')

    def test_disk_of_the_configuration_goes_with_its_file(self):
        disk = self.file('disk', bytes(1 << 20))
        run, client = self.begin('--disk', disk, cmdline='refuse=0 slots=2')
        run.wait_for(b'COME 1')
        client.command('device_del', {'id': '/machine/peripheral/disk0'})
        run.wait_for(b'GONE 1')
        self.assertEqual(self.event(client, 'DEVICE_DELETED')['device'], 'disk0')
        self.assertEqual(client.command('query-blockstats', {'query-nodes': True}), [])
        self.refused(client, 'blockdev-del', {'node-name': 'disk0'}, 'Failed to find node')
        client.command('blockdev-add', {'driver': 'file', 'node-name': 'again',
                                        'filename': disk})

    @not_on_arm64('a guest cannot tell a port that it refuses')
    def test_refusal_is_an_event_and_the_device_stays(self):
        run, client = self.begin(cmdline='refuse=1 slots=0')
        self.add_disk(client, 'data')
        run.wait_for(b'COME 2')
        client.command('device_del', {'id': 'data'})
        run.wait_for(b'REFUSED 2')
        self.assertEqual(self.event(client, 'DEVICE_UNPLUG_GUEST_ERROR'),
                         {'device': 'data', 'path': '/machine/peripheral/data'})
        self.assertEqual(self.devices(client), ['data'])

        client.command('device_del', {'id': 'data'})
        self.event(client, 'DEVICE_DELETED')

    def test_plugged_devices_survive_a_reset_and_unplugged_ones_do_not(self):
        disk = self.file('disk', bytes(1 << 20))
        run, client = self.begin('--disk', disk, cmdline='refuse=0 slots=0')
        self.add_disk(client, 'kept', addr='7')
        run.wait_for(b'COME 7')
        self.add_disk(client, 'dropped')
        run.wait_for(b'COME 3')
        client.command('device_del', {'id': 'dropped'})
        self.event(client, 'DEVICE_DELETED')

        client.command('system_reset')
        run.wait(lambda: run.out.count(b'READY') == 2, 'READY again')
        self.assertEqual(self.slots(client), {0: '', 1: 'disk0', 2: '', 7: 'kept'})
        client.command('device_del', {'id': 'kept'})
        run.wait_for(b'GONE 7')

    def test_reset_completes_a_removal(self):
        run, client = self.begin()
        self.add_disk(client, 'data')
        run.wait_for(b'COME 2')
        client.command('stop')
        client.events.clear()
        client.command('device_del', {'id': 'data'})
        self.refused(client, 'device_del', {'id': 'data'}, 'already in the process of unplug')
        self.assertEqual(self.devices(client), ['data'])
        client.command('system_reset')
        names = [event['event'] for event in client.events]
        self.assertEqual(names, ['DEVICE_DELETED', 'RESET'])
        self.assertEqual(self.devices(client), [])

    def test_plug_while_paused_is_seen_on_resume(self):
        run, client = self.begin()
        client.command('stop')
        self.add_disk(client, 'data')
        run.read(0.3)
        self.assertNotIn(b'COME', run.out)
        client.command('cont')
        run.wait_for(b'COME 2')

    def test_full_bus(self):
        run, client = self.begin()
        for i in range(FREE_SLOTS):
            self.add_disk(client, f'd{i}')
            run.wait_for(f'COME {i + 2}\n'.encode())
        path = self.file('more', bytes(1 << 20))
        client.command('blockdev-add', {'driver': 'file', 'node-name': 'more',
                                        'filename': path})
        self.refused(client, 'device_add', {'driver': 'virtio-blk', 'drive': 'more'},
                     'no PCI slot is left')
        self.refused(client, 'device_add', {'driver': 'virtio-blk', 'drive': 'more', 'addr': '30'},
                     'slot 30 is not one for hot plug')
        self.refused(client, 'device_add', {'driver': 'virtio-blk', 'drive': 'more', 'addr': '3'},
                     'slot 3 is taken')

        client.command('device_del', {'id': 'd3'})
        run.wait_for(b'GONE 5\n')
        client.command('device_add', {'driver': 'virtio-blk', 'drive': 'more'})
        run.wait(lambda: run.out.count(b'COME 5\n') == 2, 'COME 5 again')
        self.assertEqual(self.slots(client)[5], 'more')

    def test_plug_and_unplug_many_times(self):
        run, client = self.begin()
        path = self.file('data', bytes(1 << 20))
        client.command('blockdev-add', {'driver': 'file', 'node-name': 'data',
                                        'filename': path})
        for i in range(1, 51):
            client.command('device_add', {'driver': 'virtio-blk-pci', 'drive': 'data'})
            run.wait(lambda: run.out.count(b'COME 2') == i, 'COME')
            client.command('device_del', {'id': 'data'})
            self.event(client, 'DEVICE_DELETED')
            run.wait(lambda: run.out.count(b'GONE 2') == i, 'GONE')

    def test_what_cannot_be_added(self):
        disk = self.file('disk', bytes(1 << 20))
        _, client = self.begin('--disk', disk)
        self.refused(client, 'blockdev-add', {'driver': 'file', 'node-name': 'x',
                                              'filename': disk + '.none'}, 'No such file')
        self.refused(client, 'blockdev-add', {'driver': 'file', 'node-name': 'x',
                                              'filename': disk}, 'in use|lock')
        self.refused(client, 'blockdev-add', {'driver': 'file', 'node-name': 'disk0',
                                              'filename': disk}, 'Duplicate nodes')
        self.refused(client, 'blockdev-add', {'driver': 'file', 'node-name': 'x', 'filename': disk,
                                              'cache': {'no-flush': True, 'direct': True}},
                     'no-flush')
        self.refused(client, 'blockdev-add', {'driver': 'raw', 'node-name': 'x', 'filename': disk,
                                              'file': {'driver': 'file', 'filename': disk}},
                     "'filename' is unexpected")
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'ifname': 'vmm%d'},
                     "'vmm%d' is no name")
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'ifname': 'lo'},
                     "'lo' is no tap device")
        self.refused(client, 'netdev_add', {'type': 'bridge', 'id': 'n'}, "'br' is missing")
        self.refused(client, 'netdev_add', {'type': 'bridge', 'id': 'n', 'br': 'b',
                                            'ifname': 'x'}, "type 'tap'")
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'br': 'b', 'fd': 'x'},
                     "'br' goes with 'ifname'")
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'fd': 'x', 'queues': 2},
                     "'queues' is 2, .* which is 1")
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n'},
                     "either 'ifname', 'fd' or 'fds'")
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'fd': 'x', 'fds': 'y:z'},
                     "either 'ifname', 'fd' or 'fds'")
        self.refused(client, 'netdev_add', {'type': 'none', 'id': 'n', 'fds': 'y:z'},
                     'are of a tap')
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'fds': 'y:z', 'queues': 3},
                     "'queues' is 3, .* which is 2")
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'fds': ':'.join('x' * 17)},
                     "'fds' has 17 names, and 16 are the most")
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'fds': 'y:z'},
                     "named 'y' not found")
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'fd': 'none'}, 'none')
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'ifname': 'x',
                                            'script': '/etc/up'}, 'script')
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'ifname': 'x',
                                            'vhost': True, 'x-vmm-dump': 'f'}, 'vhost')
        self.refused(client, 'device_add', {'driver': 'e1000'}, 'virtio-net-pci are')
        self.refused(client, 'device_add', {'driver': 'virtio-blk-pci'}, "'drive' is missing")
        self.refused(client, 'device_add', {'driver': 'virtio-net-pci', 'netdev': 'zz'},
                     "can't find value 'zz'")
        self.refused(client, 'device_add', {'driver': 'virtio-net-pci', 'drive': 'disk0'},
                     "'virtio-net-pci.drive' not found")
        self.refused(client, 'device_add', {'driver': 'virtio-blk-pci', 'drive': 'disk0'},
                     "Duplicate device ID 'disk0'")
        self.refused(client, 'device_add', {'driver': 'virtio-blk-pci', 'drive': 'disk0',
                                            'id': 'other'}, 'in use')
        for addr in ('x', '32', '-1', '1.1', ''):
            self.refused(client, 'device_add', {'driver': 'virtio-blk-pci', 'drive': 'disk0',
                                                'id': 'other', 'addr': addr}, "'addr'")
        self.refused(client, 'set_link', {'name': 'disk0', 'up': False}, 'not found',
                     'DeviceNotFound')

    def test_serial_that_is_too_long(self):
        _, client = self.begin()
        path = self.file('data', bytes(1 << 20))
        client.command('blockdev-add', {'driver': 'file', 'node-name': 'data',
                                        'filename': path})
        self.refused(client, 'device_add', {'driver': 'virtio-blk-pci', 'drive': 'data',
                                            'serial': 'x' * 21}, 'longer than 20 bytes')
        client.command('device_add', {'driver': 'virtio-blk-pci', 'drive': 'data',
                                      'serial': 'x' * 20})

    def cache_of(self, client, device):
        [cache] = [block['inserted']['cache'] for block in client.command('query-block')
                   if block['qdev'] == device]
        return cache

    def test_properties_of_a_disk_s_device_hold_as_long_as_it(self):
        run, client = self.begin('--cpus', '2')
        self.add_disk(client, 'data', **{'write-cache': 'off', 'num-queues': 5,
                                         'logical_block_size': 4096, 'rerror': 'stop',
                                         'werror': 'enospc', 'serial': 'x' * 20})
        run.wait_for(b'COME 2')
        self.assertFalse(self.cache_of(client, 'data')['writeback'])
        self.assertEqual(self.queues(client, 'virtio-blk'), [2] * 5)

        client.command('device_del', {'id': 'data'})
        self.event(client, 'DEVICE_DELETED')
        client.command('device_add', {'driver': 'virtio-blk-pci', 'drive': 'data'})
        self.assertTrue(self.cache_of(client, 'data')['writeback'])
        self.assertEqual(self.queues(client, 'virtio-blk'), [2] * 2)

    def test_properties_that_cannot_be(self):
        _, client = self.begin()
        path = self.file('data.qcow2', bytes(1 << 20))
        client.command('blockdev-add', {'driver': 'file', 'node-name': 'data',
                                        'filename': path, 'cache': {'no-flush': True}})
        device = {'driver': 'virtio-blk-pci', 'drive': 'data'}
        for more, pattern in (({'write-cache': 'off'}, 'written through'),
                              ({'write-cache': 'never'}, 'does not accept'),
                              ({'logical_block_size': 1536}, 'blocks of 512'),
                              ({'logical_block_size': 8192}, 'from 512 to 4K'),
                              ({'num-queues': 0}, 'from 1 to 64'),
                              ({'rerror': 'pray'}, 'does not accept'),
                              ({'mac': '52:54:00:00:00:01'}, "'virtio-blk-pci.mac' not found")):
            self.refused(client, 'device_add', {**device, **more}, pattern)
        self.refused(client, 'device_add', {'driver': 'virtio-net-pci', 'netdev': 'n',
                                            'werror': 'stop'}, 'werror\' not found')
        self.refused(client, 'blockdev-add', {'driver': 'x-vmm-by-name', 'node-name': 'x',
                                              'file': {'driver': 'file', 'filename': path}},
                     'in use|lock|qcow2')

    def queues(self, client, driver):
        """The slot of each queue of such devices, in their order."""
        return [queue['slot'] for queue in client.command('x-vmm-query-use')['queues']
                if queue['driver'] == driver]

    def nodes(self, client):
        return [one['node-name'] for one in
                client.command('query-blockstats', {'query-nodes': True})]

    def test_gaps_that_a_device_leaves_are_skipped(self):
        run, client = self.begin()
        for i, name in enumerate(('first', 'second', 'third')):
            self.add_disk(client, name)
            run.wait_for(f'COME {i + 2}\n'.encode())
        self.assertEqual(self.queues(client, 'virtio-blk'), [2, 3, 4])

        client.command('device_del', {'id': 'second'})
        self.event(client, 'DEVICE_DELETED')
        self.assertEqual(self.queues(client, 'virtio-blk'), [2, 4])
        self.assertEqual(self.devices(client), ['first', 'third'])
        self.assertEqual([one['qdev'] for one in client.command('query-blockstats')],
                         ['first', 'third'])
        self.assertEqual(self.nodes(client), ['first', 'second', 'third'])

        client.command('blockdev-del', {'node-name': 'second'})
        client.command('device_del', {'id': 'first'})
        self.event(client, 'DEVICE_DELETED')
        self.assertEqual(self.queues(client, 'virtio-blk'), [4])
        self.assertEqual(self.nodes(client), ['first', 'third'])

    def test_tap_comes_as_a_descriptor(self):
        if os.geteuid():
            self.skipTest('only root makes a tap')
        run, client = self.begin()
        tap = vm.open_tap('vmmplug%d')
        client.command('getfd', {'fdname': 'tap'}, fds=[tap])
        os.close(tap)
        client.command('netdev_add', {'type': 'tap', 'id': 'lan', 'fd': 'tap'})
        self.refused(client, 'closefd', {'fdname': 'tap'}, 'not found')
        client.command('device_add', {'driver': 'virtio-net-pci', 'netdev': 'lan', 'id': 'card'})
        run.wait_for(b'COME 2')
        self.assertEqual(self.slots(client)[2], 'card')
        self.assertEqual(len(self.queues(client, 'virtio-net')), 3)
        client.command('x-vmm-net-set-limits', {'name': 'card', 'bps-tx': 1 << 20, 'pps-rx': 9})
        self.refused(client, 'x-vmm-net-set-limits', {'name': 'lan', 'pps-rx-max': 5},
                     'pps-rx: a max needs a limit')
        self.refused(client, 'x-vmm-net-set-limits', {'name': 'disk0'}, 'not found',
                     'DeviceNotFound')
        client.command('announce-self', {'initial': 1, 'max': 1, 'rounds': 3, 'step': 0})
        self.refused(client, 'netdev_del', {'id': 'lan'}, 'in use')

        client.command('device_del', {'id': 'card'})
        run.wait_for(b'GONE 2')
        self.event(client, 'DEVICE_DELETED')
        client.command('netdev_del', {'id': 'lan'})
        self.refused(client, 'netdev_del', {'id': 'lan'}, 'not found', 'DeviceNotFound')

    def test_tap_comes_as_a_descriptor_for_each_of_its_queues(self):
        if os.geteuid():
            self.skipTest('only root makes a tap')
        run, client = self.begin()
        first = vm.open_tap('vmmplug%d', several=True)
        name = vm.tap_name(first)
        for i, tap in enumerate((first, vm.open_tap(name, True), vm.open_tap(name, True))):
            client.command('getfd', {'fdname': f'tap{i}'}, fds=[tap])
            os.close(tap)
        client.command('netdev_add', {'type': 'tap', 'id': 'lan', 'fds': 'tap2:tap0:tap1'})
        client.command('device_add', {'driver': 'virtio-net-pci', 'netdev': 'lan', 'id': 'card'})
        run.wait_for(b'COME 2')
        self.assertEqual(len(self.queues(client, 'virtio-net')), 7)
        self.refused(client, 'closefd', {'fdname': 'tap1'}, 'not found')

        client.command('device_del', {'id': 'card'})
        run.wait_for(b'GONE 2')
        client.command('netdev_del', {'id': 'lan'})
        self.assertNotIn(name, os.listdir('/sys/class/net'))

    def test_descriptors_are_gone_where_one_is_missing(self):
        _, client = self.begin()
        ours, theirs = socket.socketpair()
        client.command('getfd', {'fdname': 'tap'}, fds=[theirs.fileno()])
        theirs.close()
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'fds': 'tap:none'},
                     "named 'none' not found")
        ours.settimeout(5)
        self.assertEqual(ours.recv(1), b'')
        ours.close()

    def test_descriptor_that_is_no_tap_is_refused_and_gone(self):
        _, client = self.begin()
        ours, theirs = socket.socketpair()
        client.command('getfd', {'fdname': 'tap'}, fds=[theirs.fileno()])
        theirs.close()
        self.refused(client, 'netdev_add', {'type': 'tap', 'id': 'n', 'fd': 'tap'}, 'no tap')
        ours.settimeout(5)
        self.assertEqual(ours.recv(1), b'')
        ours.close()

    def test_quit_with_a_removal_pending(self):
        run, client = self.begin(cmdline='refuse=1 slots=0')
        self.add_disk(client, 'data')
        client.command('device_del', {'id': 'data'})
        client.command('quit')
        self.assertEqual(run.finish(), FORCED)


if __name__ == '__main__':
    vm.main()
