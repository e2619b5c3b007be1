/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_machine.h - a machine that is only described: the QMP commands and what
 * they need, without KVM.
 *
 * It runs or is paused as it is told, says so by events, and has two vCPUs, a
 * disk and so on, all made up.
 */
#ifndef TESTS_CONTROL_FAKE_MACHINE_H
#define TESTS_CONTROL_FAKE_MACHINE_H

#include "block/throttle.h"
#include "control/qmp_job.h"
#include "control/qmp_machine.h"
#include "loop/loop.h"

#include <jansson.h>
#include <stdbool.h>

struct held;
struct qmp_event;
struct qmp_table;

#define FAKE_PARTS_MAX	4

/* A disk or net that was added, and the device made of it. */
struct fake_part {
	bool there, net, link_down;
	char id[32], device[32];	/* device: empty while there is none */
};

struct fake_machine {
	struct qmp_machine machine;	/* for the server; its ctx is this struct */
	struct qmp_jobs jobs;
	struct loop *loop;		/* pausing takes a millisecond; NULL: no time */
	bool paused;
	bool nmi_fails;
	int stats_error;		/* a negative errno: reading statistics fails */
	uint64_t disk_sizes[2];
	struct throttle_limits limits;	/* of the first disk */
	char group[32];			/* empty: it has none */
	bool has_quit;
	struct migration_parameters parameters;
	struct migration_info migration;
	const char *address;		/* that it waits at, or NULL */
	const char *blocked;		/* why it cannot be moved, or NULL */
	int reboot;			/* what set-action said last, or -1 */

	/* Takes data. */
	void (*event)(void *ctx, const struct qmp_event *event, json_t *data);
	void *ctx;

	struct loop_timer timer;	/* of the pause that is under way */
	qmp_machine_done *done;
	void *arg;
	const struct qmp_machine_stat *stats;	/* last read */
	struct fake_part parts[FAKE_PARTS_MAX];
	struct held *held;		/* calls of x-hold */
	qmp_machine_snapshot_done *snapshot_done;	/* of one that is being taken */
	void *snapshot_arg;
};

void fake_machine_init(struct fake_machine *fake);

/* Answers what has no answer yet, as a machine that ends has to. */
void fake_machine_fini(struct fake_machine *fake);

/*
 * qmp_table_all, and commands for tests: x-events sends one of each event,
 * x-hold answers after 50 ms, x-fill returns an array of that many bytes.
 */
extern const struct qmp_table *const fake_machine_tables[];

#endif
