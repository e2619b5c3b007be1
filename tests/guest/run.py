#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: run.py VMM PAYLOADS NAME...

Runs the payloads of these names, or all of this machine's without one, as the tables
below say, and judges them: by exit status, by the PASS they print, and by what else is
expected of the run.
"""

import calendar
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from typing import Callable, NamedTuple

from vm import DIED, OK, SUFFIX, USAGE, Vm, need_kvm, skip

SECTOR = 512

# A guest's I/O costs no exit; what an unrelated signal causes may.
REQUESTS = (100, 1100)
EXITS_MORE = 10
NO_EXITS = 'ioeventfd_no_exits'


class Case(NamedTuple):
    """How a payload is run, and what has to come of it."""
    arguments: tuple = ()
    status: int = OK
    out: str = 'PASS\n'         # None: whatever ends with that
    err: str = r'\Z'            # a pattern for what vmm says: nothing
    files: dict = {}            # what to make first; arguments name it as {name}
    meanwhile: Callable = lambda vm: None
    after: Callable = lambda vm, paths: None
    image: str = ''             # instead of NAME with the suffix


def press_button(vm):
    vm.wait_for(b'READY')
    vm.kill()


def time_is_now(vm, _):
    century, year, *rest = map(int, re.search(rb'time ([\d ]+)', vm.out).group(1).split())
    then = calendar.timegm((century * 100 + year, *rest))
    assert abs(time.time() - then) <= 3, f'the guest has {time.gmtime(then)}'


def seconds_are_now(vm, _):
    then = int(re.search(rb'seconds (\d+)', vm.out).group(1))
    assert abs(time.time() - then) <= 3, f'the guest has {time.gmtime(then)}'


def registers_are_told(vm):
    """What the guest reads is what vmm info says, and the guest goes on afterwards."""
    vm.wait_for(b'READY')
    seen = re.findall(r'(\w+) (0x\w+)\n', vm.out.decode())
    info = [vm.process.args[0], 'info', 'guest']
    all_of_it = json.loads(subprocess.check_output([*info, '--json']))
    told = {one['name']: one['value'] for one in all_of_it['cpu-registers']}
    text = subprocess.check_output(info, text=True)
    assert seen, 'the guest tells of no register'
    for name, value in seen:
        assert int(told[name], 16) == int(value, 16), f'{name}: {value}, told is {told[name]}'
        assert re.search(rf'(?m)^  (registers| {{9}}) {name} +{told[name]}$', text), text
    vm.type(b'x')


def features_are_the_hosts(vm, _):
    """A guest has all that KVM offers, and that is what the host's processor has."""
    with open('/proc/cpuinfo', encoding='ascii') as file:
        host = set(re.search(r'Features\s*: (.*)', file.read()).group(1).split())
    words = set(vm.out.decode().split())
    counters = any(name.startswith('armv8_') for name in
                   os.listdir('/sys/bus/event_source/devices'))
    assert ('pmu' in words) == counters, 'event counters'
    assert ('sve' in words) == ('sve' in host), 'SVE'
    assert ('pauth' in words) == ('paca' in host), 'pointer authentication'


def was_written(_, paths):
    with open(paths['disk'], 'rb') as file:
        content = file.read()
    assert content[-4096:] == b'\x01' + b'\xa7' * 4094 + b'\x02', 'the image has other data'
    assert not any(content[:-4096]), 'a request that failed has written'


def exits(vm):
    line = re.search(rb'vcpu 0: exits to user space: pio (\d+), mmio (\d+), other (\d+)',
                     vm.err)
    return sum(map(int, line.groups()))


def resets(cmdline):
    return Case(('--disk', '{disk}', '--cmdline', cmdline), image='reset' + SUFFIX,
                out='first boot\nsecond boot\nPASS\n', files={'disk': bytes(SECTOR)})


# For both architectures.
COMMON = {
    'blk_readonly': Case(('--disk', 'path={disk},readonly'),
                         files={'disk': b'R' + bytes(8 * SECTOR - 1)}),
    'blk_request': Case(('--disk', 'path={disk},serial=serial-of-the-disk'),
                        files={'disk': bytes(2048 * SECTOR)}, after=was_written),
    'cmdline': Case(('--cmdline', 'root=/dev/vda  "two words", a=b,c')),
    'initrd': Case(('--initrd', '{initrd}'), files={'initrd': b'b' + bytes(4998) + b'e'}),
    'mmio': Case(),
    'msix_irq': Case(),
    'power_button': Case(out='READY\nPASS\n', meanwhile=press_button),
    'poweroff': Case(out='still on\n'),
    'reset': resets('way=0'),
    'rng': Case(),
    'serial_irq': Case(),
}

NO_EMULATION = (r'vmm: .*vCPU 0: KVM cannot emulate an instruction of the guest; '
                r'its registers:\n')

# KVM has but a reset processor to show where an AMD one has shut down.
FAULT = r'vmm: .*vCPU 0: triple fault[^\n]*\n'
FAULT_AT = r'(?s:.*)rip 0000000000.*(?s:.*)rbx 1122334455667788'
FAULT_LOST = r'rip 000000000000fff0 (?s:.*)\n\(as after a reset: [^\n]*\)\n\Z'


def forgets_faults():
    with open('/proc/cpuinfo', encoding='ascii') as file:
        return re.search(r'(?m)^flags\s*:.*\bsvm\b', file.read())


