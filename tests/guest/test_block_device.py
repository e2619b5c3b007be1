#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest whose disk is a block device of the host.  As root, where there are such."""

import os
import sys

import vm
from vm import OK, VmTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'unit'))

import loop_device  # noqa: E402  (found by the line above)

SECTORS = 2048


class BlockDevice(VmTest):
    def check_disk(self, sector_size, *options):
        """The guest writes the last 4096 bytes, and nothing else."""
        behind = os.path.join(self.folder, 'behind')
        with open(behind, 'wb') as file:
            file.truncate(SECTORS * 512)
        device = loop_device.attach(behind, sector_size)
        self.addCleanup(loop_device.detach, device)
        run = self.start('blk_request', '--disk',
                         ','.join([device, 'serial=serial-of-the-disk', *options]))
        self.assertEqual((run.finish(), run.out), (OK, b'PASS\n'), run.said())
        with open(behind, 'rb') as file:
            content = file.read()
        self.assertEqual(content[-4096:], b'\x01' + b'\xa7' * 4094 + b'\x02')
        self.assertFalse(any(content[:-4096]))

    def test_through_the_page_cache(self):
        self.check_disk(512)

    def test_past_the_page_cache(self):
        self.check_disk(512, 'cache=direct')

    def test_sectors_of_4096_bytes_past_the_page_cache(self):
        self.check_disk(4096, 'cache=direct')


if loop_device.why_not():
    vm.skip(loop_device.why_not())
vm.main()
