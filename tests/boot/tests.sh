# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# tests.sh: the boot tests, for tests/boot/run to source.
#
# test_NAME runs where /dev/kvm runs stock kernels, as root, in a shell of its own: it
# has $work and the network to itself, the programs of its guests in $tools, and what it
# leaves running ends with it.  When it fails, what is in $log is shown.  judge_NAME FOLDER
# then looks, outside of the lab, at what the test left in $results.

# All of them, those that take longest first.
all=(
	long_pause snapshot migrate migrate_load lifecycle disk_fio disk_killed pause hotplug
	hotplug_busy hotplug_reset generation snapshot_clock disk_qcow2 disk_discard disk_queues
	disk everything net_many net_again net_bridge net_vhost net_user net block_device reboot
	vsock high_memory acpi cpus next_bzimage next_vmlinux bzimage vmlinux sigterm panic
	two_cpus paravirt rng disk_readonly
)

# Of a vmm of arm64, in the lab for that: what needs no programs but those of its machine.
arm64=(
	snapshot migrate hotplug snapshot_clock hotplug_reset everything cpus reboot sigterm
	image_gz doctor dtb pause
)

# guest_tests COLUMN: sets $guest to the tests of tests/guest, which run here where the
# machine's /dev/kvm is not for them, as their table says.
guest_tests()
{
	local name columns parts part test

	guest=()
	while read -r name columns; do
		read -ra columns <<< "$columns"
		parts=${columns[$1]//[()]/}
		for ((part = 1; part <= parts; part++)); do
			test=guest_$name
			[ "$parts" = 1 ] || test+=_$part
			[[ ${columns[$1]} = "("* ]] || guest+=("$test")
			eval "test_$test() { guest_suite $name $part/$parts; }"
		done
	done < <(grep -v '^#' "$here/../guest/suites")
	guest+=(payloads)
}

# These mostly wait, so a lab runs one of them beside another test.
sleepers=(long_pause)

# programs_of INITRD FOLDER: what its guests need that busybox lacks; made in the folder
programs_of()
{
	case $1 in
	*.programs)	echo fallocate fio mke2fs e2fsck ;;
	*.load)		echo fio stress-ng ;;
	*.vsock)	cc -o "$2/vsock_peer" "$here/guest/vsock_peer.c" &&
				echo "$2/vsock_peer" ;;
	*.net)		cc -O2 -o "$2/net_echo" "$here/guest/net_echo.c" && echo "$2/net_echo" ;;
	esac
}

kernel_of()
{
	[ -z "$on_arm64" ] || { echo arm64; return; }
	case $1 in
	next_*)	echo guest-next ;;
	generation)	# Debian's cloud kernels lack the driver, as does Ubuntu's host
		grep -qs /vmgenid.ko "$VMM_ASSETS"/host/modules/modules.{builtin,dep} &&
			echo host || echo guest-next ;;
	*)	echo guest ;;
	esac
}

# The initramfs of a test: that of its kernel, with or without the programs.
initrd_of()
{
	case $1 in
	disk_discard | disk_fio | disk_killed)	echo guest.programs ;;
	migrate_load)				echo guest.load ;;
	vsock)					echo guest.vsock ;;
	net_again | net_bridge | net_many | net_user)	echo guest.net ;;
	*)					kernel_of "$1" ;;
	esac
}

# become_vm IMAGE KERNEL-ARGUMENTS VMM-ARGUMENT...: the log goes on with its console
become_vm()
{
	local image=$1 append=$2

	shift 2
	exec "$vmm" run --kernel "$kernel/$image" --initrd "$initrd" --memory "$memory" \
		--cmdline "console=ttyS0 quiet reboot=k panic=-1 $append" "$@" \
		< /dev/null >> "$log" 2>&1
}

# boot IMAGE KERNEL-ARGUMENTS VMM-ARGUMENT...: until it ends; the log begins anew
boot()
{
	: > "$log"
	(become_vm "$@")
}

# pass NAME KERNEL-ARGUMENTS VMM-ARGUMENT...: the guest's own test NAME passes
pass()
{
	local name=$1 append=$2

	shift 2
	boot "$plain" "vmm.test=$name $append" "$@" && passed "$name"
}

passed()
{
	said "$1: PASS"
}

