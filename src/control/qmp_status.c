// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_status.c - who the VM is and how it is.
 */
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "qmp_build.h"
#include "qmp_tables.h"

#include <stddef.h>

/* Of a VM that was given none. */
#define NO_UUID	"00000000-0000-0000-0000-000000000000"

static const char *const run_states[] = {
	[QMP_DEBUG] = "debug",
	[QMP_INMIGRATE] = "inmigrate",
	[QMP_INTERNAL_ERROR] = "internal-error",
	[QMP_IO_ERROR] = "io-error",
	[QMP_PAUSED] = "paused",
	[QMP_POSTMIGRATE] = "postmigrate",
	[QMP_PRELAUNCH] = "prelaunch",
	[QMP_FINISH_MIGRATE] = "finish-migrate",
	[QMP_RESTORE_VM] = "restore-vm",
	[QMP_RUNNING] = "running",
	[QMP_SAVE_VM] = "save-vm",
	[QMP_SHUTDOWN] = "shutdown",
	[QMP_SUSPENDED] = "suspended",
	[QMP_WATCHDOG] = "watchdog",
	[QMP_GUEST_PANICKED] = "guest-panicked",
	[QMP_COLO] = "colo",
	NULL,
};
static const struct qmp_type run_state = { .kind = QMP_ENUM, .values = run_states };

static const struct qmp_member status_members[] = {
	{ .name = "running", .type = &qmp_type_bool },
	{ .name = "singlestep", .type = &qmp_type_bool },
	{ .name = "status", .type = &run_state },
};
static const struct qmp_type status_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(status_members),
};

/* singlestep is about interpreters of guest code; clients before 9.0 want it. */
static void run_status(struct qmp_call *call)
{
	enum qmp_run_state state = call->machine->ops->status(call->machine->ctx);

	qmp_call_return(call, json_pack("{s:b, s:b, s:s}", "running", state == QMP_RUNNING,
					"singlestep", false, "status", run_states[state]));
}

static const struct qmp_member name_members[] = {
	{ .name = "name", .type = &qmp_type_str, .optional = true },
};
static const struct qmp_type name_info = { .kind = QMP_OBJECT, QMP_MEMBERS(name_members) };

static void run_name(struct qmp_call *call)
{
	json_t *info = json_object();

	qmp_build_text(&info, "name", call->machine->ops->name(call->machine->ctx));
	qmp_call_return(call, info);
}

static const struct qmp_member uuid_members[] = {
	{ .name = "UUID", .type = &qmp_type_str },
};
static const struct qmp_type uuid_info = { .kind = QMP_OBJECT, QMP_MEMBERS(uuid_members) };

static void run_uuid(struct qmp_call *call)
{
	const char *uuid = call->machine->ops->uuid(call->machine->ctx);

	qmp_call_return(call, json_pack("{s:s}", "UUID", uuid ? uuid : NO_UUID));
}

static const struct qmp_command commands[] = {
	{ .name = "query-status", .returns = &status_info, .run = run_status },
	{ .name = "query-name", .returns = &name_info, .run = run_name },
	{ .name = "query-uuid", .returns = &uuid_info, .run = run_uuid },
};

const struct qmp_table qmp_tables_status = { QMP_COMMANDS(commands) };
