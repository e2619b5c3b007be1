// SPDX-License-Identifier: Apache-2.0
#include "machine/vm_config.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk.h"
#include "boot/boot.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_vsock.h"
#include "machine/vm_fds.h"
#include "machine/vm_serial.h"
#include "net/netdev.h"
#include "net/passt.h"

#include <errno.h>
#include <string.h>

#define L2_CACHE_MAX		(1 * GiB)
#define DEVICES_MAX		28	/* slots of the bus, less bridge, rng, vsock and one */

#define QUEUES_BY_DEFAULT_MAX	4	/* one thread serves them all */
#define IO_THREADS_MAX		16

/* In the order of enum disk_cache. */
static const char *const caches[] = {
	"writeback", "direct", "writethrough", "unsafe", NULL,
};

/* In the order of enum disk_on_error. */
static const char *const on_errors[] = { "report", "stop", "ignore", "enospc", NULL };

/* The limits of one kind, of a disk or a card. */
#define LIMIT(key_, OPTION_, type, member, what)					\
	{ .key = (key_), OPTION_(type, limits.member.avg),				\
	  .max = BUCKET_MAX, .help = "limit of " what " a second; 0, as by default, "	\
		  "is none" },								\
	{ .key = key_ "-max", OPTION_(type, limits.member.max),				\
	  .max = BUCKET_MAX,								\
	  .help = what " a second for a while, if there were fewer before" },		\
	{ .key = key_ "-max-length", OPTION(type, limits.member.length),		\
	  .min = 1, .max = BUCKET_MAX, .metavar = "SECONDS",				\
	  .help = "how long that while may be; 1 by default" }

#define DISK_LIMIT(key_, OPTION_, kind, what)						\
	LIMIT(key_, OPTION_, struct vm_disk_config, of[kind], what)
#define NET_LIMIT(key_, OPTION_, member, what)						\
	LIMIT(key_, OPTION_, struct vm_net_config, member, what)

static const struct option disk_rows[] = {
	{ .key = "path", OPTION_PATH(struct vm_disk_config, path),
	  .required = true, .primary = true,
	  .help = "image file or block device" },
	{ .key = "format", OPTION(struct vm_disk_config, format), .metavar = "FORMAT",
	  .help = "how the image is laid out: raw, qcow2, or vmdk, which can only be "
		  "read; by default what the ending of its name says" },
	{ .key = "readonly", OPTION(struct vm_disk_config, readonly), .preset = "off",
	  .help = "the guest cannot write, and several VMs may share the image" },
	{ .key = "overlay", OPTION_PATH(struct vm_disk_config, overlay),
	  .metavar = "FILE",
	  .help = "write to this qcow2 image, which is made if it does not exist, and only "
		  "read the other; 'temporary': to a file that is gone when the VM ends" },
	{ .key = "serial", OPTION(struct vm_disk_config, serial),
	  .max = VIRTIO_BLK_SERIAL_MAX,
	  .help = "serial number, as in /dev/disk/by-id/virtio-SERIAL" },
	{ .key = "backing", OPTION_CHOICE(struct vm_disk_config, backing, disk_backing_names),
	  .preset = "folder",
	  .help = "which backing files an image may name: those in its own folder, any "
		  "(on), or none (off)" },
	{ .key = "l2-cache-size", OPTION_SIZE(struct vm_disk_config, l2_cache),
	  .max = L2_CACHE_MAX,
	  .help = "memory for the tables of a qcow2 image; 4M, for 32 GiB of it, unless "
		  "given" },
	{ .key = "cache", OPTION_CHOICE(struct vm_disk_config, cache, caches),
	  .preset = "writeback",
	  .help = "when a write is on the medium: after the guest's next flush, by way of "
		  "the host's page cache or past it (direct); when it is done "
		  "(writethrough); never for certain (unsafe)" },
	{ .key = "block-size", OPTION_SIZE(struct vm_disk_config, block_size),
	  .min = 512, .max = 4096,
	  .help = "bytes of a block as the guest sees it, 512 or 4096; by default what the "
		  "image needs" },
	{ .key = "queues", OPTION(struct vm_disk_config, queues), .min = 1,
	  .max = VIRTIO_BLK_QUEUES_MAX,
	  .help = "number of request queues; by default one for each vCPU, at most 4" },
	{ .key = "rerror", OPTION_CHOICE(struct vm_disk_config, read_error, on_errors),
	  .preset = "report",
	  .help = "what to do when the host cannot read: report it to the guest, stop the "
		  "VM until it is told to go on and then try again, ignore it, or stop "
		  "where space is what lacks and else report (enospc)" },
	{ .key = "werror", OPTION_CHOICE(struct vm_disk_config, write_error, on_errors),
	  .preset = "enospc",
	  .help = "the same when it cannot write" },
	DISK_LIMIT("bps", OPTION_SIZE, THROTTLE_BPS, "bytes"),
	DISK_LIMIT("bps-rd", OPTION_SIZE, THROTTLE_BPS_RD, "bytes read"),
	DISK_LIMIT("bps-wr", OPTION_SIZE, THROTTLE_BPS_WR, "bytes written"),
	DISK_LIMIT("iops", OPTION, THROTTLE_IOPS, "requests"),
	DISK_LIMIT("iops-rd", OPTION, THROTTLE_IOPS_RD, "requests that read"),
	DISK_LIMIT("iops-wr", OPTION, THROTTLE_IOPS_WR, "requests that write"),
	{ .key = "iops-size", OPTION_SIZE(struct vm_disk_config, limits.iops_size),
	  .help = "count a request that is larger as several of this size" },
	{ .key = "group", OPTION(struct vm_disk_config, group), .max = VM_CONFIG_NAME_MAX,
	  .metavar = "NAME",
	  .help = "share the limits with all disks of this group, as if they were one" },
	{ .key = "id", OPTION(struct vm_disk_config, id), .max = VM_CONFIG_NAME_MAX,
	  .help = "name of the disk in messages; disk0, disk1, ... by default" },
};

