/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_job.h - work that goes on after its command was answered, as QEMU's clients know it.
 *
 *	begin() --> created --> running --end(0)--> waiting --> pending --> concluded
 *	                           |                                         |    |
 *	                           +--end(r < 0)--> aborting ----------------+    +--> job-dismiss
 *
 * Event JOB_STATUS_CHANGE tells each of these.  What has concluded is listed, with the reason
 * where it failed, until a client dismisses it.  The only such work is a snapshot, so job-cancel
 * calls that off.
 *
 * The thread of the server's loop.
 */
#ifndef CONTROL_QMP_JOB_H
#define CONTROL_QMP_JOB_H

#include <jansson.h>

struct err;
struct qmp_event;
struct qmp_job;
struct qmp_machine;
struct qmp_machine_snapshot_result;

/* Those of a machine; filled in by its owner, but for first. */
struct qmp_jobs {
	void (*event)(void *ctx, const struct qmp_event *event, json_t *data);	/* takes data */
	void *ctx;
	struct qmp_job *first;		/* the newest one */
};

/* When none runs any more. */
void qmp_jobs_fini(struct qmp_jobs *jobs);

/* -EINVAL: this is no id; -EEXIST.  What it returns is good until qmp_job_end(). */
int qmp_job_begin(struct qmp_job **ret_job, const struct qmp_machine *machine, const char *id,
		  struct err *err);

/* With what was done; r is 0, or a negative errno with the reason.  result may be NULL then. */
void qmp_job_end(struct qmp_job *job, const struct qmp_machine_snapshot_result *result, int r,
		 const struct err *err);

#endif
