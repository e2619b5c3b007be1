#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_socket.py SERVER

The socket file: who may use it, when it is replaced, and when it is refused.
"""

import fcntl
import os
import socket
import stat
import subprocess
import sys
import tempfile
import unittest

import qmp

SERVER = sys.argv.pop(1)
NOBODY = 65534


class SocketTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, 'qmp')

    def start(self, path=None):
        server = qmp.Server(lambda _: [SERVER, path or self.path], qmp.wait_for_line)
        server.path = path or self.path
        return server

    def refused(self, where):
        """The message with which it does not start."""
        done = subprocess.run([SERVER, where], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=qmp.TIMEOUT, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ''))
        return done.stderr

    def listening(self):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self.path)
        listener.listen(1)
        self.addCleanup(listener.close)
        return listener

    def test_only_the_owner_may_connect_whatever_the_umask(self):
        before = os.umask(0)
        try:
            with self.start():
                self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        finally:
            os.umask(before)

    @unittest.skipIf(os.geteuid(), 'becomes another user')
    def test_another_user_is_turned_away(self):
        with self.start():
            os.chmod(self.path, 0o666)
            os.chmod(os.path.dirname(self.path), 0o755)
            script = ('import os, socket, sys\n'
                      f'os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n'
                      's = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n'
                      'sys.stdout.buffer.write(s.recv(100))\n')
            done = subprocess.run([sys.executable, '-c', script, self.path],
                                  capture_output=True, timeout=qmp.TIMEOUT, check=True)
            self.assertEqual(done.stdout, b'')

    def test_stale_socket_is_replaced(self):
        self.listening().close()
        with self.start(), qmp.Client(self.path) as client:
            client.command('query-kvm')

    def test_socket_of_a_server_that_runs_is_left_alone(self):
        with self.start():
            self.assertIn('another process listens', self.refused(self.path))
            with qmp.Client(self.path) as client:
                client.command('query-kvm')

    def test_socket_whose_backlog_is_full_is_left_alone(self):
        self.listening()
        waiting = []
        try:
            while True:
                one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                waiting.append(one)
                one.connect(self.path)
        except BlockingIOError:
            self.assertIn('another process listens', self.refused(self.path))
        for one in waiting:
            one.close()

    def test_what_is_no_socket_is_left_alone(self):
        with open(self.path, 'w', encoding='ascii') as file:
            file.write('precious')
        self.assertIn('something else', self.refused(self.path))
        with open(self.path, encoding='ascii') as file:
            self.assertEqual(file.read(), 'precious')

    def test_folder_that_somebody_keeps_locked_is_not_waited_for(self):
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        with self.start(), qmp.Client(self.path) as client:
            client.command('query-kvm')

    def test_path_too_long_says_so(self):
        self.assertIn('the path has 200 bytes, and sockets take 107', self.refused('/' * 200))

    def test_folder_that_is_not_there_says_so(self):
        self.assertIn('No such file or directory', self.refused('/nowhere/at/all'))

    def test_socket_of_another_is_not_removed_at_the_end(self):
        server = self.start()
        with qmp.Client(self.path) as client:
            os.unlink(self.path)
            self.listening()
            client.execute('quit')
        server.process.wait(qmp.TIMEOUT)
        self.assertTrue(os.path.exists(self.path))
        os.unlink(self.path)
        server.stop()

    def test_descriptor_that_listens_is_used(self):
        listener = self.listening()
        with subprocess.Popen([SERVER, f'fd={listener.fileno()}'],
                              pass_fds=[listener.fileno()], stdout=subprocess.PIPE) as server:
            self.assertEqual(server.stdout.readline(), b'ready\n')
            with qmp.Client(self.path) as client:
                client.execute('quit')
        self.assertEqual(server.returncode, 0)

    def test_clients_of_all_sockets_are_told_the_same(self):
        other = self.path + '2'
        with subprocess.Popen([SERVER, self.path, other], stdout=subprocess.PIPE) as server:
            self.assertEqual(server.stdout.readline(), b'ready\n')
            with qmp.Client(self.path) as one, qmp.Client(other) as two:
                one.command('stop')
                self.assertEqual(two.command('query-status')['status'], 'paused')
                self.assertEqual([event['event'] for event in two.events], ['STOP'])
                two.execute('quit')
        self.assertEqual(os.listdir(os.path.dirname(self.path)), [])

    def test_no_more_sockets_than_the_limit_are_served(self):
        more = [f'{self.path}{i}' for i in range(9)]
        done = subprocess.run([SERVER, *more], capture_output=True, text=True,
                              timeout=qmp.TIMEOUT, check=False)
        self.assertIn('served at 8 sockets', done.stderr)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), [])

    def test_descriptor_that_does_not_listen_is_refused(self):
        self.assertIn('no Unix stream socket that listens', self.refused('fd=0'))
        self.assertIn('no Unix stream socket that listens', self.refused('fd=99'))

    def test_no_more_clients_than_the_limit_are_let_in(self):
        with self.start():
            clients = [qmp.Client(self.path) for _ in range(64)]
            with self.assertRaises((EOFError, ConnectionError)):
                qmp.Client(self.path)
            clients.pop().close()
            for client in clients:
                client.command('query-kvm')
                client.close()


if __name__ == '__main__':
    unittest.main()
