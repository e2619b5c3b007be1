#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_ends.py VMM PAYLOADS [TEST]...

How a run ends, and what becomes of the console's bytes where there is no terminal.
"""

import os
import signal
import subprocess
import time

import vm
from vm import DIED, FATAL, FORCED, OK, USAGE, VmTest

LINE = b'0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n'
PIPE = 4096         # bytes that a pipe of one page holds
LINES = 200         # more than all buffers on the way hold, of which that is one
KEYS = 50           # eight times, many more than the port holds


class Ends(VmTest):
    def test_poweroff_is_status_0(self):
        self.assertEqual(self.start('poweroff').finish(), OK)

    def test_death_of_the_guest_is_status_2(self):
        self.assertEqual(self.start(FATAL).finish(), DIED)

    def test_second_signal_forces_a_deaf_guest(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(number), self.start('deaf', '--log', 'info') as run:
                run.wait_for(b'READY')
                run.kill(number)
                run.wait(lambda: b'power button' in run.err, 'the first signal is heard')
                run.kill(number)
                self.assertEqual(run.finish(), FORCED)

    def test_first_signal_gives_the_guest_its_time(self):
        run = self.start('deaf')
        run.wait_for(b'READY')
        run.kill()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            run.read(0.1)
            self.assertIsNone(run.process.poll(), run.said())

    def test_shutdown_timeout_forces_a_deaf_guest(self):
        run = self.start('deaf', '--shutdown-timeout', '1')
        run.wait_for(b'READY')
        start = time.monotonic()
        run.kill()
        self.assertEqual(run.finish(), FORCED)
        self.assertGreaterEqual(time.monotonic() - start, 0.9)
        self.assertLess(time.monotonic() - start, 10)
        self.assertRegex(run.err, rb'\Avmm: [^\n]*1 s[^\n]*\n\Z')

    def test_guest_can_be_stopped_where_signals_are_blocked(self):
        def block():
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

        run = self.start('deaf', '--shutdown-timeout', '0', preexec_fn=block)
        run.wait_for(b'READY')
        run.kill()
        self.assertEqual(run.finish(), FORCED)

    def test_signal_before_the_guest_runs_is_not_lost(self):
        run = self.start('deaf', '--shutdown-timeout', '0')
        run.kill()
        self.assertIn(run.finish(), (FORCED, -signal.SIGTERM))

    def test_signal_ends_the_wait_for_a_guest(self):
        run = self.start('echo', '--incoming', 'unix:' + os.path.join(self.folder, 'door'),
                         '--log', 'info')
        run.wait(lambda: os.path.exists(os.path.join(self.folder, 'door')), 'it waits')
        run.kill()
        self.assertEqual(run.finish(), USAGE)
        self.assertIn(b'has not come', run.err)


class Streams(VmTest):
    def test_all_output_arrives_in_order(self):
        run = self.start('flood', '--cmdline', f'lines={LINES}')
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.out, LINE * LINES + b'PASS\n')

    def test_slow_reader_stops_the_guest_and_loses_nothing(self):
        run = self.start('flood', '--cmdline', f'lines={LINES}', pipesize=PIPE)
        time.sleep(2)
        self.assertIsNone(run.process.poll(), 'it has not waited for the reader')
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.out, LINE * LINES + b'PASS\n')

    def test_reader_that_leaves_does_not_end_the_guest(self):
        run = self.start('flood', '--cmdline', f'lines={LINES}')
        run.wait_for(LINE)
        run.open.discard(run.master)
        run.process.stdout.close()
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.err, b'')

    def test_reader_that_sleeps_does_not_keep_vmm(self):
        # How much was read when the line was seen is for chance to say.
        run = self.start('flood', '--cmdline', f'lines={LINES * 20}', '--shutdown-timeout', '1',
                         pipesize=PIPE)
        run.wait_for(LINE)
        run.kill()
        self.assertEqual(run.finish_unread(), FORCED)

    def test_input_reaches_the_guest_as_it_is(self):
        run = self.start('echo')
        run.wait_for(b'READY')
        run.type(b'a\x00\x01x\x03\xff\nq')
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.out, b'READY\n<97><0><1><120><3><255><10><113>PASS\n')

    def test_much_input_loses_nothing(self):
        run = self.start('echo')
        run.wait_for(b'READY')
        run.type(bytes(range(97, 105)) * KEYS + b'q')
        self.assertEqual(run.finish(), OK)
        told = b''.join(b'<%d>' % byte for byte in range(97, 105)) * KEYS
        self.assertEqual(run.out, b'READY\n' + told + b'<113>PASS\n')

    def test_pipe_that_closes_first_is_read_to_its_end(self):
        run = self.start('echo')
        run.wait_for(b'READY')
        run.type(b'abcq')
        run.hang_up()
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.out, b'READY\n<97><98><99><113>PASS\n')

    def test_file_is_read_as_the_guest_takes_it(self):
        # What comes before the guest sets up its port is the guest's to lose.
        early = bytes(16)
        with open(self.file('keys', early + b'abcdefgh' * KEYS + b'q'), 'rb') as keys:
            run = self.start('echo', stdin=keys)
        self.assertEqual(run.finish(), OK)
        self.assertIn(b''.join(b'<%d>' % byte for byte in b'abcdefgh' * KEYS + b'q'), run.out)

    def test_end_of_input_is_not_the_end_of_the_guest(self):
        run = self.start('power_button', stdin=subprocess.DEVNULL)
        run.wait_for(b'READY')
        time.sleep(0.3)
        run.kill()
        self.assertEqual(run.finish(), OK)

    def test_input_need_not_be_open(self):
        run = self.start('mmio', preexec_fn=lambda: os.close(0), stdin=None)
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.out, b'PASS\n')

    def test_no_stream_need_be_open(self):
        run = self.start('flood', '--cmdline', f'lines={LINES}',
                         preexec_fn=lambda: os.closerange(0, 3), stdin=None)
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.out + run.err, b'')


vm.main()