# Processes start slowly in the lab, so the shell itself looks, and naps.
said()
{
	local line

	[ -e "$log" ] || return 1
	while read -r line; do
		[ "${line%$'\r'}" != "guest: $1" ] || return 0
	done < "$log"
	return 1
}

# await_said PID TEXT: until the guest says it; fails when the monitor has ended
await_said()
{
	until said "$2"; do
		kill -0 "$1" || return 1
		nap
	done
}

exec {nothing}<> <(:)
nap()
{
	read -rt 0.1 -u "$nothing" || true
}

# image NAME MIB
image()
{
	truncate -s "$2M" "$work/$1"
}

tap_up()
{
	ip tuntap add vmmtest0 mode tap vnet_hdr multi_queue
	ip addr add 192.168.77.1/24 dev vmmtest0
	ip link set vmmtest0 up
	"$lab/net_peer.sh" "$1" &
}

# Two taps, by either of which a guest is in the same network.
bridge_up()
{
	ip link add vmmtest type bridge
	ip addr add 192.168.77.1/24 dev vmmtest
	for tap in vmmtest0 vmmtest1; do
		ip tuntap add $tap mode tap vnet_hdr
		ip link set $tap master vmmtest up
	done
	ip link set vmmtest up
}

# What passt takes for the way to all other machines.
uplink_up()
{
	ip tuntap add uplink mode tap
	ip addr add 192.0.2.5/24 dev uplink
	ip link set uplink up
	ip route add default via 192.0.2.1
}

# skip REASON
skip()
{
	echo "$1"
	exit 77
}

# The tests.

test_vmlinux() { pass hello ""; }
test_bzimage() { boot bzImage vmm.test=hello && passed hello; }

# Those of tests/guest, on a machine that cannot run them itself.
test_payloads()
{
	VMM_TEST_NAMESPACE=net /usr/bin/python3 -B "$here/../guest/run.py" "$vmm" \
		"${vmm%/*}/tests/guest" > "$log" 2>&1
}

# The host, by its interrupt controller.
test_doctor()
{
	local found="GICv3 with an ITS" state=ok

	grep -q GICv3 /proc/interrupts || found="GICv2; no GICv3, no ITS" state=note
	"$vmm" doctor > "$log" && grep -qE "^$state +interrupts +$found$" "$log" &&
		grep -qE '^ok +guest addresses +[0-9]+ bits, of which VMs take 40$' "$log" &&
		grep -qE '^ok +guest processors +event counters' "$log" &&
		! grep -qiE 'svm|vmx|virtualisation' "$log"
}

# The trees of machines small and large.
test_dtb()
{
	local disks=()

	for i in $(seq 20); do
		image "$i" 1
		disks+=(--disk "$work/$i")
	done
	dump_tree 1 && dump_tree 4 --cpus 4 && dump_tree 8 --cpus 8 --memory 300G "${disks[@]}"
}

# dump_tree NAME VMM-ARGUMENT...
dump_tree()
{
	"$vmm" run --kernel "$kernel/Image" --initrd "$initrd" --dump-dtb "$results/$1.dtb" \
		"${@:2}" >> "$log" 2>&1
}

# dtc has nothing against any, and each names as many processors as it is called.
judge_dtb()
{
	local name

	command -v dtc > /dev/null ||
		{ echo "dtc is missing (package device-tree-compiler)"; return 1; }
	cd "$1" || return
	for name in 1 4 8; do
		dtc -I dtb -O dts -o "$name.dts" "$name.dtb" 2> "$name.said" &&
			[ ! -s "$name.said" ] &&
			[ "$(grep -c 'cpu@' "$name.dts")" = "$name" ] && continue
		cat "$name.said" "$name.dts"
		return 1
	done
	grep -q 'reg = <0x00 0x40000000 0x4b 0x00>' 8.dts || { cat 8.dts; return 1; }
}

# guest_suite NAME PART: of the tests in tests/guest/test_NAME.py, likewise.  What they do
# again and again they do less often, and wait for it longer.
guest_suite()
{
	ip link set lo up
	[ "$1" != user_net ] || uplink_up
	# Other users look there, and some tests have a /dev of their own.
	TMPDIR=$(mktemp -d -p /run)
	chmod 755 "$TMPDIR"
	export TMPDIR VMM_TEST_PATIENCE=100 VMM_TEST_PART=$2
	export VMM_TEST_CYCLES=4 VMM_TEST_DAMAGES=1		# of snapshots
	export VMM_TEST_PACKETS=50000				# of cards
	export VMM_TEST_MOVES=4 VMM_TEST_KILLS=4 VMM_TEST_RESETS=3	# of migration
	/usr/bin/python3 -B "$here/../guest/test_$1.py" "$vmm" "${vmm%/*}/tests/guest"
}

