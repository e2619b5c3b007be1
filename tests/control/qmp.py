# SPDX-License-Identifier: Apache-2.0
"""A strict QMP client, and servers to connect it to.

What comes is held to the rules that QEMU's own Python client keeps, and to those
of the other clients: ASCII, one object a line, CRLF, known members only.
"""

import json
import os
import platform
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

TIMEOUT = 20
CLASSES = ('GenericError', 'CommandNotFound', 'DeviceNotActive', 'DeviceNotFound',
           'KVMMissingCap')


class ProtocolError(Exception):
    pass


def must(held, what):
    if not held:
        raise ProtocolError(what)


def check_greeting(message):
    must(list(message) == ['QMP'], f'no greeting: {message}')
    body = message['QMP']
    must(isinstance(body['version'], dict), 'version is no object')
    must(isinstance(body['capabilities'], list), 'capabilities are no array')
    for part in ('major', 'minor', 'micro'):
        must(isinstance(body['version']['qemu'][part], int), f'version.qemu.{part}')
    must(isinstance(body['version']['package'], str), 'version.package')


def check_event(message):
    must(set(message) <= {'timestamp', 'event', 'data'}, f'members of {message}')
    must(isinstance(message['event'], str), 'event is no string')
    must(set(message['timestamp']) == {'seconds', 'microseconds'}, 'timestamp')
    must(0 <= message['timestamp']['microseconds'] < 1000000, 'microseconds')
    must('data' not in message or (isinstance(message['data'], dict) and message['data']),
         'data is there but empty')


def check_reply(message):
    must(('return' in message) != ('error' in message), f'neither or both: {message}')
    must(set(message) <= {'return', 'error', 'id'}, f'members of {message}')
    if 'error' in message:
        error = message['error']
        must(set(error) == {'class', 'desc'}, f'error {error}')
        must(error['class'] in CLASSES, f'class {error["class"]}')
        must(isinstance(error['desc'], str) and error['desc'], 'desc')


def request(name, arguments=None, **more):
    """One command as bytes."""
    message = {'execute': name, **more}
    if arguments is not None:
        message['arguments'] = arguments
    return json.dumps(message).encode()


class Client:
    """Bytes out, messages in."""

    def __init__(self, path, negotiate=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.buffer = b''
        self.events = []
        try:
            self.socket.connect(path)
            self.socket.settimeout(TIMEOUT)
            self.greeting = self.line()
            check_greeting(self.greeting)
            if negotiate:
                must(self.command('qmp_capabilities') == {}, 'negotiation')
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data, fds=()):
        if fds:
            socket.send_fds(self.socket, [data], fds)
        else:
            self.socket.sendall(data)

    def line(self):
        """The next message, whatever it is; EOFError at the end."""
        while b'\n' not in self.buffer:
            got = self.socket.recv(1 << 16)
            if not got:
                must(not self.buffer, 'the end within a line')
                raise EOFError
            self.buffer += got
        line, self.buffer = self.buffer.split(b'\n', 1)
        must(line.endswith(b'\r'), f'no CRLF: {line}')
        message = json.loads(line.decode('ascii'))
        must(isinstance(message, dict), f'no object: {line}')
        return message

    def message(self):
        """The next message, an event or a reply."""
        message = self.line()
        if 'event' in message:
            check_event(message)
        else:
            check_reply(message)
        return message

    def reply(self):
        """The next reply; events before it are kept."""
        while True:
            message = self.message()
            if 'event' not in message:
                return message
            self.events.append(message)

    def execute(self, name, arguments=None, fds=(), **more):
        """The whole reply."""
        self.send(request(name, arguments, **more), fds)
        return self.reply()

    def command(self, name, arguments=None, fds=()):
        """What it returns."""
        reply = self.execute(name, arguments, fds)
        must('return' in reply, f'{name}: {reply}')
        return reply['return']

    def silent_for(self, seconds):
        readable, _, _ = select.select([self.socket], [], [], seconds)
        return not readable and not self.buffer

    def rest(self):
        """All messages up to the end of the connection."""
        messages = []
        try:
            while True:
                messages.append(self.message())
        except EOFError:
            return messages


class Server:
    """A process with a QMP socket in a folder of its own."""

    def __init__(self, command, ready, statuses=(0,)):
        self.statuses = statuses
        self.folder = tempfile.mkdtemp(prefix='vmm-qmp-')
        self.path = os.path.join(self.folder, 'qmp')
        self.log = open(os.path.join(self.folder, 'log'), 'w+', encoding='utf-8')
        self.process = subprocess.Popen(command(self.path), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log)
        self.status = None
        try:
            ready(self)
        except BaseException:
            self.process.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.stop()

    def stop(self):
        """Ask it to quit; its status, and what it logged, are left here."""
        try:
            with Client(self.path) as client:
                client.send(b'{"execute": "quit"}')
                client.rest()
        except (OSError, ProtocolError, EOFError):
            pass
        try:
            self.status = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = self.process.wait()
        self.process.stdout.close()
        self.log.seek(0)
        self.logged = self.log.read()
        self.log.close()
        shutil.rmtree(self.folder)
        if self.status not in self.statuses:
            sys.stderr.write(self.logged)
            raise ProtocolError(f'the server ended with {self.status}')


def wait_for_line(server):
    line = server.process.stdout.readline()
    must(line == b'ready\n', f'the server did not start: {line}')


def connect(path, negotiate=True):
    """A client, once somebody listens."""
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            return Client(path, negotiate)
        except OSError:
            must(time.monotonic() < end, f'nobody listens at {path}')
            time.sleep(0.02)


def wait_for_socket(server):
    with connect(server.path, negotiate=False):
        pass


def fake_server(binary):
    return Server(lambda path: [binary, path], wait_for_line)


def qemu(*arguments):
    program = f'qemu-system-{platform.machine()}'
    return Server(lambda path: [program, '-machine', 'none', '-nodefaults', '-display', 'none',
                                '-qmp', f'unix:{path},server=on,wait=off', *arguments],
                  wait_for_socket)
