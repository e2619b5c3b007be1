#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_block_device.py VMM

The subcommands of vmm disk on block devices.  As root, where there are loop devices.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import unittest

import loop_device
from disk_commands import MIB, disk

SIZE = 4 * MIB


class BlockDevice(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='vmm-test-device-', dir='/var/tmp')
        self.addCleanup(shutil.rmtree, self.folder)
        # Something everywhere, so that zeros are seen to be written.
        self.before = random.Random(self.id()).randbytes(SIZE)
        self.behind = self.make('behind', self.before)
        self.device = self.attach()

    def attach(self, sector_size=512):
        device = loop_device.attach(self.behind, sector_size)
        self.addCleanup(loop_device.detach, device)
        return device

    def make(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, 'wb') as file:
            file.write(content)
        return path

    def content(self):
        with open(self.device, 'rb') as file:
            return file.read()

    def done(self, *arguments):
        status, text, errors = disk(*arguments)
        self.assertEqual((status, errors), (0, ''))
        return text

    def assert_refused(self, pattern, *arguments):
        """One line, and the device is as before."""
        status, text, errors = disk(*arguments)
        self.assertEqual((status, text), (1, ''), errors)
        self.assertRegex(errors, rf"\Avmm: '{self.device}' {pattern}[^\n]*\n\Z")
        self.assertEqual(self.content(), self.before)

    def test_device_has_its_own_size(self):
        facts = json.loads(self.done('info', '--json', self.device))[0]
        self.assertEqual((facts['format'], facts['virtual-size']), ('raw', SIZE))
        self.assertEqual(self.done('map', self.device).split()[-5:],
                         ['0', str(SIZE), 'data', '0', '0'])

    def test_device_is_converted_to_an_image(self):
        image = os.path.join(self.folder, 'a.qcow2')
        self.done('convert', self.device, image)
        self.done('compare', self.device, image)
        self.done('check', image)

    def test_image_is_converted_to_a_device(self):
        source = self.make('a.raw', b'begin' + bytes(3 * MIB - 10) + b'abcde')
        image = os.path.join(self.folder, 'a.qcow2')
        self.done('convert', source, image)
        self.assert_refused('is a block device: add --force', 'convert', image, self.device)
        self.done('convert', '--force', image, self.device)
        with open(source, 'rb') as file:
            self.assertEqual(self.content(), file.read() + self.before[3 * MIB:])

    def test_device_that_does_not_suit_is_left_alone(self):
        large = self.make('large.raw', bytes(SIZE + 512))
        self.assert_refused(f'has {SIZE} bytes: too few', 'convert', '--force', large,
                            self.device)
        self.assert_refused('.*can only be raw', 'convert', '--force', '-O', 'qcow2', large,
                            self.device)
        odd = self.make('odd.raw', bytes(MIB + 512))
        self.device = self.attach(4096)
        self.assert_refused('has blocks of 4096 bytes', 'convert', '--force', odd, self.device)

    def test_image_on_a_device_is_checked_and_repaired(self):
        image = os.path.join(self.folder, 'a.qcow2')
        self.done('convert', self.make('a.raw', self.before[:MIB]), image)
        with open(image, 'rb') as file, open(self.device, 'r+b') as device:
            device.write(file.read())
            device.seek(2 * 65536)
            device.write(b'\0\0')      # the header's cluster is not counted any more
        self.assertEqual(disk('check', '--format', 'qcow2', self.device)[0], 2)
        self.assertRegex(self.done('check', '--repair', '--format', 'qcow2', self.device),
                         'put right')
        self.done('compare', '--format-a', 'qcow2', '--format-b', 'raw', self.device,
                  self.make('b.raw', self.before[:MIB]))

    def test_device_is_neither_made_nor_resized(self):
        self.assert_refused('exists', 'create', '--size', '1M', self.device)
        self.assert_refused('is not a regular file', 'create', '--force', '--size', '1M',
                            self.device)
        for size in ('1M', '8M'):
            self.assert_refused('is a block device, and as large as', 'resize', '--shrink',
                                '--size', size, self.device)


if loop_device.why_not():
    print(f'skipped: {loop_device.why_not()}')
    sys.exit(77)
unittest.main(argv=sys.argv[:1])
