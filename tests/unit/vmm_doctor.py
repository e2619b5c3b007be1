#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_doctor.py VMM

What vmm doctor says of this machine, whatever that is, hangs together.
"""

import json
import subprocess
import sys
import unittest

VMM = sys.argv[1]


def doctor(*arguments):
    return subprocess.run([VMM, 'doctor', *arguments], capture_output=True, text=True,
                          check=False)


class Doctor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.done = doctor('--json')
        cls.report = json.loads(cls.done.stdout)

    def test_exit_status_tells_whether_all_that_is_needed_is_there(self):
        failed = [c['name'] for c in self.report['checks'] if c['state'] == 'fail']
        self.assertEqual(self.done.returncode, 1 if failed else 0)
        self.assertEqual(self.report['ready'], not failed)

    def test_each_check_has_found_something(self):
        names = [c['name'] for c in self.report['checks']]
        self.assertEqual(len(names), len(set(names)))
        self.assertIn('kvm', names)
        for check in self.report['checks']:
            self.assertIn(check['state'], ('ok', 'note', 'fail'))
            self.assertTrue(check['found'])

    def test_text_has_a_word_and_a_title_for_each_check(self):
        words = {'ok': 'ok', 'note': 'note', 'fail': 'FAIL'}
        text = doctor().stdout
        self.assertNotIn('\033', text)
        for check in self.report['checks']:
            self.assertRegex(text, rf'(?m)^{words[check["state"]]} +{check["title"]} ')

    def test_unknown_option_is_one_line_of_error(self):
        run = doctor('--jsom')
        self.assertEqual(run.returncode, 1)
        self.assertEqual(run.stderr, "vmm: '--jsom' is unknown: did you mean '--json'?\n")


unittest.main(argv=sys.argv[:1])
