#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_net.py VMM PAYLOADS

Packets of a guest at full speed, and back ends that come and go meanwhile.  In a network
namespace of its own.

VMM_TEST_PACKETS is how many packets pass each way to see that nothing is left of them.
"""

import ctypes
import os
import socket
import subprocess
import sys
import time

import vm
from vm import VmTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import qmp  # noqa: E402  (found by the line above)

PACKETS = int(os.environ.get('VMM_TEST_PACKETS', '150000'))
PACKETS_PER_S = 3000           # at least, however busy the machine
TAP = 'vmmtest0'
FRAME = 60
SEND, RECEIVE = 1, 2            # of net_load
RX, TX = 0, 1                   # queues
FOR_EVER = 1 << 62
SOMEBODY = 12345                # another user

LIBC = ctypes.CDLL(None)

# A sanitizer would keep what was freed.
os.environ['ASAN_OPTIONS'] = ':'.join(
    (os.environ.get('ASAN_OPTIONS', ''), 'quarantine_size_mb=0',
     'thread_local_quarantine_size_kb=0'))


def in_namespace():
    """Run again in a network namespace of our own."""
    if os.geteuid() != 0:
        vm.skip('makes a network namespace of its own, which needs root')
    if 'VMM_TEST_NAMESPACE' not in os.environ:
        os.environ['VMM_TEST_NAMESPACE'] = 'net'
        os.execvp('unshare', ['unshare', '--net', sys.executable, '-B', *sys.argv])


def ip(words):
    subprocess.run(['ip', *words.split()], check=True)


def make_tap(more=''):
    """Anew, with one queue that has room for a flood."""
    subprocess.run(['ip', 'link', 'del', TAP], stderr=subprocess.DEVNULL, check=False)
    ip(f'tuntap add {TAP} mode tap vnet_hdr {more}')
    ip(f'link set {TAP} up txqueuelen 8192')


def drop_net_admin():
    """In a child, whose programs go without that capability though they are root's."""
    capbset_drop, cap_net_admin = 24, 12
    if LIBC.prctl(capbset_drop, cap_net_admin, 0, 0, 0):
        raise OSError('cannot drop CAP_NET_ADMIN')


def held_by(pid):
    """What a process has open, and how much memory it uses, in KiB."""
    with open(f'/proc/{pid}/status', encoding='utf-8') as file:
        rss = next(line.split()[1] for line in file if line.startswith('VmRSS:'))
    return sorted(os.listdir(f'/proc/{pid}/fd')), int(rss)


def flood():
    """Packets for the guest, some thousands of them."""
    frame = bytes.fromhex('52540000000102545400000088b5').ljust(FRAME, b'.')
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as host:
        host.bind((TAP, 0))
        for _ in range(5000):
            host.send(frame)


def flood_all_queues():
    """The same by many flows, which the kernel deals out among the queues of a tap."""
    head = bytes.fromhex('525400000001025454000000' '0800' '4500002e0000000040110000'
                         '0a0000010a000002')
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as host:
        host.bind((TAP, 0))
        for port in range(1000, 2000):
            ports = port.to_bytes(2, 'big') + bytes.fromhex('138800')
            host.send((head + ports).ljust(FRAME, b'.'))


def read_all(sock, length):
    data = b''
    while len(data) < length:
        part = sock.recv(length - len(data))
        assert part, 'the other end is gone'
        data += part
    return data


