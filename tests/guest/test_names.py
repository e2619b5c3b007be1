#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_names.py VMM PAYLOADS [TEST]...

The names of running VMs, and the folders where they are found.
"""

import os
import signal
import sys

import vm
from vm import FORCED, OK, VmTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import qmp  # noqa: E402  (found by the line above)


class Names(VmTest):
    def setUp(self):
        super().setUp()
        self.runtime = os.path.join(self.folder, 'run')
        os.mkdir(self.runtime)
        self.environment = {**os.environ, 'XDG_RUNTIME_DIR': self.runtime}

    def begin(self, *arguments, **more):
        run = self.start('echo', *arguments, **{'env': self.environment, **more})
        run.wait_for(b'READY')
        return run

    def names(self):
        return sorted(os.listdir(os.path.join(self.runtime, 'vmm')))

    def client(self, name):
        client = qmp.Client(os.path.join(self.runtime, 'vmm', name, 'qmp'))
        self.addCleanup(client.close)
        return client

    def test_vms_without_names_get_names_of_their_own(self):
        self.begin()
        self.begin()
        self.assertEqual(self.names(), ['vm', 'vm2'])
        self.assertEqual(self.client('vm2').command('query-name'), {'name': 'vm2'})

    def test_folder_goes_with_the_vm(self):
        run = self.begin('--name', 'web')
        self.client('web').execute('quit')
        self.assertEqual(run.finish(), FORCED)
        self.assertEqual(self.names(), [])

    def test_second_vm_of_a_name_is_refused(self):
        run = self.begin('--name', 'web')
        self.assert_refused(['run', '--kernel', self.payload('echo'), '--name', 'web'],
                            f"'web' is running already, as process {run.process.pid}:",
                            env=self.environment)
        self.client('web').command('query-status')

    def test_name_of_a_killed_vm_is_free(self):
        run = self.begin('--name', 'web')
        run.kill(signal.SIGKILL)
        run.finish()
        self.assertEqual(sorted(os.listdir(os.path.join(self.runtime, 'vmm', 'web'))),
                         ['console', 'lock', 'qmp'])

        self.begin('--name', 'web')

        self.client('web').command('query-status')

    def test_sockets_that_are_asked_for_come_on_top(self):
        further = os.path.join(self.folder, 'further')
        self.begin('--name', 'web', '--qmp', further)
        self.client('web').command('stop')
        with qmp.Client(further) as client:
            self.assertEqual(client.command('query-status')['status'], 'paused')

    def test_name_that_is_no_file_name_is_refused(self):
        self.assert_refused(['run', '--kernel', self.payload('echo'), '--name', '../web'],
                            "name: '../web' is none for a VM")

    def test_without_a_folder_a_vm_without_a_name_runs_and_says_so(self):
        run = self.start('poweroff', env={**os.environ, 'XDG_RUNTIME_DIR': '/nowhere'})
        self.assertEqual(run.finish(), OK)
        self.assertRegex(run.err, rb"other commands will not find this VM: .*'/nowhere/vmm'")

    def test_without_a_folder_a_vm_with_a_name_does_not_start(self):
        self.assert_refused(['run', '--kernel', self.payload('echo'), '--name', 'web'],
                            "folder '/nowhere/vmm'",
                            env={**os.environ, 'XDG_RUNTIME_DIR': '/nowhere'})

    def test_path_too_long_for_a_socket_says_so(self):
        place = os.path.join(self.runtime, 'x' * 100)
        os.mkdir(place)
        self.assert_refused(['run', '--kernel', self.payload('echo'), '--name', 'web'],
                            'sockets take 107: choose a shorter --name',
                            env={**os.environ, 'XDG_RUNTIME_DIR': place})
        self.assertEqual(os.listdir(os.path.join(place, 'vmm')), [])



if __name__ == '__main__':
    vm.main()
