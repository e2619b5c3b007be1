/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_machine.h - what the QMP commands need of a machine.
 *
 * Whoever makes the server implements these on a machine of his; a test does so
 * without one.  All of it runs on the server's loop.  Strings that are returned
 * stay as they are until the loop's next turn.
 *
 * An operation is told what to call when it is over: done(arg, 0, NULL), or a
 * negative errno and the reason.  That may be from within, and has to happen
 * exactly once, also when the machine ends first.  Its events (qmp_event.h)
 * are sent before done(), as clients are used to.  What is so already, such as
 * a pause of a paused machine, is done and makes no event.
 */
#ifndef CONTROL_QMP_MACHINE_H
#define CONTROL_QMP_MACHINE_H

#include "migrate/migration.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct netdev_limits;
struct qmp_jobs;
struct throttle_limits;

#define QMP_MACHINE_BARS_MAX	7	/* six, and the ROM's */
#define QMP_MACHINE_PAIRS_MAX	16	/* of queues of a card */

/* QEMU's RunState; those which this machine is never in are not used. */
enum qmp_run_state {
	QMP_DEBUG,
	QMP_INMIGRATE,
	QMP_INTERNAL_ERROR,
	QMP_IO_ERROR,
	QMP_PAUSED,
	QMP_POSTMIGRATE,
	QMP_PRELAUNCH,
	QMP_FINISH_MIGRATE,
	QMP_RESTORE_VM,
	QMP_RUNNING,
	QMP_SAVE_VM,
	QMP_SHUTDOWN,
	QMP_SUSPENDED,
	QMP_WATCHDOG,
	QMP_GUEST_PANICKED,
	QMP_COLO,
};

/* What the machine does when its guest does something; set-action's words. */
enum qmp_reboot_action { QMP_REBOOT_RESET, QMP_REBOOT_SHUTDOWN };
enum qmp_shutdown_action { QMP_SHUTDOWN_POWEROFF, QMP_SHUTDOWN_PAUSE };
enum qmp_panic_action {
	QMP_PANIC_PAUSE,
	QMP_PANIC_SHUTDOWN,
	QMP_PANIC_EXIT_FAILURE,
	QMP_PANIC_NONE,
};
enum qmp_watchdog_action {
	QMP_WATCHDOG_RESET,
	QMP_WATCHDOG_SHUTDOWN,
	QMP_WATCHDOG_POWEROFF,
	QMP_WATCHDOG_PAUSE,
	QMP_WATCHDOG_DEBUG,
	QMP_WATCHDOG_NONE,
	QMP_WATCHDOG_INJECT_NMI,
};

/* NULL leaves an action as it is. */
struct qmp_machine_actions {
	const enum qmp_reboot_action *reboot;
	const enum qmp_shutdown_action *shutdown;
	const enum qmp_panic_action *panic;
	const enum qmp_watchdog_action *watchdog;
};

struct qmp_machine_cpu {
	int thread_id;			/* of the kernel */
	uint32_t socket_id, core_id, smt_id;

	/* Since the last reset, to the monitor, by what the guest did. */
	struct qmp_machine_exits {
		uint64_t pio, mmio, signal, other;
	} exits;
};

/* One that tells the guest what its processors are and can do. */
struct qmp_machine_register {
	const char *name;
	uint64_t value;
};

#define QMP_MACHINE_REGISTERS_MAX	32

struct qmp_machine_iothread {
	const char *id;
	int thread_id;
};

struct qmp_machine_chardev {
	const char *label;
	const char *filename;		/* "stdio", "pty:/dev/pts/3" */
	bool open;			/* does the guest's side use it? */
};

struct qmp_machine_disk {
	const char *id;
	const char *device;		/* that the guest sees it by; NULL: none */
	const char *path, *format;
	uint64_t size, allocated;	/* bytes; of the medium and on the host */
	bool read_only;
	bool writeback, direct, no_flush;	/* its cache */
	const char *engine;		/* what does its I/O; NULL: not told */
	const struct throttle_limits *limits;	/* NULL: none */
	const char *group;		/* that shares them */
	int stopped_by;			/* the failure for which the VM is stopped, or 0 */

	/* Since the start: of each, how many, bytes and nanoseconds spent. */
	struct qmp_machine_io {
		uint64_t nr, bytes, ns, nr_failed;
	} read, write, flush, unmap;
};

/* Which other files an image may name: those in its folder, any, none. */
enum qmp_backing { QMP_BACKING_FOLDER, QMP_BACKING_ON, QMP_BACKING_OFF };

/* What is done when the host fails a guest's request. */
enum qmp_on_error {
	QMP_ON_ERROR_AUTO,		/* as the machine likes */
	QMP_ON_ERROR_REPORT,
	QMP_ON_ERROR_IGNORE,
	QMP_ON_ERROR_ENOSPC,
	QMP_ON_ERROR_STOP,
};

