#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_actions.py VMM PAYLOADS [TEST]...

What becomes of a VM whose guest switches itself off, restarts or panics: by
set-action and --action, and as QEMU has it, with guests that do the same there.
"""

import os
import subprocess
import sys
import time

import vm
from vm import DIED, FORCED, OK, VmTest, not_on_arm64

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'control'))

import qmp  # noqa: E402  (found by the line above)

# The guest's act: our payload with its command line, and a boot sector for QEMU.
HALT = b'\xf4\xeb\xfd'
GUESTS = {
    'poweroff': (('poweroff',),
                 b'\xba\x04\x06\xb8\x00\x20\xef' + HALT),       # 0x2000 to port 0x604
    'reset': (('restart',), b'\xb0\xfe\xe6\x64' + HALT),        # 0xfe to port 0x64
    'panic': (('panic', '--cmdline', 'off=0 times=1'),
              b'\xba\x05\x05\xb0\x01\xee' + HALT),              # 1 to port 0x505
}
NO_PANIC = 'no guest of arm64 can tell of its panic'
STATUSES = {OK: 0, FORCED: 0, DIED: 1}  # ours, as QEMU's

CASES = [('poweroff', {'shutdown': shutdown}) for shutdown in ('poweroff', 'pause')]
CASES += [('reset', {'reboot': 'shutdown', 'shutdown': shutdown})
          for shutdown in ('poweroff', 'pause')]
CASES += [('panic', {'panic': panic, 'shutdown': shutdown})
          for panic in ('pause', 'shutdown', 'exit-failure', 'none')
          for shutdown in ('poweroff', 'pause')]
CASES += [('panic', {'panic': 'pause', 'reboot': 'shutdown'})]


def is_last(message):
    """After this nothing comes by itself."""
    return message.get('event') == 'STOP' or message.get('data') == {'action': 'run'}


def normal(message):
    if 'event' in message:
        return message['event'], message.get('data')
    if 'error' in message:
        return message['error']['class']
    return message['return'].get('status', 'done')


class Conversation:
    def __init__(self, client):
        self.client = client
        self.said = []

    def hear(self):
        self.said.append(self.client.message())
        return self.said[-1]

    def ask(self, command, arguments=None):
        self.client.send(qmp.request(command, arguments))
        while 'event' in self.hear():
            pass

    def hold(self, actions):
        """All that is said while the guest acts, and afterwards."""
        try:
            self.ask('set-action', actions)
            self.ask('cont')
            while not is_last(self.hear()):
                pass
            for command in ('query-status', 'stop', 'query-status', 'cont', 'stop',
                            'system_reset', 'query-status', 'quit'):
                self.ask(command)
            self.hear()
        except (EOFError, ConnectionError):
            # It has ended.  How much it answers after it says so is chance.
            while self.said and self.said[-1].get('event') != 'SHUTDOWN':
                self.said.pop()
        return [normal(message) for message in self.said]


class Actions(VmTest):
    def path(self):
        return os.path.join(self.folder, 'qmp')

    def begin(self, guest, *arguments):
        """The payload, and a client that has negotiated; nothing runs yet."""
        payload, *more = GUESTS[guest][0]
        run = self.start(payload, '--qmp', self.path(), '--paused', *more, *arguments)
        client = qmp.connect(self.path())
        self.addCleanup(client.close)
        return run, client

    def ours(self, guest, actions):
        """What is said, and the exit status."""
        run, client = self.begin(guest)
        said = Conversation(client).hold(actions)
        return said, STATUSES[run.finish()]

    def theirs(self, guest, actions):
        disk = self.file('boot', GUESTS[guest][1].ljust(510, b'\0') + b'\x55\xaa')
        path = os.path.join(self.folder, 'qemu')
        process = subprocess.Popen(
            ['qemu-system-x86_64', '-accel', 'tcg', '-display', 'none', '-nodefaults', '-S',
             '-drive', f'file={disk},format=raw', '-device', 'pvpanic', '-qmp',
             f'unix:{path},server=on,wait=off'], stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        with qmp.connect(path) as client:
            said = Conversation(client).hold(actions)
        status = process.wait(vm.SECONDS)
        return said, status

    @not_on_arm64('the guests of QEMU are PCs')
    def test_actions_are_as_in_qemu(self):
        for guest, actions in CASES:
            with self.subTest(guest, **actions):
                ours = self.ours(guest, actions)
                self.assertEqual(ours, self.theirs(guest, actions))

    def test_reset_makes_a_shut_down_vm_run_again(self):
        run, client = self.begin('poweroff', '--action', 'shutdown=pause')
        client.command('cont')
        run.wait_for(b'still on')
        self.wait_for_status(client, 'shutdown')
        reply = client.execute('cont')
        self.assertIn("'shutdown'", reply['error']['desc'])

        client.command('system_reset')
        client.command('cont')

        run.wait(lambda: run.out.count(b'still on') == 2, 'the guest again')
        self.wait_for_status(client, 'shutdown')

    def wait_for_status(self, client, status):
        end = time.monotonic() + vm.SECONDS
        while client.command('query-status')['status'] != status:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def test_signal_ends_who_was_shut_down(self):
        run, client = self.begin('poweroff', '--action', 'shutdown=pause')
        client.command('cont')
        self.wait_for_status(client, 'shutdown')
        run.kill()
        self.assertEqual(run.finish(), OK)

    @not_on_arm64(NO_PANIC)
    def test_signal_ends_who_panicked(self):
        run, client = self.begin('panic', '--action', 'panic=pause')
        client.command('cont')
        self.wait_for_status(client, 'guest-panicked')
        run.kill()
        self.assertEqual(run.finish(), DIED)

    @not_on_arm64(NO_PANIC)
    def test_panic_is_fatal_by_default(self):
        run = self.start('panic', '--cmdline', 'off=0 times=1')
        self.assertEqual(run.finish(), DIED)
        self.assertIn(b'panicked', run.err)

    @not_on_arm64(NO_PANIC)
    def test_poweroff_after_a_panic_that_is_ignored_is_one(self):
        run = self.start('panic', '--cmdline', 'off=1 times=1', '--action', 'panic=none')
        self.assertEqual(run.finish(), OK)
        self.assertIn(b'PASS', run.out)

    @not_on_arm64(NO_PANIC)
    def test_panics_that_are_ignored_do_not_flood_log_and_clients(self):
        run = self.start('panic', '--cmdline', 'off=1 times=3000', '--action', 'panic=none',
                         '--qmp', self.path(), '--paused')
        client = qmp.connect(self.path())
        self.addCleanup(client.close)
        begin = time.monotonic()

        client.command('cont')
        events = [message['event'] for message in client.events + client.rest()]
        self.assertEqual(run.finish(), OK)

        seconds = time.monotonic() - begin + 2
        self.assertLess(events.count('GUEST_PANICKED'), seconds)
        self.assertLess(run.err.count(b'panicked'), 10 * seconds)
        self.assertIn('GUEST_PANICKED', events)
        self.assertIn(b'panicked', run.err)

    def test_reset_can_be_a_shutdown(self):
        run = self.start('restart', '--action', 'reboot=shutdown')
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.out.count(b'READY'), 1)

    def test_reset_by_command_can_be_a_shutdown(self):
        run, client = self.begin('poweroff', '--action', 'reboot=shutdown')
        client.command('system_reset')
        self.assertEqual(client.events[-1]['data'],
                         {'guest': False, 'reason': 'host-qmp-system-reset'})
        self.assertEqual(run.finish(), OK)
        self.assertEqual(run.out, b'')

    def test_watchdog_that_is_not_there_is_refused(self):
        _, client = self.begin('poweroff')
        reply = client.execute('set-action', {'reboot': 'shutdown', 'watchdog': 'reset'})
        self.assertIn('watchdog', reply['error']['desc'])

    def test_action_that_is_unknown_is_refused(self):
        self.assert_refused(['run', '--kernel', 'x', '--action', 'reboot=no'], 'reboot')


if __name__ == '__main__':
    vm.main()
