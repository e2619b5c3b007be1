#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_crowd.py SERVER

Fifty clients at once that send anything and leave at any moment; VMM_TEST_SECONDS
says for how long.  Each holds the server to the protocol while it is there.
"""

import json
import os
import random
import sys
import threading
import time
import unittest

import qmp

SERVER = sys.argv.pop(1)
SECONDS = float(os.environ.get('VMM_TEST_SECONDS', '5'))
SEED = int(os.environ.get('VMM_TEST_SEED', '7'))
CLIENTS = 50

COMMANDS = ('query-status', 'query-commands', 'query-qmp-schema', 'query-block', 'query-pci',
            'stop', 'cont', 'system_reset', 'x-hold', 'x-events', 'nope', 'query-cpus-fast')
GARBAGE = (b'{', b'}', b'"', b'[[[[', b'\xff', b'{"execute":', b'1 2 3 ', b'{"id":{}}')


class Visitor:
    def __init__(self, path, seed):
        self.path = path
        self.rng = random.Random(seed)
        self.end = time.monotonic() + SECONDS
        self.nr_replies = 0
        self.problem = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while time.monotonic() < self.end:
                with qmp.Client(self.path) as client:
                    self.visit(client)
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem

    def visit(self, client):
        for _ in range(self.rng.randrange(1, 30)):
            self.rng.choice((self.ask, self.ask, self.pipeline, self.burst))(client)
            if time.monotonic() > self.end:
                return
        if self.rng.random() < 0.5:
            client.send(self.rng.choice(GARBAGE))
        else:
            client.send(b'{"execute": "x-hold"}{"execute": "query-status"}')

    def ask(self, client):
        tag = self.rng.randrange(1 << 30)
        assert client.execute(self.rng.choice(COMMANDS), id=tag)['id'] == tag
        self.nr_replies += 1

    def pipeline(self, client):
        tags = range(self.rng.randrange(1, 20))
        requests = [json.dumps({'execute': self.rng.choice(COMMANDS), 'id': tag}).encode()
                    for tag in tags]
        client.send(b''.join(requests))
        assert [client.reply()['id'] for _ in tags] == list(tags)
        self.nr_replies += len(tags)

    def burst(self, client):
        """Garbage, and then the order of things again."""
        tag = self.rng.randrange(1 << 30)
        client.send(b''.join(self.rng.choices(GARBAGE, k=5)) + b'\xff')
        client.send(json.dumps({'execute': 'query-status', 'id': tag}).encode())
        while client.reply().get('id') != tag:
            pass
        self.nr_replies += 1


class CrowdTest(unittest.TestCase):
    def test_crowd(self):
        with qmp.fake_server(SERVER) as server:
            visitors = [Visitor(server.path, SEED * 1000 + i) for i in range(CLIENTS)]
            for visitor in visitors:
                visitor.thread.join()
            self.assertEqual([v.problem for v in visitors if v.problem], [])
            self.assertTrue(all(v.nr_replies for v in visitors))
            with qmp.Client(server.path) as client:
                client.command('query-status')


if __name__ == '__main__':
    unittest.main()
