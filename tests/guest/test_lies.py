#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_lies.py VMM PAYLOADS [CASE...]

A snapshot whose state lies, with all its checksums right: what the host's own KVM makes of
it is that the VM goes on, or ends with a reason.
"""

import os
import re
import struct
import zlib

import vm
from steady import SteadyTest
from vm import FORCED, OK, USAGE

# Of each section; by hand there may be more.
LIES = int(os.environ.get('VMM_TEST_LIES', '2'))

# Whose state only the host's KVM can judge.
KVMS = re.compile('vcpu|features|gic|its|irqchip|pit')

HEADER_LEN, SECTION_HEADER_LEN = 64, 40

DRIVERS = 8             # entries of the queue that the guest uses


def sections(state):
    """[(name, where it starts, where it ends)]"""
    at = HEADER_LEN
    while at < len(state):
        fields, = struct.unpack_from('<I', state, at + 32)
        end = at + SECTION_HEADER_LEN + fields
        yield state[at:at + 24].rstrip(b'\0').decode(), at, end
        at = end


def changed(state, start, end, at, value=None):
    """The same with this value, or another byte, at this place of the section."""
    lie = bytearray(state)
    lie[at:at + len(value or b' ')] = value or bytes([state[at] ^ 0xff])
    crc = zlib.crc32(lie[start:start + 36])
    struct.pack_into('<I', lie, start + 36, zlib.crc32(lie[start + 40:end], crc))
    return bytes(lie)


class Lies(SteadyTest):
    def put(self, name, content):
        with open(os.path.join(self.path('snap'), name), 'wb') as file:
            file.write(content)

    def get(self, name):
        with open(os.path.join(self.path('snap'), name), 'rb') as file:
            return file.read()

    def put_state(self, manifest, state):
        """With the checksums in the manifest."""
        body = re.sub(rb'(?m)^state-crc: \d+$', b'state-crc: %d' % zlib.crc32(state),
                      manifest[:manifest.rindex(b'# crc32')])
        self.put('state', state)
        self.put('manifest', body + b'# crc32 %08x\n' % zlib.crc32(body))

    def outcome(self, what):
        done = self.run_vmm('restore', self.path('snap'), '--detach', '--paused')
        if done.returncode == OK:
            self.vmm_ok('kill', done.stdout.strip())
            return 'goes on'
        self.assertEqual((done.returncode, done.stdout), (USAGE, ''), f'{what}: {done.stderr}')
        self.assertRegex(done.stderr, r'\Avmm: [^\n]+\n\Z', what)
        return done.stderr.strip()

    def frozen(self):
        one = self.begin()
        self.go_on(one)
        self.vmm_ok('snapshot', 'web', self.path('snap'), '--stop')
        self.assertEqual(one.finish(), FORCED)
        return self.get('manifest'), self.get('state')

    def test_queues_of_a_vmm_that_makes_larger_ones(self):
        """Those in use are refused, all others are as large as can be here."""
        manifest, state = self.frozen()
        size = b'size' + struct.pack('<I', 1)
        outcomes = {}
        for name, start, end in sections(state):
            if name != 'virtio':
                continue
            at = state.index(size, start, end) + len(size)
            in_use, = struct.unpack_from('<H', state, at)

            self.put_state(manifest, changed(state, start, end, at, struct.pack('<H', 2048)))

            outcomes[in_use] = self.outcome(f'virtio, queue of {in_use}')

        self.assertRegex(outcomes.pop(DRIVERS), 'virtio-blk: the guest uses queue 0 with 2048 '
                         r'entries, and this vmm makes \d+ at most')
        self.assertEqual(set(outcomes.values()), {'goes on'})

    def test_state_that_lies_is_loaded_or_refused_with_a_reason(self):
        manifest, state = self.frozen()
        for name, start, end in sections(state):
            length = end - start - SECTION_HEADER_LEN
            if not KVMS.match(name):
                continue
            for at in range(end - 1, end - 1 - length, -max(1, length // LIES)):
                what = f'{name}, byte {at - start} of {end - start}'
                self.put_state(manifest, changed(state, start, end, at))
                print(f'{what}: {self.outcome(what)}', flush=True)

        self.put_state(manifest, state)
        self.assertEqual(self.outcome('the truth'), 'goes on')


if __name__ == '__main__':
    vm.main()