test_next_vmlinux() { pass hello ""; }
# One that is an EFI zboot image is packed already.
test_image_gz()
{
	local image=Image

	if [ "$(dd if="$kernel/Image" bs=1 skip=4 count=4 status=none)" != zimg ]; then
		gzip -c "$kernel/Image" > "$work/Image.gz"
		kernel=$work image=Image.gz
	fi
	boot $image vmm.test=hello && passed hello
}
test_next_bzimage() { boot bzImage vmm.test=hello && passed hello; }
test_cpus() { pass cpus vmm.cpus=4 --cpus 4; }
test_two_cpus() { pass cpus vmm.cpus=2 --cpus 2; }
test_paravirt() { pass paravirt "" --cpus 2; }
test_rng() { pass rng ""; }
test_high_memory() { pass memory vmm.mib=4800 --memory 5G; }

# What the guest wrote is in the image, to the byte.
holds_what_was_written()
{
	local half mib sum

	read -r half mib sum < <(tr -d '\r' < "$log" | sed -n 's/^guest: [a-z_]*: raw //p')
	dd if="$1" bs=1M skip="$half" count="$mib" status=none | sha256sum | grep -q "^$sum "
}

test_disk()
{
	image other 16
	image data 64
	pass disk vmm.disk=data --disk "$work/other,serial=other" \
		--disk "path=$work/data,serial=data" && holds_what_was_written "$work/data"
}

# Each processor has a queue of its own; the driver turns the write cache off and on.
test_disk_queues()
{
	image data 64
	pass disk_queues vmm.cpus=4 --cpus 4 --disk "$work/data,queues=4" &&
		[ "$(dd if="$work/data" bs=1M count=8 status=none | sha256sum)" = \
			"$(tr -d '\r' < "$log" | sed -n 's/^guest: disk_queues: sum //p')  -" ]
}

# What the guest has no use for takes no room: 4 MiB of what it wrote are left, and
# the tables of a file system without files.
test_disk_discard()
{
	local used

	image data 64
	pass disk_discard "" --disk "$work/data" && holds_what_was_written "$work/data" || return
	used=$(du -k "$work/data" | cut -f 1)
	[ "$used" -ge 4096 ] && [ "$used" -lt 6144 ] && return
	echo "the image takes $used KiB" >> "$log"
	return 1
}

# The same on qcow2 images, looked at by QEMU's tools: a new one, then one on that.
test_disk_qcow2()
{
	command -v qemu-img > /dev/null || skip "qemu-img is missing (package qemu-utils)"
	qemu-img create -q -f qcow2 "$work/base.qcow2" 64M
	pass disk vmm.disk=data --disk "path=$work/base.qcow2,serial=data" &&
		qemu_reads base && holds_what_was_written "$work/base" || return

	sha256sum "$work/base.qcow2" > "$work/sum"
	qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 "$work/data.qcow2"
	pass disk vmm.mib=2 --disk "$work/data.qcow2" &&
		qemu_reads data && holds_what_was_written "$work/data" &&
		sha256sum --quiet -c "$work/sum" &&
		cmp -i 34M -n 30M "$work/base" "$work/data"
}

# qemu_reads NAME: NAME.qcow2 is without a fault, and a raw copy of it made
qemu_reads()
{
	qemu-img check -q "$work/$1.qcow2" >> "$log" 2>&1 &&
		qemu-img convert -O raw "$work/$1.qcow2" "$work/$1"
}

# Many requests at once, in each format, and on an overlay by four processors.
test_disk_fio()
{
	command -v qemu-img > /dev/null || skip "qemu-img is missing (package qemu-utils)"
	image raw 16
	qemu-img create -q -f qcow2 "$work/new.qcow2" 16M
	qemu-img create -q -f qcow2 "$work/base.qcow2" 16M
	qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 "$work/over.qcow2"
	pass disk_fio "vmm.disks=raw,new,over" --cpus 4 --disk "path=$work/raw,serial=raw" \
		--disk "path=$work/new.qcow2,serial=new" \
		--disk "path=$work/over.qcow2,serial=over,queues=4" &&
		said "disk_fio: over has 4 queues" && qemu_reads new && qemu_reads over
}

