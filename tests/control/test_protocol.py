#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_protocol.py SERVER

The rules of the protocol: negotiation, replies, order, events, bounds.
"""

import json
import os
import socket
import sys
import time
import unittest

import qmp

SERVER = sys.argv.pop(1)


class ProtocolTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = qmp.fake_server(SERVER)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.client = qmp.Client(self.server.path)
        self.client.command('cont')
        self.client.events.clear()
        self.addCleanup(self.client.close)

    def assert_error(self, reply, kind, desc):
        self.assertEqual(reply['error'], {'class': kind, 'desc': desc})

    def test_greeting_offers_no_capability(self):
        self.assertEqual(self.client.greeting['QMP']['capabilities'], [])

    def test_nothing_but_the_negotiation_is_obeyed_before_it(self):
        with qmp.Client(self.server.path, negotiate=False) as client:
            self.assert_error(client.execute('stop', id=1), 'CommandNotFound',
                              "Expecting capabilities negotiation with 'qmp_capabilities'")
        self.assertEqual(self.client.command('query-status')['status'], 'running')

    def test_no_event_comes_before_the_negotiation(self):
        with qmp.Client(self.server.path, negotiate=False) as client:
            self.client.command('stop')
            self.assertTrue(client.silent_for(0.1))

    def test_a_second_negotiation_is_refused(self):
        self.assert_error(self.client.execute('qmp_capabilities'), 'CommandNotFound',
                          'Capabilities negotiation is already complete, command ignored')

    def test_a_capability_that_was_not_offered_is_refused(self):
        with qmp.Client(self.server.path, negotiate=False) as client:
            reply = client.execute('qmp_capabilities', {'enable': ['oob']})
            self.assertEqual(reply['error']['class'], 'GenericError')
            self.assertEqual(client.command('qmp_capabilities', {'enable': []}), {})

    def test_id_comes_back_whatever_it_is(self):
        for tag in (None, 0, -1.5, 'é\n"', [1, [2]], {'a': {'b': []}}, False):
            self.assertEqual(self.client.execute('query-kvm', id=tag)['id'], tag)

    def test_event_comes_before_the_return(self):
        self.client.send(b'{"execute": "stop"}{"execute": "stop"}{"execute": "cont"}')
        messages = [self.client.message() for _ in range(5)]
        self.assertEqual([m.get('event', 'return') for m in messages],
                         ['STOP', 'return', 'return', 'RESUME', 'return'])

    def test_every_negotiated_client_gets_an_event(self):
        with qmp.Client(self.server.path) as other:
            self.client.command('stop')
            self.assertEqual(other.message()['event'], 'STOP')

    def test_event_has_the_time_it_happened(self):
        self.client.command('stop')
        stamp = self.client.events[0]['timestamp']
        self.assertAlmostEqual(stamp['seconds'] + stamp['microseconds'] / 1e6, time.time(),
                               delta=5)

    def test_commands_wait_for_the_one_before(self):
        begin = time.monotonic()
        self.client.send(b'{"execute":"x-hold","id":1}{"execute":"query-kvm","id":2}')
        self.assertEqual([self.client.reply()['id'], self.client.reply()['id']], [1, 2])
        self.assertGreaterEqual(time.monotonic() - begin, 0.05)

    def test_one_client_does_not_wait_for_another(self):
        with qmp.Client(self.server.path) as other:
            other.send(b'{"execute":"x-hold"}')
            begin = time.monotonic()
            self.client.command('query-kvm')
            self.assertLess(time.monotonic() - begin, 0.05)

    def test_answer_to_one_who_left_is_dropped(self):
        other = qmp.Client(self.server.path)
        other.send(b'{"execute":"x-hold"}')
        time.sleep(0.01)
        other.close()
        time.sleep(0.1)
        self.client.command('query-kvm')

    def wait_for_status(self, wanted):
        deadline = time.monotonic() + qmp.TIMEOUT
        while self.client.command('query-status')['status'] != wanted:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_snapshot_of_one_who_left_is_called_off(self):
        take = qmp.request('x-vmm-snapshot', {'path': '/snap'})
        other = qmp.Client(self.server.path)
        other.send(take)
        self.wait_for_status('save-vm')
        other.socket.shutdown(socket.SHUT_WR)
        time.sleep(0.1)
        self.wait_for_status('save-vm')         # he still listens

        other.close()

        self.wait_for_status('running')
        with qmp.Client(self.server.path) as hasty:
            hasty.send(take)
        time.sleep(0.1)
        self.wait_for_status('running')

    def test_answers_come_after_the_last_byte_was_sent(self):
        self.client.send(b'{"execute":"x-hold"}{"execute":"query-kvm"}')
        self.client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(self.client.rest(),
                         [{'return': {}}, {'return': {'enabled': True, 'present': True}}])

    def test_machines_reason_is_told(self):
        self.assert_error(self.client.execute('set-action', {'watchdog': 'none'}),
                          'GenericError', 'there is no watchdog')

    # Bounds.

    def test_disk_is_found_by_name_and_resized(self):
        for key in ('device', 'node-name'):
            self.client.command('block_resize', {key: 'disk0', 'size': 3 << 30})
            self.assertEqual(
                self.client.command('query-block')[0]['inserted']['image']['virtual-size'],
                3 << 30)
        self.assert_error(self.client.execute('block_resize', {'device': 'x', 'size': 512}),
                          'GenericError', "Cannot find device='x' nor node-name=''")
        self.assert_error(self.client.execute('block_resize', {'size': 512}),
                          'GenericError', "Cannot find device='' nor node-name=''")
        self.assert_error(self.client.execute('block_resize', {'device': 'disk0', 'size': 512}),
                          'GenericError',
                          'shrinking would lose data')

    def test_guest_that_refuses_keeps_its_device(self):
        add = {'driver': 'file', 'node-name': 'node', 'filename': '/dev/null'}
        self.assertEqual(self.client.command('blockdev-add', add), {})
        self.assertEqual(self.client.command('device_add', {
            'driver': 'virtio-blk-pci', 'drive': 'node', 'id': 'stubborn'}), {})
        self.client.events.clear()

        self.assertEqual(self.client.command('device_del', {'id': 'stubborn'}), {})

        [event] = self.client.events
        self.assertEqual((event['event'], event['data']), ('DEVICE_UNPLUG_GUEST_ERROR', {
            'device': 'stubborn', 'path': '/machine/peripheral/stubborn'}))
        self.assertEqual(self.client.execute('blockdev-del', {'node-name': 'node'})['error'],
                         {'class': 'GenericError', 'desc': "'node' is in use"})

    def test_limits_that_the_machine_refuses_are_told(self):
        none = {key + way: 0 for key in ('bps', 'iops') for way in ('', '_rd', '_wr')}
        self.assert_error(
            self.client.execute('block_set_io_throttle', {**none, 'device': 'disk1', 'iops': 1}),
            'GenericError', 'the disk is elsewhere')
        self.client.command('block_set_io_throttle',
                            {**none, 'id': '/machine/disk0', 'iops': 1})
        self.assertEqual(self.client.command('query-block')[0]['inserted']['iops'], 1)
        self.client.command('block_set_io_throttle', {**none, 'device': 'disk0'})

    def test_nesting_is_bounded(self):
        self.client.send(b'{"execute": "query-kvm", "id": ' + b'[' * 64 + b']' * 64 + b'}')
        self.assert_error(self.client.reply(), 'GenericError',
                          'JSON nesting depth limit exceeded')
        self.client.send(b'\xff')
        while 'stray' not in self.client.reply()['error']['desc']:
            pass
        self.client.command('query-kvm')

    def test_size_of_a_message_is_bounded(self):
        self.client.send(b'"' + b'x' * (300 << 10) + b'\xff')
        descs = [self.client.reply()['error']['desc'] for _ in range(2)]
        self.assertEqual(descs[0], 'JSON token size limit exceeded')
        self.assertIn('stray', descs[1])
        self.client.command('query-kvm')

    def test_client_that_sends_without_reading_is_made_to_wait(self):
        sent = 0
        self.client.socket.settimeout(1)
        try:
            while sent < 4000:
                self.client.send(b'{"execute": "query-qmp-schema"}')
                sent += 1
        except TimeoutError:
            pass
        self.assertLess(sent, 4000)
        with qmp.Client(self.server.path) as other:
            other.command('query-kvm')
        self.client.socket.settimeout(qmp.TIMEOUT)
        for _ in range(sent - 1):
            self.assertIn('return', self.client.reply())

    def test_event_does_not_end_the_wait_of_a_client_that_reads_slowly(self):
        nr = 300
        self.client.send(b'{"execute": "query-qmp-schema"}' * nr)
        time.sleep(0.2)         # until the server waits for us
        with qmp.Client(self.server.path) as other:
            for _ in range(20):
                self.client.buffer += self.client.socket.recv(16 << 10)
                other.command('x-events')
        for _ in range(nr):
            self.assertIn('return', self.client.reply())

    def test_output_of_any_size_arrives(self):
        text = self.client.command('x-fill', {'len': 500 << 10})
        self.assertEqual(len(text), 500 << 10)

    def test_client_that_does_not_read_its_events_is_dropped(self):
        with qmp.Client(self.server.path) as other:
            for _ in range(2000):
                self.client.command('x-events')
                self.client.events.clear()
            with self.assertRaises((EOFError, ConnectionError, qmp.ProtocolError)):
                while True:
                    other.message()
        self.client.command('query-kvm')

    # Descriptors.

    def test_descriptor_is_kept_until_it_is_closed(self):
        ours, theirs = socket.socketpair()
        self.client.command('getfd', {'fdname': 'pair'}, [theirs.fileno()])
        theirs.close()
        ours.settimeout(0.1)
        with self.assertRaises(TimeoutError):
            ours.recv(1)
        with qmp.Client(self.server.path) as other:
            other.command('closefd', {'fdname': 'pair'})
        self.assertEqual(ours.recv(1), b'')
        ours.close()

    def test_descriptor_of_the_same_name_replaces_the_other(self):
        ours, theirs = socket.socketpair()
        self.client.command('getfd', {'fdname': 'same'}, [theirs.fileno()])
        theirs.close()
        self.client.command('getfd', {'fdname': 'same'}, [0])
        self.assertEqual(ours.recv(1), b'')
        ours.close()
        self.client.command('closefd', {'fdname': 'same'})

    def test_descriptor_nobody_asked_for_goes_with_the_client(self):
        ours, theirs = socket.socketpair()
        with qmp.Client(self.server.path) as other:
            other.execute('query-kvm', fds=[theirs.fileno()] * 3)
        theirs.close()
        self.assertEqual(ours.recv(1), b'')
        ours.close()

    def test_getfd_needs_a_descriptor_and_a_name(self):
        self.assert_error(self.client.execute('getfd', {'fdname': 'a'}), 'GenericError',
                          'No file descriptor supplied via SCM_RIGHTS')
        self.assert_error(self.client.execute('getfd', {'fdname': '1'}, [0]), 'GenericError',
                          "Parameter 'fdname' expects a name not starting with a digit")
        self.assert_error(self.client.execute('closefd', {'fdname': 'a'}), 'GenericError',
                          "File descriptor named 'a' not found")

    def test_names_of_descriptors_are_bounded(self):
        replies = [self.client.execute('getfd', {'fdname': f'n{i}'}, [0]) for i in range(65)]
        self.assertEqual(['return' in reply for reply in replies], [True] * 64 + [False])
        for i in range(64):
            self.client.command('closefd', {'fdname': f'n{i}'})


class OwnServerTest(unittest.TestCase):
    """What would disturb others, or ends the server."""

    def test_frequent_event_is_told_once_a_second_of_each_kind(self):
        with qmp.fake_server(SERVER) as server, qmp.Client(server.path) as client:
            client.command('x-events')
            first = [e['data'] for e in client.events if e['event'] == 'GUEST_PANICKED']
            begin = time.monotonic()
            self.assertEqual(first, [{'action': 'pause'}, {'action': 'run'}])
            self.assertEqual(client.message()['data'], {'action': 'run'})
            self.assertGreater(time.monotonic() - begin, 0.7)
            self.assertTrue(client.silent_for(1.2))

    def test_quit_tells_and_answers_before_the_end(self):
        server = qmp.fake_server(SERVER)
        with qmp.Client(server.path) as client, qmp.Client(server.path) as other:
            client.send(b'{"execute": "quit", "id": 1}')
            shutdown = {'guest': False, 'reason': 'host-qmp-quit'}
            messages = client.rest()
            self.assertEqual(messages[0]['data'], shutdown)
            self.assertEqual(messages[1:], [{'return': {}, 'id': 1}])
            self.assertEqual(other.rest()[0]['data'], shutdown)
        server.process.wait(qmp.TIMEOUT)
        self.assertFalse(os.path.exists(server.path))
        server.stop()

    def test_commands_under_way_are_answered_before_the_end(self):
        server = qmp.fake_server(SERVER)
        with qmp.Client(server.path) as holder, qmp.Client(server.path) as pauser:
            holder.send(b'{"execute": "x-hold", "id": 1}')
            pauser.send(b'{"execute": "stop", "id": 2}')
            server.stop()
            self.assertIn({'return': {}, 'id': 1}, holder.rest())
            self.assertIn({'return': {}, 'id': 2}, pauser.rest())

    def test_client_that_does_not_read_does_not_delay_the_end(self):
        server = qmp.fake_server(SERVER)
        with qmp.Client(server.path) as slow, qmp.Client(server.path) as client:
            slow.send(json.dumps({'execute': 'x-fill',
                                  'arguments': {'len': 512 << 10}}).encode())
            client.command('query-kvm')
            begin = time.monotonic()
            client.execute('quit')
            server.process.wait(qmp.TIMEOUT)
            self.assertLess(time.monotonic() - begin, 2)
        server.stop()


if __name__ == '__main__':
    unittest.main()
