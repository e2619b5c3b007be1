# SPDX-License-Identifier: Apache-2.0
"""What benches of devices share: QEMU's command line, and what a monitor takes."""

import os
import statistics
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VCPU_NAMES = ('(vcpu0', '(CPU 0/KVM')


def microvm(kernel, cmdline, devices):
    """QEMU with these options for devices."""
    return ['qemu-system-x86_64', '-nodefaults', '-no-user-config', '-display', 'none',
            '-name', 'guest,debug-threads=on',
            '-machine', 'microvm,accel=kvm,rtc=on,isa-serial=on,pcie=on',
            # Software back ends of KVM refuse the MSR behind it.
            '-cpu', 'host,arch-capabilities=off', '-m', '128', '-serial', 'stdio', '-no-reboot',
            '-kernel', kernel, '-append', cmdline, *devices]


def microvm_disk(iothread, blockdev):
    """A disk on an iothread; both are more options of each."""
    return ['-object', f'iothread,id=io{iothread}', '-blockdev', f'node-name=disk,{blockdev}',
            '-device', 'virtio-blk-pci,romfile=,disable-legacy=on,drive=disk,iothread=io']


def tsc_khz(work):
    tool = os.path.join(work, 'tsc_khz')
    subprocess.run(['cc', '-O2', '-o', tool, os.path.join(ROOT, 'tests', 'lab', 'tsc_khz.c')],
                   check=True)
    return int(subprocess.run([tool], stdout=subprocess.PIPE, check=True).stdout)


def cpu_of(pid):
    """Seconds that all threads but the vCPU's have run."""
    seconds = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        folder = f'/proc/{pid}/task/{task}'
        try:
            with open(f'{folder}/stat', encoding='ascii') as stat:
                if stat.read().partition(')')[0].partition(' ')[2] in VCPU_NAMES:
                    continue
            with open(f'{folder}/schedstat', encoding='ascii') as schedstat:
                seconds += int(schedstat.read().split()[0]) / 1e9
        except FileNotFoundError:
            pass                # a worker that ended
    return seconds


def take_turns(candidates, rounds):
    """A list of rounds: what each candidate gave, in an order that moves on by one."""
    names = list(candidates)
    taken = []
    for number in range(rounds):
        turn = number % len(names)
        taken.append({name: candidates[name]() for name in names[turn:] + names[:turn]})
    return taken


def median(rounds, value):
    return statistics.median(value(r) for r in rounds)