# The monitor dies while the guest writes.  The image is then consistent, but for
# clusters that nobody uses, and all is there that the guest was told is safe.
test_disk_killed()
{
	local state

	command -v qemu-img > /dev/null || skip "qemu-img is missing (package qemu-utils)"
	qemu-img create -q -f qcow2 "$work/base.qcow2" 64M
	qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 "$work/data.qcow2"
	write_until_killed && consistent "$work/data.qcow2" || return
	state=$(tr -d '\r' < "$log" | sed -n 's/^guest: disk_killed: state //p')
	pass disk_killed "vmm.state=$state" --disk "$work/data.qcow2" &&
		qemu-img check -q "$work/data.qcow2" >> "$log" 2>&1
}

write_until_killed()
{
	local pid

	become_vm vmlinux vmm.test=disk_killed --disk "$work/data.qcow2" &
	pid=$!
	await_said "$pid" "disk_killed: saved" || return
	kill -KILL "$pid"
	{ wait "$pid" || [ $? -eq 137 ]; } 2> /dev/null	# the shell would tell of its end
}

# consistent IMAGE: qemu-img finds nothing wrong, or (status 3) only leaks
consistent()
{
	local status=0

	qemu-img check "$1" >> "$log" 2>&1 || status=$?
	[ $status -eq 0 ] || [ $status -eq 3 ]
}

# A block device of the host, with direct I/O.
test_block_device()
{
	[ -b /dev/ram0 ] || modprobe brd rd_nr=1 rd_size=16384
	pass disk "" --disk /dev/ram0,cache=direct && holds_what_was_written /dev/ram0
}

test_disk_readonly()
{
	image fixed 16
	pass disk_ro "" --disk "$work/fixed,readonly"
}

test_net()
{
	tap_up 4
	pass net "vmm.ip=192.168.77.2/24 vmm.peer=192.168.77.1" --net tap=vmmtest0
}

# A card with four queues and large packets, and a thousand connections at once.
test_net_many()
{
	local pid

	export XDG_RUNTIME_DIR=$work
	tap_up 2
	ip link set vmmtest0 mtu 9000
	"$tools/net_echo" serve 7000 0 &
	become_vm vmlinux "vmm.test=net_many vmm.ip=192.168.77.2/24 vmm.peer=192.168.77.1 \
		vmm.mib=2 vmm.connections=1001" --name many --cpus 4 --net tap=vmmtest0,mtu=9000 &
	pid=$!
	await_said $pid "net_many: listening" &&
		"$tools/net_echo" udp 192.168.77.2 7000 50 8900 &&
		"$tools/net_echo" tcp 192.168.77.2 7000 1000 2000 && uses_queues many 8 &&
		"$tools/net_echo" tcp 192.168.77.2 7000 1 2000 && wait $pid && passed net_many
}

# uses_queues NAME N: packets have passed by so many queues of its card
uses_queues()
{
	local used

	used=$("$vmm" stats "$1" | awk '$2 == "virtio-net" && $6 > 0' | wc -l)
	[ "$used" = "$2" ] && return
	echo "packets have passed by $used queues, not $2" >> "$log"
	return 1
}

# One stock guest asks another, by a bridge of the host.
test_net_bridge()
{
	local pid

	bridge_up
	become_vm vmlinux "vmm.test=net_serve vmm.ip=192.168.77.2/24" --net tap=vmmtest0 &
	pid=$!
	await_said $pid "net_serve: listening" || return
	mv "$log" "$work/other"		# the first goes on there
	pass net_ask "vmm.ip=192.168.77.3/24 vmm.peer=192.168.77.2" --net tap=vmmtest1 &&
		wait $pid && grep -q '^guest: net_serve: PASS' "$work/other" && return
	cat "$work/other" >> "$log"
	return 1
}