const struct option_object vm_config_disk_options = {
	.name = "disk", OPTION_OBJECT(struct vm_disk_config, disk_rows),
};

static const struct option net_rows[] = {
	{ .key = "tap", OPTION(struct vm_net_config, tap), .max = 15,
	  .metavar = "NAME",
	  .help = "a tap or macvtap device of the host; a tap that does not exist is made "
		  "for as long as the VM runs, which needs CAP_NET_ADMIN" },
	{ .key = "bridge", OPTION(struct vm_net_config, bridge), .max = 15,
	  .metavar = "NAME",
	  .help = "make the tap, a new one unless it is given, a port of this bridge" },
	{ .key = "fd", OPTION(struct vm_net_config, fd), .metavar = "FD[:FD...]",
	  .help = "an open tap device, inherited as these file descriptors, one for each "
		  "pair of queues" },
	{ .key = "user", OPTION(struct vm_net_config, user), .preset = "off",
	  .help = "the networks of the host, as any program of this user has them: passt "
		  "gives the guest an address, and takes no privilege" },
	{ .key = "hostfwd", OPTION(struct vm_net_config, hostfwd), .joined = true,
	  .metavar = "tcp:[ADDR:]PORT-:PORT",
	  .help = "forward this port of the host, at that address if given, to one of the "
		  "guest, with 'user'; tcp or udp, may be given several times" },
	{ .key = "socket", OPTION_PATH(struct vm_net_config, socket), .metavar = "PATH",
	  .help = "another VM, by a Unix socket: one of them makes it with 'listen', the "
		  "other connects to it" },
	{ .key = "listen", OPTION(struct vm_net_config, listen), .preset = "off",
	  .help = "make the socket, and take whoever connects, one after the other" },
	{ .key = "none", OPTION(struct vm_net_config, none), .preset = "off",
	  .help = "a card that leads nowhere: its cable is not plugged in" },
	{ .key = "dump", OPTION_PATH(struct vm_net_config, dump), .metavar = "FILE",
	  .help = "write the packets that pass to this file, made anew, for tcpdump" },
	{ .key = "vhost", OPTION(struct vm_net_config, vhost), .preset = "off",
	  .help = "have the kernel's vhost-net move the packets, or vmm where there is none; "
		  "goes without dump and limits" },
	{ .key = "mac", OPTION(struct vm_net_config, mac),
	  .help = "the guest's address; made up from name and position by default" },
	{ .key = "queues", OPTION(struct vm_net_config, queues), .min = 1,
	  .max = NETDEV_PAIRS_MAX,
	  .help = "number of pairs of queues; by default one for each vCPU, at most 4, or "
		  "one where the tap is not made for several" },
	NET_LIMIT("bps-rx", OPTION_SIZE, rx_bytes, "bytes received"),
	NET_LIMIT("bps-tx", OPTION_SIZE, tx_bytes, "bytes sent"),
	NET_LIMIT("pps-rx", OPTION, rx_packets, "packets received"),
	NET_LIMIT("pps-tx", OPTION, tx_packets, "packets sent"),
	{ .key = "mtu", OPTION(struct vm_net_config, mtu), .min = 68, .max = 65535,
	  .metavar = "BYTES",
	  .help = "how much a packet may carry, for the guest to set its interface to" },
	{ .key = "id", OPTION(struct vm_net_config, id), .max = VM_CONFIG_NAME_MAX,
	  .help = "name of the card in messages; net0, net1, ... by default" },
};

