#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pauser.py SOCKET TIMES [SECONDS]: pauses the VM behind a QMP socket so often, so long.

Begins when its standard input has a line, or ends.
"""

import json
import socket
import sys
import time

RUN_SECONDS = 0.1


def main():
    path, times = sys.argv[1], int(sys.argv[2])
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0.02
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
    sys.stdin.readline()
    for _ in range(times):
        command('stop')
        time.sleep(seconds)
        command('cont')
        time.sleep(RUN_SECONDS)
    print(f'paused {times} times')


if __name__ == '__main__':
    main()
