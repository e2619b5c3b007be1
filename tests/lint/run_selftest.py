#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The sum that scripts/test prints: what counts as passed, failed and skipped.  And the
folders that killed tests leave."""

import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import run  # pylint: disable=wrong-import-position


class TotalsTest(unittest.TestCase):
    def setUp(self):
        run.CONDITIONS.update({'here': lambda: True, 'elsewhere': lambda: False})

    def sum_of(self, skips, *results):
        totals = run.Totals(run.parse_skips(skips))
        for test, result in results:
            totals.add('build', test, result, 'output')
        return totals.summary()

    def test_every_result_but_ok_and_skip_is_a_failure(self):
        results = [('unit/a', result) for result in
                   ('OK', 'EXPECTEDFAIL', 'FAIL', 'TIMEOUT', 'ERROR', 'INTERRUPT',
                    'UNEXPECTEDPASS')]
        self.assertEqual(self.sum_of('', *results), '2 passed, 5 failed, 0 skipped')

    def test_skip_is_a_failure_unless_listed(self):
        self.assertEqual(self.sum_of('# none\n', ('guest/a', 'SKIP')),
                         '0 passed, 1 failed, 0 skipped')

    def test_listed_skip_counts_on_the_machine_it_is_listed_for(self):
        self.assertEqual(self.sum_of('guest/* here because\n', ('guest/a', 'SKIP')),
                         '0 passed, 0 failed, 1 skipped')

    def test_listed_skip_is_a_failure_on_another_machine(self):
        self.assertEqual(self.sum_of('guest/* elsewhere because\n', ('guest/a', 'SKIP')),
                         '0 passed, 1 failed, 0 skipped')

    def test_skip_without_a_reason_or_with_an_unknown_condition_is_refused(self):
        for line in ('guest/* here', 'guest/* nowhere because'):
            with self.assertRaises(ValueError):
                run.parse_skips(line)


class ResultsTest(unittest.TestCase):
    TAP = 'ok 1 - a\n# a: 3 s\nnot ok 2 - b\n# too\n# late\nok 3 - c # SKIP no c\n1..3\n'

    def results_of(self, result, stdout):
        return run.results_of({'name': 'vmm:boot / all', 'result': result, 'stdout': stdout})

    def test_test_without_points_counts_as_one(self):
        self.assertEqual(self.results_of('OK', 'ok then\n'), [('boot/all', 'OK', 'ok then\n')])

    def test_each_point_counts_and_has_its_own_output(self):
        self.assertEqual(self.results_of('FAIL', self.TAP),
                         [('boot/a', 'OK', '\na: 3 s'), ('boot/b', 'FAIL', '\ntoo\nlate'),
                          ('boot/c', 'SKIP', 'no c')])

    def test_test_that_ends_early_or_fails_without_a_point_fails(self):
        for result, stdout in (('TIMEOUT', self.TAP), ('ERROR', 'ok 1 - a\n')):
            self.assertEqual(self.results_of(result, stdout), [('boot/all', result, stdout)])


class SweepTest(unittest.TestCase):
    def test_only_what_killed_tests_have_left_goes(self):
        hours_ago = time.time() - 3 * 3600
        with tempfile.TemporaryDirectory() as place:
            for name, old in (('vmm-test-disk-a', True), ('vmm-test-disk-b', False),
                              ('vmm-fuzz-1', True), ('vmm-clone-a', True), ('test-a', True)):
                path = os.path.join(place, name)
                os.mkdir(path)
                with open(os.path.join(path, 'vmm-test-image'), 'w', encoding='utf-8'):
                    pass
                if old:
                    os.utime(path, (hours_ago, hours_ago))

            run.sweep([place])

            self.assertEqual(sorted(os.listdir(place)),
                             ['test-a', 'vmm-clone-a', 'vmm-test-disk-b'])


unittest.main()
