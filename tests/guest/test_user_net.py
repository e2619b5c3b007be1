#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_user_net.py VMM PAYLOADS

User-mode networking: passt comes and goes with the VM, and with its card.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import vm
from vm import OK, VmTest


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as server:
        return server.getsockname()[1]


def is_served(port):
    """passt takes connections whatever the guest does with them."""
    with socket.socket() as client:
        return not client.connect_ex(('127.0.0.1', port))


def kill_passt(port):
    """The one that has this port."""
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{name}/cmdline', 'rb') as file:
                if f'127.0.0.1/{port}:22'.encode() in file.read():
                    os.kill(int(name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass


class UserNet(VmTest):
    def wait_until_free(self, port):
        end = time.monotonic() + vm.SECONDS
        while is_served(port):
            self.assertLess(time.monotonic(), end, 'passt goes on')
            time.sleep(0.01)

    def test_passt_ends_with_the_vm_however_that_ends(self):
        for end in ('kill', 'terminate'):
            with self.subTest(end):
                port, other = free_port(), free_port()
                run = self.start('deaf', '--shutdown-timeout', '0', '--net',
                                 f'user,hostfwd=tcp:127.0.0.1:{port}-:22,'
                                 f'hostfwd=tcp:127.0.0.1:{other}-:80')
                run.wait_for(b'READY')
                self.assertTrue(is_served(port))
                self.assertTrue(is_served(other))

                getattr(run.process, end)()
                run.process.wait(vm.SECONDS)

                self.wait_until_free(port)
                self.assertFalse(is_served(other))

    def test_passt_that_is_killed_is_started_anew(self):
        port = free_port()
        run = self.start('card', '--net', f'user,hostfwd=tcp:127.0.0.1:{port}-:22')
        run.wait_for(b'READY')

        kill_passt(port)

        run.wait(lambda: b'\n' in run.err, 'a message')
        self.assertRegex(run.err, rb"net 'net0': passt is gone, and is started anew; the link is "
                                  rb"down\n\Z")
        run.wait(lambda: is_served(port), 'another passt')

    def command(self, *arguments):
        return subprocess.run([self.vmm, *arguments], capture_output=True, text=True,
                              timeout=vm.SECONDS, check=False, stdin=subprocess.DEVNULL)

    def test_card_is_attached_and_its_ports_go_with_it(self):
        port, name = free_port(), f'user-net-{os.getpid()}'
        forward = f'hostfwd=tcp:127.0.0.1:{port}-:22'
        run = self.start('hotplug', '--name', name, '--cmdline', 'refuse=0 slots=0')
        run.wait_for(b'READY')

        for _ in range(2):
            done = self.command('attach', name, '--net', f'user,{forward}')
            self.assertEqual((done.returncode, done.stdout, done.stderr), (OK, 'net0\n', ''))
            self.assertTrue(is_served(port))
            self.assertEqual(self.command('detach', name, 'net0').returncode, OK)
            self.assertFalse(is_served(port))

    def test_port_that_is_taken_is_told_at_once(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
            kernel = self.payload('poweroff')
            self.assert_refused(['run', '-k', kernel, '--net',
                                 f'user,hostfwd=tcp:127.0.0.1:{port}-:22'], 'net0.*passt: .*bind')

    def test_missing_passt_is_told_with_its_package(self):
        kernel = self.payload('poweroff')
        self.assert_refused(['run', '-k', kernel, '--net', 'user'], 'install the package passt',
                            env={'PATH': '/nowhere', 'XDG_RUNTIME_DIR': self.folder})


if not shutil.which('passt'):
    print('skipped: there is no passt', file=sys.stderr)
    sys.exit(77)
vm.main()
