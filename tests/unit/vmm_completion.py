#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_completion.py VMM

The completion script that vmm prints: bash takes it, and offers what vmm knows.
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


unittest.main(argv=sys.argv[:1])