const struct option_object vm_config_net_options = {
	.name = "net", OPTION_OBJECT(struct vm_net_config, net_rows),
};

static const struct option vsock_rows[] = {
	{ .key = "path", OPTION_PATH(struct vm_vsock_config, path), .required = true,
	  .primary = true, .metavar = "SOCKET",
	  .help = "the Unix socket to make for programs of the host; those that listen at "
		  "SOCKET_PORT are what the guest finds at this port of the host" },
	{ .key = "cid", OPTION(struct vm_vsock_config, cid), .preset = "3",
	  .min = VIRTIO_VSOCK_CID_MIN, .max = VIRTIO_VSOCK_CID_MAX,
	  .help = "the guest's address, as it sees it itself" },
};

const struct option_object vm_config_vsock_options = {
	.name = "vsock", OPTION_OBJECT(struct vm_vsock_config, vsock_rows),
};

/* In the order of their enums. */
static const char *const reboot_actions[] = { "reset", "shutdown", NULL };
static const char *const shutdown_actions[] = { "poweroff", "pause", NULL };
static const char *const panic_actions[] = {
	"pause", "shutdown", "exit-failure", "none", NULL,
};

static const struct option action_rows[] = {
	{ .key = "reboot", OPTION_CHOICE(struct vm_action_config, reboot, reboot_actions),
	  .preset = "reset", .help = "when the guest restarts itself, or is reset by QMP" },
	{ .key = "shutdown",
	  OPTION_CHOICE(struct vm_action_config, shutdown, shutdown_actions),
	  .preset = "poweroff",
	  .help = "when it switches itself off; pause keeps the VM to be looked at" },
	{ .key = "panic", OPTION_CHOICE(struct vm_action_config, panic, panic_actions),
	  .preset = "exit-failure", .help = "when its kernel says that it has panicked" },
};

static const struct option_object action_options = {
	.name = "action", OPTION_OBJECT(struct vm_action_config, action_rows),
};

static const struct option qmp_rows[] = {
	{ .key = "path", OPTION_PATH(struct vm_qmp_config, path), .primary = true,
	  .help = "the socket to make" },
	{ .key = "fd", OPTION(struct vm_qmp_config, fd), .max = INT32_MAX, .metavar = "FD",
	  .help = "a socket that listens, inherited as this file descriptor" },
};

const struct option_object vm_config_qmp_options = {
	.name = "qmp", OPTION_OBJECT(struct vm_qmp_config, qmp_rows),
};

const char *const vm_config_log_levels[] = { "error", "warning", "info", "debug", NULL };

