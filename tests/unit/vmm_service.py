#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_service.py VMM UNIT

What the systemd unit allows, and what a VM needs.  The kernel holds vmm to the unit's
address families here as it does there; no systemd has to run.
"""

import ctypes
import errno
import platform
import re
import socket
import struct
import subprocess
import sys
import unittest

VMM, UNIT = sys.argv[1:3]
SYS_SOCKET = {'x86_64': 41, 'aarch64': 198}.get(platform.machine())
LIBC = ctypes.CDLL(None, use_errno=True)
NO_NEW_PRIVS, SET_SECCOMP, FILTER_MODE = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7fff0000, 0x00050000 | errno.EAFNOSUPPORT


def allowed_families():
    with open(UNIT, encoding='utf-8') as file:
        named = re.search(r'^RestrictAddressFamilies=(.*)$', file.read(), re.MULTILINE)
    return [getattr(socket, name) for name in named[1].split()]


def refuse_others(families):
    """socket(2) takes these families only, from now on."""
    code = [(LOAD, 0, 0, 0), (EQUAL, 1, 0, SYS_SOCKET), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, 16)]
    code += [(EQUAL, len(families) - i, 0, int(family)) for i, family in enumerate(families)]
    code += [(RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
    instructions = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *i) for i in code))
    program = ctypes.create_string_buffer(
        struct.pack('HxxxxxxP', len(code), ctypes.addressof(instructions)))
    if (LIBC.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or
            LIBC.prctl(SET_SECCOMP, FILTER_MODE, program, 0, 0)):
        raise OSError(ctypes.get_errno(), 'no filter')


class Service(unittest.TestCase):
    def test_network_devices_can_be_asked_for(self):
        families = allowed_families()
        run = subprocess.run([VMM, 'run', '--kernel', '/dev/null', '--net', 'tap=lo'],
                             capture_output=True, text=True, check=False, timeout=60,
                             preexec_fn=lambda: refuse_others(families))
        self.assertEqual((run.returncode, run.stderr),
                         (1, "vmm: net 'net0': 'lo' is no tap device\n"))


if SYS_SOCKET is None:
    print(f'the number of socket(2) on {platform.machine()} is not known here')
    sys.exit(77)
unittest.main(argv=sys.argv[:1])
