#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_crowd.py VMM PAYLOADS [TEST]...

A crowd of clients at a running VM; VMM_TEST_SECONDS says for how long.
"""

import os
import sys
import time

import vm
from vm import FORCED, VmTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import crowd  # noqa: E402  (found by the line above)
import qmp  # noqa: E402

QUERIES = ('query-status', 'query-commands', 'query-qmp-schema', 'query-block', 'query-pci',
           'query-cpus-fast', 'query-blockstats', 'query-stats-schemas', 'x-vmm-query-use',
           'x-vmm-query-memory-use', 'query-iothreads', 'query-chardev', 'nope')
POWER = ('stop', 'cont', 'stop', 'cont', 'system_reset', 'system_powerdown')


class Crowd(VmTest):
    def begin(self, payload, *arguments):
        path = os.path.join(self.folder, 'qmp')
        run = self.start(payload, '--qmp', path, *arguments)
        run.deadline += crowd.SECONDS + vm.SECONDS
        run.wait_for(b'READY')
        return run, path

    def test_vm_lives_on_and_is_what_it_was_told_last(self):
        disk = self.file('disk', bytes(1 << 20))
        run, path = self.begin('echo', '--cpus', '2', '--disk', disk)
        before = len(os.listdir(f'/proc/{run.process.pid}/fd'))

        crowd.visit(path, QUERIES + POWER, lambda: run.read(0))

        with qmp.Client(path) as client:
            client.command('stop')
            self.assertIn(client.command('query-status')['status'], ('paused', 'prelaunch'))
            client.command('cont')
            client.command('system_reset')
            self.assertEqual(client.command('query-status')['status'], 'running')
            # What comes before the guest has set up its port is the guest's to lose.
            run.wait(lambda: run.type(b'a') or b'<97>' in run.out, 'an answer')
            self.wait_for_fds(run, before + 1)
            client.command('quit')
        self.assertEqual(run.finish(), FORCED)

    def wait_for_fds(self, run, wanted):
        """Clients that have just left are seen to have gone a moment later."""
        end = time.monotonic() + vm.SECONDS
        while len(os.listdir(f'/proc/{run.process.pid}/fd')) != wanted:
            self.assertLess(time.monotonic(), end, 'descriptors are left')
            time.sleep(0.05)


if __name__ == '__main__':
    vm.main()