# The kernel moves the packets of a macvtap, whose guest restarts; the card is not on the
# loop of its disk.
test_net_again()
{
	local pid

	[ -e /dev/vhost-net ] || modprobe vhost_net || return
	modprobe -a veth macvtap || return
	export XDG_RUNTIME_DIR=$work
	image marker 1
	ip link add vmmtest0 type veth peer name vmmtest1
	ip link add link vmmtest1 name vmmtest2 type macvtap mode bridge
	ip addr add 192.168.77.1/24 dev vmmtest0
	for link in vmmtest0 vmmtest1 vmmtest2; do
		ip link set $link up
	done
	"$lab/net_peer.sh" 2 &
	"$tools/net_echo" serve 7000 0 &
	become_vm vmlinux "vmm.test=net_again vmm.ip=192.168.77.2/24 vmm.peer=192.168.77.1 \
		vmm.mib=2" --name again --cpus 2 --io-threads 2 --disk "$work/marker" \
		--net tap=vmmtest2,vhost=on &
	pid=$!
	await_said $pid "net_again: second boot" && said "net_again: first boot" &&
		has_vhost again && "$tools/net_echo" udp 192.168.77.2 7000 50 1400 &&
		"$tools/net_echo" tcp 192.168.77.2 7000 1 2000 &&
		wait $pid && passed net_again
}

# has_vhost NAME: the kernel serves the first pair of its card
has_vhost()
{
	[ "$("$vmm" qmp "$1" x-vmm-query-use | grep -c '"vhost": true')" -ge 2 ] && return
	echo "the kernel does not serve the queues" >> "$log"
	return 1
}

# Ours are the only processes.
kill_passt()
{
	local comm name

	for comm in /proc/[0-9]*/comm; do
		read -r name 2> /dev/null < "$comm" || continue
		[[ $name != passt* ]] || kill -KILL "$(basename "$(dirname "$comm")")"
	done
}

# The host has a network by which nobody ever answers; its loopback is at the router.
# Whoever connects says something, for which the passt of Debian 12 waits, and no side of a
# connection ends it while something is under way: behind that the passt of Ubuntu 24.04
# lets transfers stall.
test_net_user()
{
	local pid to patience=$((seconds / 3))

	ip link set lo up
	uplink_up
	echo 'nameserver 127.0.0.1' > "$work/resolv.conf"
	mount --bind "$work/resolv.conf" /etc/resolv.conf
	seq 1 100000000 2> /dev/null | head -c 2M > "$work/pattern" || true
	busybox httpd -p 127.0.0.1:8080 -h "$work"
	"$tools/net_echo" dns 192.0.2.77 &
	"$tools/net_echo" serve 7000 0 &
	busybox nc -l -p 5003 -e yes &
	become_vm vmlinux "vmm.test=net_user vmm.patience=$patience" --net \
		user,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp:127.0.0.1:7001-:7000 &
	pid=$!
	await_said $pid "net_user: listening" || return
	"$tools/net_echo" udp 127.0.0.1 7001 20 1200 || return
	mkfifo "$work/to" && exec {to}<> "$work/to"
	echo >&"$to"
	head -c 2M < <(timeout $patience busybox nc 127.0.0.1 2222 < "$work/to") > "$work/back"
	cmp "$work/pattern" "$work/back" || return
	echo >&"$to"
	await_said $pid "net_user: busy" || return
	kill_passt
	touch "$work/killed"
	wait $pid && passed net_user && grep -q "net 'net0': passt is gone" "$log"
}

# Disk and network at once, several vCPUs, and all said in a file.
test_everything()
{
	image data 32
	tap_up 2
	cat > "$work/vm.yaml" <<-END
		cpus: 2
		disk:
		  - path: $work/data
		    serial: data
		net:
		  - tap: vmmtest0
		    mac: 52:54:00:12:34:56
	END
	pass everything "vmm.ip=192.168.77.2/24 vmm.peer=192.168.77.1 vmm.mib=2 vmm.cpus=2 \
		vmm.mac=52:54:00:12:34:56" --config "$work/vm.yaml"
}

# A guest with disk and network traffic under way is paused again and again.
test_pause()
{
	local pauser

	image data 32
	tap_up 2
	/usr/bin/python3 "$here/pauser.py" "$work/qmp" 100 > "$work/paused" &
	pauser=$!
	pass everything "vmm.ip=192.168.77.2/24 vmm.peer=192.168.77.1 vmm.mib=2 vmm.cpus=2 \
		vmm.mac=52:54:00:12:34:56 vmm.again=3" --cpus 2 --disk "$work/data" \
		--net tap=vmmtest0,mac=52:54:00:12:34:56 --qmp "$work/qmp" &&
		wait $pauser && grep -qx "paused 100 times" "$work/paused" &&
		! grep -q "soft lockup" "$log"
}