static const struct option rows[] = {
	{ .key = "kernel", .letter = 'k', OPTION_PATH(struct vm_config, kernel),
	  .required = true, .metavar = "FILE",
	  .help = "kernel: a bzImage, or an ELF vmlinux with a PVH note; of arm64 an Image, "
		  "packed or not" },
	{ .key = "initrd", .letter = 'i', OPTION_PATH(struct vm_config, initrd),
	  .metavar = "FILE", .help = "initial RAM disk" },
	{ .key = "cmdline", .letter = 'a', OPTION(struct vm_config, cmdline),
	  .preset = BOOT_CMDLINE_DEFAULT, .metavar = "TEXT",
	  .help = "kernel command line" },
	{ .key = "disk", .letter = 'd', OPTION_LIST(struct vm_config, disk, nr_disk,
						    vm_config_disk_options),
	  .max = DEVICES_MAX, .help = "add a disk" },
	{ .key = "net", .letter = 'n', OPTION_LIST(struct vm_config, net, nr_net,
						   vm_config_net_options),
	  .max = DEVICES_MAX, .help = "add a network card" },
	{ .key = "vsock", OPTION_LIST(struct vm_config, vsock, nr_vsock, vm_config_vsock_options),
	  .max = 1,
	  .help = "connect programs of the guest and of the host without a network" },
	{ .key = "cpus", .letter = 'c', OPTION(struct vm_config, cpus), .preset = "1",
	  .min = 1, .max = VM_CONFIG_CPUS_MAX, .help = "number of virtual CPUs" },
	{ .key = "memory", .letter = 'm', OPTION_SIZE(struct vm_config, memory),
	  .preset = "256M", .min = 2 * MiB, .max = VM_CONFIG_MEMORY_MAX,
	  .help = "RAM of the guest" },
	{ .key = "io-threads", OPTION(struct vm_config, io_threads), .preset = "1",
	  .min = 1, .max = IO_THREADS_MAX,
	  .help = "number of threads among which disks and network cards are dealt out" },
	{ .key = "name", OPTION(struct vm_config, name), .max = VM_CONFIG_NAME_MAX,
	  .help = "name of the VM; the first that is free of vm, vm2, vm3, ... by default" },
	{ .key = "qmp", OPTION_LIST(struct vm_config, qmp, nr_qmp, vm_config_qmp_options),
	  .max = VM_CONFIG_QMP_MAX,
	  .help = "speak QMP on a further Unix socket" },
	{ .key = "serial", OPTION(struct vm_config, serial), .preset = "stdio",
	  .metavar = "WHERE",
	  .help = "where the serial console leads to: stdio, pty, unix:PATH, file:PATH "
		  "or null; 'vmm console' shows it in any case" },
	{ .key = "paused", OPTION(struct vm_config, paused), .preset = "off",
	  .help = "wait with the first instruction until QMP says 'cont'" },
	{ .key = "incoming", OPTION(struct vm_config, incoming), .cmdline_only = true,
	  .metavar = "URI",
	  .help = "wait there for a VM like this one that 'vmm migrate' moves: tcp:HOST:PORT, "
		  "tls:HOST:PORT, unix:PATH or fd:N; or 'defer', until QMP says where" },
	{ .key = "tls", OPTION_PATH(struct vm_config, tls), .cmdline_only = true,
	  .metavar = "DIR", .help = "folder with the certificates for --incoming tls:" },
	{ .key = "insecure", OPTION(struct vm_config, insecure), .cmdline_only = true,
	  .help = "let --incoming tcp: listen to other hosts, without any protection" },
	{ .key = "action", OPTION_GROUP(struct vm_config, action, action_options),
	  .help = "what is done when the guest ends" },
	{ .key = "shutdown-timeout", OPTION(struct vm_config, shutdown_timeout),
	  .preset = "30", .metavar = "SECONDS",
	  .help = "how long the guest may take to shut down when asked to" },
	{ .key = "log", OPTION_CHOICE(struct vm_config, log, vm_config_log_levels),
	  .preset = "warning",
	  .help = "how much to say on standard error" },
	{ .key = "log-file", OPTION_PATH(struct vm_config, log_file), .metavar = "FILE",
	  .help = "once the VM runs, add what there is to say to this file instead" },
	{ .key = "config", .letter = 'f', OPTION_PATH(struct vm_config, config),
	  .cmdline_only = true, .metavar = "FILE",
	  .help = "read options from a YAML file first" },
	{ .key = "detach", OPTION(struct vm_config, detach), .cmdline_only = true,
	  .help = "go on in the background once the VM runs, and print its name" },
	{ .key = "daemon", OPTION(struct vm_config, daemon), .cmdline_only = true,
	  .help = "be a service: no terminal, and tell systemd what happens" },
	{ .key = "dump-config", OPTION(struct vm_config, dump_config), .cmdline_only = true,
	  .help = "print the whole configuration as YAML and exit" },
	{ .key = "dump-dtb", OPTION_PATH(struct vm_config, dump_dtb), .cmdline_only = true,
	  .metavar = "FILE",
	  .help = "write the device tree of an arm64 guest to this file and exit" },
	{ .key = "help", .letter = 'h', OPTION(struct vm_config, help), .cmdline_only = true,
	  .help = "print this and exit" },
};

