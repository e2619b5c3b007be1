// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_blockdev.c - disks are opened, for device_add to make devices of, and closed.
 *
 * QEMU stacks nodes: a format above a protocol.  Here a disk is one node, which is
 * described either way: the format with its file, or the file alone.  The driver
 * x-vmm-by-name has the format that the ending of the file's name tells.
 */
#include "base/bits.h"
#include "base/err.h"
#include "block/throttle.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "machine/vm_config.h"
#include "qmp_identifier.h"
#include "qmp_tables.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define NODE_NAME_MAX	31	/* bytes, QEMU's limit */
#define L2_CACHE_MAX	(1 * GiB)

/* Formats first, then what is below one. */
enum driver {
	DRIVER_RAW,
	DRIVER_QCOW2,
	DRIVER_VMDK,
	DRIVER_BY_NAME,
	DRIVER_FILE,
	DRIVER_HOST_DEVICE,
};

static const char *const drivers[] = {
	[DRIVER_RAW] = "raw",
	[DRIVER_QCOW2] = "qcow2",
	[DRIVER_VMDK] = "vmdk",
	[DRIVER_BY_NAME] = "x-vmm-by-name",
	[DRIVER_FILE] = "file",
	[DRIVER_HOST_DEVICE] = "host_device",
	NULL,
};
static const char *const protocols[] = { "file", "host_device", NULL };

struct file_arguments {
	struct option_given given;
	unsigned driver;
	char *filename;
};

static const struct option file_rows[] = {
	{ .key = "driver", OPTION_CHOICE(struct file_arguments, driver, protocols),
	  .required = true },
	{ .key = "filename", OPTION(struct file_arguments, filename), .required = true },
};
static const struct option_object file_options = {
	.name = "file", OPTION_OBJECT(struct file_arguments, file_rows),
};

struct cache_arguments {
	struct option_given given;
	bool direct;
	bool no_flush;
};

static const struct option cache_rows[] = {
	{ .key = "direct", OPTION(struct cache_arguments, direct) },
	{ .key = "no-flush", OPTION(struct cache_arguments, no_flush) },
};
static const struct option_object cache_options = {
	.name = "cache", OPTION_OBJECT(struct cache_arguments, cache_rows),
};

struct limits_arguments {
	struct option_given given;
	struct throttle_limits limits;
	char *group;
};

#define LIMIT(key_, kind)								\
	{ .key = (key_), OPTION(struct limits_arguments, limits.of[kind].avg) },	\
	{ .key = key_ "-max", OPTION(struct limits_arguments, limits.of[kind].max) },	\
	{ .key = key_ "-max-length",							\
	  OPTION(struct limits_arguments, limits.of[kind].length) }

static const struct option limits_rows[] = {
	LIMIT("bps", THROTTLE_BPS),
	LIMIT("bps-rd", THROTTLE_BPS_RD),
	LIMIT("bps-wr", THROTTLE_BPS_WR),
	LIMIT("iops", THROTTLE_IOPS),
	LIMIT("iops-rd", THROTTLE_IOPS_RD),
	LIMIT("iops-wr", THROTTLE_IOPS_WR),
	{ .key = "iops-size", OPTION(struct limits_arguments, limits.iops_size) },
	{ .key = "group", OPTION(struct limits_arguments, group), .max = VM_CONFIG_NAME_MAX },
};
static const struct option_object limits_options = {
	.name = "limits", OPTION_OBJECT(struct limits_arguments, limits_rows),
};

struct add_arguments {
	struct option_given given;
	enum driver driver;
	char *node_name;
	bool read_only;
	struct cache_arguments cache;
	struct file_arguments file;
	char *filename;
	uint64_t l2_cache;
	char *overlay;
	enum qmp_backing backing;
	struct limits_arguments limits;
};

static const char *const backings[] = {
	[QMP_BACKING_FOLDER] = "folder",
	[QMP_BACKING_ON] = "on",
	[QMP_BACKING_OFF] = "off",
	NULL,
};

