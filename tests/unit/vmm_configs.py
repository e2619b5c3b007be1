#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_configs.py VMM FOLDER

Each ready configuration in the folder loads, and what is dumped of it loads to the same.
"""

import glob
import os
import subprocess
import sys
import tempfile
import unittest

VMM = sys.argv[1]
CONFIGS = sorted(glob.glob(os.path.join(sys.argv[2], '*.yaml')))


def dump(config):
    return subprocess.run([VMM, 'run', '--config', config, '--dump-config'],
                          capture_output=True, text=True, check=False)


class Configs(unittest.TestCase):
    def test_dump_of_each_loads_to_the_same(self):
        self.assertTrue(CONFIGS)
        for config in CONFIGS:
            with self.subTest(os.path.basename(config)), \
                 tempfile.NamedTemporaryFile('w', suffix='.yaml') as copy:
                first = dump(config)
                self.assertEqual((first.returncode, first.stderr), (0, ''))
                copy.write(first.stdout)
                copy.flush()

                second = dump(copy.name)

                self.assertEqual((second.returncode, second.stderr), (0, ''))
                self.assertEqual(second.stdout, first.stdout)

    def test_every_one_names_a_kernel(self):
        for config in CONFIGS:
            self.assertIn('kernel: "vmlinuz"\n', dump(config).stdout)


unittest.main(argv=sys.argv[:1])
