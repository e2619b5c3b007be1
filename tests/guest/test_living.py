#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_living.py VMM PAYLOADS [TEST]...

Living with VMs: the subcommands that find running VMs and do something to them.
"""

import json
import os
import platform
import re
import resource
import shutil
import signal
import subprocess

import vm
from vm import AS_NOBODY, DIED, FATAL, FORCED, OK, USAGE, Vm, VmTest

REMAINS = 2         # of vmm stop: it still runs
UART_EXIT = {'x86_64': 0, 'aarch64': 1}[platform.machine()]     # PIO, MMIO


class Living(VmTest):
    def setUp(self):
        super().setUp()
        self.runtime = os.path.join(self.folder, 'run')
        os.mkdir(self.runtime, mode=0o700)
        self.environment = {**os.environ, 'XDG_RUNTIME_DIR': self.runtime}

    def begin(self, name, payload='echo', *arguments, until=b'READY'):
        run = self.start(payload, '--name', name, *arguments, env=self.environment)
        if until:
            run.wait_for(until)
        return run

    def command(self, *arguments, env=None, **more):
        done = subprocess.run([self.vmm, *arguments], capture_output=True, text=True,
                              timeout=vm.SECONDS, check=False, env=env or self.environment,
                              stdin=subprocess.DEVNULL, **more)
        return done.returncode, done.stdout, done.stderr

    def assert_done(self, *arguments):
        self.assertEqual(self.command(*arguments), (OK, '', ''))

    def test_vm_may_have_as_many_files_as_the_host_allows(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        run = self.start('echo', env=self.environment, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (100, hard)))
        run.wait_for(b'READY')
        with open(f'/proc/{run.process.pid}/limits', encoding='ascii') as limits:
            self.assertRegex(limits.read(), rf'Max open files +{hard} +{hard} ')

    def listed(self):
        return {one['name']: one for one in json.loads(self.command('list', '--json')[1])}

    def on_terminal(self, *arguments):
        one = Vm([self.vmm, *arguments], terminal=True, messages_too=True, env=self.environment)
        self.addCleanup(one.__exit__)
        return one

    def test_list_has_a_line_for_each(self):
        web = self.begin('web', 'echo', '--cpus', '2', '--memory', '1536M')
        waits = self.begin('waits', 'echo', '--paused', until=None)
        waits.wait(lambda: self.command('qmp', 'waits', 'query-name')[0] == OK, 'an answer')

        status, text, errors = self.command('list')

        self.assertEqual((status, errors), (OK, ''))
        lines = text.splitlines()
        self.assertRegex(lines[0], r'\ANAME +STATE +PID +CPUS +MEMORY +UPTIME\Z')
        self.assertRegex(lines[1], r'\Awaits +prelaunch +\d+ +1 +256M +\d+s\Z')
        self.assertRegex(lines[2], rf'\Aweb +running +{web.process.pid} +2 +1.5G +\d+s\Z')
        one = self.listed()['web']
        self.assertLess(one.pop('uptime'), 60)
        self.assertEqual(one, {'name': 'web', 'state': 'running', 'pid': web.process.pid,
                               'cpus': 2, 'memory': 1536 << 20})
        self.assertEqual(self.command('list', '--names'), (OK, 'waits\nweb\n', ''))
        self.assertEqual(self.command('list', '--names', '--json'),
                         (USAGE, '', 'vmm: list: give --json or --names, not both\n'))

    def test_info_tells_of_disks_and_threads(self):
        disk = self.file('disk', bytes(1 << 20))
        run = self.begin('web', 'echo', '--disk', f'{disk},id=root,readonly')

        status, text, errors = self.command('info', 'web')

        self.assertEqual((status, errors), (OK, ''))
        self.assertRegex(text, r'\Aweb\n  state     running, up for \d+s\n')
        self.assertIn(f'  process   {run.process.pid} (vmm ', text)
        self.assertIn(f'  disk      root: {disk}, raw, 1M, read-only\n', text)
        self.assertRegex(text, r'\n  vCPUs     threads \d+\n')
        self.assertRegex(text, r'\n  PCI       00:01.0 1af4:1042 ')
        everything = json.loads(self.command('info', 'web', '--json')[1])
        self.assertEqual(everything['block'][0]['inserted']['file'], disk)
        self.assertEqual(everything['process']['pid'], run.process.pid)
        self.assertEqual(everything['status']['status'], 'running')
        # An x86 guest has CPUID instead.
        self.assertEqual(bool(everything['cpu-registers']), platform.machine() == 'aarch64')

    def test_pause_and_resume_take_several(self):
        one = self.begin('one', 'flood', '--cmdline', 'lines=100000', until=b'0123')
        two = self.begin('two', 'flood', '--cmdline', 'lines=100000', until=b'0123')

        self.assert_done('pause', 'one', 'two')

        for run in (one, two):
            while run.read(0.3):
                pass                # what was under way
        before = len(one.out), len(two.out)
        one.read(0.3)
        two.read(0.3)
        self.assertEqual((len(one.out), len(two.out)), before)
        self.assertEqual(self.listed()['two']['state'], 'paused')
        self.assert_done('pause', 'one')
        self.assert_done('resume', 'one', 'two')
        two.wait(lambda: len(two.out) > before[1], 'more output')
        self.assertEqual(self.listed()['one']['state'], 'running')

    def test_unknown_name_among_others_is_told_and_the_others_are_done(self):
        self.begin('web')
        self.assertEqual(self.command('pause', 'nix', 'web'),
                         (USAGE, '', "vmm: no VM 'nix' is running; running: web\n"))
        self.assertEqual(self.listed()['web']['state'], 'paused')

    def test_reset_restarts_the_guest(self):
        run = self.begin('web')
        self.assert_done('reset', 'web')
        run.wait(lambda: run.out.count(b'READY') == 2, 'READY again')

    def test_kill_ends_at_once_and_the_name_is_free(self):
        run = self.begin('web', 'deaf')
        self.assert_done('kill', 'web')
        self.assertEqual(run.finish(), FORCED)
        self.assertEqual(os.listdir(os.path.join(self.runtime, 'vmm')), [])

    def test_kill_ends_a_monitor_that_hangs(self):
        run = self.begin('web')
        run.kill(signal.SIGSTOP)
        self.assertEqual(self.listed()['web']['state'], 'no answer')

        status, text, errors = self.command('kill', 'web', '--timeout', '1')

        self.assertEqual((status, text), (OK, ''))
        self.assertIn('killed', errors)
        self.assertEqual(run.finish(), -signal.SIGKILL)
        self.assertEqual(self.listed(), {})

    def test_stop_waits_for_a_guest_that_obeys(self):
        run = self.begin('web', 'power_button')
        self.assert_done('stop', 'web')
        self.assertIsNotNone(run.process.wait(vm.SECONDS))
        self.assertEqual(run.finish(), OK)

    def test_stop_ends_also_a_vm_that_is_to_stay(self):
        run = self.begin('web', 'power_button', '--action', 'shutdown=pause')
        self.assert_done('stop', 'web')
        self.assertEqual(run.finish(), FORCED)

    def stop_with_slow_disk(self, *arguments):
        """By a guest that switches off when asked; the run and what stop ended with."""
        disk = os.path.join(self.folder, 'disk.qcow2')
        self.assertEqual(self.command('disk', 'create', disk, '--size', '1M')[0], OK)
        environment = {**self.environment,
                       'LD_PRELOAD': os.path.join(self.payloads, 'slow_sync.so')}
        run = self.start('steady', '--name', 'web', '--disk', f'{disk},cache=unsafe',
                         env=environment)
        run.wait_for(b'READY')
        run.type(b'?')
        run.wait_for(b'round')
        stop = self.on_terminal('stop', 'web', *arguments)
        stop.wait_for(b'to shut down: 0 s')
        run.type(b'q')
        return run, stop

    def test_stop_gives_a_vm_the_time_to_close_its_disks(self):
        run, stop = self.stop_with_slow_disk('--timeout', '7')
        stop.wait_for(b"VM 'web' has not closed its disks in 7 s.  End it at once")
        stop.type(b'w\n')
        self.assertEqual(stop.finish(), OK)
        self.assertEqual(run.finish(), OK)

    def test_stop_with_force_ends_a_vm_that_closes_its_disks(self):
        run, stop = self.stop_with_slow_disk('--timeout', '3', '--force')
        self.assertEqual(stop.finish(), FORCED)
        self.assertEqual(run.finish(), -signal.SIGKILL)

    def test_stop_tells_how_to_end_a_vm_that_closes_its_disks(self):
        run, stop = self.stop_with_slow_disk('--timeout', '2')
        stop.wait_for(b'leave it [n]?')
        stop.type(b'n\n')
        self.assertEqual(stop.finish(), REMAINS)
        self.assertIn(b"'vmm kill' would end it", stop.out)
        self.assertEqual(self.command('kill', 'web', '--timeout', '1')[:2], (OK, ''))
        self.assertEqual(run.finish(), -signal.SIGKILL)

    def test_stop_ends_a_vm_whose_guest_is_off_already(self):
        run = self.begin('web', 'poweroff', '--action', 'shutdown=pause', until=b'still on')
        run.wait(lambda: self.listed()['web']['state'] == 'shutdown', 'the end')
        self.assert_done('stop', 'web')
        self.assertEqual(run.finish(), FORCED)

    def test_stop_tells_of_a_guest_that_has_not_come(self):
        run = self.begin('web', 'echo', '--incoming', 'defer', until=None)
        run.wait(lambda: self.listed().get('web', {}).get('state') == 'inmigrate', 'it waits')
        self.assertEqual(self.command('stop', 'web'), (
            USAGE, '', "vmm: VM 'web' waits for its guest to come: 'vmm kill' ends that\n"))
        self.assertEqual(self.command('stop', 'web', '--force'), (FORCED, '', ''))

    def test_stop_leaves_a_guest_that_does_not_obey(self):
        self.begin('web', 'deaf')
        status, text, errors = self.command('stop', 'web', '--timeout', '1')
        self.assertEqual((status, text), (REMAINS, ''))
        self.assertEqual(errors, "vmm: VM 'web' has not shut down in 1 s and goes on: --force "
                                 'would end it\n')
        self.assertEqual(self.listed()['web']['state'], 'running')

    def test_stop_with_force_ends_it_then(self):
        run = self.begin('web', 'deaf')
        self.assertEqual(self.command('stop', 'web', '--timeout', '1', '--force'),
                         (FORCED, '', ''))
        self.assertEqual(run.finish(), FORCED)

    def test_stop_asks_on_a_terminal(self):
        run = self.begin('web', 'deaf')
        stop = self.on_terminal('stop', 'web', '--timeout', '1')
        stop.wait_for(b"waiting for VM 'web' to shut down: 0 s")
        stop.wait(lambda: stop.out.count(b'leave it [n]?') == 1, 'the question')
        stop.type(b'w\n')
        stop.wait(lambda: stop.out.count(b'leave it [n]?') == 2, 'the question again')
        stop.type(b'y\n')
        self.assertEqual(stop.finish(), FORCED)
        self.assertEqual(run.finish(), FORCED)

    def test_stop_takes_another_answer_for_no(self):
        self.begin('web', 'deaf')
        stop = self.on_terminal('stop', 'web', '--timeout', '0')
        stop.wait_for(b'leave it [n]?')
        stop.type(b'\n')
        self.assertEqual(stop.finish(), REMAINS)
        self.assertEqual(self.listed()['web']['state'], 'running')

    def test_stop_of_a_paused_vm_is_refused_but_can_be_forced(self):
        run = self.begin('web', 'power_button')
        self.assert_done('pause', 'web')
        status, _, errors = self.command('stop', 'web')
        self.assertEqual(status, USAGE)
        self.assertIn("VM 'web' is paused, and its guest does not see the power button", errors)
        self.assertEqual(self.command('stop', 'web', '--force'), (FORCED, '', ''))
        self.assertEqual(run.finish(), FORCED)

    def test_vm_that_has_ended_is_unknown(self):
        run = self.begin('web', FATAL, until=None)
        self.assertEqual(run.finish(), DIED)
        for name in ('stop', 'resume', 'kill'):
            self.assertEqual(self.command(name, 'web'),
                             (USAGE, '', "vmm: no VM 'web' is running; running: none\n"))

    def test_killed_monitor_is_shown_as_dead_once_and_its_name_is_free(self):
        run = self.begin('web')
        run.kill(signal.SIGKILL)
        run.finish()
        self.assertEqual(self.command('pause', 'web'),
                         (USAGE, '', "vmm: VM 'web' has died; running: none\n"))

        self.assertEqual(self.listed(), {'web': {'name': 'web', 'state': 'dead'}})

        self.assertEqual(self.listed(), {})
        self.begin('web')
        self.assertEqual(self.listed()['web']['state'], 'running')

    def test_events_are_told_as_they_happen(self):
        self.begin('web')
        events = Vm([self.vmm, 'events', '--json', 'web'], env=self.environment)
        self.addCleanup(events.__exit__)
        while b'STOP' not in events.out:
            self.assert_done('pause', 'web')
            self.assert_done('resume', 'web')
            events.read(0.1)
        self.assert_done('kill', 'web')
        self.assertEqual(events.finish(), OK)
        last = json.loads(events.out.splitlines()[-1])
        self.assertEqual((last['event'], last['data']['reason']), ('SHUTDOWN', 'host-qmp-quit'))

    def unwritable(self, *arguments):
        """The command, whose output goes to a disk that is full."""
        with open('/dev/full', 'wb') as full:
            one = subprocess.Popen([self.vmm, *arguments], stdout=full, stderr=subprocess.PIPE,
                                   env=self.environment)
        self.addCleanup(one.stderr.close)
        self.addCleanup(one.wait)
        self.addCleanup(one.kill)
        return one

    def test_events_end_when_they_cannot_be_written(self):
        run = self.begin('web')
        events = self.unwritable('events', 'web')
        run.wait(lambda: self.command('reset', 'web')[0] != OK or events.poll() is not None,
                 'the end of the other')
        self.assertEqual((events.wait(vm.SECONDS), events.stderr.read()),
                         (USAGE, b'vmm: cannot write the output\n'))

    def test_stats_to_watch_end_when_they_cannot_be_written(self):
        self.begin('web')
        stats = self.unwritable('stats', 'web', '--watch')
        self.assertEqual((stats.wait(vm.SECONDS), stats.stderr.read()),
                         (USAGE, b'vmm: cannot write the output\n'))

    def test_qmp_prints_what_comes_back(self):
        self.begin('web')
        status, text, errors = self.command('qmp', 'web', 'query-name')
        self.assertEqual((status, json.loads(text), errors), (OK, {'name': 'web'}, ''))
        self.assertEqual(self.command('qmp', 'web', 'frob'),
                         (USAGE, '', "vmm: VM 'web': The command frob has not been found\n"))
        self.assert_done_qmp('set-action', '{"panic": "none"}')
        self.assertIn("Parameter 'panic'",
                      self.command('qmp', 'web', 'set-action', '{"panic": "maybe"}')[2])

    def assert_done_qmp(self, *words):
        self.assertEqual(self.command('qmp', 'web', *words), (OK, '{}\n', ''))

    def test_other_users_see_their_own_only(self):
        self.begin('web')
        os.chmod(self.folder, 0o755)
        vmm = shutil.copy(self.vmm, self.folder)
        theirs = os.path.join(self.folder, 'theirs')
        os.mkdir(theirs)
        os.chown(theirs, 65534, 65534)

        def as_nobody(*arguments, place):
            done = subprocess.run([*AS_NOBODY, vmm, *arguments], capture_output=True, text=True,
                                  check=False, env={**os.environ, 'XDG_RUNTIME_DIR': place})
            return done.returncode, done.stdout, done.stderr

        self.assertEqual(as_nobody('list', '--json', place=theirs), (OK, '[]\n', ''))
        self.assertEqual(as_nobody('pause', 'web', place=theirs)[2],
                         "vmm: no VM 'web' is running; running: none\n")
        self.assertEqual(as_nobody('pause', 'web', place=self.runtime)[0], USAGE)
        os.chmod(self.runtime, 0o755)
        self.assertRegex(as_nobody('pause', 'web', place=self.runtime)[2], 'Permission denied')
        self.assertEqual(self.listed()['web']['state'], 'running')

    def test_stats_has_threads_disks_queues_and_memory(self):
        disk = self.file('disk', bytes(1 << 20))
        self.begin('web', 'echo', '--cpus', '2', '--disk', f'{disk},id=root')

        status, text, errors = self.command('stats', 'web')

        self.assertEqual((status, errors), (OK, ''))
        self.assertRegex(text, r'\Aweb: running, in all\n')
        firsts = [line.split()[0] for line in text.splitlines()[1:]]
        self.assertEqual(firsts, ['THREAD', 'vcpu0', 'vcpu1', 'io0', 'monitor', 'DISK', 'root',
                                  'QUEUE', '01.0', '01.1', '02.0', 'MEMORY', 'guest', 'monitor'])
        exits = re.search(r'\nvcpu0 +\d+\.\d{3}s +(\d+) +(\d+)', text)
        self.assertGreater(int(exits[1 + UART_EXIT]), 0)

    def test_stats_as_json_is_what_was_asked(self):
        self.begin('web')
        stats = json.loads(self.command('stats', '--json', 'web')[1])
        self.assertEqual(set(stats), {'status', 'use', 'memory', 'blockstats'})
        self.assertEqual(stats['status']['status'], 'running')

    def test_stats_to_watch_end_with_the_vm(self):
        run = self.begin('web', 'flood', '--cmdline', 'lines=100000', until=b'0123456789')
        watch = Vm([self.vmm, 'stats', '--watch', 'web'], env=self.environment)
        self.addCleanup(watch.__exit__)
        while watch.out.count(b'web: running, per second\n') < 2:
            run.read(0.05)
            watch.read(0.05)
        self.command('kill', 'web')
        self.assertEqual(watch.finish(), OK)
        self.assertNotIn(b'\033', watch.out)
        rates = [int(line.split()[2 + UART_EXIT]) for line in watch.out.splitlines()
                 if line.startswith(b'vcpu0')]
        self.assertTrue(all(rates), rates)

    def test_stats_to_watch_are_drawn_anew_on_a_terminal(self):
        self.begin('web')
        watch = self.on_terminal('stats', '--watch', 'web')
        watch.wait(lambda: watch.out.count(b'\033[H\033[Jweb: running') >= 2, 'two pictures')
        self.command('kill', 'web')
        self.assertEqual(watch.finish(), OK)

    def test_stats_to_watch_as_json_are_a_line_each(self):
        self.begin('web')
        watch = Vm([self.vmm, 'stats', '-w', '-j', 'web'], env=self.environment)
        self.addCleanup(watch.__exit__)
        watch.wait(lambda: watch.out.count(b'\n') >= 2, 'two lines')
        times = [json.loads(line)['use']['monitor']['cpu-time-ns']
                 for line in watch.out.splitlines()]
        self.assertGreater(times[1], times[0])

    def test_stats_over_a_reset_never_count_backwards(self):
        run = self.begin('web')
        watch = Vm([self.vmm, 'stats', '-w', 'web'], env=self.environment)
        self.addCleanup(watch.__exit__)
        watch.wait_for(b'per second')
        self.command('reset', 'web')
        watch.wait(lambda: watch.out.count(b'per second') >= 3, 'two more')
        run.read(0)
        numbers = [int(n) for n in re.findall(rb'\b\d+\b', watch.out)]
        self.assertLess(max(numbers), 1 << 40)


if __name__ == '__main__':
    vm.main()
