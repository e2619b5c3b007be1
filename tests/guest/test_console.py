#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_console.py VMM PAYLOADS [TEST]...

vmm run --serial in all its kinds, and vmm console: attaching, detaching, several
viewers, and what each of them sees.
"""

import os
import re
import signal
import socket
import sys
import termios
import time

import vm
from vm import DIED, FATAL, FORCED, OK, Vm, VmTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import qmp  # noqa: E402  (found by the line above)

LFLAG = 3           # in the list that tcgetattr() returns


def read_until(fd, text, seconds=20):
    """What comes from a descriptor, until text is in it."""
    deadline = time.monotonic() + seconds
    got = b''
    while text not in got:
        assert time.monotonic() < deadline, f'no {text!r} in {got!r}'
        got += os.read(fd, 65536)
    return got


class ConsoleTest(VmTest):
    def runtime(self, name, file):
        return os.path.join(os.environ['XDG_RUNTIME_DIR'], 'vmm', name, file)

    def begin(self, payload, *arguments, **more):
        """A VM of the test's own name, whose console can be attached to."""
        self.name = self.id().rsplit('.', 1)[1].replace('_', '-')[:32]
        path = self.runtime(self.name, 'console')
        run = self.start(payload, '--name', self.name, *arguments, **more)
        run.wait(lambda: os.path.exists(path), 'the console')
        return run

    def attach(self, **more):
        """vmm console; ends with the test."""
        viewer = Vm([self.vmm, 'console', self.name], **more)
        self.addCleanup(viewer.__exit__)
        return viewer


class Kinds(ConsoleTest):
    def chardev(self):
        client = qmp.Client(self.runtime(self.name, 'qmp'))
        self.addCleanup(client.close)
        [chardev] = client.command('query-chardev')
        return chardev['filename']

    def test_stdio_is_named(self):
        self.begin('echo', '--serial', 'stdio')
        self.assertEqual(self.chardev(), 'stdio')

    def test_null_shows_nothing_and_reads_nothing(self):
        run = self.begin('echo', '--serial', 'null')
        self.assertEqual(self.chardev(), 'null')
        run.type(b'q')
        run.read(0.5)
        self.assertIsNone(run.process.poll())
        self.assertEqual(run.out, b'')

    def test_null_leaves_a_terminal_alone(self):
        run = self.begin('echo', '--serial', 'null', terminal=True)
        self.assertEqual(run.mode(), run.before)

    def test_file_gets_all_and_is_added_to(self):
        path = self.file('console', b'before\n')
        run = self.begin('flood', '--serial', f'file:{path}', '--cmdline', 'lines=100')
        self.assertEqual(run.finish(), OK)
        with open(path, 'rb') as file:
            content = file.read()
        self.assertTrue(content.startswith(b'before\n0123456789'))
        self.assertTrue(content.endswith(b'.\nPASS\n'))
        self.assertEqual(content.count(b'\n'), 102)
        self.assertEqual(run.out + run.err, b'')

    def test_file_is_named(self):
        path = os.path.join(self.folder, 'console')
        self.begin('echo', '--serial', f'file:{path}')
        self.assertEqual(self.chardev(), f'file:{path}')

    def test_file_that_is_full_is_told_once_and_does_not_stop_the_guest(self):
        run = self.begin('flood', '--serial', 'file:/dev/full', '--cmdline', 'lines=300')
        self.assertEqual(run.finish(), OK)
        self.assertRegex(run.err, rb"\Avmm: [^\n]*'/dev/full'[^\n]*No space left[^\n]*\n\Z")

    def test_pty_is_told_and_can_be_used(self):
        run = self.begin('echo', '--serial', 'pty')
        run.wait(lambda: b'\n' in run.err, 'the name of the terminal')
        path = re.match(rb'vmm: the serial console is (/dev/pts/\d+)\n\Z', run.err).group(1)
        self.assertEqual(self.chardev(), 'pty:' + path.decode())
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        try:
            read_until(fd, b'READY\n')
            os.write(fd, b'a')
            read_until(fd, b'<97>')
            # The end hangs the line up, and with it goes what was not read yet.
            os.write(fd, b'q')
            run.finish()
        finally:
            os.close(fd)
        self.assertEqual(run.finish(), OK)

    def test_pty_that_nobody_opens_does_not_stop_the_guest(self):
        run = self.begin('flood', '--serial', 'pty', '--cmdline', 'lines=300')
        self.assertEqual(run.finish(), OK)

    def test_unix_socket_serves_several(self):
        path = os.path.join(self.folder, 'serial')
        run = self.begin('echo', '--serial', f'unix:{path}')
        self.assertEqual(self.chardev(), f'unix:{path}')
        with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
            one.connect(path)
            two.connect(path)
            read_until(one.fileno(), b'READY\n')
            two.send(b'q')
            read_until(one.fileno(), b'<113>PASS\n')
            read_until(two.fileno(), b'<113>PASS\n')
            self.assertEqual(run.finish(), OK)
            self.assertEqual(one.recv(1), b'')
        self.assertFalse(os.path.exists(path))


