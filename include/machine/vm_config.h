/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_config.h - what a VM is made of, as a user says it.
 *
 * Filled through the option table by command line and file (config/option.h);
 * strings and lists belong to the struct.
 */
#ifndef MACHINE_VM_CONFIG_H
#define MACHINE_VM_CONFIG_H

#include "base/bits.h"
#include "block/throttle.h"
#include "config/option.h"
#include "net/netdev.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

#define VM_CONFIG_CPUS_MAX	4096
#define VM_CONFIG_NAME_MAX	64	/* bytes */
#define VM_CONFIG_QMP_MAX	4
#define VM_CONFIG_MEMORY_MAX	(8 * TiB)	/* what a memory slot of KVM has room for */

struct vm_disk_config {
	struct option_given given;
	char *id;			/* NULL: made up from the position */
	char *path;
	char *format;			/* NULL: by the file's name */
	char *serial;
	bool readonly;
	char *overlay;			/* file, or DISK_OVERLAY_TEMPORARY */
	unsigned backing;		/* enum disk_backing */
	uint64_t l2_cache;		/* bytes for tables; 0: a default */
	unsigned cache;			/* enum disk_cache */
	uint64_t block_size;		/* bytes; 0: as the image has it */
	uint32_t queues;		/* 0: see vm_config_queues() */
	unsigned read_error, write_error;	/* enum disk_on_error */
	struct throttle_limits limits;
	char *group;			/* that shares them; NULL: nobody */
};

struct vm_net_config {
	struct option_given given;
	char *id;
	char *tap;			/* tap and bridge, or just one of what follows */
	char *fd;			/* see vm_fds.h; NULL: none */
	char *bridge;
	bool user;
	char *hostfwd;			/* see net/passt.h; NULL: none */
	char *socket;			/* path */
	bool listen;			/* there */
	bool none;
	uint8_t mac[6];			/* all zero: made up; by chance if renewed */
	uint32_t mtu;			/* 0: the guest is told of none */
	uint32_t queues;		/* pairs; 0: as many as a disk's, if the tap has them */
	struct netdev_limits limits;
	char *dump;			/* file for tcpdump; NULL: none */
	bool vhost;			/* the kernel moves the packets, where it can */

	/* No option: the guest, which goes on from elsewhere, knows another mac. */
	bool renewed;
};

struct vm_vsock_config {
	struct option_given given;
	char *path;
	uint32_t cid;			/* the guest's */
};

/* What the machine does when its guest does something. */
enum vm_reboot { VM_REBOOT_RESET, VM_REBOOT_SHUTDOWN };
enum vm_shutdown { VM_SHUTDOWN_POWEROFF, VM_SHUTDOWN_PAUSE };
enum vm_panic { VM_PANIC_PAUSE, VM_PANIC_SHUTDOWN, VM_PANIC_EXIT_FAILURE, VM_PANIC_NONE };

struct vm_action_config {
	struct option_given given;
	enum vm_reboot reboot;
	enum vm_shutdown shutdown;	/* also where a reset is one */
	enum vm_panic panic;
};

struct vm_qmp_config {
	struct option_given given;
	char *path;			/* either path or fd */
	uint32_t fd;
};

struct vm_config {
	struct option_given given;
	char *name;			/* NULL: whichever is free */
	char *kernel;
	char *initrd;
	char *cmdline;
	uint32_t cpus;
	uint32_t io_threads;
	uint64_t memory;		/* bytes */
	struct vm_disk_config *disk;
	uint32_t nr_disk;
	struct vm_net_config *net;
	uint32_t nr_net;
	struct vm_vsock_config *vsock;	/* one at most */
	uint32_t nr_vsock;
	char *serial;			/* see vm_serial.h */
	char *incoming;			/* URI to wait at for another's state, or NULL */
	char *tls;			/* folder of certificates for that, or NULL */
	bool insecure;			/* from other hosts without protection */
	bool paused;			/* started so */
	struct vm_action_config action;
	struct vm_qmp_config *qmp;	/* besides the one that is always there */
	uint32_t nr_qmp;
	uint32_t shutdown_timeout;	/* seconds */
	unsigned log;			/* enum log_level */
	char *log_file;			/* NULL: standard error */

	/* Command line only. */
	char *config;
	bool detach;
	bool daemon;
	bool dump_config;
	char *dump_dtb;			/* path */
	bool help;
};

extern const struct option_object vm_config_options;

/* What it is made of, by itself. */
extern const struct option_object vm_config_disk_options, vm_config_net_options;
extern const struct option_object vm_config_vsock_options, vm_config_qmp_options;

extern const char *const vm_config_log_levels[];	/* in the order of enum log_level */

/* Of the i-th disk: does it all fit together? */
int vm_config_check_disk(const struct vm_disk_config *disk, unsigned i, struct err *err);

/* Has the i-th card a place where it leads to, just one, and limits that can be? */
int vm_config_check_net(const struct vm_net_config *net, unsigned i, struct err *err);

/* Is it fit to be the name of a VM, and of a folder?  -EINVAL. */
int vm_config_check_name(const char *name, struct err *err);

/*
 * How many queues a disk, or pairs of them a card, of this VM has: as many as it is
 * given, 0: as there are vCPUs, up to a few.
 */
uint32_t vm_config_queues(const struct vm_config *config, uint32_t given);

/* What no single option can tell: does it all fit together? */
int vm_config_check(const struct vm_config *config, struct err *err);

#endif
