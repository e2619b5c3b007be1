// SPDX-License-Identifier: Apache-2.0
#include "control/qmp_job.h"

#include "base/err.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_event.h"
#include "control/qmp_machine.h"
#include "qmp_build.h"
#include "qmp_identifier.h"
#include "qmp_tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* QEMU's JobStatus; paused, ready and standby are not used. */
enum status { UNDEFINED, CREATED, RUNNING, PAUSED, READY, STANDBY, WAITING, PENDING, ABORTING,
	      CONCLUDED, GONE };

static const char *const status_words[] = {
	[UNDEFINED] = "undefined",
	[CREATED] = "created",
	[RUNNING] = "running",
	[PAUSED] = "paused",
	[READY] = "ready",
	[STANDBY] = "standby",
	[WAITING] = "waiting",
	[PENDING] = "pending",
	[ABORTING] = "aborting",
	[CONCLUDED] = "concluded",
	[GONE] = "null",
	NULL
};
static const struct qmp_type status_type = { .kind = QMP_ENUM, .values = status_words };

/* The one of QEMU's JobType that keeps a VM with its memory; clients know no others. */
static const char *const kinds[] = { "snapshot-save", NULL };
static const struct qmp_type kind_type = { .kind = QMP_ENUM, .values = kinds };

struct qmp_job {
	const struct qmp_machine *machine;
	struct qmp_job *next;
	enum status status;
	uint64_t done, total;		/* when it has concluded */
	struct err err;
	char id[];
};

static const struct qmp_member event_members[] = {
	{ .name = "id", .type = &qmp_type_str },
	{ .name = "status", .type = &status_type },
};
static const struct qmp_type event_data = { .kind = QMP_OBJECT, QMP_MEMBERS(event_members) };

const struct qmp_event qmp_event_job_status_change = {
	.name = "JOB_STATUS_CHANGE", .data = &event_data,
};

static void go_to(struct qmp_job *job, enum status status)
{
	const struct qmp_jobs *jobs = job->machine->jobs;

	job->status = status;
	jobs->event(jobs->ctx, &qmp_event_job_status_change,
		    json_pack("{s:s, s:s}", "id", job->id, "status", status_words[status]));
}

static struct qmp_job *find(const struct qmp_jobs *jobs, const char *id)
{
	struct qmp_job *job = jobs->first;

	while (job && strcmp(job->id, id))
		job = job->next;
	return job;
}

void qmp_jobs_fini(struct qmp_jobs *jobs)
{
	struct qmp_job *next;

	for (struct qmp_job *job = jobs->first; job; job = next) {
		next = job->next;
		free(job);
	}
	jobs->first = NULL;
}

int qmp_job_begin(struct qmp_job **ret_job, const struct qmp_machine *machine, const char *id,
		  struct err *err)
{
	struct qmp_job *job;

	if (!qmp_identifier_valid(id))
		return err_set(err, -EINVAL, "Invalid job ID '%.64s'", id);
	if (find(machine->jobs, id))
		return err_set(err, -EEXIST, "Job ID '%.64s' already in use", id);
	job = calloc(1, sizeof(*job) + strlen(id) + 1);
	if (!job)
		return err_sys(err, -ENOMEM, "cannot begin a job");
	job->machine = machine;
	memcpy(job->id, id, strlen(id) + 1);
	job->next = machine->jobs->first;
	machine->jobs->first = job;
	go_to(job, CREATED);
	go_to(job, RUNNING);
	*ret_job = job;
	return 0;
}

static void tell_progress(const struct qmp_job *job, uint64_t *ret_done, uint64_t *ret_total)
{
	*ret_done = job->done;
	*ret_total = job->total;
	if (job->status == RUNNING)
		job->machine->ops->snapshot_progress(job->machine->ctx, ret_done, ret_total);
}

void qmp_job_end(struct qmp_job *job, const struct qmp_machine_snapshot_result *result, int r,
		 const struct err *err)
{
	job->done = result ? result->done : 0;
	job->total = result ? result->total : 0;
	if (r < 0) {
		job->err = *err;
		go_to(job, ABORTING);
	} else {
		go_to(job, WAITING);
		go_to(job, PENDING);
	}
	go_to(job, CONCLUDED);
}

