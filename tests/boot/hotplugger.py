#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hotplugger.py SCENARIO SOCKET LOG IMAGE TAP: the host's side of the hot plug tests.

Drives the VM behind the QMP socket, in step with what its guest says in the log.
A disk is made of IMAGE, a card of TAP.  Says "done" when all went well.
"""

import json
import socket
import sys
import time

SECONDS = 120       # for any one thing to happen, also on a busy machine


class Host:
    def __init__(self, path, log, image, tap):
        self.log, self.image, self.tap = log, image, tap
        self.heard = 0
        self.events = []
        self.socket = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + SECONDS
        while self.socket.connect_ex(path):
            assert time.monotonic() < end, 'no socket'
            time.sleep(0.05)
        self.socket.settimeout(SECONDS)
        self.lines = self.socket.makefile('rw')
        self.lines.readline()
        self.command('qmp_capabilities')

    def message(self):
        message = json.loads(self.lines.readline())
        if 'event' in message:
            self.events.append(message)
        return message

    def execute(self, command, /, **arguments):
        request = {key.replace('_', '-'): value for key, value in arguments.items()}
        self.lines.write(json.dumps({'execute': command, 'arguments': request}))
        self.lines.flush()
        while True:
            message = self.message()
            if 'event' not in message:
                return message

    def command(self, command, /, **arguments):
        reply = self.execute(command, **arguments)
        assert 'return' in reply, f'{command}: {reply}'
        return reply['return']

    def await_event(self, name, device):
        while True:
            for event in self.events:
                if event['event'] == name and event.get('data', {}).get('device') == device:
                    self.events.remove(event)
                    return
            self.message()

    def await_said(self, text):
        """Until the guest says it, after what it was last awaited to say."""
        end = time.monotonic() + SECONDS
        while True:
            with open(self.log, encoding='utf-8', errors='replace') as file:
                file.seek(self.heard)
                rest = file.read().replace('\r', '')
            at = rest.find(f': {text}\n')
            if at >= 0:
                self.heard += len(rest[:at].encode())
                return
            assert time.monotonic() < end, f'the guest does not say "{text}"'
            time.sleep(0.05)

    def plug_disk(self, serial):
        self.command('device_add', driver='virtio-blk-pci', drive='image', id='hotdisk',
                     serial=serial)

    def unplug(self, device):
        self.command('device_del', id=device)
        self.await_event('DEVICE_DELETED', device)

    def finish(self):
        """The guest, which may be done earlier, ends when it sees one more disk."""
        self.plug_disk('end')

    def open_image(self):
        self.command('blockdev-add', driver='raw', node_name='image',
                     file={'driver': 'file', 'filename': self.image})

    def plug_card(self, **more):
        self.command('netdev_add', type='tap', id='tap', ifname=self.tap, script='no',
                     downscript='no', **more)
        self.command('device_add', driver='virtio-net-pci', netdev='tap', id='hotcard',
                     mac='52:54:00:12:34:99')


def use(host):
    """A disk and a card come, are used, and go; a disk then does ten times."""
    host.await_said('ready')
    reply = host.execute('device_del', id='nothing')
    assert reply['error']['class'] == 'DeviceNotFound', reply
    host.open_image()
    host.plug_disk('hot')
    host.plug_card()
    host.await_said('used')
    host.command('set_link', name='tap', up=False)
    host.await_said('cable pulled')
    host.command('set_link', name='hotcard', up=True)
    host.await_said('cable back')
    host.unplug('hotdisk')
    host.unplug('hotcard')
    host.command('netdev_del', id='tap')
    host.await_said('gone')
    for i in range(1, 11):
        host.plug_disk(f'round{i}')
        host.await_said(f'has round{i}')
        host.unplug('hotdisk')
        host.await_said(f'lost round{i}')
    host.finish()


def busy(host):
    """They are taken away while they are used, one after the other."""
    host.await_said('ready')
    host.open_image()
    host.plug_disk('hot')
    host.plug_card()
    host.await_said('busy')
    host.unplug('hotdisk')
    host.unplug('hotcard')
    host.command('blockdev-del', node_name='image')
    host.command('netdev_del', id='tap')
    assert host.command('query-status')['running']
    host.open_image()
    host.finish()


def reset(host):
    """A disk is there again after a reset, and gone after another."""
    host.await_said('ready')
    host.open_image()
    host.plug_disk('kept')
    host.await_said('has kept')
    host.command('system_reset')
    host.await_said('again')
    host.unplug('hotdisk')
    host.finish()


def vhost(host):
    """The kernel moves the packets, but while the cable is pulled."""
    def queues():
        return [queue for queue in host.command('x-vmm-query-use')['queues']
                if queue['driver'] == 'virtio-net' and queue['queue'] < 2]

    host.await_said('ready')
    host.plug_card(vhost=True)
    host.await_said('begins')
    for _ in range(15):
        host.command('stop')
        time.sleep(0.01)
        host.command('cont')
        time.sleep(0.05)
    host.await_said('used')
    assert all(queue['vhost'] for queue in queues()), queues()
    reply = host.execute('x-vmm-net-set-limits', name='tap', bps_rx=1000)
    assert 'vhost' in reply['error']['desc'], reply
    host.command('set_link', name='tap', up=False)
    host.await_said('cable pulled')
    assert not any(queue['vhost'] or queue['packets'] for queue in queues()), queues()
    host.command('set_link', name='tap', up=True)
    host.await_said('cable back')
    assert all(queue['vhost'] for queue in queues()), queues()
    host.unplug('hotcard')
    host.command('netdev_del', id='tap')
    host.open_image()
    host.finish()


if __name__ == '__main__':
    vm = Host(*sys.argv[2:])
    try:
        {'use': use, 'busy': busy, 'reset': reset, 'vhost': vhost}[sys.argv[1]](vm)
    except BaseException:
        vm.execute('quit')
        raise
    print('done')
