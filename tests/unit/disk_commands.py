# SPDX-License-Identifier: Apache-2.0
"""What the tests of vmm disk share: the program, qemu-img beside it, and a folder of images."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

VMM = sys.argv[1]
MIB = 1 << 20


def disk(*arguments, **options):
    run = subprocess.run([VMM, 'disk', *arguments], capture_output=True, text=True,
                         check=False, **options)
    return run.returncode, run.stdout, run.stderr


def qemu_img(*arguments):
    return subprocess.run(['qemu-img', *arguments], check=True, capture_output=True,
                          text=True).stdout


def content(path):
    with open(path, 'rb') as file:
        return file.read()


def stored(path):
    """The size of a file and its blocks by place, without zeros: there may be gigabytes."""
    size, at, blocks = os.stat(path).st_size, 0, {}
    with open(path, 'rb') as file:
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            for place in range(at, end, 4096):
                blocks[place] = os.pread(file.fileno(), 4096, place)
            at = end
    return size, {place: block for place, block in blocks.items() if block.strip(b'\0')}


def make_raw(path, size, seed):
    """Data, bytes that are easily compressed, and holes."""
    rng = random.Random(seed)
    with open(path, 'wb') as file:
        file.truncate(size)
        for i in range(60):
            at = rng.randrange(size // 4096) * 4096
            len_ = min(rng.randrange(1, 200) * 512, size - at)
            file.seek(at)
            file.write(rng.randbytes(len_) if i % 2 else bytes([i]) * len_)


class InFolder(unittest.TestCase):
    place = '/var/tmp'

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='vmm-test-disk-', dir=self.place)
        self.addCleanup(shutil.rmtree, self.folder)
        self.raw = self.path('a.raw')
        make_raw(self.raw, 8 * MIB, self.id())

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self, name, data):
        with open(self.path(name), 'wb') as file:
            file.write(data)
        return self.path(name)

    def assert_done(self, *arguments):
        status, text, errors = disk(*arguments)
        self.assertEqual((status, errors), (0, ''))
        return text

    def assert_refused(self, pattern, *arguments, **options):
        """One line, status 1, and no file has come, gone or changed."""
        before = self.files()
        status, text, errors = disk(*arguments, **options)
        self.assertEqual((status, text), (1, ''), errors)
        self.assertRegex(errors, rf'\Avmm: .*{pattern}.*\n\Z')
        after = self.files()
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        self.assertEqual(changed, [])

    def assert_good(self, *images):
        for image in images:
            self.assert_done('check', image)
            qemu_img('check', image)

    def files(self):
        return {name: stored(self.path(name)) for name in os.listdir(self.folder)}
