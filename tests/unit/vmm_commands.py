#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_commands.py VMM

How subcommands are found, what is said when they are not, and what a start that fails leaves.
"""

import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import unittest

VMM = sys.argv[1]


def vmm(*arguments):
    run = subprocess.run([VMM, *arguments], capture_output=True, text=True, check=False)
    return run.returncode, run.stdout, run.stderr


GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../guest/golden',
                      f'{platform.machine()}-0.1.0.tar.gz')


class FailingStart(unittest.TestCase):
    """Where there is a KVM it fails by the kernel or the socket, elsewhere for lack of one."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return f'{self.folder}/{name}'

    def options(self):
        return ['--serial', f'file:{self.path("serial")}', '--log-file', self.path('log'),
                '--qmp', self.path('none/qmp')]

    def assert_leaves(self, wanted, *arguments):
        status, text, errors = vmm(*arguments)
        self.assertEqual((status, text), (1, ''), errors)
        self.assertEqual(sorted(os.listdir(self.folder)), wanted, errors)

    def test_new_vm_leaves_nothing(self):
        with open(self.path('disk'), 'wb') as disk:
            disk.truncate(65536)
        self.assert_leaves(['disk'], 'run', '--kernel', self.path('none'), *self.options(),
                           '--disk', f'{self.path("disk")},overlay={self.path("overlay")}',
                           '--net', f'none,dump={self.path("dump")}')

    def test_file_that_was_there_stays(self):
        with open(self.path('serial'), 'w', encoding='ascii') as serial:
            serial.write('old')
        self.assert_leaves(['serial'], 'run', '--kernel', self.path('none'), *self.options())

    def test_restored_vm_leaves_nothing(self):
        with tarfile.open(GOLDEN) as tar:
            tar.extractall(self.folder)
        disk = f'id=disk0,path={self.path("disk")},overlay={self.path("overlay")}'
        self.assert_leaves(['disk', 'snapshot'], 'restore', self.path('snapshot'), '--force',
                           *self.options(), '--disk', disk, '--vsock', self.path('vsock'),
                           '--net', f'id=net0,none,dump={self.path("dump")}')


class Commands(unittest.TestCase):
    def test_misspelt_command_names_the_nearest(self):
        self.assertEqual(vmm('docter'),
                         (1, '', "vmm: unknown command 'docter': did you mean 'doctor'?\n"))

    def test_misspelt_option_names_the_nearest(self):
        self.assertEqual(vmm('--verion'),
                         (1, '', "vmm: unknown command '--verion': did you mean '--version'?\n"))

    def test_unlike_word_leads_to_the_list(self):
        self.assertEqual(vmm('frob'),
                         (1, '', "vmm: unknown command 'frob': 'vmm help' lists them\n"))

    def test_hidden_command_is_neither_listed_nor_suggested(self):
        self.assertNotIn('manual', vmm('help')[1])
        self.assertNotIn('manual', vmm('manul')[2])

    def test_help_of_a_command_is_had_in_both_orders(self):
        for command in ('run', 'doctor', 'help', 'completion'):
            status, text, errors = vmm('help', command)
            self.assertEqual((status, errors), (0, ''))
            self.assertTrue(text.startswith(f'Usage: vmm {command}'))
            self.assertEqual(vmm(command, '--help'), (0, text, ''))

    def test_help_of_more_than_a_command_is_refused(self):
        self.assertEqual(vmm('help', 'run', 'fast'),
                         (1, '', "vmm: help: unexpected argument 'fast'\n"))
        self.assertEqual(vmm('help', 'disk', 'info', 'x'),
                         (1, '', "vmm: help: unexpected argument 'x'\n"))
        self.assertIn("'disk nosuch'", vmm('help', 'disk', 'nosuch')[2])

    def test_no_command_is_a_mistake_but_help_is_none(self):
        self.assertEqual(vmm()[0], 1)
        self.assertEqual(vmm('--help'), (0, vmm()[1], ''))

    def test_run_without_a_kernel_is_one_line_of_error(self):
        status, text, errors = vmm('run')
        self.assertEqual((status, text), (1, ''))
        self.assertRegex(errors, r'\Avmm: no kernel: give --kernel FILE.*\n\Z')


unittest.main(argv=sys.argv[:1])
