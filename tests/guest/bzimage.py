#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: bzimage.py PAYLOAD OUTPUT

Packs a payload as the smallest bzImage there can be (boot protocol 2.15): one
boot sector, one sector with the rest of the header, and the payload as it lies in
memory, with its 64-bit entry 0x200 bytes from its begin.
"""

import struct
import sys

SECTOR = 512
PT_LOAD = 1
LOADED_HIGH = 1
KERNEL_64 = 1


def image_of(elf):
    """(address, bytes with a file's worth of them, size in memory)."""
    phoff, = struct.unpack_from('<Q', elf, 32)
    phentsize, phnum = struct.unpack_from('<HH', elf, 54)
    loads = []
    for i in range(phnum):
        kind, _, offset, _, paddr, filesz, memsz, _ = struct.unpack_from(
            '<IIQQQQQQ', elf, phoff + i * phentsize)
        if kind == PT_LOAD:
            loads.append((paddr, elf[offset:offset + filesz], memsz))
    begin = min(paddr for paddr, _, _ in loads)
    image = bytearray(max(paddr + len(data) for paddr, data, _ in loads) - begin)
    for paddr, data, _ in loads:
        image[paddr - begin:paddr - begin + len(data)] = data
    return begin, bytes(image), max(paddr + memsz for paddr, _, memsz in loads) - begin


def header(begin, image, size):
    head = bytearray(2 * SECTOR)
    struct.pack_into('<BHI', head, 0x1f1, 1, 0, (len(image) + 15) // 16)
    struct.pack_into('<H', head, 0x1fe, 0xaa55)
    struct.pack_into('<2s4sH', head, 0x200, b'\xeb\x66', b'HdrS', 0x020f)
    struct.pack_into('<B', head, 0x211, LOADED_HIGH)
    struct.pack_into('<IIBBHI', head, 0x22c, 0x7fffffff, 0x200000, 0, 0, KERNEL_64, 255)
    struct.pack_into('<QI', head, 0x258, begin, size)
    return bytes(head)


def main():
    with open(sys.argv[1], 'rb') as file:
        begin, image, size = image_of(file.read())
    with open(sys.argv[2], 'wb') as file:
        file.write(header(begin, image, size) + image)


main()
