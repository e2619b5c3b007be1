# SPDX-License-Identifier: Apache-2.0
"""What benches share: guests, QEMU's command line, and what a monitor takes."""

import json
import os
import socket
import statistics
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CMDLINE = 'console=ttyS0 quiet reboot=k panic=-1'
VCPU_NAMES = ('(vcpu0', '(CPU 0/KVM')


def build(work, name, **constants):
    """A program of one file, as the guest's kernel."""
    out = os.path.join(work, name)
    subprocess.run(['cc', '-nostdlib', '-static', '-Wl,--build-id=none,-Ttext=0x200000,-e,start',
                    *(f'-D{key}={value}' for key, value in constants.items()),
                    '-o', out, os.path.join(os.path.dirname(__file__), name + '.S')], check=True)
    return out


def beat_initrd(work, **constants):
    """beat.cpio of beat_init.c."""
    root, initrd = os.path.join(work, 'root'), os.path.join(work, 'beat.cpio')
    os.mkdir(root)
    subprocess.run(['cc', '-O2', '-static', '-nostdlib', '-ffreestanding',
                    *(f'-D{key}={value}' for key, value in constants.items()),
                    '-o', os.path.join(root, 'init'),
                    os.path.join(os.path.dirname(__file__), 'beat_init.c')], check=True)
    with open(initrd, 'wb') as out:
        subprocess.run(['cpio', '--quiet', '-o', '-H', 'newc'], cwd=root, input=b'init\n',
                       stdout=out, check=True)
    return initrd


class Qmp:
    """A client of QEMU's."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile('rw')
        self.lines.readline()
        self.execute('qmp_capabilities')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def execute(self, command, **arguments):
        json.dump({'execute': command, 'arguments': arguments}, self.lines)
        self.lines.flush()
        while True:
            reply = json.loads(self.lines.readline())
            if 'error' in reply:
                raise OSError(f'{command}: {reply["error"]["desc"]}')
            if 'return' in reply:
                return reply['return']


def small_microvm(work, memory, *more):
    """QEMU with nothing but a console; vmlinux and beat.cpio are in the folder."""
    return ['qemu-system-x86_64', '-nodefaults', '-no-user-config', '-display', 'none',
            '-machine', 'microvm,accel=kvm,rtc=on,isa-serial=on,pcie=on', '-cpu', 'host',
            '-m', memory, '-serial', 'stdio', '-no-reboot',
            '-device', 'virtio-rng-pci,romfile=', '-kernel', os.path.join(work, 'vmlinux'),
            '-initrd', os.path.join(work, 'beat.cpio'), '-append', CMDLINE, *more]


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


def microvm_tap(tap, vhost):
    """A card on a tap; vhost is "on" or "off"."""
    return ['-device', 'virtio-net-pci,romfile=,disable-legacy=on,netdev=net',
            '-netdev', f'tap,id=net,ifname={tap},script=no,downscript=no,vhost={vhost}']


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
