// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_block_change.c - disks that change while they are in use.
 */
#include "base/err.h"
#include "block/throttle.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "machine/vm_config.h"
#include "qmp_tables.h"

#include <errno.h>
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
	int r;

	if (!find_disk(call, arguments->device, arguments->node_name, &i))
		return;
	r = machine->ops->resize_disk(machine->ctx, i, arguments->size, &err);
	qmp_call_over(call, r, &err);
}

/* block_set_io_throttle. */

struct throttle_arguments {
	struct option_given given;
	char *device, *id, *group;
	struct throttle_limits limits;
};

#define LIMIT(key_, kind)								\
	{ .key = (key_), OPTION(struct throttle_arguments, limits.of[kind].avg),	\
	  .required = true },								\
	{ .key = key_ "_max", OPTION(struct throttle_arguments, limits.of[kind].max) },	\
	{ .key = key_ "_max_length", .preset = "1",					\
	  OPTION(struct throttle_arguments, limits.of[kind].length) }

static const struct option throttle_rows[] = {
	{ .key = "device", OPTION(struct throttle_arguments, device) },
	{ .key = "id", OPTION(struct throttle_arguments, id) },
	LIMIT("bps", THROTTLE_BPS),
	LIMIT("bps_rd", THROTTLE_BPS_RD),
	LIMIT("bps_wr", THROTTLE_BPS_WR),
	LIMIT("iops", THROTTLE_IOPS),
	LIMIT("iops_rd", THROTTLE_IOPS_RD),
	LIMIT("iops_wr", THROTTLE_IOPS_WR),
	{ .key = "iops_size", OPTION(struct throttle_arguments, limits.iops_size) },
	{ .key = "group", OPTION(struct throttle_arguments, group), .max = VM_CONFIG_NAME_MAX },
};

static const struct option_object throttle_options = {
	.name = "throttle", OPTION_OBJECT(struct throttle_arguments, throttle_rows),
};

/* By its own name, or by that of the device which is made of it. */
static bool find_drive(struct qmp_call *call, const char *device, const char *id,
		       unsigned *ret_i)
{
	const struct qmp_machine *machine = call->machine;
	struct qmp_machine_disk disk = { 0 };

	if (!device == !id) {
		qmp_call_fail(call, QMP_GENERIC_ERROR,
			      "Need exactly one of 'device' and 'id'");
		return false;
	}
	for (unsigned i = 0; machine->ops->disk(machine->ctx, i, &disk); i++) {
		if (device ? strcmp(disk.id, device) : !disk.device || strcmp(disk.device, id))
			continue;
		*ret_i = i;
		return true;
	}
	qmp_call_fail(call, QMP_DEVICE_NOT_FOUND, "Device '%s' not found",
		      device ? device : id);
	return false;
}

/* A length that is not given is 1 here, so that 0 is one that is. */
static int check_lengths(const struct throttle_limits *limits, struct err *err)
{
	for (unsigned i = 0; i < THROTTLE_NR_KINDS; i++)
		if (!limits->of[i].length)
			return err_set(err, -EINVAL, "the burst length cannot be 0");
	return 0;
}

static void run_throttle(struct qmp_call *call)
{
	const struct throttle_arguments *arguments = call->arguments;
	const struct qmp_machine *machine = call->machine;
	struct err err = { 0 };
	unsigned i;
	int r;

	if (!find_drive(call, arguments->device, arguments->id, &i))
		return;
	r = throttle_check(&arguments->limits, &err);
	if (!r)
		r = check_lengths(&arguments->limits, &err);
	if (!r)
		r = machine->ops->throttle_disk(machine->ctx, i, &arguments->limits,
						arguments->group, &err);
	qmp_call_over(call, r, &err);
}

static const struct qmp_command commands[] = {
	{ .name = "block_set_io_throttle", .arguments = &throttle_options,
	  .run = run_throttle },
	{ .name = "block_resize", .arguments = &resize_options, .run = run_resize },
};

const struct qmp_table qmp_tables_block_change = { QMP_COMMANDS(commands) };