/* What is there. */

static const struct qmp_member info_members[] = {
	{ .name = "id", .type = &qmp_type_str },
	{ .name = "type", .type = &kind_type },
	{ .name = "status", .type = &status_type },
	{ .name = "current-progress", .type = &qmp_type_int },
	{ .name = "total-progress", .type = &qmp_type_int },
	{ .name = "error", .type = &qmp_type_str, .optional = true },
};
static const struct qmp_type info_type = { .kind = QMP_OBJECT, QMP_MEMBERS(info_members) };

static json_t *describe(const struct qmp_job *job)
{
	uint64_t done, total;
	json_t *info;

	tell_progress(job, &done, &total);
	info = json_pack("{s:s, s:s, s:s, s:I, s:I}", "id", job->id, "type", kinds[0],
			 "status", status_words[job->status],
			 "current-progress", (json_int_t)done,
			 "total-progress", (json_int_t)total);
	qmp_build_text(&info, "error", job->err.code ? job->err.text : NULL);
	return info;
}

static void run_query(struct qmp_call *call)
{
	json_t *list = json_array();

	for (const struct qmp_job *job = call->machine->jobs->first; job; job = job->next)
		qmp_build_item(&list, describe(job));
	qmp_call_return(call, list);
}

/* What is to be done with one. */

struct id_arguments {
	struct option_given given;
	char *id;
};

static const struct option id_rows[] = {
	{ .key = "id", OPTION(struct id_arguments, id), .required = true },
};

static const struct option_object id_options = {
	.name = "job", OPTION_OBJECT(struct id_arguments, id_rows),
};

/* The one it is about, in this state; NULL: there is none, which is told. */
static struct qmp_job *job_in(struct qmp_call *call, enum status status, const char *verb)
{
	const struct id_arguments *arguments = call->arguments;
	struct qmp_job *job = find(call->machine->jobs, arguments->id);

	if (!job)
		qmp_call_fail(call, QMP_GENERIC_ERROR, "Job not found");
	else if (job->status != status)
		qmp_call_fail(call, QMP_GENERIC_ERROR,
			      "Job '%s' in state '%s' cannot accept command verb '%s'", job->id,
			      status_words[job->status], verb);
	return job && job->status == status ? job : NULL;
}

static void run_cancel(struct qmp_call *call)
{
	if (!job_in(call, RUNNING, "cancel"))
		return;
	call->machine->ops->call_off_snapshot(call->machine->ctx);
	qmp_call_done(call);
}

static void run_dismiss(struct qmp_call *call)
{
	struct qmp_job *job = job_in(call, CONCLUDED, "dismiss");
	struct qmp_job **at = &call->machine->jobs->first;

	if (!job)
		return;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	go_to(job, GONE);
	free(job);
	qmp_call_done(call);
}

/* No job of ours can do any of these in a state that a client may find it in. */
static void run_never(struct qmp_call *call)
{
	(void)job_in(call, UNDEFINED, strchr(call->command->name, '-') + 1);
}

static const struct qmp_command commands[] = {
	{ .name = "query-jobs", .returns = QMP_ARRAY_OF(&info_type), .run = run_query },
	{ .name = "job-cancel", .arguments = &id_options, .run = run_cancel },
	{ .name = "job-dismiss", .arguments = &id_options, .run = run_dismiss },
	{ .name = "job-pause", .arguments = &id_options, .run = run_never },
	{ .name = "job-resume", .arguments = &id_options, .run = run_never },
	{ .name = "job-complete", .arguments = &id_options, .run = run_never },
	{ .name = "job-finalize", .arguments = &id_options, .run = run_never },
};

static const struct qmp_event *const events[] = { &qmp_event_job_status_change };

const struct qmp_table qmp_tables_jobs = { QMP_COMMANDS(commands), QMP_EVENTS(events) };
