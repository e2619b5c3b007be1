#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_migrate.py SERVER

What is said of moving a VM, and how it is asked for.
"""

import sys
import unittest

import qmp


class MigrateTest(unittest.TestCase):
    def setUp(self):
        self.server = qmp.fake_server(sys.argv[1])
        self.addCleanup(self.server.stop)
        self.client = qmp.Client(self.server.path)
        self.addCleanup(self.client.close)

    def execute(self, command, arguments):
        arguments = {key.replace('_', '-'): value for key, value in arguments.items()}
        return self.client.execute(command, arguments)

    def ask(self, command, **arguments):
        return self.execute(command, arguments)['return']

    def refused(self, command, **arguments):
        return self.execute(command, arguments)['error']['desc']

    def capabilities(self):
        return {each['capability']: each['state']
                for each in self.ask('query-migrate-capabilities')}

    def switch(self, name, state):
        return {'capabilities': [{'capability': name, 'state': state}]}

    def test_nothing_is_said_before_anything_is_done(self):
        self.assertEqual(self.ask('query-migrate'), {})

    def test_parameters_stay_as_they_are_set(self):
        before = self.ask('query-migrate-parameters')
        self.ask('migrate-set-parameters', max_bandwidth=5, downtime_limit=7,
                 multifd_channels=3, multifd_compression='zstd', cpu_throttle_initial=9,
                 cpu_throttle_increment=11, max_cpu_throttle=13, x_vmm_insecure=True)

        after = self.ask('query-migrate-parameters')

        self.assertEqual(after, {**before, 'max-bandwidth': 5, 'downtime-limit': 7,
                                 'multifd-channels': 3, 'multifd-compression': 'zstd',
                                 'cpu-throttle-initial': 9, 'cpu-throttle-increment': 11,
                                 'max-cpu-throttle': 13, 'x-vmm-insecure': True})

    def test_parameters_that_cannot_be(self):
        before = self.ask('query-migrate-parameters')

        for name, value in (('multifd_channels', 0), ('multifd_channels', 17),
                            ('downtime_limit', 2000001), ('max_cpu_throttle', 100),
                            ('multifd_compression', 'rar'), ('x_vmm_tls', '/nowhere')):
            self.refused('migrate-set-parameters', **{name: value})

        self.assertEqual(self.ask('query-migrate-parameters'), before)

    def test_capabilities_are_switched(self):
        for name in ('auto-converge', 'events', 'multifd', 'postcopy-ram'):
            self.assertFalse(self.capabilities()[name])
            self.ask('migrate-set-capabilities', **self.switch(name, True))
            self.assertTrue(self.capabilities()[name])

    def test_what_is_always_so_cannot_be_switched_off(self):
        for name in ('return-path', 'late-block-activate'):
            self.ask('migrate-set-capabilities', **self.switch(name, True))
            self.assertIn('always on', self.refused('migrate-set-capabilities',
                                                    **self.switch(name, False)))

    def test_progress_is_told(self):
        self.ask('migrate', uri='unix:/x')

        info = self.ask('query-migrate')

        self.assertEqual((info['status'], info['ram']['total']), ('active', 1 << 30))
        self.assertIn('expected-downtime', info)
        self.assertIn('not the place', self.refused('migrate', uri='unix:/x'))
        self.ask('migrate_cancel')
        self.assertEqual(self.ask('query-migrate')['status'], 'cancelled')

    def test_reasons_are_told(self):
        for command, arguments in (('migrate-start-postcopy', {}),
                                   ('x-vmm-migrate-take-back', {}),
                                   ('migrate-incoming', {'uri': 'unix:/x'})):
            self.assertEqual(self.refused(command, **arguments), 'there is no migration')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