X86 = {
    'acpi': Case(('--cpus', '3', '--cmdline', 'cpus=3')),
    'blk_random': Case(('--disk', '{disk}', '--cmdline', 'depth=32 ticks=100000000'),
                       files={'disk': bytes(1 << 20)}, out=None),
    'bzimage': Case(('--cmdline', 'hello bzImage'), image='bzimage'),
    'high_memory': Case(('--memory', '5G')),
    'lost': Case(status=DIED, out='',
                 err=NO_EMULATION + r'rip 00000000d0000000 (?s:.*)rbx 1122334455667788 '),
    'memory_holes': Case(('--memory', '256M')),
    'pci': Case(('--disk', '{disk}'),
                out='3 functions\nPASS\n',
                files={'disk': bytes(SECTOR)}),
    'pio': Case(),
    'power_reset': Case(out='READY\n', meanwhile=press_button),
    'reset_i8042': resets('way=1'),
    'rtc': Case(out=None, after=time_is_now),
    'smp': Case(('--cpus', '5', '--cmdline', 'cpus=5')),
    'triple_fault': Case(status=DIED, out='',
                         err=FAULT + (FAULT_LOST if forgets_faults() else FAULT_AT)),
}

# A GICv2 has no more.
with open('/proc/interrupts', encoding='ascii') as interrupts:
    CPUS = 18 if 'GICv3' in interrupts.read() else 8

ARM64 = {
    'blind': Case(status=DIED, out='', err=NO_EMULATION + r'(?s:.*)pc  '),
    'features': Case(out=None, after=features_are_the_hosts),
    'identity': Case(('--name', 'guest'), out=None, meanwhile=registers_are_told),
    'pl031': Case(out=None, after=seconds_are_now),
    'psci_reset2': resets('way=1'),
    'psci_smp': Case(('--cpus', f'{CPUS}', '--cmdline', f'cpus={CPUS}')),
    'stolen': Case(),
    'timer': Case(),
}

if CPUS == 8:
    ARM64['more_cpus'] = Case(('--cpus', '9'), image='psci_smp' + SUFFIX, status=USAGE, out='',
                              err=r"vmm: .*cpus: 9 vCPUs are more than this host's KVM allows "
                                  r'\(8\)\n\Z')

CASES = {**COMMON, **{'x86_64': X86, 'aarch64': ARM64}[platform.machine()]}


def run(vmm, payloads, name, case):
    with tempfile.TemporaryDirectory() as folder:
        paths = {key: os.path.join(folder, key) for key in case.files}
        for key, content in case.files.items():
            with open(paths[key], 'wb') as file:
                file.write(content)
        command = [vmm, 'run', '--kernel', os.path.join(payloads, case.image or name + SUFFIX)]
        with Vm(command + [argument.format(**paths) for argument in case.arguments]) as vm:
            case.meanwhile(vm)
            status = vm.finish()
            out = vm.out.decode(errors='replace')
            print(vm.said())
            assert status == case.status, f'exit status {status}, not {case.status}'
            assert out == case.out or case.out is None and out.endswith('PASS\n'), \
                f'the guest printed {out!r}, not {case.out!r}'
            assert re.match(case.err, vm.err.decode(errors='replace')), \
                'what vmm says is not as expected'
            case.after(vm, paths)
            return vm


def in_namespace():
    """Run again in a network namespace of our own."""
    if os.geteuid() != 0:
        skip('makes a network namespace of its own, which needs root')
    if 'VMM_TEST_NAMESPACE' not in os.environ:
        os.environ['VMM_TEST_NAMESPACE'] = 'net'
        os.execvp('unshare', ['unshare', '--net', sys.executable, '-B', *sys.argv])


def frames_received(tap):
    stats = json.loads(subprocess.check_output(('ip', '-j', '-s', 'link', 'show', tap)))
    return stats[0]['stats64']['rx']['packets']


def run_ioeventfd_no_exits(vmm, payloads):
    """The same guest with more and with fewer requests: the requests cost nothing."""
    counts = []
    subprocess.check_call(('ip', 'tuntap', 'add', 'tap0', 'mode', 'tap', 'vnet_hdr'))
    subprocess.check_call(('ip', 'link', 'set', 'tap0', 'up'))
    for requests in REQUESTS:
        case = Case(('--log', 'debug', '--disk', '{disk}', '--net', 'tap=tap0',
                     '--cmdline', f'requests={requests} frames={requests}'),
                    files={'disk': bytes(SECTOR)}, err='.')
        counts.append(exits(run(vmm, payloads, NO_EXITS, case)))
    assert counts[1] - counts[0] <= EXITS_MORE, \
        f'{REQUESTS[1] - REQUESTS[0]} more requests took {counts[1] - counts[0]} more exits'
    assert frames_received('tap0') == sum(REQUESTS), 'the tap has not got each frame'


def run_all(vmm, payloads, names):
    """All of them, also after one that fails."""
    failures = []
    for name in names:
        try:
            if name == NO_EXITS:
                in_namespace()
                run_ioeventfd_no_exits(vmm, payloads)
            else:
                run(vmm, payloads, name, CASES[name])
        except AssertionError as error:
            failures.append(f'{name}: {error}')
    return '\n'.join(failures)


if __name__ == '__main__':
    need_kvm()
    sys.exit(run_all(*sys.argv[1:3], sys.argv[3:] or [*CASES, NO_EXITS]) or 0)
