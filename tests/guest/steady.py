# SPDX-License-Identifier: Apache-2.0
"""The guest of steady.c, which notices when it does not go on as it was, and its VM."""

import os
import re
import subprocess

import vm
from vm import OK, VmTest

DISK_LEN = 64 * 512


class SteadyTest(VmTest):
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

    def begin(self, name='web', *arguments, **more):
        one = self.start('steady', '--name', name, '--disk', self.disk, '--memory', '64M',
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