/* A disk to be opened. */
struct qmp_machine_new_disk {
	const char *id, *path;
	const char *format;		/* NULL: by the file's name */
	bool read_only;
	bool direct, no_flush;		/* at most one of them */
	const char *overlay;		/* file that takes the writes, "temporary", or NULL */
	enum qmp_backing backing;
	uint64_t l2_cache;		/* bytes; 0: a default */
	const struct throttle_limits *limits;
	const char *group;		/* that shares them; NULL: nobody */
};

/*
 * A tap to be opened, by its name or as a descriptor, or a new one in a bridge; or
 * user-mode networking, another VM at a socket, or nothing.
 */
struct qmp_machine_new_net {
	const char *id;
	const char *tap;		/* its name */
	const char *const *fds;		/* names that getfd gave to descriptors */
	unsigned nr_fds;		/* QMP_MACHINE_PAIRS_MAX at most */
	const char *bridge;		/* that it is to be a port of; or NULL */
	const char *dump;		/* file for what passes; or NULL */
	uint32_t queues;		/* pairs of them; 0: as the machine likes */
	bool user;
	const char *hostfwd;		/* ports for it, with a space between two; or NULL */
	const char *socket;		/* its path; or NULL */
	bool listen;			/* at the socket, rather than connect */
	bool none;
	bool vhost;			/* the kernel moves the packets, where it can */
};

/* A device to be made of a disk or net. */
struct qmp_machine_new_device {
	const char *id;
	bool net;
	const char *back_end;
	int slot;			/* -1: any */
	struct qmp_machine_disk_use {
		const char *serial;	/* or NULL */
		uint32_t queues;	/* 0: a default */
		uint32_t block_size;	/* bytes; 0: as the disk has it */
		bool write_through;
		enum qmp_on_error rerror, werror;
	} disk;				/* of a disk */
	const uint8_t *mac;		/* of a net, or NULL */
	uint16_t mtu;			/* of a net; 0: none is told */
};

/* The guest's cards are to be announced so often, at growing intervals. */
struct qmp_machine_announcement {
	uint64_t initial_ms, step_ms, max_ms;
	uint32_t rounds;		/* at least one */
};

struct qmp_machine_function {
	unsigned bus, slot, function;
	uint16_t class, vendor, device, subsystem_vendor, subsystem;
	unsigned irq_pin;		/* 0: none */
	const char *id;			/* NULL: none */
	unsigned nr_bars;
	struct qmp_machine_bar {
		unsigned bar;
		bool io, prefetch, is_64;
		uint64_t at, size;	/* at: UINT64_MAX while it is not decoded */
	} bars[QMP_MACHINE_BARS_MAX];
};

/* A queue of a device, and what it has done since the last reset. */
struct qmp_machine_queue {
	unsigned slot;			/* of the device's function */
	const char *driver;		/* "virtio-net" */
	const char *device, *back_end;	/* ids, or NULL */
	unsigned queue;
	uint64_t kicks, interrupts, requests;
	bool has_packets;		/* of a network card */
	uint64_t packets, bytes, drops;
	bool vhost;			/* the kernel serves it: what it does is not counted */
};

/* Bytes of the host's memory; PSS: shared ones count in part. */
struct qmp_machine_memory {
	uint64_t guest_rss, guest_pss;
	uint64_t monitor_rss, monitor_pss;
};

/* One that the kernel keeps of the VM or of a vCPU, in QEMU's words. */
struct qmp_machine_stat {
	const char *name;
	const char *type;		/* "cumulative" */
	const char *unit;		/* NULL: none; "boolean" */
	unsigned base;			/* a value counts base^exponent units */
	int exponent;
	uint32_t bucket_size;		/* of a linear histogram */
	unsigned nr_values;
	const uint64_t *values;
};

/* A snapshot to be taken, as migrate/snapshot_save.h has it; and what came of it. */
struct qmp_machine_snapshot {
	const char *path;		/* absolute */
	bool replace, diff, track, keep_paused;
};

struct qmp_machine_snapshot_result {
	uint64_t pages;			/* written, of 4 KiB */
	uint64_t paused_ns;
	uint64_t done, total;		/* as snapshot_progress() has them */
};

typedef void qmp_machine_snapshot_done(void *arg,
				       const struct qmp_machine_snapshot_result *result,
				       int res, const struct err *err);

typedef void qmp_machine_done(void *arg, int res, const struct err *err);
typedef void qmp_machine_op(void *ctx, qmp_machine_done *done, void *arg);

struct qmp_machine_ops {
	const char *(*name)(void *ctx);		/* NULL: it has none */
	const char *(*uuid)(void *ctx);		/* NULL: it has none */
	enum qmp_run_state (*status)(void *ctx);

