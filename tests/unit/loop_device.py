# SPDX-License-Identifier: Apache-2.0
"""A block device that is a file, as the kernel's <linux/loop.h> has it."""

import errno
import fcntl
import os
import struct

CONTROL = '/dev/loop-control'
GET_FREE, CONFIGURE, CLEAR = 0x4c82, 0x4c0a, 0x4c01
CONFIG = 'II296x'               # struct loop_config: the file and the size of a sector


def why_not():
    """What stands in the way of loop devices; None: nothing."""
    if os.geteuid() != 0:
        return 'makes loop devices, which needs root'
    if not os.path.exists(CONTROL):
        return f'makes loop devices, and there is no {CONTROL}'
    return None


def ioctl(path, request, argument=0):
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(fd, request, argument)
    finally:
        os.close(fd)


def attach(path, sector_size=512):
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        while True:
            device = f'/dev/loop{ioctl(CONTROL, GET_FREE)}'
            try:
                ioctl(device, CONFIGURE, struct.pack(CONFIG, file, sector_size))
                return device
            except OSError as error:
                if error.errno != errno.EBUSY:      # somebody else was first
                    raise
    finally:
        os.close(file)


def detach(device):
    """What was written is in the file then."""
    ioctl(device, CLEAR)
