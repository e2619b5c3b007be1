#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_oracle.py SERVER
       test_oracle.py VMM PAYLOADS

The same conversations with our server, or with a VM that runs, and with QEMU: what
they answer has the same order, the same shape, and for errors the same class and text.
"""

import json
import os
import random
import re
import sys
import tempfile
import unittest

import qmp

PROGRAM, *PAYLOADS = sys.argv[1:]
SEED = int(os.environ.get('VMM_TEST_SEED', '7'))
RANDOM_CONVERSATIONS = 400
FORCED = 3          # vmm's exit status after 'quit'

# Ends whatever token or object is under way, in both; then a known answer.
END = b'\xff\n{"execute": "query-kvm", "id": "the end"}'

SHAPES = [
    b'{"execute": "query-status"}',
    b'{"execute": "query-version"}',
    b'{"execute": "query-uuid"}',
    b'{"execute": "query-kvm"}',
    b'{"execute": "query-target"}',
    b'{"execute": "query-memory-size-summary"}',
    b'{"execute": "query-cpus-fast"}',
    b'{"execute": "query-iothreads"}',
    b'{"execute": "query-chardev"}',
    b'{"execute": "query-block"}',
    b'{"execute": "query-blockstats"}',
    b'{"execute": "query-blockstats", "arguments": {"query-nodes": true}}',
    b'{"execute": "query-pci"}',
    b'{"execute": "query-migrate"}',
    b'{"execute": "query-migrate-capabilities"}',
    b'{"execute": "query-commands"}',
    b'{"execute": "query-qmp-schema"}',
]

GOOD = [
    b'{"execute": "stop"}',
    b'{"execute": "stop", "id": 1}{"execute": "stop", "id": 2}{"execute": "cont", "id": 3}',
    b'{"execute":"cont"}{"execute":"cont"}\r\n\r\n{"execute":"stop"}\t{"execute":"cont"}',
    b'{"execute": "system_powerdown"}',
    b'{"execute": "system_reset", "arguments": {}}',
    b'{"execute": "set-action", "arguments": {"reboot": "shutdown"}}',
    b'{"execute": "set-action", "arguments": {"reboot": "reset", "panic": "none"}}',
    b'{"execute": "query-kvm", "id": null}',
    b'{"execute": "migrate_cancel"}',
    b'{"execute": "migrate-set-parameters", "arguments": {"downtime-limit": 200}}',
    b'{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 1000000}}',
    b'{"execute": "migrate-set-capabilities", "arguments": {"capabilities": '
    b'[{"capability": "events", "state": true}, {"capability": "events", "state": false}]}}',
    b'{"execute": "query-kvm", "id": {"a": [1, 2.5, "\\u00e9\xc3\xa9\\"\\\\\\/\\b\\f\\n\\r\\t"]}}',
    b"{'execute': 'query-kvm', 'id': 'it\\'s \"quoted\"'}",
    b'{"execute": "query-kvm", "id": "it\\\'s"}',
    b'{"id": -0, "execute": "query-kvm"}',
    b'{"execute": "query-kvm", "id": 18446744073709551616}',
    b'{"execute": "query-kvm", "id": 1E+3}',
    b'{"execute": "query-kvm", "id": "\\ud83d\\ude00 \xf0\x9f\x98\x80"}',
]

BAD = [
    b'{"execute": "nope"}',
    b'{"execute": "nope", "arguments": {"a": 1}, "id": "x"}',
    b'{"execute": "x\\u0041\xc3\xa9"}',
    b'{"execute": "stop", "arguments": {"foo": 1}}',
    b'{"execute": "stop", "arguments": []}',
    b'{"execute": "stop", "arguments": null, "id": 4}',
    b'{"execute": "stop", "foo": 1}',
    b'{"execute": 3, "id": 5}',
    b'{"id": 6}',
    b'{}',
    b'{"exec-oob": "stop"}',
    b'{"execute": "qmp_capabilities"}',
    b'{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}',
    b'{"execute": "qmp_capabilities", "arguments": {"enable": 3}}',
    b'{"execute": "qmp_capabilities", "arguments": {"a": 3}}',
    b'{"execute": "getfd"}',
    b'{"execute": "getfd", "arguments": {"fdname": 1}}',
    b'{"execute": "getfd", "arguments": {"fdname": "a"}}',
    b'{"execute": "closefd", "arguments": {"fdname": "absent"}}',
    b'{"execute": "set-action", "arguments": {"reboot": "x"}}',
    b'{"execute": "migrate", "arguments": {"uri": 1}}',
    b'{"execute": "migrate", "arguments": {"uri": "unix:/x", "foo": 1}}',
    b'{"execute": "migrate-set-parameters", "arguments": {"foo": 1}}',
    b'{"execute": "migrate-set-capabilities"}',
    b'{"execute": "migrate-set-capabilities", "arguments": {"capabilities": 1}}',
    b'{"execute": "migrate-set-capabilities", "arguments": {"capabilities": '
    b'[{"capability": "nope", "state": true}]}}',
    b'{"execute": "migrate-set-capabilities", "arguments": {"capabilities": '
    b'[{"capability": "events"}]}}',
    b'{"execute": "set-action", "arguments": {"reboot": 3}}',
    b'{"execute": "set-action", "arguments": {"reboot": null, "foo": 1}}',
    b'{"execute": "query-blockstats", "arguments": {"query-nodes": "on"}}',
    b'{"execute": "query-blockstats", "arguments": {"query-nodes": 1}}',
    b'{"execute": "query-stats"}',
    b'{"execute": "query-stats", "arguments": {"target": "x"}}',
    b'{"execute": "query-stats", "arguments": {"target": "vm", "vcpus": []}}',
    b'{"execute": "query-stats", "arguments": {"target": "vcpu", "vcpus": 5}}',
    b'{"execute": "query-stats", "arguments": {"target": "vcpu", "vcpus": [5]}}',
    b'{"execute": "query-stats", "arguments": {"target": "vm", "providers": [{}]}}',
    b'{"execute": "query-stats", "arguments": {"target": "vm",'
    b' "providers": [{"provider": "x"}]}}',
    b'{"execute": "query-stats-schemas", "arguments": {"provider": "x"}}',
    b'1 2 "a" [1, [2]] null true -1.5e3 ',
    b'nul x ', b'}', b']', b',', b':', b'{]', b'{"a":[}]', b'[}', b'{"a":1,}', b'[1,]',
    b'{1:2}', b'{"a" 1}', b'{"a":[1 2]}', b'{"a":1 "b":2}', b'{"execute":}', b'[,]', b'{,}',
    b'{"a":1, "a":2}', b'{"execute":"stop","execute":"stop"}',
    b'01 ', b'-a', b'1.x', b'1ex', b'1e+x', b'%', b'Abc', b'1a ', b'1.5.5 ',
    b'{"a":nul}', b'{"a":01}', b'{"a":-}',
    b'{"execute":"\\x"}', b'{"execute":"\\u12"}', b'{"a":"\xc3("}', b'{"a":"\xff"}', b'"\x01"',
    b'"a\nb" {"execute": "query-kvm"}',
    b'@ abc, d {"execute": "query-kvm"}',
    b'@ abc\n{"execute": "query-kvm"}',
    b'@\tabc{"execute": "query-kvm"}',
    b'{"execute": "query-kvm"\x01}\n{"execute": "query-kvm"}',
    b'{"a": @ "b"} {"execute": "query-kvm"}',
    b'{"execute": "query-kvm"}\xff{"execute": "query-kvm"}',
]

# Since QEMU 8.2 a move can go by what it calls channels, without a URI.
NO_URI = [
    b'{"execute": "migrate"}',
    b'{"execute": "migrate-incoming"}',
]

# FILE is a disk of 1 MiB.
HOTPLUG = [
    b'{"execute": "blockdev-add", "arguments": {"driver": "raw", "node-name": "a", '
    b'"file": {"driver": "file", "filename": "FILE"}}}'
    b'{"execute": "blockdev-add", "arguments": {"driver": "raw", "node-name": "a", '
    b'"file": {"driver": "file", "filename": "FILE"}}}'
    b'{"execute": "query-block"}{"execute": "query-blockstats"}'
    b'{"execute": "blockdev-del", "arguments": {"node-name": "a"}}'
    b'{"execute": "blockdev-del", "arguments": {"node-name": "a"}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "file", "node-name": "b", '
    b'"filename": "FILE", "read-only": true, "cache": {"direct": false}}}'
    b'{"execute": "blockdev-del", "arguments": {"node-name": "b"}}',
    b'{"execute": "blockdev-add"}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "raw"}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "file", "node-name": "a"}}',
    b'{"execute": "blockdev-add", "arguments": {"node-name": "a"}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "nope", "node-name": "a"}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": 3, "node-name": "a"}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "raw", "file": '
    b'{"driver": "file", "filename": "FILE"}}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "raw", "node-name": "1 a", "file": '
    b'{"driver": "file", "filename": "FILE"}}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "file", "node-name": "", '
    b'"filename": "FILE"}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "file", "filename": "FILE", '
    b'"node-name": "x1234567890123456789012345678901"}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "raw", "node-name": "a", '
    b'"file": {"driver": "file"}}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "raw", "node-name": "a", '
    b'"file": {"filename": "x"}}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "raw", "node-name": "a", '
    b'"file": {"driver": "file", "filename": "FILE", "foo": 1}}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "file", "node-name": "a", "foo": 1, '
    b'"filename": "FILE"}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "file", "node-name": "a", '
    b'"cache": {"foo": 1}, "filename": "FILE"}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "file", "node-name": "a", '
    b'"read-only": "x", "filename": "FILE"}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "file", "node-name": "a", '
    b'"filename": "/nonexistent/file"}}',
    b'{"execute": "blockdev-del", "arguments": {"node-name": "zz"}}',
    b'{"execute": "blockdev-del", "arguments": {"node-name": 1}}',
    b'{"execute": "blockdev-del"}',
    b'{"execute": "device_add"}',
    b'{"execute": "device_add", "arguments": {"driver": "nope"}}',
    b'{"execute": "device_add", "arguments": {"driver": "virtio-blk-pci", "id": "1 x", '
    b'"drive": "a"}}',
    b'{"execute": "device_add", "arguments": {"driver": "virtio-blk-pci", "id": "x", '
    b'"drive": "a", "bus": "zz"}}',
    b'{"execute": "device_del"}',
    b'{"execute": "device_del", "arguments": {"id": 1}}',
    b'{"execute": "device_del", "arguments": {"id": "zz"}}',
    b'{"execute": "device_del", "arguments": {"id": "/machine/peripheral/zz"}}',
    b'{"execute": "netdev_add"}',
    b'{"execute": "netdev_add", "arguments": {"type": "tap"}}',
    b'{"execute": "netdev_add", "arguments": {"type": "nope", "id": "x"}}',
    b'{"execute": "netdev_add", "arguments": {"type": "tap", "id": "1 x", "ifname": "zz"}}',
    b'{"execute": "netdev_add", "arguments": {"type": "tap", "id": "n", "ifname": 3}}',
    b'{"execute": "netdev_add", "arguments": {"type": "tap", "id": "n", "foo": 3}}',
    b'{"execute": "netdev_del"}',
    b'{"execute": "netdev_del", "arguments": {"id": "zz"}}',
    b'{"execute": "set_link", "arguments": {"name": "zz", "up": true}}',
    b'{"execute": "set_link", "arguments": {"name": "zz", "up": 1}}',
    b'{"execute": "set_link", "arguments": {"name": "zz"}}',
    b'{"execute": "set_link", "arguments": {"up": true}}',
    b'{"execute": "announce-self"}',
    b'{"execute": "announce-self", "arguments": {"initial": 50, "max": 550, "rounds": 5}}',
    b'{"execute": "announce-self", "arguments": {"initial": 50, "max": 550, "rounds": 2, '
    b'"step": 9}}',
]

# Besides what is required; those that change something come first.
NO_LIMITS = {'bps': 0, 'bps_rd': 0, 'bps_wr': 0, 'iops': 0, 'iops_rd': 0, 'iops_wr': 0}
THROTTLES = [{'device': 'disk0', **arguments} for arguments in (
    {},
    {'iops': 100},
    {'iops': 10 ** 15},
    {'iops': 10, 'iops_max': 10},
    {'iops': 10, 'iops_max': 20, 'iops_max_length': 5},
    {'bps': 7, 'bps_max': 8, 'iops_rd': 5, 'iops_rd_max': 9, 'iops_rd_max_length': 3,
     'iops_size': 4096, 'group': 'g'},
    {'bps_rd': 7, 'bps_wr': 8, 'bps_wr_max': 10 ** 15},
    {'iops_wr': 8, 'group': 'h'},
    {},
    {'iops': 1, 'iops_rd': 1},
    {'bps': 1, 'bps_wr': 1},
    {'iops': 5, 'iops_max': 10, 'iops_rd_max': 10},
    {'iops': 10, 'iops_max': 5},
    {'iops_max': 5},
    {'iops': -1},
    {'iops': 10, 'iops_max': -5},
    {'iops': 10 ** 15 + 1},
    {'iops': 10, 'iops_max_length': 0},
    {'iops': 0, 'iops_max_length': 0},
    {'iops': 10, 'iops_max_length': 5},
    {'iops': 10, 'iops_max': 10 ** 15, 'iops_max_length': 5},
    {'iops_size': 512},
    {'bps': 4, 'iops_size': 512},
    {'bps': None},
    {'iops': 'x'},
    {'iops': 1.5},
    {'iops': 2 ** 63},
    {'iops': 5, 'foo': 3},
    {'iops': 5, 'group': 3},
    {'iops': 3, 'device': None},
    {'iops': 3, 'device': 'x'},
    {'iops': 3, 'device': None, 'id': 'x'},
    {'iops': 3, 'id': 'disk0'},
)]

# What the texts of both may differ in, with the reason.
SAME_ENOUGH = [
    ('JSON parse error, stray .*', 'stray: bytes other than ASCII are ? in ours'),
    ('JSON parse error, invalid escape sequence.*', 'escape: theirs has words for each'),
    ("(disk '[^']*': cannot|cannot|Could not) open '[^']*': No such file or directory",
     'a missing file: the verb, and which disk'),
    ("'nope' is not a valid device model name.*", 'a driver: ours says which there are'),
    (r"Parameter '\w+': '-\d+' is no number.*|bps/iops/max values must be within .*",
     'a negative limit: ours is refused as a number'),
    ('JSON parse error, .* is not a valid Unicode character', 'escape: theirs has words for each'),
]

TOKENS = [b'{', b'}', b'[', b']', b':', b',', b'"execute"', b'"id"', b'"arguments"', b"'a'",
          b'"query-kvm"', b'"stop"', b'"cont"', b'1', b'-2.5', b'0', b'true', b'null', b'tru',
          b' ', b'\n', b'@', b'\xff', b'"', b'\\', b'"\\u00e9"', b'{"execute":"cont"}']


# Members of QEMU 7.2 that later versions no longer send.
GONE = ('singlestep',)


def shape(value):
    """Names and types; lists of nothing say nothing."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items() if key not in GONE}
    return type(value).__name__


