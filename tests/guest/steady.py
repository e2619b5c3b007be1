# SPDX-License-Identifier: Apache-2.0
"""The guest of steady.c, which notices when it does not go on as it was, and its VM."""

import glob
import os
import platform
import re
import subprocess
import sys
import tarfile

import vm
from vm import OK, VmTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import qmp  # noqa: E402  (found by the line above)

qmp.TIMEOUT = vm.SECONDS

DISK_LEN = 64 * 512

# What is said where a guest of another processor is not taken, of each architecture.
LACKS_FEATURES = {
    'x86_64': "this host's processor, or its KVM, lacks features",
    'aarch64': "the guest('s processor|'s counter| has a GICv)|for the guest, and here it is",
}[platform.machine()]


def golden(prefix=''):
    """The archives that earlier releases have left of this architecture."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'golden')
    return glob.glob(os.path.join(folder, f'{prefix}{platform.machine()}-*.tar.gz'))


def unpack(archive, folder):
    """With times to the nanosecond: a disk is known by that."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
        for member in tar:
            seconds, _, part = member.pax_headers.get('mtime', str(member.mtime)).partition('.')
            ns = int(seconds) * 10 ** 9 + int(part.ljust(9, '0'))
            os.utime(os.path.join(folder, member.name), ns=(ns, ns))


class SteadyTest(VmTest):
    guest = 'steady'        # or another one that tells its rounds

    def setUp(self):
        super().setUp()
        self.disk = self.file('disk.img', bytes(DISK_LEN))

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_vmm(self, *arguments):
        return subprocess.run([self.vmm, *arguments], capture_output=True, text=True,
                              timeout=vm.SECONDS, check=False, stdin=subprocess.DEVNULL)

    def vmm_ok(self, *arguments):
        done = self.run_vmm(*arguments)
        self.assertEqual((done.returncode, done.stderr), (OK, ''), arguments)
        return done.stdout

    def client(self, name):
        return qmp.Client(os.path.join(vm.RUNTIME.name, 'vmm', name, 'qmp'))

    def query(self, name, command='query-migrate'):
        """Asked of its socket, since a process may take long to start."""
        with self.client(name) as client:
            return client.command(command)

    def state_of(self, name):
        """None: there is no such VM."""
        try:
            return self.query(name, 'query-status')['status']
        except (OSError, EOFError):
            return None

    def begin(self, name='web', *arguments, **more):
        one = self.start(self.guest, '--name', name, '--disk', self.disk, '--memory', '64M',
                         *arguments, **more)
        one.wait_for(b'READY')
        return one

    def round_of(self, one):
        """Where the guest is by now."""
        seen = len(re.findall(rb'round \d+\n', one.out))
        one.type(b'?')
        one.wait(lambda: len(re.findall(rb'round \d+\n', one.out)) > seen, 'a round')
        return int(re.findall(rb'round (\d+)\n', one.out)[-1])

    def go_on(self, one, rounds=3):
        """Some rounds further without a complaint."""
        first = self.round_of(one)
        last = first
        while last < first + rounds:
            last = self.round_of(one)
        return last

    def end(self, one):
        one.type(b'q')
        self.assertEqual(one.finish(), OK, one.said())
