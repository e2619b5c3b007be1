#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_snapshot_chain.py VMM

Snapshots that build upon snapshots, as files: no VM is needed to look at them.
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zlib

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'guest', 'golden',
                      'x86_64-0.1.0.tar.gz')

# Far more than the links of one folder's name would find room in a path.
LINKS = 400


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data)


class Chain(unittest.TestCase):
    """Folder 0 is the golden snapshot, and each of the others builds upon the one before."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='vmm-test-chain-', dir='/dev/shm')
        self.addCleanup(shutil.rmtree, self.folder)
        with tarfile.open(GOLDEN) as archive:
            archive.extractall(self.folder)
        os.rename(self.path('snapshot'), self.path(0))
        with open(self.path(0, 'manifest'), encoding='ascii') as file:
            self.text = file.read().rsplit('#', 1)[0]
        self.memory = int(re.search(r'^memory: (\d+)$', self.text, re.M)[1])

    def path(self, *names):
        return os.path.join(self.folder, *map(str, names))

    def write_manifest(self, nr, text):
        text = re.sub(r'^id: .*$', f'id: "{nr}"', text, flags=re.M).encode()
        write(self.path(nr, 'manifest'), text + b'# crc32 %08x\n' % zlib.crc32(text))

    def build(self, nr, parent):
        """A folder with no pages of its own."""
        if not os.path.exists(self.path(nr)):
            os.mkdir(self.path(nr))
            for name in 'state', 'config.yaml':
                os.link(self.path(0, name), self.path(nr, name))
        with open(self.path(nr, 'memory'), 'wb') as file:
            file.truncate(self.memory)
        pages = struct.pack('<Q', 0) * (self.memory // 4096 // 64)
        write(self.path(nr, 'pages'), pages)
        text = re.sub(r'^(pages|memory-crc): .*\n', '', self.text, flags=re.M)
        self.write_manifest(nr, f'{text}parent: "../{parent}"\nparent-id: "{parent}"\n'
                                f'pages-crc: {zlib.crc32(pages)}\n')

    def vmm(self, *arguments):
        done = subprocess.run([VMM, 'snapshot', *arguments], text=True, capture_output=True,
                              check=False)
        return done.returncode, done.stdout, done.stderr

    def test_chain_may_be_long(self):
        self.write_manifest(0, self.text)
        for nr in range(LINKS):
            self.build(nr + 1, nr)

        status, text, errors = self.vmm('info', '--json', self.path(LINKS))

        self.assertEqual((status, errors), (0, ''))
        self.assertEqual([each['path'] for each in json.loads(text)],
                         [self.path(nr) for nr in range(LINKS, -1, -1)])
        self.assertEqual(self.vmm('verify', self.path(LINKS))[0], 0)

    def test_chain_without_an_end_is_refused(self):
        for nr in range(3):
            self.build(nr, (nr + 2) % 3)

        self.assertEqual(self.vmm('verify', self.path(1)),
                         (1, '', f"vmm: snapshot '{self.path(1)}' builds upon itself\n"))


VMM = sys.argv.pop(1)
unittest.main()
