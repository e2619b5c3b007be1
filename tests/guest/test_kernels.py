#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_kernels.py VMM PAYLOADS [TEST]...

What vmm refuses once it has opened /dev/kvm: kernels and initrds, more of something
than there is, and disks that another VM uses.
"""

import fcntl
import os
import platform
import struct
import unittest

import vm
from vm import OK, VmTest, not_on_arm64

SECTOR = 512
PCAP_HEADER = 24
KVM_CHECK_EXTENSION = 0xae03
KVM_CAP_MAX_VCPUS = 66
CPUS_MAX = 4096
TEXT_OFFSET, IMAGE_SIZE = 8, 16     # of an Image of arm64
ELF_SIZE_MIN = 64 + 3 * 56          # header and program headers
P_PADDR = 64 + 24                   # of the first program header

# Heads of kernels that are not for this machine, and what has to be said of them.
OTHERS = {
    'x86_64': ((bytes(56) + b'ARM\x64', 'is an arm64 Image: this machine needs an x86_64 kernel'),
               (b'\x7fELF'.ljust(18, b'\0') + b'\xb7\0', 'is an arm64 kernel: .* x86_64 kernel')),
    'aarch64': ((bytes(0x202) + b'HdrS', 'is an x86 bzImage: this machine needs an arm64 kernel'),
                (b'\x7fELF'.ljust(18, b'\0') + b'\x3e\0', 'is an x86_64 kernel: .* arm64 kernel')),
}[platform.machine()]


def cpus_of_host():
    fd = os.open('/dev/kvm', os.O_RDWR)
    try:
        return fcntl.ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS)
    finally:
        os.close(fd)


class KernelTest(VmTest):
    def refuse(self, content, pattern):
        self.assert_refused(['run', '--kernel', self.file('kernel', content)], pattern)

    def content(self, name):
        with open(os.path.join(self.payloads, name), 'rb') as file:
            return file.read()


class Kernels(KernelTest):

    def test_missing(self):
        self.assert_refused(['run', '--kernel', '/nonexistent'], '/nonexistent.*No such file')

    def test_folder(self):
        self.assert_refused(['run', '--kernel', self.folder], self.folder)

    def test_device(self):
        self.assert_refused(['run', '--kernel', '/dev/null'], '/dev/null')

    def test_empty(self):
        self.refuse(b'', 'kernel')

    def test_garbage(self):
        self.refuse(bytes(range(256)) * 64, 'kernel')

    def test_text(self):
        self.refuse(b'#!/bin/sh\n', 'kernel')

    def test_one_of_the_other_architecture_is_named_as_such(self):
        for image, pattern in OTHERS:
            with self.subTest(pattern):
                self.refuse(image.ljust(SECTOR * 8, b'\0'), pattern)


@not_on_arm64('it has Images')
class X86Kernels(KernelTest):
    def content(self, name='mmio.elf'):
        return super().content(name)

    def test_elf_cut_off_anywhere(self):
        elf = self.content()
        for length in (1, 4, 16, 63, 64, 100, ELF_SIZE_MIN, 4096, 5000, 20000):
            with self.subTest(length):
                self.refuse(elf[:length], 'kernel')

    def test_bzimage_cut_off_anywhere(self):
        image = self.content('bzimage')
        for length in (0x202, 0x206, 0x230, 0x264, 1023, 1024, 1025, 5000):
            with self.subTest(length):
                self.refuse(image[:length], 'kernel')

    def test_elf_that_says_nothing_of_pvh(self):
        self.refuse(self.content().replace(b'Xen\0', b'Xem\0'), 'PVH')

    def test_elf_that_does_not_fit_into_memory(self):
        elf = bytearray(self.content())
        struct.pack_into('<Q', elf, P_PADDR, 1 << 40)
        self.refuse(elf, 'memory')

    def test_elf_that_wraps_the_address_space(self):
        elf = bytearray(self.content())
        struct.pack_into('<Q', elf, P_PADDR, (1 << 64) - 4096)
        self.refuse(elf, 'memory')

    def test_elf_that_lies_on_what_the_monitor_writes(self):
        elf = bytearray(self.content())
        struct.pack_into('<Q', elf, P_PADDR, 0x7000)
        self.refuse(elf, '0x7000')


@unittest.skipUnless(platform.machine() == 'aarch64', 'Images are for arm64')
class Arm64Kernels(KernelTest):
    def image(self, at, form, value):
        image = bytearray(self.content('mmio.image'))
        struct.pack_into(form, image, at, value)
        return image

    def test_header_cut_off_anywhere(self):
        for length in (1, 4, 16, 56, 59, 63):
            with self.subTest(length):
                self.refuse(self.content('mmio.image')[:length], 'kernel')

    def test_image_that_does_not_fit_into_memory(self):
        for length in (1 << 40, (1 << 64) - 4096):
            with self.subTest(length):
                self.refuse(self.image(IMAGE_SIZE, '<Q', length), 'memory')

    def test_image_that_lies_nowhere(self):
        self.refuse(self.image(TEXT_OFFSET, '<Q', (1 << 64) - 4096), 'damaged')


class Amounts(VmTest):
    def refuse(self, arguments, pattern):
        self.assert_refused(['run', '--kernel', self.payload('mmio'),
                             *arguments], pattern)

    def test_missing_initrd(self):
        self.refuse(['--initrd', '/nonexistent'], '/nonexistent.*No such file')

    def test_empty_initrd(self):
        self.refuse(['--initrd', self.file('initrd')], 'initrd')

    def test_initrd_larger_than_memory(self):
        path = self.file('initrd')
        os.truncate(path, 300 << 20)
        self.refuse(['--initrd', path], 'initrd.*memory')

    def test_initrd_larger_than_any_memory(self):
        path = self.file('initrd')
        os.truncate(path, 1 << 40)
        self.refuse(['--initrd', path], 'initrd')

    def test_command_line_that_is_too_long(self):
        self.refuse(['--cmdline', 'x' * 70000], 'command line.*70000')

    def test_more_cpus_than_kvm_allows(self):
        if cpus_of_host() >= CPUS_MAX:
            self.skipTest('this KVM allows all that vmm does')
        self.refuse(['--cpus', str(cpus_of_host() + 1)], f'cpus.*{cpus_of_host()}')

    def test_network_descriptor_that_is_no_tap(self):
        self.refuse(['--net', 'fd=0'], 'descriptor 0.*tap')

    def test_network_descriptor_that_is_not_open(self):
        self.refuse(['--net', 'fd=77'], 'descriptor 77')
        self.refuse(['--net', 'fd=77:78'], 'descriptor 77')


class Overlays(VmTest):
    def refuse(self, kernel, *arguments):
        disk = self.file('disk', bytes(8 * SECTOR))
        before = os.listdir(self.folder)
        self.assert_refused(['run', '--kernel', kernel, '--disk',
                             f'{disk},overlay={self.folder}/overlay.qcow2', *arguments],
                            'nonexistent|77')
        self.assertEqual(os.listdir(self.folder), before)

    def test_none_is_left_of_a_vm_that_did_not_start(self):
        self.refuse('/nonexistent')
        self.refuse(self.payload('mmio'), '--disk', '/nonexistent')
        self.refuse(self.payload('mmio'), '--net', 'fd=77')
        self.refuse(self.payload('mmio'), '--initrd', '/nonexistent')

    def test_one_that_was_there_stays(self):
        overlay = os.path.join(self.folder, 'overlay.qcow2')
        disk = f'{self.file("disk", bytes(8 * SECTOR))},overlay={overlay}'
        self.assertEqual(self.start('mmio', '--disk', disk).finish(), OK)
        with open(overlay, 'rb') as file:
            before = file.read()

        self.assert_refused(['run', '--kernel', '/nonexistent', '--disk', disk], 'nonexistent')

        with open(overlay, 'rb') as file:
            self.assertEqual(file.read(), before)


class Dumps(VmTest):
    def test_one_that_was_there_stays_when_a_vm_cannot_start(self):
        dump = self.file('dump', b'before')
        for arguments in (('/nonexistent',), (self.payload('mmio'), '--initrd', '/nonexistent')):
            self.assert_refused(['run', '--net', f'none,dump={dump}', '--kernel', *arguments],
                                'nonexistent')
        with open(dump, 'rb') as file:
            self.assertEqual(file.read(), b'before')

    def test_it_is_made_anew_when_one_starts(self):
        dump = self.file('dump', bytes(1000))
        self.assertEqual(self.start('mmio', '--net', f'none,dump={dump}').finish(), OK)
        self.assertEqual(os.path.getsize(dump), PCAP_HEADER)


class SharedDisks(VmTest):
    def setUp(self):
        super().setUp()
        self.disk = self.file('disk', bytes(8 * SECTOR))

    def hold(self, *more):
        run = self.start('deaf', '--disk', ','.join((self.disk, *more)))
        run.wait_for(b'READY')
        return run

    def refuse(self, *more):
        self.assert_refused(['run', '--kernel', self.payload('mmio'),
                             '--disk', ','.join((self.disk, *more))], f'{self.disk}.*VM')

    def test_no_two_writers(self):
        self.hold()
        self.refuse()

    def test_no_reader_beside_a_writer(self):
        self.hold()
        self.refuse('readonly')

    def test_no_writer_beside_a_reader(self):
        self.hold('readonly')
        self.refuse()

    def test_any_number_of_readers(self):
        self.hold('readonly')
        self.hold('readonly')
        second = self.start('mmio', '--disk', f'{self.disk},readonly')
        self.assertEqual(second.finish(), OK, second.said())

    def test_free_again_after_a_kill(self):
        first = self.hold()
        first.process.kill()
        first.process.wait()
        second = self.start('mmio', '--disk', self.disk)
        self.assertEqual(second.finish(), OK, second.said())


vm.main()