const struct option_object vm_config_options = {
	.name = "run", OPTION_OBJECT(struct vm_config, rows),
};

int vm_config_check_name(const char *name, struct err *err)
{
	/* What may stand within comes first. */
	static const char good[] = "._-0123456789abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t len = strlen(name);

	if (len <= VM_CONFIG_NAME_MAX && strspn(name, good + strlen("._-")) &&
	    strspn(name, good) == len)
		return 0;
	return err_set(err, -EINVAL, "name: '%s' is none for a VM: up to %u letters, digits, "
		       "'.', '_' and '-', with a letter or digit first", name,
		       VM_CONFIG_NAME_MAX);
}

static int check_qmp(const struct vm_qmp_config *qmp, unsigned i, struct err *err)
{
	bool fd = option_given(&vm_config_qmp_options, qmp, &qmp->fd);

	if (qmp->path && fd)
		return err_set(err, -EINVAL, "qmp %u: give path= or fd=, not both", i);
	if (!qmp->path && !fd)
		return err_set(err, -EINVAL, "qmp %u: where? give path=PATH or fd=N", i);
	return 0;
}

int vm_config_check_disk(const struct vm_disk_config *disk, unsigned i, struct err *err)
{
	if (disk->overlay && disk->readonly)
		return err_set(err, -EINVAL, "disk %u: give overlay= or readonly, not both", i);
	return 0;
}

/* A tap in a bridge is one place. */
static int check_place(const struct vm_net_config *net, unsigned i, struct err *err)
{
	const struct {
		const char *key;
		bool given;
	} places[] = {
		{ "tap=", net->tap },
		{ "bridge=", net->bridge && !net->tap },
		{ "fd=", net->fd },
		{ "user", net->user },
		{ "socket=", net->socket },
		{ "none", net->none },
	};
	const char *found = NULL;

	for (size_t k = 0; k < ARRAY_LEN(places); k++) {
		if (!places[k].given)
			continue;
		if (found)
			return err_set(err, -EINVAL, "net %u: give %s or %s, not both", i, found,
				       places[k].key);
		found = places[k].key;
	}
	return found ? 0 : err_set(err, -EINVAL, "net %u: where to? give tap=NAME, bridge=NAME, "
				   "fd=N, user, socket=PATH or none", i);
}

/* One descriptor is one pair of queues. */
static int check_fds(const struct vm_net_config *net, unsigned i, struct err *err)
{
	struct vm_fds fds;
	int r = vm_fds_parse(&fds, net->fd, err);

	if (r < 0)
		return err_at(err, r, "net %u", i);
	if (net->queues && net->queues != fds.nr)
		return err_set(err, -EINVAL, "net %u: queues=%u needs as many descriptors, "
			       "fd= has %u: give one for each pair of queues, or no queues=", i,
			       net->queues, fds.nr);
	return 0;
}

/* What it passes by cannot be had with it. */
static int check_vhost(const struct vm_net_config *net, unsigned i, struct err *err)
{
	if (!net->vhost)
		return 0;
	if (net->user || net->socket || net->none)
		return err_set(err, -EINVAL, "net %u: only a tap or a bridge has vhost", i);
	if (net->dump)
		return err_set(err, -EINVAL, "net %u: vhost moves packets past dump=: give one "
			       "of them", i);
	if (netdev_any_limit(&net->limits))
		return err_set(err, -EINVAL, "net %u: vhost moves packets past limits: give "
			       "none, or vhost=off", i);
	return 0;
}