class Refused(ConsoleTest):
    def refuse(self, serial, pattern):
        self.assert_refused(['run', '-k', self.payload('echo'),
                             '--serial', serial], pattern)

    def test_unknown_kind_names_the_nearest(self):
        self.refuse('pyt', "'pyt'.*'pty'")

    def test_path_that_is_too_long_for_a_socket(self):
        self.refuse('unix:/tmp/' + 200 * 'x', 'console socket.*sockets take 107')

    def test_socket_that_somebody_serves(self):
        path = os.path.join(self.folder, 'serial')
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            self.refuse(f'unix:{path}', 'console socket.*listens')
            self.assertTrue(os.path.exists(path))

    def test_socket_whose_server_is_dead_is_replaced(self):
        path = os.path.join(self.folder, 'serial')
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
        run = self.start('mmio', '--serial', f'unix:{path}')
        self.assertEqual(run.finish(), OK)

    def test_file_where_a_socket_is_to_be(self):
        self.refuse('unix:' + self.file('other'), 'console socket.*something else')

    def test_file_that_cannot_be_opened(self):
        self.refuse('file:/nonexistent/console', "'/nonexistent/console'.*No such file")
        self.refuse(f'file:{self.folder}', 'Is a directory')

    def test_fifo_that_nobody_reads(self):
        path = os.path.join(self.folder, 'fifo')
        os.mkfifo(path)
        self.refuse(f'file:{path}', 'fifo')

    def test_console_of_no_vm(self):
        self.assert_refused(['console', 'nobody'], "'nobody'.*running")
        self.assert_refused(['console'], 'NAME')


class Terminal(ConsoleTest):
    def setUp(self):
        super().setUp()
        self.run_ = self.begin('echo', '--serial', 'null')
        self.viewer = self.attach(terminal=True)
        self.viewer.wait_for(b'READY')

    def test_keys_are_the_guests_until_ctrl_a_d(self):
        self.assertFalse(self.viewer.mode()[LFLAG] & (termios.ICANON | termios.ECHO))
        self.viewer.type(b'\x03\x1a\x01\x01')
        self.viewer.wait_for(b'<3><26><1>')
        self.viewer.type(b'\x01d')
        self.assertEqual(self.viewer.finish(), OK)
        self.assertEqual(self.viewer.mode(), self.viewer.before)
        self.assertIn(b'detached', self.viewer.err)
        self.assertIsNone(self.run_.process.poll())

    def test_late_viewer_sees_the_begin_after_another_has_detached(self):
        self.viewer.type(b'a\x01d')
        self.assertEqual(self.viewer.finish(), OK)
        again = self.attach(terminal=True)
        again.wait_for(b'READY\r\n<97>')

    def test_help_and_the_way_to_end_it(self):
        for key in b'h', b'x':
            before = self.viewer.out.count(b'Ctrl-A d')
            self.viewer.type(b'\x01' + key)
            self.viewer.wait(lambda count=before: self.viewer.out.count(b'Ctrl-A d') > count, key)
            self.viewer.wait_for(b'vmm kill ' + self.name.encode())
        self.assertIsNone(self.run_.process.poll())
        self.viewer.type(b'q')
        self.viewer.wait_for(b'READY\r\n')
        self.assertEqual(self.viewer.finish(), OK)
        self.assertNotIn(b'<104>', self.viewer.out)

    def test_end_of_the_vm_is_the_end_of_the_viewer(self):
        self.viewer.type(b'q')
        self.assertEqual(self.viewer.finish(), OK)
        self.assertTrue(self.viewer.out.endswith(b'<113>PASS\r\n\x1b[0m\x1b[?25h\x1b[?1049l'))
        self.assertEqual(self.viewer.mode(), self.viewer.before)
        self.assertEqual(self.run_.finish(), OK)

    def test_terminal_is_restored_when_a_signal_ends_the_viewer(self):
        self.viewer.kill(signal.SIGTERM)
        self.assertEqual(self.viewer.finish(), -signal.SIGTERM)
        self.assertEqual(self.viewer.mode(), self.viewer.before)
        self.assertIsNone(self.run_.process.poll())

    def test_killed_viewer_is_nothing_to_the_vm(self):
        self.viewer.kill(signal.SIGKILL)
        self.viewer.finish()
        again = self.attach()
        again.wait_for(b'READY')
        again.type(b'q')
        self.assertEqual(self.run_.finish(), OK)

    def test_ctrl_a_d_is_heard_while_the_guest_takes_nothing(self):
        client = qmp.Client(self.runtime(self.name, 'qmp'))
        self.addCleanup(client.close)
        client.command('stop')
        self.viewer.type(b'x' * 200)
        self.viewer.read(0.5)
        self.viewer.type(b'\x01d')
        self.assertEqual(self.viewer.finish(), OK)


