/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_qmp.h - a machine behind the QMP server's interface to one.
 *
 * Main.
 */
#ifndef CLI_MACHINE_QMP_H
#define CLI_MACHINE_QMP_H

#include "base/err.h"
#include "control/qmp_machine.h"
#include "machine/machine.h"

#include <jansson.h>

struct incoming;
struct kvm_stats;
struct outgoing;
struct qmp_event;
struct qmp_server;
struct snapshotter;
struct vm_config;

/* Filled in by its owner; all of it outlives the server. */
struct machine_qmp {
	const struct vm_config *vm;
	struct machine *machine;
	const char *serial;		/* where the console leads to */
	struct qmp_server *server;
	struct kvm_stats *stats;	/* last read */
	struct snapshotter *snapshotter;
	struct outgoing *outgoing;
	struct incoming *incoming;	/* NULL: the machine is none that waits */
	struct migration_parameters migration;
	struct migration_info to_file;	/* of the last that was no move but a snapshot */
	char *tls;			/* migration's */
	void (*arrived)(struct machine_qmp *mq, int r, const struct err *err);
};

extern const struct qmp_machine_ops machine_qmp_ops;

/* Tell the clients what happened to the machine. */
void machine_qmp_event(struct machine_qmp *mq, enum machine_event event,
		       enum machine_cause cause);
void machine_qmp_disk_failed(struct machine_qmp *mq, uint32_t disk,
			     const struct disk_failure *failure);

/* For struct qmp_jobs (control/qmp_job.h); ctx is a struct machine_qmp. */
void machine_qmp_job_event(void *ctx, const struct qmp_event *event, json_t *data);

#endif
