#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_crowd.py SERVER

A crowd of clients; VMM_TEST_SECONDS says for how long.
"""

import sys
import unittest

import crowd
import qmp

SERVER = sys.argv.pop(1)

COMMANDS = ('query-status', 'query-commands', 'query-qmp-schema', 'query-block', 'query-pci',
            'stop', 'cont', 'system_reset', 'x-hold', 'x-events', 'nope', 'query-cpus-fast',
            'query-stats-schemas', 'x-vmm-query-use')


class CrowdTest(unittest.TestCase):
    def test_crowd(self):
        with qmp.fake_server(SERVER) as server:
            crowd.visit(server.path, COMMANDS)
            with qmp.Client(server.path) as client:
                client.command('query-status')


if __name__ == '__main__':
    unittest.main()
