#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_background.py VMM PAYLOADS [TEST]...

vmm run without a terminal: --detach, --daemon and what it tells systemd, nohup.
"""

import errno
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

import vm
from vm import DEATH, DIED, FATAL, FORCED, OK, SECONDS, USAGE, Vm, VmTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import qmp  # noqa: E402  (found by the line above)

UNIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'configs', 'systemd',
                    'vmm@.service')


class Detached(VmTest):
    def detach(self, payload, *arguments, **more):
        """vmm run --detach; what it printed and its exit status."""
        command = [self.vmm, 'run', '--detach', '--kernel',
                   self.payload(payload), *arguments]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, **more)
        name = done.stdout.decode().strip()
        if name:
            self.pid = self.pid_of(name)
            self.addCleanup(self.end)
        return done, name

    def file_of(self, name, file):
        return os.path.join(os.environ['XDG_RUNTIME_DIR'], 'vmm', name, file)

    def pid_of(self, name):
        with open(self.file_of(name, 'lock'), encoding='ascii') as lock:
            return int(lock.read())

    def is_running(self):
        try:
            with open(f'/proc/{self.pid}/stat', encoding='ascii') as stat:
                return stat.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
        except OSError:
            return False

    def end(self):
        if self.is_running():
            os.kill(self.pid, signal.SIGKILL)

    def wait_for_end(self):
        deadline = time.monotonic() + SECONDS
        while self.is_running():
            self.assertLess(time.monotonic(), deadline, 'the VM does not end')
            time.sleep(0.05)

    def test_it_returns_when_the_vm_runs_and_prints_its_name(self):
        done, name = self.detach('echo', '--name', 'background')
        self.assertEqual((done.returncode, done.stdout, done.stderr), (OK, b'background\n', b''))
        client = qmp.Client(self.file_of(name, 'qmp'))
        self.assertEqual(client.command('query-status')['status'], 'running')
        client.close()
        self.assertTrue(os.path.exists(self.file_of(name, 'log')))

    def test_name_may_be_made_up(self):
        _, name = self.detach('echo')
        self.assertRegex(name, r'\Avm\d*\Z')

    def test_it_is_in_a_session_of_its_own_and_holds_no_stream(self):
        self.detach('echo')
        self.assertEqual(os.getsid(self.pid), self.pid)
        for fd in 0, 1:
            self.assertEqual(os.readlink(f'/proc/{self.pid}/fd/{fd}'), '/dev/null')
        self.assertTrue(os.readlink(f'/proc/{self.pid}/fd/2').endswith('/log'))

    def test_console_is_seen_by_vmm_console(self):
        _, name = self.detach('echo')
        with Vm([self.vmm, 'console', name]) as viewer:
            viewer.wait_for(b'READY')
            viewer.type(b'q')
            self.assertEqual(viewer.finish(), OK)
            self.assertIn(b'<113>PASS', viewer.out)
        self.wait_for_end()

    def test_messages_go_to_the_log(self):
        _, name = self.detach('deaf', '--log', 'info', '--shutdown-timeout', '10')
        with open(self.file_of(name, 'log'), encoding='utf-8') as log:
            os.kill(self.pid, signal.SIGTERM)
            text = ''
            while 'power button' not in text:
                text += log.read()
                time.sleep(0.05)
        os.kill(self.pid, signal.SIGTERM)
        self.wait_for_end()
        self.assertFalse(os.path.exists(self.file_of(name, 'log')))

    def test_log_file_outlives_the_vm_and_says_why_it_ended(self):
        path = self.file('log', b'before\n')
        _, name = self.detach(FATAL, '--paused', '--log-file', path)
        info = subprocess.run([self.vmm, 'info', name], capture_output=True, text=True,
                              timeout=SECONDS, check=False)
        subprocess.run([self.vmm, 'resume', name], timeout=SECONDS, check=True)

        self.wait_for_end()

        self.assertIn(f'  log       {path}\n', info.stdout)
        with open(path, encoding='utf-8') as log:
            self.assertRegex(log.read(), r'\Abefore\nvmm: error: vCPU 0: ' + DEATH)

    def test_log_file_that_cannot_be_opened_is_told_before_the_guest_runs(self):
        log = os.path.join(self.folder, 'none', 'log')
        self.refuse('cannot open log .*none/log', 'echo', '--log-file', log)
        self.assert_refused(['run', '--kernel', self.payload('mmio'),
                             '--log-file', log], 'cannot open log')
        os.mkfifo(os.path.join(self.folder, 'fifo'))
        self.refuse('cannot open log .*fifo', 'echo', '--log-file',
                    os.path.join(self.folder, 'fifo'))

    def test_log_file_is_for_a_vm_in_the_foreground_too(self):
        path = os.path.join(self.folder, 'log')
        run = self.start(FATAL, '--log-file', path)
        self.assertEqual(run.finish(), DIED)
        self.assertEqual(run.err, b'')
        self.assertGreater(os.path.getsize(path), 0)

    def refuse(self, pattern, payload='echo', *arguments, **more):
        done, _ = self.detach(payload, *arguments, **more)
        self.assertEqual((done.returncode, done.stdout), (USAGE, b''))
        self.assertRegex(done.stderr.decode(), pattern)
        self.assertRegex(done.stderr.decode(), r'\Avmm: [^\n]+\n\Z')

    def test_bad_kernel_is_told_as_in_the_foreground(self):
        self.refuse('nonexistent', 'nonexistent')

    def test_bad_option_is_told_as_in_the_foreground(self):
        self.refuse('--memory', 'echo', '--memroy', '1G')
        self.refuse('memory', 'echo', '--memory', '1')

    def test_missing_disk_is_told_as_in_the_foreground(self):
        self.refuse('/nonexistent', 'echo', '--disk', '/nonexistent')

    def test_name_that_is_taken_is_told(self):
        self.detach('echo', '--name', 'taken')
        self.refuse("'taken' is running", 'echo', '--name', 'taken')

    def test_it_needs_a_runtime_folder(self):
        self.refuse('/nowhere', env={**os.environ, 'XDG_RUNTIME_DIR': '/nowhere'})

    def test_no_stdio_for_one_that_is_detached(self):
        self.refuse('serial.*stdio', 'echo', '--serial', 'stdio')

    def test_not_with_daemon(self):
        self.refuse('detach.*daemon', 'echo', '--daemon')

    def test_death_of_the_one_behind_is_told(self):
        # The first file that it writes to, the lock, is its death.
        def no_file():
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

        self.refuse('signal', preexec_fn=no_file)

    def test_no_kvm_is_told_as_in_the_foreground(self):
        if os.geteuid():
            self.skipTest('needs root, for a /dev of its own')
        kernel = self.payload('echo')
        script = 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec "$@"'
        done = subprocess.run(['unshare', '-m', 'sh', '-c', script, 'sh', self.vmm, 'run',
                               '--detach', '-k', kernel], capture_output=True,
                              timeout=SECONDS, check=False)
        self.assertEqual((done.returncode, done.stdout), (USAGE, b''))
        self.assertRegex(done.stderr, rb'\Avmm: [^\n]*/dev/kvm[^\n]*\n\Z')


class Daemon(VmTest):
    def begin(self, address, *arguments, payload='power_button'):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(address)
        self.socket.settimeout(SECONDS)
        name = address.decode().replace('\0', '@') if isinstance(address, bytes) else address
        return self.start(payload, '--daemon', '--serial', 'stdio', *arguments,
                          env={**os.environ, 'NOTIFY_SOCKET': name})

    def said(self):
        return self.socket.recv(4096).decode().split('\n')

    def test_life_is_told(self):
        run = self.begin(os.path.join(self.folder, 'notify'))
        self.assertIn('READY=1', self.said())
        run.wait_for(b'READY')
        run.kill()
        stopping = self.said()
        self.assertIn('STOPPING=1', stopping)
        self.assertIn('EXTEND_TIMEOUT_USEC=40000000', stopping)
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.err, b'')

    def test_abstract_socket(self):
        self.begin(f'\0vmm-test-{os.getpid()}'.encode())
        self.assertEqual(self.said(), ['READY=1', 'STATUS=running'])

    def test_pause_is_told(self):
        run = self.begin(os.path.join(self.folder, 'notify'), '--paused', '--name', 'paused')
        self.assertEqual(self.said(), ['READY=1', 'STATUS=paused'])
        client = qmp.Client(os.path.join(os.environ['XDG_RUNTIME_DIR'], 'vmm', 'paused', 'qmp'))
        self.addCleanup(client.close)
        client.command('cont')
        self.assertEqual(self.said(), ['STATUS=running'])
        client.command('stop')
        self.assertEqual(self.said(), ['STATUS=paused'])
        client.command('quit')
        self.assertIn('STOPPING=1', self.said())
        self.assertEqual(run.finish(), FORCED)

    def assert_told_of_guest_that_comes(self, state, *options):
        door = 'unix:' + os.path.join(self.folder, state + '-door')
        self.begin(os.path.join(self.folder, state), '--incoming', door, *options)
        self.assertEqual(self.said(), ['READY=1', 'STATUS=waiting for the guest to come'])
        self.start('power_button', '--name', state).wait_for(b'READY')
        subprocess.run([self.vmm, 'migrate', state, door], check=True, timeout=SECONDS,
                       stdout=subprocess.DEVNULL)
        self.assertEqual(self.said(), ['STATUS=' + state])

    def test_waiting_for_a_guest_is_told(self):
        self.assert_told_of_guest_that_comes('running')

    def test_waiting_for_a_guest_that_is_to_be_paused_is_told(self):
        self.assert_told_of_guest_that_comes('paused', '--paused')

    def test_nothing_is_told_of_a_vm_that_cannot_start(self):
        run = self.begin(os.path.join(self.folder, 'notify'), payload='nonexistent')
        self.assertEqual(run.finish(), USAGE)
        self.socket.settimeout(0.1)
        self.assertRaises(TimeoutError, self.said)

    def test_manager_that_is_gone_is_warned_of_and_not_waited_for(self):
        for name in '/nonexistent', 'vsock:2:1', '/' + 200 * 'x':
            with self.subTest(name):
                run = self.start('mmio', '--daemon', env={**os.environ, 'NOTIFY_SOCKET': name})
                self.assertEqual(run.finish(), OK)
                self.assertIn(b'cannot tell systemd', run.err)

    def test_without_a_manager_it_runs_all_the_same(self):
        environment = {key: value for key, value in os.environ.items() if key != 'NOTIFY_SOCKET'}
        run = self.start('mmio', '--daemon', env=environment)
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.out + run.err, b'')

    def test_without_daemon_nothing_is_told(self):
        address = os.path.join(self.folder, 'notify')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(0.1)
            run = self.start('mmio', env={**os.environ, 'NOTIFY_SOCKET': address})
            self.assertEqual(run.finish(), OK)
            self.assertRaises(TimeoutError, manager.recv, 100)


class Unit(VmTest):
    def unit(self):
        """The template, of the program under test."""
        with open(UNIT, encoding='utf-8') as file:
            text = file.read()
        return text.replace('ExecStart=vmm ', f'ExecStart={self.vmm} ')

    def test_systemd_has_nothing_to_say(self):
        if not shutil.which('systemd-analyze'):
            self.skipTest('no systemd-analyze')
        path = self.file('vmm@test.service', self.unit().encode())
        try:
            done = subprocess.run(['systemd-analyze', 'verify', '--man=no', path],
                                  capture_output=True, text=True, check=False)
        except OSError as error:    # the lab has it of another machine
            self.assertEqual(error.errno, errno.ENOEXEC)
            self.skipTest('no systemd-analyze of this machine')
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ''))


class Hangup(VmTest):
    def test_nohup_is_respected(self):
        run = self.start('deaf', preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        run.wait_for(b'READY')
        run.kill(signal.SIGHUP)
        run.kill(signal.SIGHUP)
        run.read(0.5)
        self.assertIsNone(run.process.poll())
        run.insist()
        self.assertEqual(run.finish(), FORCED)


vm.main()
