#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_manual.py VMM SCDOC PAGE...

The manual pages: there is one for each subcommand, scdoc takes them without a word,
and they tell of every option.  PAGE is scdoc's source with the options in it.
"""

import os
import re
import subprocess
import sys
import unittest

VMM, SCDOC, *PAGES = sys.argv[1:]


def vmm(*arguments):
    return subprocess.run([VMM, *arguments], check=True, capture_output=True, text=True).stdout


def listed(*group):
    return re.findall(r'^  (\w+) +\w', vmm('help', *group), re.MULTILINE)


def commands():
    return (listed() + ['disk ' + name for name in listed('disk')] +
            ['snapshot info', 'snapshot verify', 'snapshot merge'])


def page_of(command):
    return 'vmm-' + command.replace(' ', '-')


def options(command):
    return re.findall(r'^ +(?:-\w, )?(--[\w-]+)', vmm('help', *command.split()), re.MULTILINE)


def keys(command):
    return re.findall(r'^ {8}([\w-]+)\[?=', vmm('help', command), re.MULTILINE)


class ManualPages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sources = {}
        for path in PAGES:
            with open(path, encoding='utf-8') as file:
                cls.sources[os.path.basename(path).split('.')[0]] = file.read()

    def test_scdoc_has_nothing_to_say(self):
        for name, source in self.sources.items():
            done = subprocess.run([SCDOC], input=source, capture_output=True, text=True,
                                  check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ''), name)
            self.assertIn(f'.TH "{name}" "1"', done.stdout)

    def test_options_take_the_place_of_their_marks(self):
        for source in self.sources.values():
            self.assertNotIn('%options', source)

    def test_every_command_has_its_page_and_no_other_has(self):
        self.assertIn('run', commands())
        self.assertNotIn('manual', commands())
        self.assertEqual(sorted(self.sources),
                         sorted(['vmm'] + [page_of(name) for name in commands()]))

    def test_every_command_is_in_the_overview(self):
        for name in listed():
            self.assertRegex(self.sources['vmm'], rf'(?m)^\*{name}\*')
            self.assertIn(f'*vmm-{name}*(1)', self.sources['vmm'])
        for name in listed('disk'):
            self.assertIn(f'*vmm-disk-{name}*(1)', self.sources['vmm-disk'])

    def test_synopsis_is_what_help_says(self):
        for name in commands():
            usage = vmm('help', *name.split()).splitlines()[0].removeprefix('Usage: ')
            page = self.sources[page_of(name)].split('# SYNOPSIS')[1].split('# DESCRIPTION')[0]
            self.assertEqual(re.sub(r'[*_]', '', page).strip(), usage)

    def test_every_option_has_its_paragraph(self):
        for name in commands():
            for option in options(name):
                self.assertRegex(self.sources[page_of(name)], rf'(?m)^(\*-\w\*, )?\*{option}\*')
        self.assertTrue(options('run'))

    def test_every_key_of_a_list_has_its_paragraph(self):
        self.assertIn('readonly', keys('run'))
        for key in keys('run'):
            self.assertRegex(self.sources['vmm-run'], rf'(?m)^\t\*{key}\*')

    def test_exit_statuses_are_told(self):
        for name in commands():
            self.assertRegex(self.sources[page_of(name)], r'(?m)^# EXIT STATUS\n\n\*0\*\n\t\w')


unittest.main(argv=sys.argv[:1])