static const struct option add_rows[] = {
	{ .key = "driver", OPTION_CHOICE(struct add_arguments, driver, drivers),
	  .required = true },
	{ .key = "node-name", OPTION(struct add_arguments, node_name) },
	{ .key = "read-only", OPTION(struct add_arguments, read_only) },
	{ .key = "cache", OPTION_GROUP(struct add_arguments, cache, cache_options) },
	{ .key = "file", OPTION_GROUP(struct add_arguments, file, file_options) },
	{ .key = "filename", OPTION(struct add_arguments, filename) },
	{ .key = "l2-cache-size", OPTION_SIZE(struct add_arguments, l2_cache),
	  .max = L2_CACHE_MAX },
	{ .key = "x-vmm-overlay", OPTION_PATH(struct add_arguments, overlay) },
	{ .key = "x-vmm-backing", OPTION_CHOICE(struct add_arguments, backing, backings) },
	{ .key = "x-vmm-limits", OPTION_GROUP(struct add_arguments, limits, limits_options) },
};
static const struct option_object add_options = {
	.name = "blockdev", OPTION_OBJECT(struct add_arguments, add_rows),
};

static const char *format_of(enum driver driver)
{
	if (driver == DRIVER_BY_NAME)
		return NULL;
	return drivers[driver < DRIVER_FILE ? driver : DRIVER_RAW];
}

/* Of file and filename the driver has one and does not know the other. */
static int find_path(const struct add_arguments *arguments, const char **ret_path,
		     struct err *err)
{
	bool file = option_given(&add_options, arguments, &arguments->file);
	bool layered = arguments->driver < DRIVER_FILE;

	*ret_path = layered ? arguments->file.filename : arguments->filename;
	if (layered ? !file : !arguments->filename)
		return err_set(err, -EINVAL, "Parameter '%s' is missing",
			       layered ? "file" : "filename");
	if (layered ? arguments->filename != NULL : file)
		return err_set(err, -EINVAL, "Parameter '%s' is unexpected",
			       layered ? "filename" : "file");
	return 0;
}

static int check_node_name(const char *name, struct err *err)
{
	if (!name)
		return err_set(err, -EINVAL,
			       "'node-name' must be specified for the root node");
	if (!qmp_identifier_valid(name))
		return err_set(err, -EINVAL, "Invalid node-name: '%.64s'", name);
	if (strlen(name) > NODE_NAME_MAX)
		return err_set(err, -EINVAL, "Node name too long");
	return 0;
}

static int add(struct qmp_call *call, struct err *err)
{
	const struct add_arguments *arguments = call->arguments;
	struct qmp_machine_new_disk disk = {
		.id = arguments->node_name,
		.format = format_of(arguments->driver),
		.read_only = arguments->read_only,
		.direct = arguments->cache.direct,
		.no_flush = arguments->cache.no_flush,
		.overlay = arguments->overlay,
		.backing = arguments->backing,
		.l2_cache = arguments->l2_cache,
		.limits = &arguments->limits.limits,
		.group = arguments->limits.group,
	};
	int r = find_path(arguments, &disk.path, err);

	if (!r)
		r = check_node_name(disk.id, err);
	if (!r)
		r = throttle_check(disk.limits, err);
	if (r < 0)
		return r;
	if (disk.direct && disk.no_flush)
		return err_set(err, -ENOTSUP, "of cache.direct and cache.no-flush only one can "
			       "be true");
	if (disk.overlay && disk.read_only)
		return err_set(err, -EINVAL, "x-vmm-overlay is for writes, which read-only "
			       "forbids");
	r = call->machine->ops->add_disk(call->machine->ctx, &disk, err);
	if (r == -EEXIST)
		return err_set(err, r, "Duplicate nodes with node-name='%s'", disk.id);
	return r;
}

static void run_add(struct qmp_call *call)
{
	struct err err = { 0 };

	qmp_call_over(call, add(call, &err), &err);
}

struct del_arguments {
	struct option_given given;
	char *node_name;
};

static const struct option del_rows[] = {
	{ .key = "node-name", OPTION(struct del_arguments, node_name), .required = true },
};
static const struct option_object del_options = {
	.name = "blockdev", OPTION_OBJECT(struct del_arguments, del_rows),
};

static void run_del(struct qmp_call *call)
{
	const struct del_arguments *arguments = call->arguments;
	struct err err = { 0 };
	int r = call->machine->ops->remove_disk(call->machine->ctx, arguments->node_name, &err);

	if (r == -ENOENT)
		qmp_call_fail(call, QMP_GENERIC_ERROR,
			      "Failed to find node with node-name='%.64s'",
			      arguments->node_name);
	else
		qmp_call_over(call, r, &err);
}

static const struct qmp_command commands[] = {
	{ .name = "blockdev-add", .arguments = &add_options, .run = run_add },
	{ .name = "blockdev-del", .arguments = &del_options, .run = run_del },
};

const struct qmp_table qmp_tables_blockdev = { QMP_COMMANDS(commands) };
