#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_schema.py SERVER

query-qmp-schema tells the truth: replies and events are what it says, and so are
the arguments that are taken.  Checked with the schema as it came.
"""

import sys
import time
import unittest

import qmp

SERVER = sys.argv.pop(1)

JOB_VERBS = ('cancel', 'complete', 'dismiss', 'finalize', 'pause', 'resume')

# Commands with arguments that they cannot do without, or that end things.
ARGUMENTS = {
    'announce-self': {'initial': 50, 'max': 550, 'rounds': 5, 'step': 100},
    'migrate': {'uri': 'unix:/x'}, 'migrate-incoming': {'uri': 'unix:/x'},
    'migrate-set-capabilities': {'capabilities': [{'capability': 'events', 'state': True}]},
    'block_resize': {'device': 'disk0', 'size': 2 << 30},
    'block_set_io_throttle': {
        'device': 'disk0', 'bps': 0, 'bps_rd': 0, 'bps_wr': 0, 'iops': 9, 'iops_rd': 0,
        'iops_wr': 0, 'iops_max': 10,
    },
    'blockdev-add': {'driver': 'file', 'node-name': 'n', 'filename': '/dev/null'},
    'blockdev-del': {'node-name': 'absent'},
    'closefd': {'fdname': 'absent'},
    'device_add': {'driver': 'virtio-blk-pci', 'drive': 'absent'},
    'device_del': {'id': 'absent'},
    'getfd': {'fdname': 'absent'},
    **{f'job-{verb}': {'id': 'absent'} for verb in JOB_VERBS},
    'netdev_add': {'type': 'tap', 'id': 'n', 'ifname': 'tap0'},
    'netdev_del': {'id': 'absent'},
    'query-stats': {'target': 'vcpu'},
    'set_link': {'name': 'absent', 'up': True},
    'x-fill': {'len': 3}, 'x-vmm-snapshot': {'path': 'snap'},
    'x-vmm-net-set-limits': {'name': 'absent', 'bps-rx': 1},
}
FAIL = {
    'blockdev-del': 'Failed to find', 'device_add': "can't find", 'device_del': 'not found',
    'netdev_del': 'not found', 'set_link': 'not found',
    'x-vmm-net-set-limits': 'not found', 'migrate-incoming': 'no migration',
    'migrate-start-postcopy': 'no migration', 'x-vmm-migrate-take-back': 'no migration',
    'closefd': 'not found', 'getfd': 'SCM_RIGHTS', 'qmp_capabilities': 'already complete',
    'x-vmm-snapshot': 'has to be absolute',
    **{f'job-{verb}': 'not found' for verb in JOB_VERBS},
}
JSON_TYPES = {'str': str, 'int': int, 'bool': bool, 'number': (int, float), 'any': object}
WRONG = {'str': 7, 'int': 'x', 'bool': 'x', 'number': 'x'}


class Schema:
    def __init__(self, entries):
        self.entries = entries
        self.by_name = {entry['name']: entry for entry in entries}

    def of(self, meta):
        return [entry for entry in self.entries if entry['meta-type'] == meta]

    def check(self, value, name, path=''):
        """AssertionError unless the value is of the type."""
        entry = self.by_name[name]
        meta = entry['meta-type']
        if meta == 'builtin':
            assert isinstance(value, JSON_TYPES[name]), f'{path}: {value} is no {name}'
            assert name != 'int' or not isinstance(value, bool), f'{path}: a bool is no int'
        elif meta == 'enum':
            assert value in entry['values'], f'{path}: {value} of {entry["values"]}'
        elif meta == 'array':
            assert isinstance(value, list), f'{path}: no array'
            for i, item in enumerate(value):
                self.check(item, entry['element-type'], f'{path}[{i}]')
        elif meta == 'alternate':
            assert any(self.fits(value, member['type']) for member in entry['members']), \
                f'{path}: {value} is none of {entry["members"]}'
        else:
            assert meta == 'object', f'{path}: a value cannot be a {meta}'
            self.check_object(value, entry, path)

    def fits(self, value, name):
        try:
            self.check(value, name)
        except AssertionError:
            return False
        return True

    def check_object(self, value, entry, path):
        assert isinstance(value, dict), f'{path}: no object'
        members = list(entry['members'])
        for variant in entry.get('variants', []):
            if variant['case'] == value[entry['tag']]:
                members += self.by_name[variant['type']]['members']
        known = {member['name']: member for member in members}
        assert set(value) <= set(known), f'{path}: {set(value) - set(known)} unknown'
        for name, member in known.items():
            if name in value:
                self.check(value[name], member['type'], f'{path}.{name}')
            else:
                assert 'default' in member, f'{path}.{name} is missing'


class SchemaTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = qmp.fake_server(SERVER)
        cls.client = qmp.Client(cls.server.path)
        cls.schema = Schema(cls.client.command('query-qmp-schema'))

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.stop()

    def test_every_type_is_there_once_and_every_reference_leads_to_one(self):
        names = [entry['name'] for entry in self.schema.entries]
        self.assertEqual(len(names), len(set(names)))
        for entry in self.schema.entries:
            references = [entry[key] for key in ('arg-type', 'ret-type', 'element-type')
                          if key in entry]
            references += [m['type'] for m in entry.get('members', []) if 'type' in m]
            references += [v['type'] for v in entry.get('variants', [])]
            self.assertLessEqual(set(references), set(names))

    def test_type_names_say_nothing(self):
        for meta in ('object', 'enum', 'alternate'):
            for entry in self.schema.of(meta):
                self.assertTrue(entry['name'].isdigit())

    def test_commands_are_those_of_query_commands(self):
        listed = [entry['name'] for entry in self.client.command('query-commands')]
        self.assertEqual(sorted(listed),
                         sorted(entry['name'] for entry in self.schema.of('command')))

    def test_every_reply_is_as_the_schema_says(self):
        for command in self.schema.of('command'):
            name = command['name']
            if name in ('quit', 'x-hold'):
                continue
            with self.subTest(name):
                reply = self.client.execute(name, ARGUMENTS.get(name))
                if name in FAIL:
                    self.assertIn(FAIL[name], reply['error']['desc'])
                else:
                    self.schema.check(reply['return'], command['ret-type'], name)

    def test_lists_are_not_empty_so_that_their_items_were_checked(self):
        for name in ('query-cpus-fast', 'query-block', 'query-blockstats', 'query-pci',
                     'query-chardev', 'query-iothreads', 'query-stats-schemas'):
            self.assertTrue(self.client.command(name), name)
        for name in ('vcpus', 'iothreads', 'queues'):
            self.assertTrue(self.client.command('x-vmm-query-use')[name], name)
        self.assertTrue(self.client.command('query-stats', {'target': 'vm'}))

    def test_every_event_is_sent_and_as_the_schema_says(self):
        types = {entry['name']: entry['arg-type'] for entry in self.schema.of('event')}
        with qmp.Client(self.server.path) as client:
            client.command('x-events')
            end = time.monotonic() + 5
            while {e['event'] for e in client.events} < set(types) and time.monotonic() < end:
                client.events.append(client.message())
            for event in client.events:
                self.schema.check(event.get('data', {}), types[event['event']],
                                  event['event'])
            self.assertEqual({e['event'] for e in client.events}, set(types))

    def test_arguments_are_as_the_schema_says(self):
        for command in self.schema.of('command'):
            name = command['name']
            known = self.schema.by_name[command['arg-type']]['members']
            good = ARGUMENTS.get(name, {})
            self.schema.check(good, command['arg-type'])
            with self.subTest(name):
                reply = self.client.execute(name, {**good, 'no-such': 1})
                self.assertEqual(reply['error']['desc'], "Parameter 'no-such' is unexpected")
                for member in known:
                    self.check_argument(name, good, member)

    def check_argument(self, name, good, member):
        rest = {key: value for key, value in good.items() if key != member['name']}
        if 'default' not in member:
            self.assertEqual(self.client.execute(name, rest)['error']['desc'],
                             f"Parameter '{member['name']}' is missing")
        entry = self.schema.by_name[member['type']]
        wrong = WRONG.get(entry['name'], 7)
        reply = self.client.execute(name, {**good, member['name']: wrong})
        self.assertIn(f"Invalid parameter type for '{member['name']}', expected: ",
                      reply['error']['desc'])
        if entry['meta-type'] == 'enum':
            reply = self.client.execute(name, {**good, member['name']: 'no-such'})
            self.assertEqual(reply['error']['desc'],
                             f"Parameter '{member['name']}' does not accept value 'no-such'")


if __name__ == '__main__':
    unittest.main()
