# SPDX-License-Identifier: Apache-2.0
"""A vmm process under test: started, watched, and ended whatever happens."""

import fcntl
import os
import platform
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

# For a whole run, however slow the machine.
SECONDS = int(os.environ.get('VMM_TEST_PATIENCE', '30'))
SKIPPED = 77

# Of a payload's file; one whose guest dies, and what vmm says then.
SUFFIX, FATAL, DEATH = {
    'x86_64': ('.elf', 'triple_fault', 'triple fault'),
    'aarch64': ('.image', 'blind', 'KVM cannot emulate an instruction of the guest'),
}[platform.machine()]

# What an arm64 machine lacks is tested on the other alone: a decorator that says what it is.
def not_on_arm64(why):
    return unittest.skipIf(platform.machine() == 'aarch64', why)


def on_hardware(test):
    """Other KVMs emulate what a guest's kernel executes, but not each instruction."""
    with open('/proc/cpuinfo', encoding='ascii') as file:
        has = re.search(r'(?m)^flags\s*:.*\b(svm|vmx)\b', file.read())
    return unittest.skipUnless(has, 'this KVM has no hardware behind it')(test)


def on_nested_svm(test):
    """Where guests have AMD-V, too."""
    try:
        with open('/sys/module/kvm_amd/parameters/nested', encoding='ascii') as file:
            has = file.read().strip() in ('1', 'Y')
    except OSError:
        has = False
    return unittest.skipUnless(has, 'guests have no AMD-V here')(test)


# Before a command that somebody is to run who may do little.
AS_NOBODY = (sys.executable, '-c', '''
import os, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
os.execv(sys.argv[1], sys.argv[1:])''')

# Exit statuses of vmm run.
OK, USAGE, DIED, FORCED = range(4)


# VMs of this test are found here, and those of others are not.
RUNTIME = tempfile.TemporaryDirectory(prefix='vmm')
os.environ['XDG_RUNTIME_DIR'] = RUNTIME.name

# What a shell starts in the background ignores some of them, and vmm leaves it at that.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


def skip(why):
    print(f'skipped: {why}')
    sys.exit(SKIPPED)