# A guest with disk and network traffic under way is frozen and restored again and again,
# from its first second on.
test_snapshot()
{
	local vm times=0

	export XDG_RUNTIME_DIR=$work
	image data 32
	tap_up 2
	become_vm "$plain" "vmm.test=everything vmm.ip=192.168.77.2/24 vmm.peer=192.168.77.1 \
		vmm.mib=2 vmm.cpus=2 vmm.mac=52:54:00:12:34:56 vmm.again=1" --name snap \
		--cpus 2 --disk "$work/data" --net tap=vmmtest0,mac=52:54:00:12:34:56 &
	vm=$!
	until "$vmm" list | grep -q '^snap  *running'; do
		kill -0 $vm || return
		nap
	done
	while "$vmm" snapshot snap "$work/snap" --stop --force >> "$work/told" 2>&1; do
		wait $vm || true
		"$vmm" restore "$work/snap" < /dev/null >> "$log" 2>&1 &
		vm=$!
		times=$((times + 1))
		sleep 3
	done
	if wait $vm && passed everything && [ $times -ge 5 ]; then
		! grep -E 'soft lockup|rcu.*stall|clocksource.*unstable' "$log"
		return
	fi
	cat "$work/told" >> "$log"
	return 1
}

# migrate_vm N ARGUMENT...: the N-th monitor of the guest, whose test is $moves
migrate_vm()
{
	local nr=$1

	shift
	become_vm "$plain" "vmm.test=$moves vmm.ip=192.168.77.2/24 vmm.peer=192.168.77.1" \
		--name "move$nr" --cpus 2 --disk "$work/data" \
		--net "tap=vmmtest$((nr % 2)),id=net,mac=52:54:00:12:34:56" "$@"
}

# migrate_on OPTION...: to the next monitor, after which it is the only one
migrate_on()
{
	local from=$vm

	nr=$((nr + 1))
	migrate_vm $nr --incoming "unix:$work/door" &
	vm=$!
	until [ -S "$work/door" ]; do
		kill -0 $vm || return
		nap
	done
	"$vmm" migrate "move$((nr - 1))" "unix:$work/door" --downtime 2000 --json "$@" \
		>> "$work/told" 2>&1 && wait "$from" &&
		[ "$("$vmm" list | grep -c '^move')" = 1 ] &&
		"$vmm" list | grep -q "^move$nr  *running"
}

# The guest's end of it is in tests/boot/guest/stream.sh.
migrate_feed()
{
	local line=0

	until [ -e "$work/moved" ]; do
		echo $((line += 1))
		nap
	done
	echo over
}

# snapshot_on: to a new monitor from the last of three snapshots, of which each but the first
# has what has changed since the one before
snapshot_on()
{
	"$vmm" snapshot "move$nr" "$work/full" --track >> "$work/told" 2>&1 && sleep 3 &&
		"$vmm" snapshot "move$nr" "$work/more" --diff >> "$work/told" 2>&1 && sleep 3 &&
		"$vmm" snapshot "move$nr" "$work/last" --diff --stop >> "$work/told" 2>&1 &&
		! wait "$vm" || return
	"$vmm" restore "$work/last" --clock host < /dev/null >> "$log" 2>&1 &
	vm=$!
	until "$vmm" list | grep -q "^move$nr  *running"; do
		kill -0 $vm || return
		nap
	done
	sleep 3
}

# migrate NAME [COMMAND]: the guest's test NAME passes while it moves to and fro, in every way,
# and when the command has been carried out
migrate()
{
	local vm nr=0 moves=$1 last=${2-true}

	export XDG_RUNTIME_DIR=$work
	image data 32
	bridge_up
	migrate_feed | busybox nc -l -p 5003 &
	busybox nc -ll -p 5004 -e date +%s &
	migrate_vm 0 &
	vm=$!
	if await_said $vm "$moves: working" && migrate_on && migrate_on --streams 4 &&
		migrate_on --compress zstd && migrate_on --postcopy && migrate_on && $last; then
		touch "$work/moved"
		wait $vm && passed "$moves" && holds_what_was_written "$work/data" && return
	fi
	cat "$work/told" >> "$log"
	return 1
}

