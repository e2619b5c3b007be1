#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_attach.py VMM PAYLOADS [TEST]...

vmm attach and vmm detach, with a payload that says what comes and goes.
"""

import json
import os
import socket
import subprocess

import vm
from vm import OK, USAGE, Vm, VmTest, not_on_arm64

REMAINS = 2         # of vmm detach: the guest has the device still
LETS_GO = 'of what its guest has not switched on a port lets go at once'
MIB = 1 << 20
PCAP_HEADER = 24


class Attach(VmTest):
    def begin(self, *arguments, cmdline='refuse=0 slots=0', payload='hotplug', until=b'READY'):
        run = self.start(payload, '--name', self.name, '--cmdline', cmdline, *arguments)
        if until:
            run.wait_for(until)
        return run

    def setUp(self):
        super().setUp()
        self.name = self.id().rsplit('.', 1)[1][:40].replace('_', '-')

    def command(self, *arguments, **more):
        done = subprocess.run([self.vmm, *arguments], capture_output=True,
                              text=True, timeout=vm.SECONDS, check=False,
                              stdin=subprocess.DEVNULL, **more)
        return done.returncode, done.stdout, done.stderr

    def attach(self, *arguments, **more):
        return self.command('attach', self.name, *arguments, **more)

    def detach(self, *arguments):
        return self.command('detach', self.name, *arguments)

    def ask(self, command, arguments='{}'):
        status, text, errors = self.command('qmp', self.name, command, arguments)
        self.assertEqual((status, errors), (OK, ''))
        return json.loads(text)

    def nodes(self):
        return [one['node-name'] for one in
                self.ask('query-blockstats', '{"query-nodes": true}')]

    def assert_refused_with(self, done, status, pattern):
        self.assertEqual((done[0], done[1]), (status, ''), done[2])
        self.assertRegex(done[2], r'\Avmm: [^\n]+\n\Z')
        self.assertRegex(done[2], pattern)

    def test_disk_comes_and_goes_with_its_file(self):
        run = self.begin()
        disk = self.file('data.img', bytes(MIB))

        self.assertEqual(self.attach('--disk', disk), (OK, 'disk0\n', ''))
        run.wait_for(b'COME 2')
        self.assertEqual(self.detach('disk0'), (OK, '', ''))
        run.wait_for(b'GONE 2')

        self.assertEqual(self.nodes(), [])
        self.assertEqual(self.attach('--disk', f'{disk},id=again'), (OK, 'again\n', ''))
        run.wait(lambda: run.out.count(b'COME 2') == 2, 'COME 2 again')

    def test_all_that_can_be_said_of_a_disk_reaches_it(self):
        run = self.begin()
        disk = os.path.join(self.folder, 'data.qcow2')
        self.assertEqual(self.command('disk', 'create', disk, '--size', '1M')[0], OK)
        done = self.attach('--disk', f'{disk},readonly,serial=42,backing=off,l2-cache-size=1M,'
                           'cache=writethrough,block-size=4096,queues=3,rerror=stop,'
                           'werror=ignore,id=data')
        self.assertEqual(done, (OK, 'data\n', ''))
        run.wait_for(b'COME 2')
        [block] = self.ask('query-block')
        medium = block['inserted']
        self.assertEqual((block['qdev'], medium['node-name'], medium['drv'], medium['ro']),
                         ('data', 'data', 'qcow2', True))
        self.assertEqual(medium['cache'],
                         {'writeback': False, 'direct': False, 'no-flush': False})
        self.assertEqual(len([queue for queue in self.ask('x-vmm-query-use')['queues']
                              if queue['driver'] == 'virtio-blk']), 3)

    def test_caches_are_those_of_run(self):
        self.begin()
        for cache, direct, no_flush in (('writeback', False, False), ('unsafe', False, True)):
            disk = self.file(cache, bytes(MIB))
            self.assertEqual(self.attach('--disk', f'{disk},cache={cache},id={cache}'),
                             (OK, cache + '\n', ''))
            [one] = [block for block in self.ask('query-block') if block['qdev'] == cache]
            self.assertEqual(one['inserted']['cache'],
                             {'writeback': True, 'direct': direct, 'no-flush': no_flush})

    def test_dump_of_a_card_is_made_anew(self):
        self.begin()
        dump = self.file('dump', bytes(1000))
        self.assertEqual(self.attach('--net', f'none,dump={dump}'), (OK, 'net0\n', ''))
        self.assertEqual(os.path.getsize(dump), PCAP_HEADER)

    def test_overlay_takes_the_writes(self):
        self.begin()
        self.file('base.img', bytes(MIB))
        for overlay in ('new.qcow2', 'temporary'):
            done = self.attach('--disk', f'base.img,overlay={overlay},id={overlay[:3]}',
                               cwd=self.folder)
            self.assertEqual(done, (OK, overlay[:3] + '\n', ''))
        self.assertEqual(sorted(os.listdir(self.folder)), ['base.img', 'new.qcow2'])
        self.assertEqual([block['inserted']['drv'] for block in self.ask('query-block')],
                         ['qcow2', 'qcow2'])
        self.assert_refused_with(self.attach('--disk', 'x.img,overlay=temporary,readonly'),
                                 USAGE, 'not both')

    def test_limits_are_those_of_run(self):
        first = self.file('first.img', bytes(MIB))
        self.begin('--disk', f'{first},bps=1M,group=slow', '--io-threads', '2')
        disks = [self.file(f'{i}.img', bytes(MIB)) for i in range(3)]

        self.assertEqual(self.attach('--disk', f'{disks[0]},iops-rd=10,iops-rd-max=20,'
                                     'iops-rd-max-length=3,iops-wr=7,iops-size=4K,id=own',
                                     '--disk', f'{disks[1]},group=slow,id=shares'),
                         (OK, 'own\nshares\n', ''))

        media = {block['qdev']: block['inserted'] for block in self.ask('query-block')}
        self.assertEqual({key: media['own'].get(key) for key in (
            'bps', 'iops', 'iops_rd', 'iops_rd_max', 'iops_rd_max_length', 'iops_wr',
            'iops_wr_max', 'iops_size', 'group')}, {
                'bps': 0, 'iops': 0, 'iops_rd': 10, 'iops_rd_max': 20, 'iops_rd_max_length': 3,
                'iops_wr': 7, 'iops_wr_max': None, 'iops_size': 4096, 'group': 'own'})
        self.assertEqual((media['shares']['bps'], media['shares']['group']), (1 << 20, 'slow'))
        self.assert_refused_with(self.attach('--disk', f'{disks[2]},bps=2M,group=slow'), USAGE,
                                 'other limits')
        self.assert_refused_with(self.attach('--disk', f'{disks[2]},bps=1,bps-rd=1'), USAGE,
                                 'at the same time')
        self.assertEqual(len(self.nodes()), 3)

    def test_what_is_no_utf8_cannot_be_sent(self):
        self.begin()
        disk = self.file(b'caf\xe9.img'.decode(errors='surrogateescape'), bytes(MIB))
        good = self.file('good.img', bytes(MIB))
        bad = b'\xe9.qcow2'.decode(errors='surrogateescape')
        self.assert_refused_with(self.attach('--disk', disk), USAGE, 'no UTF-8')
        self.assert_refused_with(self.attach('--disk', f'{good},overlay={bad}'), USAGE, 'no UTF-8')
        self.assert_refused_with(self.attach('--disk', f'{good},group={bad}'), USAGE, 'no UTF-8')
        self.assertEqual(self.nodes(), [])

    def test_path_is_that_of_the_caller(self):
        self.begin()
        self.file('data.img', bytes(MIB))
        self.assertEqual(self.attach('--disk', 'data.img', cwd=self.folder),
                         (OK, 'disk0\n', ''))

    def test_several_are_attached_and_one_that_fails_is_told(self):
        disk = self.file('first.img', bytes(MIB))
        run = self.begin('--disk', disk)
        more = [self.file(name, bytes(MIB)) for name in ('a.img', 'b.img')]
        status, text, errors = self.attach('--disk', more[0], '--disk', disk + '.none',
                                           '--disk', more[1])
        self.assertEqual((status, text), (USAGE, 'disk1\ndisk2\n'))
        self.assertRegex(errors, r"\Avmm: cannot open '.*none': No such file or directory\n\Z")
        run.wait_for(b'COME 4')
        self.assertEqual(self.detach('disk1', 'disk2'), (OK, '', ''))
        self.assertEqual(self.nodes(), ['disk0'])

    def test_disk_without_a_place_is_closed_again(self):
        self.begin()
        for i in range(8):
            disk = self.file(f'{i}.img', bytes(MIB))
            self.assertEqual(self.attach('--disk', disk)[0], OK)
        disk = self.file('last.img', bytes(MIB))
        self.assert_refused_with(self.attach('--disk', disk), USAGE, 'no PCI slot is left')
        self.assertEqual(self.nodes(), [f'disk{i}' for i in range(8)])

    def test_disk_whose_device_cannot_be_is_closed_again(self):
        self.begin()
        disk = self.file('data.img', bytes(MIB + 512))
        self.assert_refused_with(self.attach('--disk', f'{disk},block-size=4096'), USAGE,
                                 'no multiple')
        self.assertEqual(self.nodes(), [])

    def test_image_that_nobody_called_by_its_format_is_doubted(self):
        self.begin()
        disk = self.file('data.img', b'QFI\xfb' + bytes(MIB - 4))
        self.assert_refused_with(self.attach('--disk', disk), USAGE, 'begins like a qcow2')
        self.assertEqual(self.attach('--disk', disk + ',format=raw'), (OK, 'disk0\n', ''))

    def test_card_comes_by_descriptor_and_goes(self):
        if os.geteuid():
            self.skipTest('only root makes a tap')
        run = self.begin()
        tap = vm.open_tap('vmmplug%d')
        self.addCleanup(os.close, tap)
        done = self.attach('--net', f'fd={tap},mac=52:54:00:00:00:07,mtu=9000,'
                           'bps-rx=1M,pps-tx=100,pps-tx-max=200,pps-tx-max-length=2',
                           pass_fds=[tap])
        self.assertEqual(done, (OK, 'net0\n', ''))
        run.wait_for(b'COME 2')
        self.assert_refused_with(self.attach('--net', f'fd={tap},mac=52:54:00:00:00:07,id=other',
                                             pass_fds=[tap]), USAGE, 'same mac')
        self.assertEqual(self.detach('net0'), (OK, '', ''))
        run.wait_for(b'GONE 2')
        self.assertEqual(self.command('qmp', self.name, 'netdev_del', '{"id": "net0"}')[0], USAGE)

    def test_card_comes_by_a_descriptor_for_each_pair_of_queues(self):
        if os.geteuid():
            self.skipTest('only root makes a tap')
        run = self.begin()
        taps = [vm.open_tap('vmmplug%d', several=True)]
        taps += [vm.open_tap(vm.tap_name(taps[0]), several=True) for _ in range(15)]
        for tap in taps:
            self.addCleanup(os.close, tap)
        other = vm.open_tap('vmmplug%d', several=True)
        self.addCleanup(os.close, other)
        fds = 'fd=' + ':'.join(map(str, taps))

        self.assert_refused_with(self.attach('--net', f'fd={taps[0]}:{other}',
                                             pass_fds=[taps[0], other]), USAGE, 'one tap')
        self.assert_refused_with(self.attach('--net', fds + ',queues=2'), USAGE,
                                 'fd= has 16: give one for each')
        self.assert_refused_with(self.attach('--net', fds, pass_fds=taps[:15]), USAGE,
                                 'Bad file descriptor')
        folder = f'/proc/{run.process.pid}/fd'
        self.assertNotIn('/dev/net/tun', [os.readlink(os.path.join(folder, fd))
                                          for fd in os.listdir(folder)])

        self.assertEqual(self.attach('--net', f'fd={taps[3]}:{taps[1]}', pass_fds=taps),
                         (OK, 'net0\n', ''))
        run.wait_for(b'COME 2')
        self.assertEqual(len([queue for queue in self.ask('x-vmm-query-use')['queues']
                              if queue['driver'] == 'virtio-net']), 5)

    def test_card_goes_with_its_back_end_of_another_name(self):
        run = self.begin()
        self.ask('netdev_add', '{"type": "none", "id": "nowhere"}')
        self.ask('device_add',
                 '{"driver": "virtio-net-pci", "netdev": "nowhere", "id": "card"}')
        run.wait_for(b'COME 2')
        self.assertEqual(self.detach('card'), (OK, '', ''))
        run.wait_for(b'GONE 2')
        self.assertRegex(self.command('qmp', self.name, 'netdev_del', '{"id": "nowhere"}')[2],
                         "'nowhere' not found")

    def test_card_at_a_socket_comes_and_goes_with_it(self):
        run = self.begin()
        path = os.path.join(self.folder, 'link')
        self.assertEqual(self.attach('--net', 'socket=link,listen', cwd=self.folder),
                         (OK, 'net0\n', ''))
        self.assertEqual(self.attach('--net', 'socket=link', cwd=self.folder),
                         (OK, 'net1\n', ''))
        self.assertEqual(self.attach('--net', 'none'), (OK, 'net2\n', ''))
        run.wait_for(b'COME 4')
        self.assertEqual(self.detach('net0'), (OK, '', ''))
        self.assertFalse(os.path.exists(path))
        self.assert_refused_with(self.attach('--net', f'socket={path}'), USAGE, 'listen')

    def test_name_that_a_back_end_alone_has_is_passed_over(self):
        if os.geteuid():
            self.skipTest('only root makes a tap')
        self.begin()
        tap = vm.open_tap('vmmplug%d')
        self.addCleanup(os.close, tap)
        for taken in ('net0', 'net1'):
            self.ask('netdev_add', json.dumps({'type': 'none', 'id': taken}))

        self.assert_refused_with(self.attach('--net', f'fd={tap},id=net1', pass_fds=[tap]),
                                 USAGE, "Duplicate ID 'net1'")
        self.assertEqual(self.attach('--net', f'fd={tap}', pass_fds=[tap]), (OK, 'net2\n', ''))

    def test_those_who_attach_at_the_same_time_get_names_of_their_own(self):
        self.begin()
        devices = [('--net', 'none')] * 4
        devices += [('--disk', self.file(f'{i}.img', bytes(MIB))) for i in range(4)]

        runs = [subprocess.Popen([self.vmm, 'attach', self.name, *device], text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                for device in devices]
        said = [run.communicate(timeout=vm.SECONDS) for run in runs]

        self.assertEqual(sorted(said), [(f'{kind}{i}\n', '') for kind in ('disk', 'net')
                                        for i in range(4)])

    def test_file_in_the_place_of_a_socket_is_told(self):
        self.begin()
        path = self.file('link')
        self.assert_refused_with(self.attach('--net', f'socket={path},listen'), USAGE,
                                 'there is something else: choose another path')

    def test_descriptor_that_is_no_tap_is_refused_and_closed(self):
        self.begin()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            done = self.attach('--net', f'fd={theirs.fileno()}', pass_fds=[theirs.fileno()])
            self.assert_refused_with(done, USAGE, 'no tap device')
            theirs.close()
            ours.settimeout(5)
            self.assertEqual(ours.recv(1), b'')

    def test_descriptor_that_is_not_open(self):
        self.begin()
        self.assert_refused_with(self.attach('--net', 'fd=77'), USAGE,
                                 'descriptor 77: Bad file descriptor')

    def test_descriptor_of_a_card_with_a_bad_id_is_closed(self):
        self.begin()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            done = self.attach('--net', f'fd={theirs.fileno()},id=0',
                               pass_fds=[theirs.fileno()])
            self.assert_refused_with(done, USAGE, 'identifier')
            theirs.close()
            ours.settimeout(5)
            self.assertEqual(ours.recv(1), b'')

    def test_what_attach_does_not_understand(self):
        self.assert_refused(['attach'], "'NAME' is missing")
        self.assert_refused(['attach', 'none'], 'give --disk or --net')
        self.assert_refused(['attach', 'none', '--net', 'mac=52:54:00:00:00:01'], 'where to')
        self.assert_refused(['attach', 'none', '--disk', 'x,serail=1'], "did you mean 'serial'")
        self.assert_refused(['attach', 'none', '--disk', 'x'], "no VM")
        self.assert_refused(['detach', 'none'], "'NAME ID...' is missing")
        self.assert_refused(['detach', 'none', 'x'], "no VM")

    def test_device_of_the_configuration_goes_too(self):
        disk = self.file('disk.img', bytes(MIB))
        run = self.begin('--disk', disk, cmdline='refuse=0 slots=2')
        run.wait_for(b'COME 1')
        self.assertEqual(self.detach('disk0'), (OK, '', ''))
        self.assertEqual(self.nodes(), [])

    @not_on_arm64('a guest cannot tell a port that it refuses')
    def test_guest_that_refuses(self):
        run = self.begin(cmdline='refuse=1 slots=0')
        self.assertEqual(self.attach('--disk', self.file('data.img', bytes(MIB)))[0], OK)
        run.wait_for(b'COME 2')
        self.assert_refused_with(self.detach('disk0'), REMAINS, "refuses to let go of 'disk0'")
        self.assertEqual(self.nodes(), ['disk0'])
        self.assertEqual(self.detach('disk0'), (OK, '', ''))

    @not_on_arm64(LETS_GO)
    def test_guest_that_does_not_answer_and_lets_go_later(self):
        self.begin(payload='echo')
        self.assertEqual(self.attach('--disk', self.file('data.img', bytes(MIB)))[0], OK)
        self.assert_refused_with(self.detach('--timeout', '0', 'disk0'), REMAINS,
                                 "has not let go of 'disk0' in 0 s")
        self.assert_refused_with(self.detach('disk0'), USAGE, 'already in the process')
        self.ask('system_reset')

        self.assertEqual(self.nodes(), ['disk0'])
        self.assertEqual(self.detach('disk0'), (OK, '', ''))
        self.assertEqual(self.nodes(), [])

    @not_on_arm64(LETS_GO)
    def test_waiting_is_shown_on_a_terminal(self):
        self.begin(payload='echo')
        self.assertEqual(self.attach('--disk', self.file('data.img', bytes(MIB)))[0], OK)
        one = Vm([self.vmm, 'detach', self.name, 'disk0', '--timeout', '2'], terminal=True,
                 messages_too=True)
        self.addCleanup(one.__exit__)
        self.assertEqual(one.finish(), REMAINS)
        self.assertIn(b"let go of 'disk0': 1 s", one.out)
        self.assertIn(b'in 2 s', one.out)

    @not_on_arm64(LETS_GO)
    def test_vm_that_ends_meanwhile(self):
        self.begin(payload='echo')
        self.assertEqual(self.attach('--disk', self.file('data.img', bytes(MIB)))[0], OK)
        one = Vm([self.vmm, 'detach', self.name, 'disk0'], terminal=True, messages_too=True)
        self.addCleanup(one.__exit__)
        one.wait_for(b'waiting for the guest')
        self.command('kill', self.name)
        self.assertEqual(one.finish(), USAGE)
        self.assertIn(b'has ended', one.out)

    def test_unknown_device_and_the_others_are_done(self):
        run = self.begin()
        self.assertEqual(self.attach('--disk', self.file('data.img', bytes(MIB)))[0], OK)
        run.wait_for(b'COME 2')
        self.assert_refused_with(self.detach('nope', 'disk0'), USAGE,
                                 "no disk or network card 'nope'")
        self.assertEqual(self.nodes(), [])

    def test_paused_vm_takes_a_disk_but_gives_none(self):
        run = self.begin('--paused', until=None)
        run.wait(lambda: self.command('qmp', self.name, 'query-status')[0] == OK, 'an answer')
        self.assertEqual(self.attach('--disk', self.file('data.img', bytes(MIB)))[0], OK)
        self.assert_refused_with(self.detach('disk0'), USAGE, 'prelaunch.*resume')

    def test_guest_that_is_off_gives_none_and_resume_is_no_way_out(self):
        run = self.begin('--action', 'shutdown=pause', payload='poweroff', until=b'still on')
        run.wait(lambda: self.ask('query-status')['status'] == 'shutdown', 'the end')
        self.assert_refused_with(self.detach('disk0'), USAGE, 'is shutdown.*go of anything$')


if __name__ == '__main__':
    vm.main()
