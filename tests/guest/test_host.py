#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_host.py VMM PAYLOADS [TEST]...

What vmm says where the host denies it something.  As root, in mount namespaces: a
/dev of our own, and a user who may do little.
"""

import os
import shutil

import vm
from vm import AS_NOBODY, VmTest

SECTOR = 512
NOBODY = {'user': 65534, 'group': 65534, 'extra_groups': []}
KVM_GROUP = 'daemon'        # any that each system has
NAMELESS = 64999            # any that no system has


class Host(VmTest):
    def setUp(self):
        super().setUp()
        # Where everybody may look, unlike the folder of a build.
        os.chmod(self.folder, 0o755)
        self.vmm = shutil.copy(self.vmm, self.folder)
        self.kernel = shutil.copy(self.payload('mmio'), self.folder)

    def assert_refused_in(self, make_dev, pattern, as_user=(), *more):
        """In a namespace whose /dev holds only what make_dev makes."""
        script = f'mount -t tmpfs -o mode=755 none /dev && {make_dev} && exec "$@"'
        self.assert_refused(['run', '--kernel', self.kernel, *more], pattern,
                            command=('unshare', '-m', 'sh', '-c', script, 'sh', *as_user))

    def test_no_kvm(self):
        self.assert_refused_in('true', '/dev/kvm.*No such file')

    def test_kvm_without_a_driver(self):
        self.assert_refused_in('mknod /dev/kvm c 10 254', '/dev/kvm.*No such device')

    def test_kvm_that_is_something_else(self):
        self.assert_refused_in('mknod /dev/kvm c 1 3', '/dev/kvm')

    def test_kvm_that_only_root_may_open(self):
        self.assert_refused_in('mknod -m 600 /dev/kvm c 10 232', '/dev/kvm.*Permission denied',
                               AS_NOBODY)

    def test_kvm_that_belongs_to_a_group(self):
        self.assert_refused_in(
            f'mknod -m 660 /dev/kvm c 10 232 && chgrp {KVM_GROUP} /dev/kvm',
            f"/dev/kvm.*'{KVM_GROUP}'.*Permission denied", AS_NOBODY)

    def test_kvm_that_belongs_to_a_group_without_a_name(self):
        self.assert_refused_in(
            f'mknod -m 660 /dev/kvm c 10 232 && chgrp {NAMELESS} /dev/kvm',
            f"/dev/kvm.*group {NAMELESS}.*'sudo groupadd -g {NAMELESS} kvm{NAMELESS} && sudo "
            rf"usermod -aG kvm{NAMELESS} \$USER'.*Permission denied", AS_NOBODY)

    def test_kernel_that_may_not_be_read(self):
        os.chmod(self.kernel, 0o600)
        self.assert_refused_in('mknod -m 666 /dev/kvm c 10 232', 'mmio.*Permission denied',
                               AS_NOBODY)

    def test_card_goes_without_vhost_where_there_is_none(self):
        script = ('mount -t tmpfs -o mode=755 none /dev && mknod /dev/kvm c 10 232 && '
                  'mkdir /dev/net && mknod /dev/net/tun c 10 200 && exec "$@"')
        with vm.Vm(['unshare', '-mn', 'sh', '-c', script, 'sh', self.vmm, 'run', '--kernel',
                    self.kernel, '--net', 'tap=vmmtest0,vhost=on']) as run:
            self.assertEqual(run.finish(), vm.OK)
        self.assertRegex(run.err, b"net 'net0': without vhost: cannot open /dev/vhost-net.*"
                         b"No such file")

    def refuse_disk(self, mode, pattern, *more):
        path = self.file('disk', bytes(SECTOR))
        os.chmod(path, mode)
        disk = ','.join((path, *more))
        self.assert_refused(['run', '--kernel', self.kernel, '--disk', disk], pattern,
                            **NOBODY)

    def test_disk_that_may_not_be_read(self):
        self.refuse_disk(0o600, 'disk.*Permission denied', 'readonly')

    def test_disk_that_may_not_be_written(self):
        self.refuse_disk(0o444, '(?=.*readonly)disk.*Permission denied')

    def refuse_tap(self, mode, pattern):
        self.assert_refused_in('mknod -m 666 /dev/kvm c 10 232 && mkdir /dev/net && '
                               f'mknod -m {mode} /dev/net/tun c 10 200', pattern, AS_NOBODY,
                               '--net', 'tap=nonexistent0')

    def test_tap_that_may_not_be_made(self):
        self.refuse_tap(666, "'nonexistent0'.*Operation not permitted")

    def test_taps_that_only_root_may_open(self):
        self.refuse_tap(600, "/dev/net/tun .*'sudo chmod 666 /dev/net/tun'.*Permission denied")


if os.geteuid() != 0:
    vm.skip('not root: cannot make a /dev or become another user')
vm.main()
