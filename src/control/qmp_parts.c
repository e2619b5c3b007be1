// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_parts.c - memory, I/O threads and character devices.
 */
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "qmp_build.h"
#include "qmp_tables.h"

#include <stddef.h>

static const struct qmp_member memory_members[] = {
	{ .name = "base-memory", .type = &qmp_type_int },
	{ .name = "plugged-memory", .type = &qmp_type_int, .optional = true },
};
static const struct qmp_type memory_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(memory_members),
};

static void run_memory(struct qmp_call *call)
{
	uint64_t len = call->machine->ops->memory(call->machine->ctx);

	qmp_call_return(call, json_pack("{s:I, s:i}", "base-memory", (json_int_t)len,
					"plugged-memory", 0));
}

static const struct qmp_member iothread_members[] = {
	{ .name = "id", .type = &qmp_type_str },
	{ .name = "thread-id", .type = &qmp_type_int },
	{ .name = "poll-max-ns", .type = &qmp_type_int },
	{ .name = "poll-grow", .type = &qmp_type_int },
	{ .name = "poll-shrink", .type = &qmp_type_int },
	{ .name = "aio-max-batch", .type = &qmp_type_int },
};
static const struct qmp_type iothread_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(iothread_members),
};

/* They sleep when there is nothing to do, so they poll for 0 ns. */
static void run_iothreads(struct qmp_call *call)
{
	const struct qmp_machine *machine = call->machine;
	json_t *list = json_array();

	for (unsigned i = 0;; i++) {
		struct qmp_machine_iothread thread = { 0 };

		if (!machine->ops->iothread(machine->ctx, i, &thread))
			break;
		qmp_build_item(&list, json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "id",
						thread.id, "thread-id", thread.thread_id,
						"poll-max-ns", 0, "poll-grow", 0,
						"poll-shrink", 0, "aio-max-batch", 0));
	}
	qmp_call_return(call, list);
}

static const struct qmp_member chardev_members[] = {
	{ .name = "label", .type = &qmp_type_str },
	{ .name = "filename", .type = &qmp_type_str },
	{ .name = "frontend-open", .type = &qmp_type_bool },
};
static const struct qmp_type chardev_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(chardev_members),
};

static void run_chardevs(struct qmp_call *call)
{
	const struct qmp_machine *machine = call->machine;
	json_t *list = json_array();

	for (unsigned i = 0;; i++) {
		struct qmp_machine_chardev chardev = { 0 };

		if (!machine->ops->chardev(machine->ctx, i, &chardev))
			break;
		qmp_build_item(&list, json_pack("{s:s, s:o, s:b}", "label", chardev.label,
						"filename",
						qmp_build_string(chardev.filename),
						"frontend-open", chardev.open));
	}
	qmp_call_return(call, list);
}

static const struct qmp_command commands[] = {
	{ .name = "query-memory-size-summary", .returns = &memory_info, .run = run_memory },
	{ .name = "query-iothreads", .returns = QMP_ARRAY_OF(&iothread_info),
	  .run = run_iothreads },
	{ .name = "query-chardev", .returns = QMP_ARRAY_OF(&chardev_info),
	  .run = run_chardevs },
};

const struct qmp_table qmp_tables_parts = { QMP_COMMANDS(commands) };