def normal(message):
    """What has to be the same."""
    if 'event' in message:
        return 'event', message['event'], message.get('data')
    if 'return' in message:
        return 'return', message.get('id', 'no id'), shape(message['return'])
    desc = message['error']['desc']
    for pattern, reason in SAME_ENOUGH:
        if re.fullmatch(pattern, desc, re.DOTALL):
            desc = reason
    return 'error', message.get('id', 'no id'), message['error']['class'], desc


def merge_syntax_errors(messages):
    """
    A text with several mistakes is refused for the first of them.  Which that is
    differs for keys, since QEMU reads a key as a value and then wonders.
    """
    return [(*message[:3], 'syntax') if message[0] == 'error' and
            re.match('JSON parse error', message[3]) else message for message in messages]


def is_end(message):
    return message.get('id') == 'the end'


def converse(client, parts):
    """Send the parts, each in a write of its own; what comes back."""
    for part in parts:
        client.send(part)
    client.send(END)
    messages = []
    while not messages or not is_end(messages[-1]):
        messages.append(client.message())
    return [normal(message) for message in messages]


def our_server(*arguments):
    """The fake machine behind QMP, or a VM with a guest that does not mind a pause."""
    if not PAYLOADS:
        return qmp.fake_server(PROGRAM)
    kernel = os.path.join(PAYLOADS[0], 'echo.elf')
    return qmp.Server(lambda path: [PROGRAM, 'run', '--kernel', kernel, '--qmp', path,
                                    *arguments],
                      qmp.wait_for_socket, statuses=(FORCED,))


