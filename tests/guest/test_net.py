#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_net.py VMM PAYLOADS

Packets of a guest at full speed, and back ends that come and go meanwhile.  In a network
namespace of its own.

VMM_TEST_PACKETS is how many packets are passed to see that nothing is left of them.
"""

import os
import socket
import subprocess
import sys
import time

import vm
from vm import VmTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import qmp  # noqa: E402  (found by the line above)

PACKETS = int(os.environ.get('VMM_TEST_PACKETS', '300000'))
FRAME = 60
SEND, RECEIVE = 1, 2
FOR_EVER = 1 << 62


def in_namespace():
    """Run again in a network namespace of our own."""
    if os.geteuid() != 0:
        vm.skip('makes a network namespace of its own, which needs root')
    if 'VMM_TEST_NAMESPACE' not in os.environ:
        os.environ['VMM_TEST_NAMESPACE'] = 'net'
        os.execvp('unshare', ['unshare', '--net', sys.executable, '-B', *sys.argv])


def read_all(sock, length):
    data = b''
    while len(data) < length:
        part = sock.recv(length - len(data))
        assert part, 'the other end is gone'
        data += part
    return data


class Net(VmTest):
    def start_load(self, mode, number, *arguments):
        """A guest that sends, or receives, as soon as the returned run gets a byte."""
        path = os.path.join(self.folder, 'qmp')
        run = self.start('net_load', '--qmp', path, '--cmdline',
                         f'mode={mode} len={FRAME} buffer=2048 nr={number} ticks={FOR_EVER}',
                         *arguments)
        run.deadline += PACKETS // 20000
        run.wait_for(b'ready\n')
        client = qmp.connect(path)
        self.addCleanup(client.close)
        return run, client

    def test_peer_that_comes_back_is_served_again(self):
        path = os.path.join(self.folder, 'peer')
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(path)
            door.listen()
            run, client = self.start_load(SEND, 4, '--net', f'socket={path}')
            peer, _ = door.accept()
        run.type(b'.')
        with peer:
            first = read_all(peer, 4 + FRAME)
        run.wait(lambda: b"net 'net0': the other end is gone; the link is down" in run.err,
                 'the loss is told')
        os.unlink(path)

        with socket.socket(socket.AF_UNIX) as door:
            door.bind(path)
            door.listen()
            peer, _ = door.accept()
            with peer:
                self.assertEqual(read_all(peer, 4 + FRAME), first)

        self.assertTrue(client.command('query-status')['running'])


in_namespace()
socket.setdefaulttimeout(vm.SECONDS)
vm.need_kvm()
vm.main()
