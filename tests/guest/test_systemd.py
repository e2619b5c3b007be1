#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_systemd.py VMM PAYLOADS [TEST]...

vmm run --daemon as a service of the systemd that runs here.  What it tells any
manager is the matter of test_background.py.
"""

import os
import subprocess

import vm
from vm import OK, SECONDS, VmTest


class Service(VmTest):
    def test_it_is_ready_and_ends_well(self):
        kernel = os.path.join(self.payloads, 'pio.elf')
        command = ['systemd-run', '--wait', '--pipe', '--service-type=notify',
                   os.path.abspath(self.vmm), 'run', '--daemon', '-k', kernel]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        self.assertEqual(done.returncode, OK, done.stderr)


if not os.path.isdir('/run/systemd/system'):
    vm.skip('systemd does not run here')
if os.geteuid():
    vm.skip('only root starts services')
vm.main()
