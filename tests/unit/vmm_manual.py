#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_manual.py VMM SOURCE SCDOC

The manual page: scdoc takes it without a word, and it tells of every option.
SOURCE is the page with the options in it.
"""

import re
import subprocess
import sys
import unittest

VMM, SOURCE, SCDOC = sys.argv[1:4]


def vmm(*arguments):
    return subprocess.run([VMM, *arguments], check=True, capture_output=True, text=True).stdout


def options(command):
    return re.findall(r'^ +(?:-\w, )?(--[\w-]+)', vmm('help', command), re.MULTILINE)


def keys(command):
    return re.findall(r'^ {8}([\w-]+)\[?=', vmm('help', command), re.MULTILINE)


class ManualPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(SOURCE, encoding='utf-8') as file:
            cls.source = file.read()
        with open(SOURCE, encoding='utf-8') as file:
            cls.done = subprocess.run([SCDOC], stdin=file, capture_output=True, text=True,
                                     check=False)

    def test_scdoc_has_nothing_to_say(self):
        self.assertEqual((self.done.returncode, self.done.stderr), (0, ''))
        self.assertIn('.TH "vmm" "1"', self.done.stdout)

    def test_options_take_the_place_of_their_marks(self):
        self.assertNotIn('%options', self.source)

    def test_every_option_has_its_paragraph(self):
        for command in ('run', 'doctor'):
            self.assertTrue(options(command))
            for option in options(command):
                self.assertRegex(self.source, rf'(?m)^(\*-\w\*, )?\*{option}\*')

    def test_every_key_of_a_list_has_its_paragraph(self):
        self.assertIn('readonly', keys('run'))
        for key in keys('run'):
            self.assertRegex(self.source, rf'(?m)^\t\*{key}\*')

    def test_every_listed_command_is_explained(self):
        commands = re.findall(r'^  (\w+) +\w', vmm('help'), re.MULTILINE)
        self.assertIn('run', commands)
        self.assertNotIn('manual', commands)
        for command in commands:
            self.assertRegex(self.source, rf'(?m)^\*{command}\*')


unittest.main(argv=sys.argv[:1])