def need_kvm():
    try:
        os.close(os.open('/dev/kvm', os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        skip(f'cannot open /dev/kvm: {error.strerror}')


def open_tap(name, several=False):
    """A new tap device, which goes with the descriptor; %d in its name is a number.

    several: one more queue of the tap that there is of this name, or the first.
    """
    tun_set_iff, tap, no_header, header, multi_queue = 0x400454ca, 0x0002, 0x1000, 0x4000, 0x100
    fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    flags = tap | no_header | header | (multi_queue if several else 0)
    fcntl.ioctl(fd, tun_set_iff, struct.pack('16sH22x', name.encode(), flags))
    return fd


def tap_name(fd):
    tun_get_iff = 0x800454d2
    return fcntl.ioctl(fd, tun_get_iff, bytes(40))[:16].rstrip(b'\0').decode()


class Vm:
    """One run.  What it prints gathers in .out and .err.

    With a terminal, standard input and output are a new one, which is the
    process's own; .master is where a user would sit.  messages_too: standard error
    is the terminal as well, and .err stays empty.  behind: another process has its
    foreground, and so its input.
    """

    def __init__(self, command, terminal=False, messages_too=False, behind=False,
                 **more):
        self.out = self.err = b''
        self.deadline = time.monotonic() + SECONDS
        self.tty = None
        streams = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
        if terminal:
            self.master, self.tty = pty.openpty()
            self.before = self.mode()
            streams = {'stdin': self.tty, 'stdout': self.tty, 'start_new_session': True,
                       'preexec_fn': self.be_behind if behind else self.take_terminal}
        streams['stderr'] = self.tty if messages_too else subprocess.PIPE
        self.process = subprocess.Popen(command, **{**streams, **more})
        if not terminal:
            self.master = self.process.stdout.fileno()
        self.open = {self.master}
        if self.process.stderr:
            self.open.add(self.process.stderr.fileno())

    def take_terminal(self):
        """In the child."""
        fcntl.ioctl(self.tty, termios.TIOCSCTTY, 0)

    def be_behind(self):
        """In the child; the other process dies with the terminal."""
        self.take_terminal()
        other = os.fork()
        if not other:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(self.tty, os.getpid())
            os.execlp('sleep', 'sleep', str(SECONDS))
        while os.tcgetpgrp(self.tty) != other:
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        self.hang_up()
        if self.tty is not None:
            os.close(self.master)
            os.close(self.tty)

    def said(self):
        return (self.out + self.err).decode(errors='replace')

    def read(self, seconds):
        """Take what comes within that time; False when nothing did."""
        ready, _, _ = select.select(list(self.open), [], [], max(0, seconds))
        for fd in ready:
            data = os.read(fd, 65536)
            if not data:
                self.open.discard(fd)
            elif fd == self.master:
                self.out += data
            else:
                self.err += data
        return bool(ready)

    def _left(self):
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise AssertionError(f'no end after {SECONDS} s; output so far:\n{self.said()}')
        return left

    def wait(self, done, what):
        """Until done() of what was printed."""
        while not done():
            if not self.read(min(0.05, self._left())) and self.process.poll() is not None:
                raise AssertionError(f'vmm ended before {what}; output:\n{self.said()}')

    def wait_for(self, text):
        self.wait(lambda: text in self.out, repr(text))

    def type(self, data):
        if self.tty is not None:
            os.write(self.master, data)
        else:
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def hang_up(self):
        """No more input; of no effect with a terminal."""
        if self.process.stdin:
            self.process.stdin.close()

    def kill(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def insist(self, number=signal.SIGTERM):
        """Signal until it ends; signals that come together count as one."""
        while self.process.poll() is None:
            self.kill(number)
            self.read(min(0.3, self._left()))

    def mode(self):
        """The terminal's, as a value to compare."""
        return termios.tcgetattr(self.tty)

    def finish_unread(self, seconds=10):
        """The exit status, while nobody reads what is printed."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError('vmm waits for its reader for ever') from None

    def finish(self):
        """Read to the end; the exit status, negative if a signal ended it."""
        while self.process.poll() is None:
            self.read(min(0.05, self._left()))
        while self.open and self.read(0):
            pass
        return self.process.returncode


class VmTest(unittest.TestCase):
    """What the tests of vmm's command line share."""

    vmm = payloads = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.addCleanup(self.end_detached)

    def end_detached(self):
        """VMs in the background, of which a test that failed may have left some."""
        folder = os.path.join(RUNTIME.name, 'vmm')
        names = os.listdir(folder) if os.path.isdir(folder) else ()
        for name in names:
            if os.path.isdir(os.path.join(folder, name)):
                subprocess.run([self.vmm, 'kill', name], check=False, capture_output=True)

    def file(self, name, content=b''):
        path = os.path.join(self.folder, name)
        with open(path, 'wb') as file:
            file.write(content)
        return path

    def payload(self, name):
        return os.path.join(self.payloads, name + SUFFIX)

    def start(self, payload, *arguments, **more):
        """Runs the payload; ends with the test."""
        vm = Vm([self.vmm, 'run', '--kernel', self.payload(payload), *arguments], **more)
        self.addCleanup(vm.__exit__)
        return vm

    def assert_refused(self, arguments, pattern, command=(), **more):
        """vmm ends with status 1 and one line on standard error that says why."""
        with Vm([*command, self.vmm, *arguments], **more) as vm:
            status = vm.finish()
        said = vm.err.decode(errors='replace')
        self.assertRegex(said, pattern)
        self.assertRegex(said, r'\Avmm: [^\n]+\n\Z', 'not one line that begins with "vmm: "')
        self.assertEqual(status, USAGE)
        self.assertEqual(vm.out, b'')


class PartLoader(unittest.TestLoader):
    """With VMM_TEST_PART=K/N each N-th test from the K-th on: N runs do them all."""

    def getTestCaseNames(self, testCaseClass):
        part, parts = map(int, os.environ.get('VMM_TEST_PART', '1/1').split('/'))
        return super().getTestCaseNames(testCaseClass)[part - 1::parts]


def main(kvm=True):
    """Runs the tests of a script; kvm: they mean nothing without."""
    if kvm:
        need_kvm()
    # A test may run it in a folder of its own.
    VmTest.vmm, VmTest.payloads = map(os.path.abspath, sys.argv[1:3])
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2, testLoader=PartLoader())