	qmp_machine_op *pause;
	qmp_machine_op *resume;
	qmp_machine_op *reset;
	qmp_machine_op *power_button;
	qmp_machine_op *nmi;			/* to every vCPU */

	/* SHUTDOWN at once; the end of the process later, from the loop. */
	qmp_machine_op *quit;

	void (*snapshot)(void *ctx, const struct qmp_machine_snapshot *snapshot,
			 qmp_machine_snapshot_done *done, void *arg);
	void (*call_off_snapshot)(void *ctx);	/* that is being taken; done() comes soon */

	/* How much of one that is being taken is done, of how much; 0 and 0: there is none. */
	void (*snapshot_progress)(void *ctx, uint64_t *ret_done, uint64_t *ret_total);

	/*
	 * Moving the VM (migrate/outgoing.h, migrate/incoming.h): to, or with resume where
	 * it is to be asked for, uri; and what is to be so from now on.
	 */
	int (*migrate)(void *ctx, const char *uri, bool resume, struct err *err);
	int (*migrate_cancel)(void *ctx, struct err *err);
	int (*migrate_postcopy)(void *ctx, struct err *err);
	int (*migrate_take_back)(void *ctx, struct err *err);
	int (*migrate_incoming)(void *ctx, const char *uri, struct err *err);
	const struct migration_parameters *(*migration_parameters)(void *ctx);
	int (*set_migration_parameters)(void *ctx, const struct migration_parameters *parameters,
					struct err *err);
	struct migration_info (*migration)(void *ctx);
	const char *(*migration_address)(void *ctx);	/* that it waits at; or NULL */
	int (*check_movable)(void *ctx, struct err *err);	/* or why it cannot be moved now */

	/* All of them, or a negative errno and none. */
	int (*set_actions)(void *ctx, const struct qmp_machine_actions *actions,
			   struct err *err);

	/* The i-th disk, which is there, to so many bytes. */
	int (*resize_disk)(void *ctx, unsigned i, uint64_t size, struct err *err);

	/* Limits of the i-th disk, which is there, and its group; NULL: as it is. */
	int (*throttle_disk)(void *ctx, unsigned i, const struct throttle_limits *limits,
			     const char *group, struct err *err);

	/*
	 * Hot plug.  0, -ENOENT where nothing has the id (of plug(): the back end's),
	 * -EEXIST where it is taken, of unplug() -EALREADY while the guest is asked;
	 * or another negative errno and the reason.  That the guest lets go of a
	 * device, or refuses to, is told by an event.
	 */
	int (*add_disk)(void *ctx, const struct qmp_machine_new_disk *disk, struct err *err);
	int (*remove_disk)(void *ctx, const char *id, struct err *err);
	int (*add_net)(void *ctx, const struct qmp_machine_new_net *net, struct err *err);
	int (*remove_net)(void *ctx, const char *id, struct err *err);
	int (*plug)(void *ctx, const struct qmp_machine_new_device *device, struct err *err);
	int (*unplug)(void *ctx, const char *id, struct err *err);
	int (*set_link)(void *ctx, const char *name, bool up, struct err *err);

	int (*limit_net)(void *ctx, const char *name, const struct netdev_limits *limits,
			 struct err *err);
	void (*announce)(void *ctx, const struct qmp_machine_announcement *announcement);

	uint64_t (*memory)(void *ctx);		/* bytes of RAM */

	/* Fill in the i-th; false when there are fewer.  What is not set is zero. */
	bool (*cpu)(void *ctx, unsigned i, struct qmp_machine_cpu *ret_cpu);
	bool (*iothread)(void *ctx, unsigned i, struct qmp_machine_iothread *ret_thread);
	bool (*chardev)(void *ctx, unsigned i, struct qmp_machine_chardev *ret_chardev);
	bool (*disk)(void *ctx, unsigned i, struct qmp_machine_disk *ret_disk);
	bool (*function)(void *ctx, unsigned i, struct qmp_machine_function *ret_function);
	bool (*queue)(void *ctx, unsigned i, struct qmp_machine_queue *ret_queue);

	/* How many there are, which may be none. */
	unsigned (*registers)(void *ctx, struct qmp_machine_register
			      ret_registers[QMP_MACHINE_REGISTERS_MAX]);
	int (*memory_use)(void *ctx, struct qmp_machine_memory *ret_use, struct err *err);

	/*
	 * Take down the kernel's statistics of a vCPU, or of the VM (-1): how many
	 * there are, or a negative errno.  stat() then tells the i-th of them.
	 */
	int (*read_stats)(void *ctx, int vcpu, struct err *err);
	void (*stat)(void *ctx, unsigned i, struct qmp_machine_stat *ret_stat);
};

struct qmp_machine {
	const struct qmp_machine_ops *ops;
	void *ctx;
	struct qmp_jobs *jobs;
};

#endif
