// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_block_change.c - disks that change while they are in use.
 */
#include "base/err.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "qmp_tables.h"

#include <stddef.h>
#include <string.h>

/* Each disk is one node, which has the disk's name. */
static bool find_disk(struct qmp_call *call, const char *device, const char *node,
		      unsigned *ret_i)
{
	const struct qmp_machine *machine = call->machine;
	const char *name = device ? device : node;
	struct qmp_machine_disk disk = { 0 };

	for (unsigned i = 0; name && machine->ops->disk(machine->ctx, i, &disk); i++) {
		if (strcmp(disk.id, name))
			continue;
		*ret_i = i;
		return true;
	}
	qmp_call_fail(call, QMP_GENERIC_ERROR, "Cannot find device='%s' nor node-name='%s'",
		      device ? device : "", node ? node : "");
	return false;
}

/* block_resize. */

struct resize_arguments {
	struct option_given given;
	char *device, *node_name;
	uint64_t size;
};

static const struct option resize_rows[] = {
	{ .key = "device", OPTION(struct resize_arguments, device) },
	{ .key = "node-name", OPTION(struct resize_arguments, node_name) },
	{ .key = "size", OPTION(struct resize_arguments, size), .max = INT64_MAX,
	  .required = true },
};

static const struct option_object resize_options = {
	.name = "resize", OPTION_OBJECT(struct resize_arguments, resize_rows),
};

static void run_resize(struct qmp_call *call)
{
	const struct resize_arguments *arguments = call->arguments;
	const struct qmp_machine *machine = call->machine;
	struct err err = { 0 };
	unsigned i;

	if (!find_disk(call, arguments->device, arguments->node_name, &i))
		return;
	if (machine->ops->resize_disk(machine->ctx, i, arguments->size, &err) < 0)
		qmp_call_fail(call, QMP_GENERIC_ERROR, "%s", err.text);
	else
		qmp_call_done(call);
}

static const struct qmp_command commands[] = {
	{ .name = "block_resize", .arguments = &resize_options, .run = run_resize },
};

const struct qmp_table qmp_tables_block_change = { QMP_COMMANDS(commands) };
