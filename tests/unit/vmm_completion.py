#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_completion.py VMM

The completion scripts that vmm prints: the shells take them, and offer what vmm knows.
What is offered where, test_completion.c has.
"""

import re
import subprocess
import sys
import unittest

VMM = sys.argv[1]

DRIVER = '''
compopt() { :; }
eval "$1"
COMP_LINE=$2 COMP_POINT=${#2}
_vmm
printf '%s\\n' "${COMPREPLY[@]}"
'''


ZSH_DRIVER = '''
compdef() { :; }
compadd() { shift 2; print -l -- "$@"; }
eval "$1"
words=(vmm run --ker) CURRENT=3
_vmm
'''


def bash(*arguments, **more):
    return subprocess.run(['bash', *arguments], capture_output=True, text=True, check=False, **more)


class Completion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.script = subprocess.run([VMM, 'completion'], check=True, capture_output=True,
                                    text=True).stdout

    def offered(self, typed):
        run = bash('-c', DRIVER, 'bash', self.script, typed)
        self.assertEqual(run.stderr, '')
        return run.stdout.split()

    def test_bash_takes_it(self):
        run = bash('-n', input=self.script)
        self.assertEqual((run.returncode, run.stderr), (0, ''))

    def test_commands_are_offered_but_not_hidden_ones(self):
        offered = self.offered('vmm ')
        listed = subprocess.run([VMM, 'help'], check=True, capture_output=True, text=True).stdout
        self.assertEqual(offered, re.findall(r'^  (\w+) ', listed, re.MULTILINE))
        self.assertIn('pause', offered)
        self.assertNotIn('manual', offered)

    def test_start_of_an_option_is_completed(self):
        self.assertEqual(self.offered('vmm run --ker'), ['--kernel'])

    def test_keys_of_a_disk_are_offered(self):
        # Bash keeps what stands before the last '='.
        self.assertEqual(self.offered('vmm run --disk path=a,read'), ['a,readonly'])

    def test_command_and_its_subcommands_are_offered_what_is_theirs(self):
        offered = self.offered('vmm snapshot ')
        self.assertLessEqual({'info', 'verify', 'merge', '--diff'}, set(offered))
        self.assertEqual(self.offered('vmm snapshot info --'), ['--json', '--help'])

    def test_commands_to_be_explained_are_offered(self):
        self.assertEqual(self.offered('vmm help do'), ['doctor'])
        self.assertIn('convert', self.offered('vmm help disk '))

    def test_zsh_takes_its_own(self):
        script = subprocess.run([VMM, 'completion', 'zsh'], check=True, capture_output=True,
                                text=True).stdout
        self.assertTrue(script.startswith('#compdef vmm\n'))
        run = subprocess.run(['zsh', '-fc', ZSH_DRIVER, 'zsh', script], capture_output=True,
                             text=True, check=False)
        self.assertEqual((run.stdout, run.stderr), ('--kernel\n', ''))

    def test_names_of_running_vms_are_asked_for(self):
        self.assertIn("'pause') kind=words offer=(--timeout --help "
                      '$(vmm list --names 2>/dev/null)) ;;', self.script)

    def test_other_shells_have_none(self):
        run = subprocess.run([VMM, 'completion', 'fish'], capture_output=True, text=True,
                             check=False)
        self.assertEqual((run.returncode, run.stderr),
                         (1, "vmm: completion: there is none for 'fish': [bash|zsh]\n"))


unittest.main(argv=sys.argv[:1])