class OracleBase(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        cls.ours.stop()
        cls.theirs.stop()

    # QEMU serves one client at a time.
    def setUp(self):
        self.clients = [qmp.Client(server.path) for server in (self.ours, self.theirs)]
        for client in self.clients:
            self.addCleanup(client.close)



class OracleTest(OracleBase):
    @classmethod
    def setUpClass(cls):
        cls.ours = our_server()
        cls.theirs = qmp.qemu()
        with qmp.Client(cls.theirs.path) as client:
            version = client.command('query-version')['qemu']
        cls.version = version['major'], version['minor']
        cls.bad = BAD + (NO_URI if cls.version < (8, 2) else [])

    def compare(self, parts, simplify=list):
        ours, theirs = (simplify(converse(client, parts)) for client in self.clients)
        self.assertEqual(ours, theirs, parts)

    def test_conversations_whole(self):
        for conversation in SHAPES + GOOD + self.bad:
            with self.subTest(conversation):
                self.compare([conversation])

    def test_hot_plug(self):
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(1 << 20)
            for conversation in HOTPLUG:
                # Later ones look for a bus first, which this QEMU has none of.
                if self.version >= (8,) and b'"id": "1 x", "drive"' in conversation:
                    continue
                with self.subTest(conversation):
                    self.compare([conversation.replace(b'FILE', file.name.encode())])

    def test_conversations_byte_by_byte(self):
        for conversation in GOOD + self.bad:
            with self.subTest(conversation):
                self.compare([bytes([byte]) for byte in conversation])

    def test_conversation_split_at_every_byte(self):
        conversation = GOOD[1]
        for at in range(1, len(conversation)):
            with self.subTest(at):
                self.compare([conversation[:at], conversation[at:]])

    def test_all_conversations_pipelined(self):
        self.compare([b'\n'.join(GOOD)])
        self.compare([b'\xff'.join(GOOD + self.bad)])

    def test_random_conversations(self):
        rng = random.Random(SEED)
        for _ in range(RANDOM_CONVERSATIONS):
            tokens = [rng.choice(TOKENS) for _ in range(rng.randrange(1, 14))]
            with self.subTest(b''.join(tokens), seed=SEED):
                self.compare([b''.join(tokens)], merge_syntax_errors)


class ThrottleTest(OracleBase):
    @classmethod
    def setUpClass(cls):
        cls.file = tempfile.NamedTemporaryFile()
        cls.addClassCleanup(cls.file.close)
        cls.file.truncate(1 << 20)
        cls.ours = our_server('--disk', f'{cls.file.name},id=disk0')
        cls.theirs = qmp.qemu('-drive', f'if=none,id=disk0,format=raw,file={cls.file.name},'
                              'file.locking=off')

    # What is left out is taken out of the arguments by a value of None.
    def set(self, client, **arguments):
        arguments = {**NO_LIMITS, **arguments}
        arguments = {key: value for key, value in arguments.items() if value is not None}
        return normal(client.execute('block_set_io_throttle', arguments))

    def test_arguments_do_the_same(self):
        for arguments in THROTTLES:
            with self.subTest(arguments):
                ours, theirs = (self.set(client, **arguments) for client in self.clients)
                self.assertEqual(ours, theirs)

    def test_limits_are_told_alike(self):
        for arguments in THROTTLES:
            told = []
            for client in self.clients:
                self.set(client, **arguments)
                inserted = client.command('query-block')[0]['inserted']
                told.append({key: value for key, value in inserted.items()
                             if re.match('bps|iops|group', key)})
            with self.subTest(arguments):
                self.assertEqual(told[0], told[1])


class BeginningTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.servers = [our_server(), qmp.qemu()]

    @classmethod
    def tearDownClass(cls):
        for server in cls.servers:
            server.stop()

    def test_greetings_have_the_same_shape(self):
        greetings = []
        for server in self.servers:
            with qmp.Client(server.path, negotiate=False) as client:
                greetings.append(shape(client.greeting))
        self.assertEqual(greetings[0], greetings[1])

    def test_conversations_before_the_negotiation(self):
        for conversation in (b'{"execute": "stop", "id": 1}', b'{"execute": "nope"}', b'{}',
                             b'{"execute": 3}', b'nul ', b'}',
                             b'{"execute": "qmp_capabilities", "arguments": {"a": 1}}',
                             b'{"execute": "qmp_capabilities", "arguments": {"enable": 1}}',
                             b'{"execute": "qmp_capabilities", "arguments": {"enable": []}}',
                             b'{"execute":"qmp_capabilities"}{"execute":"query-kvm"}'):
            answers = []
            for server in self.servers:
                with qmp.Client(server.path, negotiate=False) as client:
                    answers.append(converse(client, [conversation]))
            with self.subTest(conversation):
                self.assertEqual(answers[0], answers[1])


class EndTest(unittest.TestCase):
    def test_quit(self):
        ends = []
        for start in (our_server, qmp.qemu):
            server = start()
            with qmp.Client(server.path) as client:
                client.send(json.dumps({'execute': 'quit', 'id': 1}).encode())
                ends.append([normal(message) for message in client.rest()])
            server.process.wait(qmp.TIMEOUT)
            server.stop()
        self.assertEqual(ends[0], ends[1])


if __name__ == '__main__':
    if PAYLOADS and not os.access('/dev/kvm', os.R_OK | os.W_OK):
        print('skipped: cannot open /dev/kvm')
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
