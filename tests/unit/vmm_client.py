#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: vmm_client.py VMM

Subcommands that speak to a VM, and VMs that do not answer as they should.  A VM here
is a child of this process: it holds the lock and serves the socket, but runs nothing.
"""

import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'guest'))

from vm import Vm  # noqa: E402  (found by the line above)

VMM = sys.argv[1]
UP, LEFT, HOME, END, DELETE = b'\033[A', b'\033[D', b'\033[H', b'\033[F', b'\033[3~'
SCHEMA = [
    {'name': 'stop', 'meta-type': 'command', 'arg-type': '0', 'ret-type': '0'},
    {'name': 'set-action', 'meta-type': 'command', 'arg-type': '1', 'ret-type': '0'},
    {'name': 'set-link', 'meta-type': 'command', 'arg-type': '0', 'ret-type': '0'},
    {'name': 'STOP', 'meta-type': 'event', 'arg-type': '0'},
    {'name': '0', 'meta-type': 'object', 'members': []},
    {'name': '1', 'meta-type': 'object', 'members': [{'name': 'panic', 'type': 'str'},
                                                      {'name': 'reboot', 'type': 'str'}]},
]


def echo(client):
    """Each command comes back as it was sent."""
    for command in commands(client):
        if command['execute'] == 'query-qmp-schema':
            answer(client, command, SCHEMA)
        elif command['execute'] == 'bad':
            client.sendall(b'{"error": {"class": "GenericError", "desc": "no"}, "id": %d}\r\n'
                           % command['id'])
        else:
            answer(client, command, ['DID', command['execute'], command.get('arguments')])
GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\r\n'


def answer(client, command, value=None):
    """An answer to the command, as a VM gives it."""
    client.sendall(json.dumps({'return': value or {}, 'id': command['id']}).encode() + b'\r\n')


def commands(client):
    """What the client sends, after greeting and negotiation."""
    client.sendall(GREETING)
    buffer = b''
    decoder = json.JSONDecoder()
    while data := client.recv(4096):
        buffer += data
        while buffer:
            try:
                command, end = decoder.raw_decode(buffer.decode())
            except ValueError:
                break
            buffer = buffer[end:]
            if command['execute'] == 'qmp_capabilities':
                answer(client, command)
            else:
                yield command


class Fake(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.base = os.path.join(folder.name, 'vmm')
        self.environment = {**os.environ, 'XDG_RUNTIME_DIR': folder.name, 'TZ': 'UTC'}

    def vmm(self, *arguments):
        run = subprocess.run([VMM, *arguments], capture_output=True, text=True, check=False,
                             env=self.environment, timeout=60)
        return run.returncode, run.stdout, run.stderr

    def vm(self, serve, name='web', late=0):
        """A process with the name, where serve(client) speaks to each client."""
        os.makedirs(os.path.join(self.base, name), mode=0o700)
        os.chmod(self.base, 0o700)
        ready, tell = os.pipe()
        pid = os.fork()
        if not pid:
            self.be_vm(serve, name, late, tell)
        self.addCleanup(self.end, pid)
        os.close(tell)
        os.read(ready, 1)
        os.close(ready)
        return pid

    def be_vm(self, serve, name, late, tell):
        """In the child; does not return."""
        try:
            lock = os.open(os.path.join(self.base, name, 'lock'), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.fcntl(lock, fcntl.F_OFD_SETLK,
                        struct.pack('hhqqi', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            os.write(lock, b'%d\n' % os.getpid())
            if late:
                os.write(tell, b'x')
                time.sleep(late)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(os.path.join(self.base, name, 'qmp'))
            listener.listen()
            os.write(tell, b'x')
            while True:
                client = listener.accept()[0]
                try:
                    serve(client)
                except ConnectionError:
                    pass
                client.close()
        finally:
            os._exit(1)

    @staticmethod
    def end(pid):
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


class Client(Fake):
    def test_vm_that_says_nothing_is_not_waited_for_for_ever(self):
        self.vm(lambda client: client.recv(1))
        self.assertEqual(self.vmm('pause', '--timeout', '1', 'web'),
                         (1, '', "vmm: VM 'web' does not answer\n"))
        self.assertRegex(self.vmm('list')[1], r'\nweb +no answer +\d+ +- +- +\d+s\n')

    def test_vm_that_is_starting_is_waited_for(self):
        def serve(client):
            for command in commands(client):
                answer(client, command, {'status': 'running'})
        self.vm(serve, late=0.5)
        self.assertEqual(self.vmm('qmp', 'web', 'query-status'),
                         (0, '{\n  "status": "running"\n}\n', ''))

    def test_what_is_no_qmp_is_refused(self):
        self.vm(lambda client: client.sendall(b'SSH-2.0-OpenSSH\r\n'))
        self.assertEqual(self.vmm('pause', 'web'), (1, '', "vmm: VM 'web' sends what is no QMP\n"))

    def test_other_greeting_is_refused(self):
        self.vm(lambda client: client.sendall(b'{"hello": 1}\n'))
        self.assertEqual(self.vmm('pause', 'web'), (1, '', "vmm: VM 'web' sends what is no QMP\n"))

    def test_endless_answer_is_refused(self):
        def serve(client):
            while True:
                client.sendall(b'"' * 65536)
        self.vm(serve)
        self.assertEqual(self.vmm('pause', 'web'),
                         (1, '', "vmm: VM 'web' answers with more than 16777216 bytes\n"))

    def test_end_of_the_vm_is_told(self):
        self.vm(lambda client: next(commands(client)))
        self.assertEqual(self.vmm('pause', 'web'), (1, '', "vmm: VM 'web' has ended\n"))

    def test_answers_to_others_and_events_are_passed_over(self):
        def serve(client):
            for command in commands(client):
                client.sendall(b'{"event": "STOP", "timestamp": {}}\r\n'
                               b'{"return": {"a": 1}, "id": 999}\r\n')
                answer(client, command, {'b': 2})
        self.vm(serve)
        self.assertEqual(self.vmm('qmp', 'web', 'any'), (0, '{\n  "b": 2\n}\n', ''))

    def test_answer_in_small_pieces_is_put_together(self):
        def serve(client):
            for command in commands(client):
                for byte in json.dumps({'return': ['ä' * 50], 'id': command['id']}) + '\r\n':
                    client.sendall(byte.encode())
        self.vm(serve)
        self.assertEqual(json.loads(self.vmm('qmp', 'web', 'any')[1]), ['ä' * 50])

    def test_error_without_a_text_is_one(self):
        def serve(client):
            for command in commands(client):
                client.sendall(b'{"error": 7, "id": %d}\r\n' % command['id'])
        self.vm(serve)
        self.assertEqual(self.vmm('qmp', 'web', 'any'),
                         (1, '', "vmm: VM 'web': an answer that says nothing\n"))

    def test_arguments_are_passed_on(self):
        def serve(client):
            for command in commands(client):
                answer(client, command, [command['execute'], command['arguments']])
        self.vm(serve)
        status, text, errors = self.vmm('qmp', 'web', 'any', '{"x": [1, null]}')
        self.assertEqual((status, errors), (0, ''))
        self.assertEqual(json.loads(text), ['any', {'x': [1, None]}])

    def test_arguments_that_are_no_object_are_refused(self):
        self.vm(lambda client: list(commands(client)))
        for text in ('[]', '{', '', '{"a": 1, "a": 2}'):
            status, _, errors = self.vmm('qmp', 'web', 'any', text)
            self.assertEqual(status, 1)
            self.assertRegex(errors, r'\Avmm: qmp: the arguments are no JSON object: .+\n\Z')

    def test_command_that_is_no_utf8_is_refused(self):
        self.vm(lambda client: list(commands(client)))
        run = subprocess.run([VMM.encode(), b'qmp', b'web', b'\xff'], capture_output=True,
                             check=False, env=self.environment, timeout=60)
        self.assertIn(b'no UTF-8', run.stderr)

    def test_events_are_told_until_the_vm_ends(self):
        def serve(client):
            client.sendall(GREETING)
            command = json.loads(client.recv(4096))
            stamp = '"timestamp": {"seconds": 86399, "microseconds": 999999}'
            answer(client, command)
            client.sendall(f'{{"event": "STOP", {stamp}}}\r\n'
                           f'{{"event": "RESET", "data": {{"guest": true}}, {stamp}}}\r\n'.encode())
        self.vm(serve)
        self.assertEqual(self.vmm('events', 'web'),
                         (0, '1970-01-01 23:59:59.999  STOP\n'
                             '1970-01-01 23:59:59.999  RESET  {"guest": true}\n', ''))
        lines = self.vmm('events', 'web', '--json')[1].splitlines()
        self.assertEqual([json.loads(line)['event'] for line in lines], ['STOP', 'RESET'])

    def test_vm_that_does_not_end_when_told_to_is_killed(self):
        pid = self.vm(lambda client: client.recv(1))
        status, _, errors = self.vmm('kill', 'web', '--timeout', '1')
        self.assertEqual(status, 0)
        self.assertIn("VM 'web' does not end when told to: killed", errors)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -signal.SIGKILL)
        self.assertEqual(os.listdir(self.base), [])

    def test_vm_whose_guest_is_off_but_which_stays_is_ended_by_stop(self):
        stamp = b'"timestamp": {"seconds": 1, "microseconds": 2}'
        events = (b'{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}, ' +
                  stamp + b'}\r\n{"event": "STOP", ' + stamp + b'}\r\n')

        def serve(client):
            for command in commands(client):
                answer(client, command, {'running': True, 'status': 'running'})
                if command['execute'] == 'system_powerdown':
                    client.sendall(events)
                if command['execute'] == 'quit':
                    os._exit(0)
        self.vm(serve)
        self.assertEqual(self.vmm('stop', 'web'), (0, '', ''))

    def interrupted_move(self, cancel):
        """cancel(client, command) answers, and returns the status from then on."""
        seen, tell = os.pipe()

        def serve(client):
            status = 'device'
            for command in commands(client):
                if command['execute'] == 'migrate_cancel':
                    status = cancel(client, command)
                    continue
                answer(client, command, {'status': status})
                if command['execute'] == 'query-migrate':
                    os.write(tell, b'x')
                if command['execute'] == 'quit':
                    os._exit(0)
        self.vm(serve)
        mover = subprocess.Popen([VMM, 'migrate', 'web', 'unix:/door'], text=True,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                 env=self.environment)
        os.read(seen, 1)
        mover.send_signal(signal.SIGINT)
        said = mover.communicate(timeout=60)[1]
        os.close(seen)
        os.close(tell)
        return mover.returncode, said

    def test_interrupt_breaks_a_move_off(self):
        def cancel(client, command):
            answer(client, command)
            return 'cancelled'
        self.assertEqual(self.interrupted_move(cancel),
                         (1, 'vmm: the move was broken off: the VM goes on here\n'))

    def test_interrupt_that_comes_too_late_changes_nothing(self):
        def cancel(client, command):
            client.sendall(b'{"error": {"class": "GenericError", "desc": "it is too late"}, '
                           b'"id": %d}\r\n' % command['id'])
            return 'completed'
        self.assertEqual(self.interrupted_move(cancel),
                         (0, "vmm: VM 'web': it is too late; Ctrl-C again leaves it to itself\n"))

    def test_vm_that_says_nothing_of_its_state_is_not_stopped(self):
        def serve(client):
            for command in commands(client):
                answer(client, command)
        self.vm(serve)
        self.assertEqual(self.vmm('stop', 'web'),
                         (1, '', "vmm: VM 'web' does not say what state it is in\n"))

    def test_vm_that_says_nothing_of_its_state_is_not_asked_for_a_device(self):
        def serve(client):
            for command in commands(client):
                answer(client, command)
        self.vm(serve)
        self.assertEqual(self.vmm('detach', 'web', 'disk0'),
                         (1, '', "vmm: VM 'web' does not say what state it is in\n"))

    def test_vm_that_says_nothing_of_its_move_is_not_watched_for_ever(self):
        def serve(client):
            for command in commands(client):
                answer(client, command)
        self.vm(serve)
        self.assertEqual(self.vmm('migrate', 'web', 'unix:/door'),
                         (1, '', 'vmm: the VM does not say how its move goes: see '
                          'query-migrate\n'))

    def test_answer_is_there_before_the_next_command_is_piped_in(self):
        self.vm(echo)
        with subprocess.Popen([VMM, 'qmp', 'web'], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, env=self.environment) as run:
            self.addCleanup(run.kill)
            for word in (b'one', b'two'):
                run.stdin.write(word + b'\n')
                run.stdin.flush()
                self.assertTrue(select.select([run.stdout], [], [], 30)[0])
                self.assertIn(b'"' + word + b'"', os.read(run.stdout.fileno(), 4096))
            run.stdin.close()
            self.assertEqual(run.wait(), 0)

    def test_descriptors_of_several_clients_have_names_of_their_own(self):
        told, tell = os.pipe()

        def serve(client):
            for command in commands(client):
                if command['execute'] == 'getfd':
                    os.write(tell, command['arguments']['fdname'].encode() + b'\n')
                if command['execute'] == 'migrate':
                    break
                answer(client, command)

        self.vm(serve)
        os.close(tell)
        for _ in range(2):
            self.assertEqual(self.vmm('attach', 'web', '--net', 'fd=0:1'), (0, 'net0\n', ''))
            self.assertEqual(self.vmm('migrate', 'web', 'fd:0')[0], 1)
        with open(told, encoding='ascii') as names:
            self.assertEqual(len({names.readline() for _ in range(6)}), 6)

    def test_event_without_a_name_is_none(self):
        def serve(client):
            client.sendall(GREETING)
            command = json.loads(client.recv(4096))
            client.sendall(b'{"event": 1}\r\n')
            answer(client, command)
            client.sendall(b'{"event": 1}\r\n')
        self.vm(serve)
        self.assertEqual(self.vmm('events', 'web'), (0, '', ''))

    def test_process_of_a_lock_without_a_number_is_not_guessed(self):
        self.vm(lambda client: client.recv(1))
        with open(os.path.join(self.base, 'web', 'lock'), 'w', encoding='ascii') as file:
            file.write('1x')
        self.assertIn('its lock file has been written to', self.vmm('kill', 'web')[2])

    def test_dead_vms_are_listed_once(self):
        os.makedirs(os.path.join(self.base, 'web'), mode=0o700)
        os.chmod(self.base, 0o700)
        self.assertEqual(self.vmm('list', '--names'), (0, '', ''))
        self.assertRegex(self.vmm('list')[1], r'\nweb +dead +- +- +- +-\n')
        self.assertEqual(self.vmm('list', '--json'), (0, '[]\n', ''))

    def test_each_command_refuses_a_name_that_nobody_has(self):
        for name in ('info', 'pause', 'resume', 'reset', 'stop', 'kill', 'events'):
            self.assertEqual(self.vmm(name, 'a/b'),
                             (1, '', "vmm: no VM 'a/b' is running; running: none\n"))
            self.assertRegex(self.vmm(name)[2], rf"\Avmm: {name}: 'NAME[.]*' is missing: .*\n\Z")
        self.assertEqual(self.vmm('qmp', 'nix', 'stop')[0], 1)

    def test_options_of_each_command_are_explained(self):
        for name in ('list', 'info', 'pause', 'stop', 'kill', 'events', 'qmp'):
            status, text, errors = self.vmm(name, '--help')
            self.assertEqual((status, errors), (0, ''))
            self.assertEqual(self.vmm('help', name)[1], text)

    def test_lines_may_come_from_a_file(self):
        self.vm(echo)
        run = subprocess.run([VMM, 'qmp', 'web'], input='one\n\n  two {"a": 1}\nbad\nthree',
                             capture_output=True, text=True, check=False, env=self.environment)
        self.assertEqual(run.returncode, 1)
        self.assertEqual(run.stderr, "vmm: VM 'web': no\n")
        self.assertEqual(re.findall('"(one|two|three)"', run.stdout), ['one', 'two', 'three'])
        self.assertNotIn('qmp>', run.stdout)

    def test_line_too_long_in_a_file_is_refused(self):
        self.vm(echo)
        run = subprocess.run([VMM, 'qmp', 'web'], input='x' * 5000, capture_output=True,
                             text=True, check=False, env=self.environment)
        self.assertEqual(run.stderr, 'vmm: a line has more than 4094 bytes\n')


class Prompt(Fake):
    """vmm qmp NAME at a terminal; did() is what the VM was told."""

    def setUp(self):
        super().setUp()
        self.vm(echo)
        self.run_ = Vm([VMM, 'qmp', 'web'], terminal=True, messages_too=True,
                       env=self.environment)
        self.addCleanup(self.run_.__exit__)
        self.run_.wait_for(b'qmp> ')

    def did(self, typed):
        start = len(self.run_.out)
        self.run_.type(typed + b'\r')
        # With the prompt the terminal is the editor's again, and edits nothing itself.
        self.run_.wait(lambda: re.search(rb'(?s)\n\].*qmp> ', self.run_.out[start:]),
                       'an answer and a prompt')
        text = self.run_.out[start:].replace(b'\r', b'').decode(errors='replace')
        return json.loads(text[text.index('\n[') + 1:text.index('\n]') + 2])[1:]

    def test_command_and_arguments_are_sent(self):
        self.assertEqual(self.did(b'set-action {"panic": "none"}'),
                         ['set-action', {'panic': 'none'}])

    def test_keys_edit_the_line(self):
        self.assertEqual(self.did(b'pots' + LEFT + b'\x7f' + HOME + DELETE + b's' + END + b'x'),
                         ['sosx', None])
        self.assertEqual(self.did(b'a b\x17c\x01\x0bxyz\x02\x02\x06\x7f\x05!'), ['xz!', None])
        self.assertEqual(self.did(b'nothing\x15stop'), ['stop', None])
        self.assertEqual(self.did(b'nothing\x03cont'), ['cont', None])
        self.assertEqual(self.did('ä'.encode() + b'\x7fx'), ['x', None])

    def test_history_goes_back_and_forth(self):
        self.did(b'one')
        self.did(b'two')
        self.assertEqual(self.did(UP + UP), ['one', None])
        self.assertEqual(self.did(UP + UP + UP + UP + b'\x0e\x10'), ['one', None])

    def test_commands_and_members_are_completed(self):
        self.assertEqual(self.did(b'sto\t'), ['stop', None])
        self.assertEqual(self.did(b'set-a\t{"r\t1}'), ['set-action', {'reboot': 1}])
        self.assertEqual(self.did(b'xyz\t'), ['xyz', None])
        self.assertEqual(self.did(b'stop {\t}'), ['stop', {}])

    def test_what_is_not_clear_is_listed(self):
        self.run_.type(b's\t')
        self.run_.wait_for(b'stop  set-action  set-link')
        self.assertEqual(self.did(b'et\tl\t'), ['set-link', None])

    def test_long_line_shows_where_the_cursor_is(self):
        self.assertEqual(self.did(b'x' * 300 + HOME + b'y'), ['y' + 'x' * 300, None])

    def test_line_has_a_limit(self):
        for _ in range(10):
            self.run_.type(b'x' * 410)
            self.run_.read(0.2)
        self.assertEqual(self.did(b'yz'), ['x' * 4095, None])

    def test_mistakes_are_told_and_it_goes_on(self):
        self.run_.type(b'bad\r')
        self.run_.wait_for(b"VM 'web': no")
        self.run_.type(b'\rstop [\r')
        self.run_.wait_for(b'no JSON object')
        self.assertEqual(self.did(b'stop'), ['stop', None])

    def test_end_of_input_ends_it_and_gives_the_terminal_back(self):
        self.run_.type(b'\x04')
        self.assertEqual(self.run_.finish(), 0)
        self.assertEqual(self.run_.mode(), self.run_.before)


unittest.main(argv=sys.argv[:1])
