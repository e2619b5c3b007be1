#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_terminal.py VMM PAYLOADS [TEST]...

The console on a terminal: which keys are the guest's, which are ours, and that the
terminal is as before however a run ends.
"""

import signal
import termios

import vm
from vm import DIED, FATAL, FORCED, OK, USAGE, VmTest

LFLAG = 3           # in the list that tcgetattr() returns
DEADLY = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT,
          signal.SIGQUIT)


class Keys(VmTest):
    def setUp(self):
        super().setUp()
        self.run_ = self.start('echo', terminal=True)
        self.run_.wait_for(b'READY')

    def assert_guest_got(self, *keys):
        self.run_.type(b'q')
        self.assertEqual(self.run_.finish(), OK)
        told = b''.join(b'<%d>' % key for key in (*keys, ord('q')))
        self.assertIn(b'READY\n' + told + b'PASS\n', self.run_.out.replace(b'\r', b''))

    def test_control_keys_are_the_guests(self):
        self.run_.type(b'\x03\x1a\x1c\x04\r\x13\x11\x16')
        self.assert_guest_got(3, 26, 28, 4, 13, 19, 17, 22)

    def test_ctrl_a_twice_sends_one(self):
        self.run_.type(b'a\x01\x01b')
        self.assert_guest_got(97, 1, 98)

    def test_key_after_ctrl_a_may_come_later(self):
        self.run_.type(b'\x01')
        self.run_.read(0.2)
        self.run_.type(b'\x01')
        self.assert_guest_got(1)

    def test_ctrl_a_with_another_key_sends_nothing(self):
        self.run_.type(b'\x01y')
        self.assert_guest_got()

    def test_ctrl_a_h_prints_help(self):
        self.run_.type(b'\x01h')
        self.run_.wait_for(b'Ctrl-A x')
        self.run_.type(b'q')
        self.assertEqual(self.run_.finish(), OK)
        self.assertNotIn(b'<104>', self.run_.out)

    def test_ctrl_a_x_ends_the_vm(self):
        self.run_.type(b'\x01x')
        self.assertEqual(self.run_.finish(), FORCED)


class Screen(VmTest):
    def test_messages_begin_at_the_left_edge(self):
        run = self.start('deaf', '--log', 'info', terminal=True, messages_too=True)
        run.wait_for(b'READY')
        run.kill()
        run.wait_for(b'button')
        run.kill()
        self.assertEqual(run.finish(), FORCED)
        self.assertRegex(run.out, rb'vmm: [^\r\n]*power button[^\r\n]*\r\n')

    def test_help_is_shown_while_the_guest_prints(self):
        run = self.start('flood', '--cmdline', 'lines=100000', terminal=True)
        for _ in range(20):
            run.wait_for(b'0123456789')
            run.out = b''
            run.type(b'\x01h')
            run.wait_for(b'Ctrl-A x')

    def test_stopped_terminal_does_not_keep_vmm(self):
        run = self.start('flood', '--cmdline', 'lines=2000', '--shutdown-timeout', '1',
                         terminal=True)
        run.wait_for(b'0123456789')
        termios.tcflow(run.tty, termios.TCOOFF)
        run.kill()
        self.assertEqual(run.finish_unread(), FORCED)
        self.assertEqual(run.mode(), run.before)


class Background(VmTest):
    def test_terminal_of_another_is_left_alone(self):
        run = self.start('echo', terminal=True, behind=True)
        run.wait_for(b'READY')
        run.type(b'not for us\n')
        run.read(0.3)
        self.assertIsNone(run.process.poll())
        self.assertEqual(run.mode(), run.before)
        self.assertNotIn(b'<110>', run.out)
        run.insist()
        self.assertEqual(run.finish(), FORCED)
        self.assertEqual(run.mode(), run.before)


class Mode(VmTest):
    def begin(self, payload='echo'):
        run = self.start(payload, terminal=True)
        run.wait_for(b'READY')
        self.assertFalse(run.mode()[LFLAG] & (termios.ICANON | termios.ECHO | termios.ISIG),
                         'the terminal is not raw while the guest runs')
        return run

    def assert_restored(self, run, status):
        self.assertEqual(run.finish(), status, run.said())
        self.assertEqual(run.mode(), run.before)

    def test_restored_after_poweroff(self):
        run = self.begin()
        run.type(b'q')
        self.assert_restored(run, OK)

    def test_restored_after_ctrl_a_x(self):
        run = self.begin()
        run.type(b'\x01x')
        self.assert_restored(run, FORCED)

    def test_restored_after_two_signals(self):
        run = self.begin('deaf')
        run.insist()
        self.assert_restored(run, FORCED)

    def test_restored_after_hangup(self):
        run = self.begin('deaf')
        run.insist(signal.SIGHUP)
        self.assert_restored(run, FORCED)

    def test_restored_after_death_of_the_guest(self):
        self.assert_restored(self.start(FATAL, terminal=True), DIED)

    def test_restored_after_death_of_vmm(self):
        for number in DEADLY:
            with self.subTest(number):
                run = self.begin('deaf')
                run.kill(number)
                self.assert_restored(run, -number)

    def test_restored_after_a_failed_start(self):
        run = self.start('nonexistent', terminal=True)
        self.assert_restored(run, USAGE)
        self.assertRegex(run.err, rb'\Avmm: [^\n]+\n\Z')


vm.main()
