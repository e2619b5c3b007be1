# SPDX-License-Identifier: Apache-2.0
"""Many clients at once that send anything and leave at any moment.

Each holds the server to the protocol while it is there.
"""

import json
import os
import random
import threading
import time

import qmp

SECONDS = float(os.environ.get('VMM_TEST_SECONDS', '5'))
SEED = int(os.environ.get('VMM_TEST_SEED', '7'))
CLIENTS = 50

GARBAGE = (b'{', b'}', b'"', b'[[[[', b'\xff', b'{"execute":', b'1 2 3 ', b'{"id":{}}')


class Visitor:
    def __init__(self, path, commands, seed):
        self.path = path
        self.commands = commands
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
            client.send(b''.join(map(qmp.request, self.rng.choices(self.commands, k=2))))

    def ask(self, client):
        tag = self.rng.randrange(1 << 30)
        assert client.execute(self.rng.choice(self.commands), id=tag)['id'] == tag
        self.nr_replies += 1

    def pipeline(self, client):
        tags = range(self.rng.randrange(1, 20))
        requests = [json.dumps({'execute': self.rng.choice(self.commands), 'id': tag}).encode()
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


def visit(path, commands, meanwhile=lambda: None):
    """All of them, for the time that was set; meanwhile() is called now and then."""
    visitors = [Visitor(path, commands, SEED * 1000 + i) for i in range(CLIENTS)]
    for visitor in visitors:
        while visitor.thread.is_alive():
            meanwhile()
            visitor.thread.join(0.1)
    problems = [visitor.problem for visitor in visitors if visitor.problem]
    qmp.must(not problems, f'{len(problems)} clients have a problem: {problems[:3]}')
    qmp.must(all(visitor.nr_replies for visitor in visitors), 'somebody got no answer')
