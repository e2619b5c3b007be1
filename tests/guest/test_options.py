#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_options.py VMM PAYLOADS [TEST]...

What vmm refuses before it needs /dev/kvm: options, configuration files, disks and
network devices.
"""

import os

import vm
from vm import VmTest

SECTOR = 512


class Options(VmTest):
    """A row is the arguments after "vmm" and what the message has to name."""

    ROWS = (
        (('fly',), "'fly'"),
        (('run',), 'kernel'),
        (('run', '--kernel'), 'kernel'),
        (('run', '--kernel', ''), 'kernel'),
        (('run', '--kernel', 'k', 'more'), "'more'"),

        (('run', '-k', 'k', '--memroy', '1G'), r'memroy.*--memory\b'),
        (('run', '-k', 'k', '-Z'), 'Z'),
        (('run', '-k', 'k', '--disk', 'path=d,readnoly'), r'readnoly.*\breadonly\b'),
        (('run', '-k', 'k', '--disk', 'readonly'), 'path'),
        (('run', '-k', 'k', '--log', 'debgu'), r'debgu.*\bdebug\b'),

        (('run', '-k', 'k', '--memory', '0'), 'memory'),
        (('run', '-k', 'k', '--memory', '1K'), 'memory'),
        (('run', '-k', 'k', '--memory', '-1'), 'memory'),
        (('run', '-k', 'k', '--memory', 'lots'), 'memory.*lots'),
        (('run', '-k', 'k', '--memory', '4097K'), 'memory'),
        (('run', '-k', 'k', '--memory', '5000T'), 'memory'),
        (('run', '-k', 'k', '--memory', '99999999999999999999'), 'memory'),
        (('run', '-k', 'k', '--cpus', '0'), 'cpus'),
        (('run', '-k', 'k', '--cpus', '-1'), 'cpus'),
        (('run', '-k', 'k', '--cpus', '1000000'), 'cpus'),
        (('run', '-k', 'k', '--cpus', 'two'), 'cpus.*two'),
        (('run', '-k', 'k', '--shutdown-timeout', 'soon'), 'shutdown-timeout.*soon'),

        (('run', '-k', 'k', '--net', ''), 'tap'),
        (('run', '-k', 'k', '--net', 'tap=t,fd=3'), 'tap.*fd'),
        (('run', '-k', 'k', '--net', 'tap=t,mac=01:00:00:00:00:00'), 'mac.*01:00'),
        (('run', '-k', 'k', '--net', 'tap=t,mac=tap'), 'mac'),
        (('run', '-k', 'k', '--net', 'none,mac=52:54:00:00:00:07',
          '--net', 'none,mac=52:54:00:00:00:07'), 'net 0 and net 1 have the same mac'),
        (('run', '-k', 'k', '--net', 'tap=a-name-that-is-too-long'), 'tap'),
        (('run', '-k', 'k', '--net', 'tap=tap%d'), 'tap%d.*no name'),
        (('run', '-k', 'k', '--net', 'fd=3,bridge=b'), 'bridge.*fd'),
        (('run', '-k', 'k', '--net', 'fd=3,queues=2'), 'net 0: queues=2 .* fd= has 1'),
        (('run', '-k', 'k', '--net', 'fd=x'), "net 0: fd: .* as in 3:4:5, not 'x'"),
        (('run', '-k', 'k', '--net', 'fd=3:4:3'), 'net 0: fd: descriptor 3 is there twice'),
        (('run', '-k', 'k', '--net', 'fd=3:4', '--net', 'fd=5:4'), 'net 0 and net 1 .* fd, 4'),
        (('run', '-k', 'k', '--net', 'tap=t,queues=17'), 'queues'),
        (('run', '-k', 'k', '--net', 'socket=/nowhere/x'), "net0.*'/nowhere/x'.*listen"),
        (('run', '-k', 'k', '--net', 'socket=/nowhere/x,listen'), "net0.*'/nowhere/x': No such"),
        (('run', '-k', 'k', '--net', 'user,hostfwd=22'), "net 0: hostfwd: '22' is none"),
        (('run', '-k', 'k', '--net', 'user,hostfwd=tcp:1-:1,hostfwd=tcp:0-:22'), "'tcp:0-:22'"),
        (('run', '-k', 'k', '--net', 'user,hostfwd=tcp:1\n-:22'), 'hostfwd'),
        (('run', '-k', 'k', '--net', 'tap=t,mtu=67'), 'mtu'),
        (('run', '-k', 'k', '--net', 'fd=0,dump=/nowhere/x'), "net0.*'/nowhere/x': No such"),
        (('run', '-k', 'k', '--net', 'tap=t,bps-rx-max=2'), 'net 0: bps-rx'),
    )

    def test_bad_arguments(self):
        for arguments, pattern in self.ROWS:
            with self.subTest(arguments):
                self.assert_refused(arguments, pattern)

    def test_line_break_in_an_argument_does_not_break_the_message(self):
        self.assert_refused(['x\ny'], 'command')
        self.assert_refused(['run', '--x\ny'], 'unknown')
        self.assert_refused(['run', '-k', 'k', '--disk', 'x\ny'], 'disk')
        self.assert_refused(['run', '-k', 'k', '--net', 'tap=x\ny'], 'net')


class Files(VmTest):
    def refuse_disk(self, disk, pattern):
        self.assert_refused(['run', '--kernel', 'k', '--disk', disk], pattern)

    def test_missing_disk(self):
        self.refuse_disk(os.path.join(self.folder, 'gone'), 'gone.*No such file')

    def test_folder_as_disk(self):
        self.refuse_disk(self.folder, self.folder)

    def test_device_that_is_no_disk(self):
        self.refuse_disk('/dev/null', '/dev/null')

    def test_disk_with_part_of_a_sector(self):
        self.refuse_disk(self.file('odd', bytes(SECTOR + 1)), 'odd.*513.*512')

    def test_empty_disk(self):
        self.refuse_disk(self.file('empty'), 'empty')

    def test_disk_of_an_unknown_format(self):
        self.refuse_disk(f'path={self.file("d", bytes(SECTOR))},format=rwa', 'rwa')

    def test_one_disk_twice(self):
        path = self.file('d', bytes(SECTOR))
        self.assert_refused(['run', '-k', 'k', '-d', path, '-d', path], 'in use|another')

    def refuse_config(self, text, pattern):
        self.assert_refused(['run', '--config', self.file('vm.yaml', text.encode())], pattern)

    def test_missing_config(self):
        self.assert_refused(['run', '--config', '/nonexistent.yaml'], '/nonexistent.yaml')

    def test_syntax_error_in_config(self):
        self.refuse_config('kernel: k\nmemory: [1G\n', r'vm\.yaml:[23]')

    def test_unknown_key_in_config(self):
        self.refuse_config('kernel: k\nmemroy: 1G\n', r'vm\.yaml:2:.*memroy.*\bmemory\b')

    def test_bad_value_in_config(self):
        self.refuse_config('kernel: k\n\ndisk:\n  - path: p\n    readonly: maybe\n',
                           r'vm\.yaml:5:.*maybe')

    def test_config_that_is_no_text(self):
        self.assert_refused(['run', '--config', self.file('vm.yaml', bytes(range(256)))],
                            r'vm\.yaml')


vm.main(kvm=False)
