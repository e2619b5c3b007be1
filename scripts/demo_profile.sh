# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# demo_profile.sh - /etc/profile of the guest that scripts/demo boots; its init is
# tests/lab/guest_init.sh.  On the kernel's command line:
#
#	vmm.ip=ADDRESS/BITS	of the guest, if it has a network card
#	vmm.peer=ADDRESS	of the host
#
# /etc/demo_script, if there, is run in place of an interactive shell.

# The value of vmm.NAME=
arg()
{
	sed -n "s/.*\<vmm\.$1=\([^ ]*\).*/\1/p" /proc/cmdline
}

export PS1='guest # '
echo 3 > /proc/sys/kernel/printk	# what follows is for people

if mount -t ext2 /dev/vda /mnt; then
	echo "A disk is on /mnt: $(cat /mnt/hello.txt)"
fi
if [ -n "$(arg ip)" ]; then
	ip addr add "$(arg ip)" dev eth0
	ip link set eth0 up
	echo "A network card is on $(arg ip), the host on $(arg peer)."
fi

if [ -e /etc/demo_script ]; then
	set -v
	. /etc/demo_script
	exit
fi
cat <<'END'
'exit' switches the VM off, Ctrl-A x cuts its power.
END