class Viewers(ConsoleTest):
    def test_two_see_the_same_and_both_may_type(self):
        run = self.begin('echo')
        one, two = self.attach(), self.attach()
        for viewer in one, two, run:
            viewer.wait_for(b'READY')
        one.type(b'a')
        two.wait_for(b'<97>')
        two.type(b'q')
        for viewer in one, two, run:
            self.assertEqual(viewer.finish(), OK)
            self.assertEqual(viewer.out, b'READY\n<97><113>PASS\n')

    def test_end_of_input_does_not_end_the_viewer(self):
        run = self.begin('echo')
        viewer = self.attach()
        viewer.wait_for(b'READY')
        viewer.type(b'a')
        viewer.hang_up()
        viewer.wait_for(b'<97>')
        viewer.read(0.3)
        self.assertIsNone(viewer.process.poll())
        run.type(b'q')
        self.assertEqual(viewer.finish(), OK)

    def test_one_that_does_not_read_does_not_stop_the_guest(self):
        path = os.path.join(self.folder, 'serial')
        with socket.socket(socket.AF_UNIX) as one:
            run = self.begin('flood', '--paused', '--serial', f'unix:{path}',
                             '--cmdline', 'lines=1200')
            one.connect(path)
            client = qmp.Client(self.runtime(self.name, 'qmp'))
            self.addCleanup(client.close)
            client.command('cont')
            self.assertEqual(run.finish(), OK)
            self.assertEqual(one.recv(10), b'0123456789')

    def test_vm_that_is_killed_is_the_end(self):
        run = self.begin('echo')
        viewer = self.attach()
        viewer.wait_for(b'READY')
        run.kill(signal.SIGKILL)
        run.finish()
        self.assertEqual(viewer.finish(), FORCED)

    def test_vm_that_is_forced_is_the_end(self):
        run = self.begin('deaf')
        viewer = self.attach()
        viewer.wait_for(b'READY')
        run.insist()
        self.assertEqual(run.finish(), FORCED)
        self.assertEqual(viewer.finish(), FORCED)

    def test_death_of_the_guest_is_the_end(self):
        run = self.begin(FATAL, '--paused')
        viewer = self.attach(terminal=True, messages_too=True)
        viewer.wait_for(b'Ctrl-A d detaches')
        client = qmp.Client(self.runtime(self.name, 'qmp'))
        self.addCleanup(client.close)
        client.send(b'{"execute": "cont"}')
        self.assertEqual(run.finish(), DIED)
        self.assertEqual(viewer.finish(), DIED)

    def test_reset_is_not_the_end(self):
        run = self.begin('echo')
        viewer = self.attach()
        viewer.wait_for(b'READY')
        client = qmp.Client(self.runtime(self.name, 'qmp'))
        self.addCleanup(client.close)
        client.command('system_reset')
        viewer.wait_for(b'READY\nREADY\n')
        viewer.type(b'q')
        self.assertEqual(run.finish(), OK)
        self.assertEqual(viewer.finish(), OK)


vm.main()