int vm_config_check_net(const struct vm_net_config *net, unsigned i, struct err *err)
{
	int r = check_place(net, i, err);

	if (r < 0)
		return r;
	if (net->listen && !net->socket)
		return err_set(err, -EINVAL, "net %u: listen goes with socket=", i);
	if (net->hostfwd && !net->user)
		return err_set(err, -EINVAL, "net %u: hostfwd= goes with user", i);
	r = net->hostfwd ? passt_check_forwards(net->hostfwd, err) : 0;
	if (r < 0)
		return err_at(err, r, "net %u", i);
	if (net->fd)
		r = check_fds(net, i, err);
	if (r < 0)
		return r;
	if (net->queues > 1 && !net->tap && !net->bridge && !net->fd)
		return err_set(err, -EINVAL, "net %u: only a tap or a bridge has several "
			       "queues: give no queues=", i);
	r = check_vhost(net, i, err);
	if (r < 0)
		return r;
	r = netdev_check_limits(&net->limits, err);
	return r < 0 ? err_at(err, r, "net %u", i) : 0;
}

/* Both have been checked; -1: they share none. */
static int shared_fd(const struct vm_net_config *a, const struct vm_net_config *b)
{
	struct vm_fds of_a = { .nr = 0 }, of_b = { .nr = 0 };

	if (a->fd && b->fd && !vm_fds_parse(&of_a, a->fd, NULL))
		vm_fds_parse(&of_b, b->fd, NULL);
	for (unsigned i = 0; i < of_b.nr; i++)
		if (vm_fds_has(&of_a, of_b.fds[i]))
			return of_b.fds[i];
	return -1;
}

/* What two cards cannot share; a tap is refused by the kernel, by its name. */
static int check_pair(const struct vm_net_config *a, unsigned i,
		      const struct vm_net_config *b, unsigned k, struct err *err)
{
	static const uint8_t no_mac[6];
	int fd = shared_fd(a, b);

	if (fd >= 0)
		return err_set(err, -EINVAL, "net %u and net %u have the same fd, %d", i, k, fd);
	if (memcmp(a->mac, no_mac, 6) && !memcmp(a->mac, b->mac, 6))
		return err_set(err, -EINVAL, "net %u and net %u have the same mac", i, k);
	return 0;
}

uint32_t vm_config_queues(const struct vm_config *config, uint32_t given)
{
	if (given)
		return given;
	return config->cpus < QUEUES_BY_DEFAULT_MAX ? config->cpus : QUEUES_BY_DEFAULT_MAX;
}

static int check_disk(const struct vm_disk_config *disk, unsigned i, struct err *err)
{
	int r = throttle_check(&disk->limits, err);

	return r < 0 ? err_at(err, r, "disk %u", i) : 0;
}

int vm_config_check(const struct vm_config *config, struct err *err)
{
	struct vm_serial serial;
	int r;

	if (!config->kernel)
		return err_set(err, -EINVAL, "no kernel: give --kernel FILE, or kernel: in a "
			       "configuration file");
	r = option_check(&vm_config_options, config, err);
	if (r < 0)
		return r;
	if (config->name)
		r = vm_config_check_name(config->name, err);
	for (uint32_t i = 0; i < config->nr_qmp && !r; i++)
		r = check_qmp(&config->qmp[i], i, err);
	if (r < 0)
		return r;
	if (config->memory % (4 * KiB))
		return err_set(err, -EINVAL, "memory: %llu bytes is not a multiple of 4K",
			       (unsigned long long)config->memory);
	if (config->nr_disk + config->nr_net > DEVICES_MAX)
		return err_set(err, -EINVAL, "%u disks and %u network cards: the bus has room "
			       "for %u devices", config->nr_disk, config->nr_net, DEVICES_MAX);
	for (uint32_t i = 0; i < config->nr_disk && !r; i++)
		r = vm_config_check_disk(&config->disk[i], i, err);
	if (r < 0)
		return r;
	if (config->detach && config->daemon)
		return err_set(err, -EINVAL, "give detach or daemon, not both");
	if (config->dump_dtb && (config->detach || config->incoming))
		return err_set(err, -EINVAL, "dump-dtb starts no guest: give it without detach "
			       "and incoming");
	r = vm_serial_get(&serial, config, err);
	for (uint32_t i = 0; i < config->nr_disk && !r; i++)
		r = check_disk(&config->disk[i], i, err);
	for (uint32_t i = 0; i < config->nr_net && !r; i++) {
		r = vm_config_check_net(&config->net[i], i, err);
		for (uint32_t k = 0; k < i && !r; k++)
			r = check_pair(&config->net[k], k, &config->net[i], i, err);
	}
	return r;
}
