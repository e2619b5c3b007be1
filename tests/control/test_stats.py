#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_stats.py SERVER

query-stats and its kin, of a machine that counts what this test knows.
"""

import sys
import unittest

import qmp

SERVER = sys.argv.pop(1)
CPUS = ['/machine/cpu[0]', '/machine/cpu[1]']


class StatsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = qmp.fake_server(SERVER)
        cls.client = qmp.Client(cls.server.path)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.stop()

    def ask(self, target, **arguments):
        return self.client.command('query-stats', {'target': target, **arguments})

    def test_vm_has_no_path(self):
        self.assertEqual(self.ask('vm'), [
            {'provider': 'kvm', 'stats': [{'name': 'pages_4k', 'value': 12}]}])

    def test_values_are_numbers_booleans_and_lists(self):
        results = self.ask('vcpu')
        self.assertEqual([result['qom-path'] for result in results], CPUS)
        self.assertEqual(results[0]['stats'], [
            {'name': 'exits', 'value': 1000}, {'name': 'blocking', 'value': True},
            {'name': 'halt_wait_hist', 'value': [1, 2, 3]}, {'name': 'sizes', 'value': [8, 9]}])

    def test_vcpus_are_those_asked_for(self):
        results = self.ask('vcpu', vcpus=[CPUS[1], '/machine/cpu[9]'])
        self.assertEqual([result['qom-path'] for result in results], CPUS[1:])
        self.assertEqual(self.ask('vcpu', vcpus=[]), [])

    def test_names_are_those_asked_for(self):
        wanted = [{'provider': 'kvm', 'names': ['sizes', 'exits', 'absent']}]
        for result in self.ask('vcpu', providers=wanted):
            self.assertEqual([stat['name'] for stat in result['stats']], ['exits', 'sizes'])

    def test_names_that_nothing_has_give_nothing(self):
        for names in ([], ['absent']):
            wanted = [{'provider': 'kvm', 'names': names}]
            self.assertEqual(self.ask('vcpu', providers=wanted), [])
            self.assertEqual(self.ask('vm', providers=wanted), [])

    def test_no_provider_gives_nothing(self):
        self.assertEqual(self.ask('vm', providers=[]), [])

    def test_provider_alone_gives_all_of_it(self):
        self.assertEqual(self.ask('vcpu', providers=[{'provider': 'kvm'}]), self.ask('vcpu'))

    def test_schemas_tell_what_values_mean(self):
        [vcpu, vm] = self.client.command('query-stats-schemas', {'provider': 'kvm'})
        self.assertEqual((vcpu['target'], vm['target']), ('vcpu', 'vm'))
        self.assertEqual(vm['stats'], [{'name': 'pages_4k', 'type': 'instant', 'exponent': 0}])
        self.assertEqual(vcpu['stats'][2:], [
            {'name': 'halt_wait_hist', 'type': 'log2-histogram', 'unit': 'seconds',
             'base': 10, 'exponent': -9},
            {'name': 'sizes', 'type': 'linear-histogram', 'unit': 'bytes', 'base': 2,
             'exponent': 10, 'bucket-size': 4}])

    def test_registers_are_of_64_bits_whatever_the_sign(self):
        self.assertEqual(self.client.command('x-vmm-query-cpu-registers'), [
            {'name': 'MIDR_EL1', 'value': '0x00000000413fd0c1'},
            {'name': 'ID_AA64ISAR0_EL1', 'value': '0xffffffffffffffff'}])

    def test_use_tells_packets_of_network_cards_only(self):
        disk, card, _ = self.client.command('x-vmm-query-use')['queues']
        self.assertNotIn('packets', disk)
        self.assertEqual((card['packets'], card['bytes'], card['drops']), (4, 400, 1))

    def test_use_counts_nothing_of_a_queue_with_vhost(self):
        disk, _, lent = self.client.command('x-vmm-query-use')['queues']
        self.assertIs(disk['vhost'], False)
        self.assertEqual(lent, {'slot': 3, 'driver': 'virtio-net', 'queue': 0, 'vhost': True})

    def test_use_tells_processor_time(self):
        before = self.client.command('x-vmm-query-use')['monitor']['cpu-time-ns']
        for _ in range(50):
            self.client.command('query-qmp-schema')
        self.assertGreater(self.client.command('x-vmm-query-use')['monitor']['cpu-time-ns'],
                           before)


if __name__ == '__main__':
    unittest.main()
