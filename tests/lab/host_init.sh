#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# host_init.sh - /init of the nested lab's KVM host (L1), made by tests/lab/run.
#
# First in the initramfs: lay a tmpfs over the outer machine's /, which arrives
# read-only by 9p, and switch to it.  Then, as "init in-root", from there: run
# the job, tell its status, end the machine.
#
# Where this processor is not the outer machine's, programs for it arrive by 9p, too, and
# are laid over first.
#
# What passes between the two machines is the writable 9p share at /run/lab:
#
#	kernel		folder of this kernel (from outside, like the next three)
#	modules		names of modules to load besides KVM's
#	terminal	there if the job is to have a terminal
#	job		bash script to run
#	started		appears when the job starts
#	status		the job's exit status; without it the lab has failed
#	results/	another such share: the caller's folder for what the job leaves
#			($LAB_RESULTS)

share=/run/lab

share_9p="trans=virtio,version=9p2000.L,msize=512000"

# Leaving without a status is how a lab fault is told; the console says why.
fault()
{
	echo "lab: $*" > /dev/console
	restart
}

restart()
{
	echo b > /proc/sysrq-trigger
	exit 1		# cannot be reached, or else panics
}

build_root()
{
	/bin/busybox mount -t proc proc /proc	# busybox finds its applets there
	mount -t sysfs sys /sys
	mount -t devtmpfs dev /dev

	modprobe -a virtio_pci 9pnet_virtio 9p overlay virtio_console ||
		fault "a kernel module does not load"

	mkdir -p /lower /upper /root
	mount -t 9p -o "$share_9p,cache=loose,ro" root /lower ||
		fault "cannot mount the outer machine's /"
	mount -t tmpfs -o size=90% upper /upper
	mkdir /upper/data /upper/work
	lower=/lower
	if grep -qx programs /sys/bus/virtio/drivers/9pnet_virtio/*/mount_tag; then
		mkdir /programs
		mount -t 9p -o "$share_9p,cache=loose,ro" programs /programs ||
			fault "cannot mount the programs"
		lower=/programs:/lower
	fi
	mount -t overlay -o "lowerdir=$lower,upperdir=/upper/data,workdir=/upper/work" root /root ||
		fault "cannot lay a tmpfs over the outer machine's /"

	mount -t tmpfs -o mode=755 run /root/run
	mkdir "/root$share" /root/run/lock
	mount -t 9p -o "$share_9p,cache=none" share "/root$share" ||
		fault "cannot mount the share"
	mount -t 9p -o "$share_9p,cache=none" results "/root$share/results" ||
		fault "cannot mount the folder of the results"
	cp /init /root/run/init

	# Without /proc busybox no longer finds its applets by itself.
	for dir in proc sys dev; do
		/bin/busybox mount --move "/$dir" "/root/$dir"
	done
	exec /bin/busybox switch_root /root /bin/busybox sh /run/init in-root
}

finish_root()
{
	mkdir -p /dev/pts /dev/shm
	mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
	mount -t tmpfs shm /dev/shm
	ln -s /proc/self/fd /dev/fd
	ln -s /proc/self/fd/0 /dev/stdin
	ln -s /proc/self/fd/1 /dev/stdout
	ln -s /proc/self/fd/2 /dev/stderr
	mkdir -p /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	ip link set lo up

	hostname lab
}

# What comes there is worth an interrupt and no more.
feel_pulse()
{
	if [ "$(uname -m)" = x86_64 ]; then
		cat "$(port pulse)" > /dev/null &
	fi
}

# KVM copies the TSC's frequency when it is loaded.  If the kernel measured it by
# itself it refines its first guess until a second or so after its start, and that
# guess may be some per mille off when the outer machine is busy.  A KVM loaded before
# the end of it goes on with the guess and takes its guests for ones that want
# another frequency: their timers come seconds late or never.
await_tsc()
{
	[ "$(uname -m)" = x86_64 ] || return 0
	! grep -q tsc_early_khz= /proc/cmdline || return 0
	for _ in $(seq 200); do
		! grep -qx tsc /sys/devices/system/clocksource/clocksource0/current_clocksource ||
			return
		sleep 0.05
	done
	fault "the TSC did not become the clock"
}

load_modules()
{
	in_root=/lib/modules/$(uname -r)
	mkdir -p "$in_root"
	mount --bind "$(cat $share/kernel)/modules" "$in_root"
	await_tsc
	[ -e /dev/kvm ] || kvm=kvm_amd
	# shellcheck disable=SC2046,SC2086
	/sbin/modprobe -a $kvm $(cat $share/modules) || fault "a kernel module does not load"
	chmod 666 /dev/kvm
}

# The device file of the virtio-serial port of that name.  Ports are announced by
# messages, so they may lag behind the driver.
port()
{
	for _ in $(seq 200); do
		for name in /sys/class/virtio-ports/*/name; do
			if [ "$(cat "$name" 2>/dev/null)" = "$1" ]; then
				name=${name%/name}
				echo "/dev/${name##*/}"
				return
			fi
		done
		sleep 0.05
	done
	fault "no port '$1'"
}

# A port can be open only once, while a job may open /dev/stdout again: so it
# writes to a pipe, as most callers' jobs do anyway.
run_job_on_ports()
{
	mkfifo /run/stdout /run/stderr
	cat /run/stdout > "$(port stdout)" &
	copy_out=$!
	cat /run/stderr > "$(port stderr)" &
	copy_err=$!

	setsid bash $share/job < /dev/null > /run/stdout 2> /run/stderr &
	wait $!
	status=$?

	# The copies end with the last writer.  A daemon that the job left behind
	# would keep them for ever.
	for _ in $(seq 40); do
		kill -0 $copy_out 2>/dev/null || kill -0 $copy_err 2>/dev/null || break
		sleep 0.05
	done
}

run_job_on_terminal()
{
	port terminal > /dev/null
	# In the foreground: shells let what is in the background ignore Ctrl-C.
	setsid -c bash $share/job < /dev/hvc0 > /dev/hvc0 2>&1
	status=$?
	sleep 0.2	# the console has no way to tell that all is written
}

run_job()
{
	export LAB=1 LAB_RESULTS=$share/results
	: > $share/started
	if [ -e $share/terminal ]; then
		run_job_on_terminal
	else
		run_job_on_ports
	fi
	echo $status > $share/status
}

if [ "$1" != in-root ]; then
	build_root
fi
finish_root
feel_pulse
load_modules
run_job
restart