class Net(VmTest):
    def start_load(self, mode, number, *arguments, pair=0, **more):
        """A guest that sends, or receives, as soon as the returned run gets a byte."""
        path = os.path.join(self.folder, 'qmp')
        run = self.start('net_load', '--qmp', path, '--cmdline',
                         f'mode={mode} len={FRAME} buffer=2048 nr={number} ticks={FOR_EVER} '
                         f'pair={pair}', *arguments, **more)
        run.wait_for(b'ready\n')
        client = qmp.connect(path)
        self.addCleanup(client.close)
        return run, client

    def pass_packets(self, client, queue, number, meanwhile):
        """Until the guest has sent or received that many."""
        end = time.monotonic() + vm.SECONDS + number // PACKETS_PER_S
        while client.command('x-vmm-query-use')['queues'][queue]['packets'] < number:
            self.assertLess(time.monotonic(), end, f'{number} packets do not pass')
            meanwhile()

    def check_nothing_is_left(self, mode, queue, meanwhile):
        """All has been used once when a tenth of the packets has passed."""
        run, client = self.start_load(mode, 64 if mode == SEND else FOR_EVER, '--net',
                                      f'tap={TAP}')
        run.type(b'.')
        self.pass_packets(client, queue, PACKETS // 10, meanwhile)
        files, memory = held_by(run.process.pid)

        self.pass_packets(client, queue, PACKETS, meanwhile)

        files_then, memory_then = held_by(run.process.pid)
        print(f'{memory} KiB, {memory_then} KiB after {PACKETS} packets')
        self.assertEqual(files_then, files)
        # Less than what malloc(3) takes for one thing of each packet.
        self.assertLess(memory_then - memory, PACKETS * 16 // 1024)

    def test_nothing_is_left_of_packets_that_were_sent(self):
        make_tap()
        self.check_nothing_is_left(SEND, TX, lambda: time.sleep(0.05))

    def test_nothing_is_left_of_packets_that_were_received(self):
        make_tap()
        self.check_nothing_is_left(RECEIVE, RX, flood)

    def test_each_descriptor_of_a_tap_is_a_pair_of_queues(self):
        subprocess.run(['ip', 'link', 'del', TAP], stderr=subprocess.DEVNULL, check=False)
        fds = [vm.open_tap(TAP, several=True) for _ in range(3)]
        for fd in fds:
            self.addCleanup(os.close, fd)
        ip(f'link set {TAP} up')
        net = 'fd=' + ':'.join(map(str, fds))
        for mode, queue, meanwhile in ((SEND, TX, lambda: time.sleep(0.05)),
                                       (RECEIVE, RX, flood_all_queues)):
            for pair in (0, 2):
                with self.subTest(mode=mode, pair=pair):
                    run, client = self.start_load(mode, 64 if mode == SEND else FOR_EVER, '--net',
                                                  net, pair=pair, pass_fds=fds)
                    run.type(b'.')
                    self.pass_packets(client, 2 * pair + queue, 500, meanwhile)
                    queues = client.command('x-vmm-query-use')['queues']
                    self.assertEqual(len([one for one in queues
                                          if one['driver'] == 'virtio-net']), 7)
                    client.command('quit')
                    run.process.wait(vm.SECONDS)

    def refuse_net(self, net, pattern, **more):
        self.assert_refused(['run', '--kernel', self.payload('deaf'), '--net', net], pattern,
                            **more)

    def test_tap_of_another_vm_is_refused(self):
        for more in ('', 'multi_queue'):
            with self.subTest(more):
                make_tap(more)
                with self.start('deaf', '--net', f'tap={TAP}') as run:
                    run.wait_for(b'READY')
                    self.refuse_net(f'tap={TAP}',
                                    f"net 'net0': tap '{TAP}' is in use by another VM")
                    run.process.kill()
                    run.process.wait(vm.SECONDS)
                with self.start('deaf', '--net', f'tap={TAP}') as run:
                    run.wait_for(b'READY')

    def test_who_may_not_open_a_tap_is_told_what_it_needs(self):
        unprivileged = {'preexec_fn': drop_net_admin}
        make_tap(f'user {SOMEBODY}')
        self.refuse_net(f'tap={TAP}', f"net 'net0': tap '{TAP}' belongs to another user "
                        r'\(needs CAP_NET_ADMIN', **unprivileged)
        self.refuse_net('tap=vmmtest7', "there is no tap device 'vmmtest7', and to make it needs "
                        'CAP_NET_ADMIN', **unprivileged)
        ip('link add vmmbridge type bridge')
        self.addCleanup(ip, 'link del vmmbridge')
        make_tap()
        self.refuse_net(f'tap={TAP},bridge=vmmbridge', 'CAP_NET_ADMIN', **unprivileged)
        with self.start('deaf', '--net', f'tap={TAP},bridge=vmmbridge') as run:
            run.wait_for(b'READY')

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
vm.main()
