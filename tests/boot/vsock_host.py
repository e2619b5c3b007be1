#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vsock_host.py SOCKET CONNECTIONS MIB LOST

The host's half of the guest's test vsock, tests/boot/guest/vsock.sh: gives back what
the guest sends to port 5000; then has the guest give back what all the connections to
its port 1234 send, which are open at the same time, and as many MiB on one more.  Then so
many connections to port 5001 are lost, each followed by another one to port 5000.
"""

import hashlib
import socket
import sys
import threading
import time

socket.setdefaulttimeout(120)
PATH, (CONNECTIONS, MIB, LOST) = sys.argv[1], map(int, sys.argv[2:])


def read_all(sock):
    return b''.join(iter(lambda: sock.recv(1 << 16), b''))


def listen(port):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f'{PATH}_{port}')
    listener.listen()
    return listener


def echo(listener):
    """Until the other side ends it, or is gone."""
    sock, _ = listener.accept()
    with sock:
        for part in iter(lambda: sock.recv(1 << 16), b''):
            sock.sendall(part)


def connect():
    """The guest may not listen yet: then the connection ends without an answer."""
    while True:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(PATH)
        sock.sendall(b'CONNECT 1234\n')
        answer = b''
        while not answer.endswith(b'\n'):
            byte = sock.recv(1)
            if not byte:
                break
            answer += byte
        if answer.startswith(b'OK '):
            return sock
        sock.close()
        time.sleep(0.1)


def bring_back(sock, data):
    """What is sent comes back, and then the end."""
    def send():
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    back = read_all(sock)
    sender.join()
    sock.close()
    if hashlib.sha256(back).digest() != hashlib.sha256(data).digest():
        sys.exit(f'sent {len(data)} bytes and got {len(back)} or others back')


whole, lost = listen(5000), listen(5001)
echo(whole)
socks = [connect() for _ in range(CONNECTIONS)]
for i, each in enumerate(socks):
    bring_back(each, b'%d ' % i * 1000)
bring_back(connect(), bytes(range(251)) * (MIB * 1048576 // 251))
for _ in range(LOST):
    echo(lost)
    echo(whole)
print('done')
