#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_stats.py VMM PAYLOADS [TEST]...

What a VM is said to cost and to do, while a guest does it.
"""

import os
import platform
import sys
import time

import vm
from vm import FORCED, OK, VmTest, not_on_arm64

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import qmp  # noqa: E402  (found by the line above)

# By what a guest reaches its serial port.
UART_EXIT = {'x86_64': 'pio', 'aarch64': 'mmio'}[platform.machine()]

KVM = [{'provider': 'kvm', 'names': ['exits', 'halt_wait_hist', 'blocking']}]


def all_fds(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


class Stats(VmTest):
    def begin(self, payload, *arguments):
        path = os.path.join(self.folder, 'qmp')
        run = self.start(payload, '--qmp', path, *arguments)
        client = qmp.connect(path)
        self.addCleanup(client.close)
        return run, client

    def use(self, client):
        return client.command('x-vmm-query-use')

    @not_on_arm64('the QEMU that is asked is that for PCs')
    def test_schemas_are_those_of_qemu(self):
        _, client = self.begin('echo')
        with qmp.Server(lambda path: ['qemu-system-x86_64', '-accel', 'kvm', '-machine',
                                      'microvm', '-nodefaults', '-display', 'none', '-S',
                                      '-qmp', f'unix:{path},server=on,wait=off'],
                        qmp.wait_for_socket) as qemu:
            with qmp.Client(qemu.path) as theirs:
                for command, arguments in (('query-stats-schemas', None),
                                           ('query-stats', {'target': 'vm'}),
                                           ('query-stats', {'target': 'vcpu'})):
                    said = [self.normal(c.command(command, arguments)) for c in (client, theirs)]
                    self.assertTrue(said[0])
                    self.assertEqual(*said)

    def normal(self, results):
        """In one order, and of values only what they are; but for what later QEMUs count."""
        results = [result for result in results if result['provider'] != 'cryptodev']
        for result in results:
            result.pop('qom-path', None)
            for stat in result['stats']:
                value = stat.pop('value', None)
                stat['kind'] = len(value) if isinstance(value, list) else type(value)
            result['stats'].sort(key=lambda stat: stat['name'])
        return results

    def test_kvm_counts_exits_of_each_vcpu(self):
        run, client = self.begin('echo', '--cpus', '2')
        run.wait_for(b'READY')
        first, second = client.command('query-stats', {'target': 'vcpu', 'providers': KVM})
        self.assertEqual([stat['name'] for stat in first['stats']],
                         ['halt_wait_hist', 'blocking', 'exits'])
        self.assertEqual(second['qom-path'], '/machine/cpu[1]')
        before = first['stats'][2]['value']

        run.type(b'abc')
        run.wait_for(b'<99>')

        first, _ = client.command('query-stats', {'target': 'vcpu', 'providers': KVM})
        self.assertGreater(first['stats'][2]['value'], before)

    def test_statistics_take_descriptors_once_and_give_them_back_at_a_reset(self):
        run, client = self.begin('echo', '--cpus', '3')
        run.wait_for(b'READY')
        before = all_fds(run.process.pid)
        for _ in range(3):
            client.command('query-stats', {'target': 'vcpu'})
            client.command('query-stats', {'target': 'vm'})
        self.assertEqual(all_fds(run.process.pid), before + 4)
        client.command('system_reset')
        self.assertEqual(all_fds(run.process.pid), before)

    def test_statistics_of_a_paused_vm(self):
        run, client = self.begin('echo')
        run.wait_for(b'READY')
        client.command('stop')
        self.assertTrue(client.command('query-stats', {'target': 'vcpu'}))
        run.type(b'a')
        run.read(0.3)
        self.assertNotIn(b'<97>', run.out)
        client.command('cont')
        run.wait_for(b'<97>')

    def test_vcpu_goes_on_after_it_was_asked(self):
        run, client = self.begin('flood', '--cmdline', 'lines=300')
        client.command('query-stats', {'target': 'vcpu'})
        self.assertEqual(run.finish(), OK)
        self.assertIn(b'PASS', run.out)

    @not_on_arm64('its processors have no NMI')
    def test_nmi_does_not_wait_for_a_guest_that_sleeps(self):
        run, client = self.begin('deaf')
        run.wait_for(b'READY')
        start = time.monotonic()
        client.command('inject-nmi')
        self.assertLess(time.monotonic() - start, 5)

    def test_exits_are_counted_by_reason(self):
        run, client = self.begin('echo')
        run.wait_for(b'READY')
        before = self.use(client)['vcpus'][0]['exits']
        run.type(b'abc')
        run.wait_for(b'<99>')
        client.command('stop')
        after = self.use(client)['vcpus'][0]['exits']
        self.assertGreater(after[UART_EXIT], before[UART_EXIT])
        self.assertGreater(after['signal'], before['signal'])
        self.assertEqual(after['other'], before['other'])

    def test_guest_that_works_takes_processor_time(self):
        run, client = self.begin('flood', '--cmdline', 'lines=100000')
        run.wait_for(b'0123456789')
        before = self.use(client)['vcpus'][0]['cpu-time-ns']
        end = time.monotonic() + vm.SECONDS
        while self.use(client)['vcpus'][0]['cpu-time-ns'] < before + 20e6:
            self.assertLess(time.monotonic(), end)
            run.read(0.05)

    def test_guest_that_is_paused_takes_none(self):
        _, client = self.begin('flood', '--cmdline', 'lines=100000', '--paused')
        before = self.use(client)['vcpus'][0]['cpu-time-ns']
        time.sleep(0.5)
        self.assertLess(self.use(client)['vcpus'][0]['cpu-time-ns'] - before, 100e6)

    def test_requests_of_a_disk_are_counted_by_its_queue(self):
        disk = self.file('disk', bytes(1 << 20))
        run, client = self.begin('ioeventfd_no_exits', '--disk', disk, '--cmdline',
                                 'requests=10000000')
        queue = {'requests': 0}
        while not queue['requests']:
            run.read(0.05)
            [queue] = [q for q in self.use(client)['queues'] if q['driver'] == 'virtio-blk']
        client.command('stop')
        [queue] = [q for q in self.use(client)['queues'] if q['driver'] == 'virtio-blk']
        [device] = client.command('query-blockstats')
        self.assertEqual(queue['requests'], device['stats']['rd_operations'])
        self.assertGreater(queue['kicks'], 0)
        client.command('quit')
        self.assertEqual(run.finish(), FORCED)

    def test_memory_of_the_guest_is_told_from_the_rest(self):
        run, client = self.begin('echo', '--memory', '64M')
        run.wait_for(b'READY')
        use = client.command('x-vmm-query-memory-use')
        self.assertGreater(use['guest-rss'], 0)
        self.assertLessEqual(use['guest-rss'], 64 << 20)
        self.assertGreater(use['monitor-rss'], 0)
        self.assertLessEqual(use['monitor-pss'], use['monitor-rss'])


if __name__ == '__main__':
    vm.main()
