// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_snapshot.c - x-vmm-snapshot: the VM as a folder.  QEMU has no such command.
 */
#include "base/err.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_job.h"
#include "control/qmp_machine.h"
#include "qmp_tables.h"

#include <stddef.h>

struct snapshot_arguments {
	struct option_given given;
	char *path, *job_id;
	bool replace, diff, track, paused;
};

static const struct option rows[] = {
	{ .key = "path", OPTION_PATH(struct snapshot_arguments, path), .required = true },
	{ .key = "job-id", OPTION(struct snapshot_arguments, job_id) },
	{ .key = "replace", OPTION(struct snapshot_arguments, replace) },
	{ .key = "diff", OPTION(struct snapshot_arguments, diff) },
	{ .key = "track", OPTION(struct snapshot_arguments, track) },
	{ .key = "paused", OPTION(struct snapshot_arguments, paused) },
};

static const struct option_object options = {
	.name = "snapshot", OPTION_OBJECT(struct snapshot_arguments, rows),
};

static const struct qmp_member result_members[] = {
	{ .name = "pages", .type = &qmp_type_int, .optional = true },
	{ .name = "paused-us", .type = &qmp_type_int, .optional = true },
};
static const struct qmp_type result_type = {
	.kind = QMP_OBJECT, QMP_MEMBERS(result_members),
};

static void taken(void *arg, const struct qmp_machine_snapshot_result *result, int res,
		  const struct err *err)
{
	struct qmp_call *call = arg;

	if (res < 0) {
		qmp_call_fail(call, QMP_GENERIC_ERROR, "%s", err->text);
		return;
	}
	qmp_call_return(call, json_pack("{s:I, s:I}", "pages", (json_int_t)result->pages,
					"paused-us", (json_int_t)(result->paused_ns / 1000)));
}

/* The VM goes on as if nothing had been asked for. */
static void left(struct qmp_call *call)
{
	call->machine->ops->call_off_snapshot(call->machine->ctx);
}

static void job_over(void *arg, const struct qmp_machine_snapshot_result *result, int res,
		     const struct err *err)
{
	qmp_job_end(arg, result, res, err);
}

/* Whoever has asked for it need not stay. */
static void begin_job(struct qmp_call *call, const struct qmp_machine_snapshot *snapshot,
		      const char *id)
{
	const struct qmp_machine *machine = call->machine;
	struct err err = { 0 };
	struct qmp_job *job;

	if (qmp_job_begin(&job, machine, id, &err) < 0) {
		qmp_call_fail(call, QMP_GENERIC_ERROR, "%s", err.text);
		return;
	}
	machine->ops->snapshot(machine->ctx, snapshot, job_over, job);
	qmp_call_return(call, json_object());
}

static void run_snapshot(struct qmp_call *call)
{
	const struct snapshot_arguments *arguments = call->arguments;
	const struct qmp_machine_snapshot snapshot = {
		.path = arguments->path,
		.replace = arguments->replace,
		.diff = arguments->diff,
		.track = arguments->track,
		.keep_paused = arguments->paused,
	};

	if (arguments->path[0] != '/') {
		qmp_call_fail(call, QMP_GENERIC_ERROR, "path '%s' has to be absolute: the VM "
			      "does not know your folder", arguments->path);
		return;
	}
	if (arguments->job_id) {
		begin_job(call, &snapshot, arguments->job_id);
		return;
	}
	call->left = left;
	call->machine->ops->snapshot(call->machine->ctx, &snapshot, taken, call);
}

static const struct qmp_command commands[] = {
	{ .name = "x-vmm-snapshot", .arguments = &options, .returns = &result_type,
	  .run = run_snapshot },
};

const struct qmp_table qmp_tables_snapshot = { QMP_COMMANDS(commands) };
