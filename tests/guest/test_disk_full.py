#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A host whose disk fills up: the VM stops, and goes on without loss.  As root."""

import os
import subprocess
import sys

import vm
from vm import FORCED, OK, VmTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import qmp  # noqa: E402  (found by the line above)

DISK_LEN = 4 << 20


class DiskFull(VmTest):
    def make_disk(self):
        """On a host that has room for half of it."""
        self.host = os.path.join(self.folder, 'host')
        os.mkdir(self.host)
        self.mount('size=2M')
        self.addCleanup(subprocess.run, ['umount', self.host], check=True)
        disk = os.path.join(self.host, 'disk.img')
        with open(disk, 'wb') as file:
            file.truncate(DISK_LEN)
        return disk

    def begin(self, *options):
        """The guest fills the disk."""
        disk = self.make_disk()
        path = os.path.join(self.folder, 'qmp')
        run = self.start('blk_fill', '--paused', '--qmp', path,
                         '--disk', ','.join([disk, 'id=root', *options]))
        client = self.connect(run, path)
        self.addCleanup(client.close)
        client.command('cont')
        return run, client

    def plug(self, client, **properties):
        client.command('device_add', {'driver': 'virtio-blk-pci', 'drive': 'full', **properties})

    def begin_plugged(self, **properties):
        """The same with a disk that is plugged in before the guest starts."""
        disk = self.make_disk()
        path = os.path.join(self.folder, 'qmp')
        run = self.start('blk_fill', '--paused', '--qmp', path)
        client = self.connect(run, path)
        self.addCleanup(client.close)
        client.command('blockdev-add', {'driver': 'file', 'node-name': 'full',
                                        'filename': disk})
        self.plug(client, **properties)
        client.command('system_reset')      # gives it its place in memory
        client.command('cont')
        return run, client

    def connect(self, run, path):
        clients = []

        def try_once():
            try:
                clients.append(qmp.Client(path))
            except (FileNotFoundError, ConnectionRefusedError):
                pass
            return clients

        run.wait(try_once, 'the socket')
        return clients[0]

    def mount(self, options):
        subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', self.host], check=True)

    def await_status(self, run, client, status):
        run.wait(lambda: client.command('query-status')['status'] == status, status)

    def test_guest_is_stopped_and_loses_nothing(self):
        run, client = self.begin()
        self.await_status(run, client, 'io-error')
        [error, stop] = [event for event in client.events if event['event'] != 'RESUME']
        self.assertEqual(error['event'], 'BLOCK_IO_ERROR')
        self.assertEqual(error['data']['operation'], 'write')
        self.assertEqual(error['data']['action'], 'stop')
        self.assertTrue(error['data']['nospace'])
        self.assertEqual(error['data']['device'], 'root')
        self.assertEqual(stop['event'], 'STOP')
        [block] = client.command('query-block')
        self.assertEqual(block['io-status'], 'nospace')

        client.command('cont')
        self.await_status(run, client, 'io-error')
        self.mount('remount,size=16M')
        client.command('cont')

        self.assertEqual(run.finish(), OK)

    def test_stopped_guest_can_be_reset(self):
        run, client = self.begin()
        self.await_status(run, client, 'io-error')
        client.command('system_reset')
        self.assertEqual(client.command('query-block')[0]['io-status'], 'ok')
        self.mount('remount,size=16M')
        client.command('cont')
        self.assertEqual(run.finish(), OK)

    def test_stopped_guest_can_be_ended(self):
        run, client = self.begin('werror=stop')
        self.await_status(run, client, 'io-error')
        client.command('quit')
        self.assertEqual(run.finish(), FORCED)

    def test_guest_can_be_told_instead(self):
        run, client = self.begin('werror=report')
        self.assertEqual(run.finish(), OK)
        self.assertIn(b'FAIL: a write succeeds', run.out)
        self.assertEqual({event['event'] for event in client.rest() if 'event' in event}
                         - {'RESUME', 'SHUTDOWN'}, {'BLOCK_IO_ERROR'})

    def test_guest_with_a_plugged_disk_is_told_unless_its_device_says_otherwise(self):
        run, _ = self.begin_plugged()
        self.assertEqual(run.finish(), OK)
        self.assertIn(b'FAIL: a write succeeds', run.out)

    def test_disk_that_stopped_the_vm_leaves_no_trace_on_its_next_device(self):
        run, client = self.begin_plugged(werror='enospc', rerror='stop')
        self.await_status(run, client, 'io-error')
        self.assertEqual([block['io-status'] for block in client.command('query-block')],
                         ['nospace'])

        client.command('device_del', {'id': 'full'})
        client.command('system_reset')
        self.assertEqual(client.command('query-block'), [])
        self.plug(client, werror='report')
        self.assertEqual([block['io-status'] for block in client.command('query-block')],
                         ['ok'])


if __name__ == '__main__':
    if os.geteuid():
        vm.skip('not root: cannot mount a file system that fills up')
    vm.main()
