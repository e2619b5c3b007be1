#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pauser.py SOCKET TIMES: pauses the VM behind a QMP socket so often."""

import json
import socket
import sys
import time

PAUSE_SECONDS = 0.02
RUN_SECONDS = 0.1


def main():
    path, times = sys.argv[1], int(sys.argv[2])
    client = socket.socket(socket.AF_UNIX)
    while client.connect_ex(path):
        time.sleep(0.05)
    lines = client.makefile('rw')
    lines.readline()

    def command(name):
        lines.write(json.dumps({'execute': name}))
        lines.flush()
        reply = {}
        while 'return' not in reply:
            reply = json.loads(lines.readline())

    command('qmp_capabilities')
    for _ in range(times):
        command('stop')
        time.sleep(PAUSE_SECONDS)
        command('cont')
        time.sleep(RUN_SECONDS)
    print(f'paused {times} times')


if __name__ == '__main__':
    main()
