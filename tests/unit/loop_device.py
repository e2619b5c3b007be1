# SPDX-License-Identifier: Apache-2.0
"""A block device that is a file: what a test needs of losetup."""

import os
import subprocess

CONTROL = '/dev/loop-control'


def why_not():
    """What stands in the way of loop devices; None: nothing."""
    if os.geteuid() != 0:
        return 'makes loop devices, which needs root'
    if not os.path.exists(CONTROL):
        return f'makes loop devices, and there is no {CONTROL}'
    return None


def attach(path, sector_size=512):
    return subprocess.run(['losetup', '--show', '--find', f'--sector-size={sector_size}', path],
                          check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def detach(device):
    """What was written is in the file then."""
    subprocess.run(['losetup', '--detach', device], check=True)