test_migrate() { migrate migrate; }
test_migrate_load() { migrate migrate_load snapshot_on; }

# Sets $behind: by how many seconds the guest's time of day is behind ours, in what it
# tells next.
wall_behind()
{
	local line now told last=

	while true; do
		told=
		while read -r line; do
			[[ $line != "guest: wall: "* ]] || told=${line#guest: wall: }
		done < "$log"
		printf -v now '%(%s)T' -1
		[ "$told" = "${last:=$told}" ] || break
		nap
	done
	behind=$((now - ${told%$'\r'}))
	echo "$behind s behind" >> "$work/told"
}

# wall_away ARGUMENT...: it is kept for a while, and restored with these arguments
wall_away()
{
	"$vmm" snapshot wall "$work/snap" --stop --force >> "$work/told" || return
	sleep 6
	"$vmm" restore "$work/snap" "$@" < /dev/null >> "$log" 2>&1 &
}

# A guest that was away has its clock where it stopped, or where ours is by now.
test_snapshot_clock()
{
	local behind

	export XDG_RUNTIME_DIR=$work
	become_vm "$plain" vmm.test=wall --name wall &
	until grep -qs '^guest: wall: ' "$log"; do
		nap
	done
	if wall_behind && [ $behind -le 3 ] &&
		wall_away --clock host && wall_behind && [ $behind -le 3 ] &&
		wall_away && wall_behind && [ $behind -ge 5 ]; then
		"$vmm" kill wall
		return
	fi
	cat "$work/told" >> "$log"
	return 1
}

# A kernel that knows of generations is told that it may be one of several.
test_generation()
{
	local vm

	export XDG_RUNTIME_DIR=$work
	become_vm vmlinux "loglevel=6 vmm.test=clock" --name gen &
	vm=$!
	await_said $vm "clock: sleeping" && "$vmm" snapshot gen "$work/snap" --stop || return
	wait $vm || true
	"$vmm" restore "$work/snap" < /dev/null >> "$log" 2>&1 &
	vm=$!
	until grep -q 'crng reseeded due to virtual machine fork' "$log"; do
		kill -0 $vm || return
		nap
	done
	"$vmm" kill gen
}

# A pause of a minute is nothing to the guest.
test_long_pause()
{
	local pid

	export XDG_RUNTIME_DIR=$work
	become_vm vmlinux vmm.test=clock --name clock --cpus 2 &
	pid=$!
	await_said $pid "clock: sleeping" && "$vmm" pause clock && sleep 62 &&
		"$vmm" resume clock && wait $pid && passed clock
}

# hotplug SCENARIO NAME: the guest's test NAME passes while devices come and go
hotplug()
{
	local host

	image hot 64
	tap_up 2
	/usr/bin/python3 -B "$here/hotplugger.py" "$1" "$work/qmp" "$log" "$work/hot" \
		vmmtest0 > "$work/host" 2>&1 &
	host=$!
	pass "$2" "vmm.ip=192.168.77.2/24 vmm.peer=192.168.77.1 vmm.mib=2" \
		--qmp "$work/qmp" && wait $host && grep -qx 'done' "$work/host" && return
	cat "$work/host"
	return 1
}

test_hotplug()
{
	hotplug use hotplug_use && holds_what_was_written "$work/hot"
}

# The kernel moves the packets, over pauses and a pulled cable: of a driver that knows
# what to try, and of Linux.
test_net_vhost()
{
	[ -e /dev/vhost-net ] || modprobe vhost_net || return
	"${vmm%/*}/tests/device/test_virtio_net_vhost" && hotplug vhost net_vhost
}

test_hotplug_busy() { hotplug busy hotplug_busy; }

test_hotplug_reset()
{
	hotplug reset hotplug_reset
}

# Its connections end with the monitor: when it is restored, and when it moves.
test_vsock()
{
	local host vm there

	export XDG_RUNTIME_DIR=$work
	"$here/vsock_host.py" "$work/vsock" 100 4 2 > "$work/host" 2>&1 &
	host=$!
	until [ -S "$work/vsock_5001" ]; do
		nap
	done
	ln -s vsock_5000 "$work/there_5000"
	ln -s vsock_5001 "$work/there_5001"
	become_vm "$plain" "vmm.test=vsock vmm.connections=101 vmm.lost=2" --name vsock \
		--vsock "$work/vsock" &
	vm=$!
	await_said $vm "vsock: connected 1" && "$vmm" snapshot vsock "$work/snap" --stop &&
		! wait $vm || return
	"$vmm" restore "$work/snap" < /dev/null >> "$log" 2>&1 &
	vm=$!
	await_said $vm "vsock: connected 2" || return
	become_vm "$plain" "" --name there --vsock "$work/there" --incoming "unix:$work/door" &
	there=$!
	until [ -S "$work/door" ]; do
		kill -0 $there || return
		nap
	done
	"$vmm" migrate vsock "unix:$work/door" --downtime 2000 && wait $vm && wait $there &&
		passed vsock && wait $host && grep -qx 'done' "$work/host" &&
		[ ! -e "$work/vsock" ] && [ ! -e "$work/there" ] && return
	cat "$work/host"
	return 1
}

test_reboot()
{
	image marker 1
	pass reboot "" --disk "$work/marker" && said "reboot: first boot"
}

# SIGTERM presses the power button, and a guest that obeys ends with status 0.
test_sigterm()
{
	local pid

	become_vm "$plain" vmm.test=wait_power &
	pid=$!
	await_said $pid "wait_power: waiting" || return
	kill -TERM $pid
	wait $pid && passed wait_power
}

# lifecycle_begin: a VM in the background, until its guest is busy
lifecycle_begin()
{
	become_vm vmlinux "vmm.test=lifecycle vmm.ip=192.168.77.2/24 vmm.peer=192.168.77.1" \
		--name life --cpus 2 --disk "$work/data" --net tap=vmmtest0 &
	vm=$!
	lifecycle_busy 1
}

# lifecycle_busy N: for the N-th time since the VM began
lifecycle_busy()
{
	until [ "$(grep -c $'^guest: lifecycle: waiting\r*$' "$log" 2> /dev/null)" = "$1" ]; do
		kill -0 "$vm" || return 1
		nap
	done
}

# lifecycle_is STATE: so vmm list says
lifecycle_is()
{
	"$vmm" list | grep -qx "life  *$1  *.*"
}

# What is done to a running VM is done to one with disk and network traffic, and
# each time its state and its status are what they should be.
test_lifecycle()
{
	local vm

	export XDG_RUNTIME_DIR=$work
	image data 32
	tap_up 1
	lifecycle_begin && lifecycle_is running &&
		"$vmm" pause life && lifecycle_is paused &&
		"$vmm" resume life && lifecycle_is running &&
		"$vmm" reset life && lifecycle_busy 2 && lifecycle_is running || return

	kill -KILL "$vm"
	wait "$vm" 2> /dev/null || true
	lifecycle_is dead && rm "$log" && lifecycle_begin &&
		"$vmm" stop life --timeout 120 && wait "$vm" &&
		! lifecycle_is '.*' && passed lifecycle
}

# The guest's kernel tells of its panic before it restarts; its own last words are
# on the console.
test_panic()
{
	local status=0

	boot vmlinux vmm.test=panic || status=$?
	[ $status -eq 2 ] && grep -q "Kernel panic - not syncing: sysrq triggered crash" "$log" &&
		grep -q "vmm: error: the guest's kernel has panicked" "$log"
}

test_acpi()
{
	pass acpi "" --cpus 2 || return
	tr -d '\r' < "$log" > "$results/log"
}

# The tables as the booted guest sees them, taken apart and put together again.
judge_acpi()
{
	local name
	local names=()

	cd "$1" || return
	read -ra names < <(sed -n 's/^guest: acpi: BEGIN //p' log | xargs)
	[ "${#names[@]}" -ge 4 ] || { echo "too few tables: ${names[*]}"; return 1; }
	for name in "${names[@]}"; do
		sed -n "/^guest: acpi: BEGIN $name\$/,/^guest: acpi: END/{/^guest:/!p}" log |
			base64 -d > "$name.aml"
		iasl -p "$name" -d "$name.aml" > "$name.out" 2>&1 &&
			iasl -we -p "$name.again" "$name.dsl" >> "$name.out" 2>&1 &&
			! grep -E '(Error|Warning) +[0-9]' "$name.out" ||
			{ echo "$name:"; cat "$name.out"; return 1; }
	done
}
