// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_device.c - devices are plugged in, and asked back.
 */
#include "base/err.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "qmp_identifier.h"
#include "qmp_tables.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_PATH	"/machine/peripheral/"

/* As the option tables of disks allow them. */
#define QUEUES_MAX	64
#define BLOCK_SIZE_MIN	512
#define BLOCK_SIZE_MAX	4096

/* As those of cards do. */
#define MTU_MIN		68
#define MTU_MAX		65535

static const char *const on_errors[] = {
	[QMP_ON_ERROR_AUTO] = "auto",
	[QMP_ON_ERROR_REPORT] = "report",
	[QMP_ON_ERROR_IGNORE] = "ignore",
	[QMP_ON_ERROR_ENOSPC] = "enospc",
	[QMP_ON_ERROR_STOP] = "stop",
	NULL,
};

enum on_off { AUTO, ON, OFF };

static const char *const on_offs[] = { [AUTO] = "auto", [ON] = "on", [OFF] = "off", NULL };

struct add_arguments {
	struct option_given given;
	char *driver;
	char *id;
	char *bus, *addr;
	char *drive, *serial;
	enum qmp_on_error rerror, werror;
	enum on_off write_cache;
	uint32_t queues;
	uint64_t block_size;
	char *netdev;
	uint8_t mac[6];
	uint32_t mtu;
};

static const struct option add_rows[] = {
	{ .key = "driver", OPTION(struct add_arguments, driver), .required = true },
	{ .key = "id", OPTION(struct add_arguments, id) },
	{ .key = "bus", OPTION(struct add_arguments, bus) },
	{ .key = "addr", OPTION(struct add_arguments, addr) },
	{ .key = "drive", OPTION(struct add_arguments, drive) },
	{ .key = "serial", OPTION(struct add_arguments, serial) },
	{ .key = "rerror", OPTION_CHOICE(struct add_arguments, rerror, on_errors) },
	{ .key = "werror", OPTION_CHOICE(struct add_arguments, werror, on_errors) },
	{ .key = "write-cache", OPTION_CHOICE(struct add_arguments, write_cache, on_offs) },
	{ .key = "num-queues", OPTION(struct add_arguments, queues), .min = 1,
	  .max = QUEUES_MAX },
	{ .key = "logical_block_size", OPTION_SIZE(struct add_arguments, block_size),
	  .min = BLOCK_SIZE_MIN, .max = BLOCK_SIZE_MAX },
	{ .key = "netdev", OPTION(struct add_arguments, netdev) },
	{ .key = "mac", OPTION(struct add_arguments, mac) },
	{ .key = "host_mtu", OPTION(struct add_arguments, mtu), .min = MTU_MIN,
	  .max = MTU_MAX },
};
static const struct option_object add_options = {
	.name = "device", OPTION_OBJECT(struct add_arguments, add_rows),
};

static int find_driver(const char *driver, bool *ret_net, struct err *err)
{
	static const struct {
		const char *name;
		bool net;
	} drivers[] = {
		{ "virtio-blk-pci", false },
		{ "virtio-blk", false },
		{ "virtio-net-pci", true },
		{ "virtio-net", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
		if (strcmp(drivers[i].name, driver))
			continue;
		*ret_net = drivers[i].net;
		return 0;
	}
	return err_set(err, -EINVAL, "'%.64s' is not a valid device model name (virtio-blk-pci "
		       "and virtio-net-pci are)", driver);
}

/* A property that belongs to the other driver is one that this driver lacks. */
static int check_properties(const struct add_arguments *arguments, bool net, struct err *err)
{
	const struct {
		const char *name;
		const void *member;
		bool net;
	} properties[] = {
		{ "drive", &arguments->drive, false },
		{ "serial", &arguments->serial, false },
		{ "rerror", &arguments->rerror, false },
		{ "werror", &arguments->werror, false },
		{ "write-cache", &arguments->write_cache, false },
		{ "num-queues", &arguments->queues, false },
		{ "logical_block_size", &arguments->block_size, false },
		{ "netdev", &arguments->netdev, true },
		{ "mac", &arguments->mac, true },
		{ "host_mtu", &arguments->mtu, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(properties); i++)
		if (properties[i].net != net &&
		    option_given(&add_options, arguments, properties[i].member))
			return err_set(err, -EINVAL, "Property '%s.%s' not found",
				       arguments->driver, properties[i].name);
	return 0;
}

/* "5", "0x5", or with the function, which is 0. */
static int read_slot(const char *addr, int *ret_slot, struct err *err)
{
	unsigned long slot;
	char *end;

	*ret_slot = -1;
	if (!addr)
		return 0;
	slot = strtoul(addr, &end, 0);
	if (end == addr || (*end && strcmp(end, ".0")) || slot > 31)
		return err_set(err, -EINVAL, "Property 'addr' doesn't take value '%.64s': use a "
			       "slot from 0 to 31", addr);
	*ret_slot = (int)slot;
	return 0;
}

static int describe(const struct add_arguments *arguments,
		    struct qmp_machine_new_device *device, struct err *err)
{
	int r = find_driver(arguments->driver, &device->net, err);

	if (r < 0)
		return r;
	if (arguments->id && !qmp_identifier_valid(arguments->id))
		return err_set(err, -EINVAL, "Parameter 'id' expects an identifier");
	if (arguments->bus && strcmp(arguments->bus, "pcie.0") &&
	    strcmp(arguments->bus, "pci.0"))
		return err_set(err, -EINVAL, "Bus '%.64s' not found", arguments->bus);
	r = check_properties(arguments, device->net, err);
	if (!r)
		r = read_slot(arguments->addr, &device->slot, err);
	if (r < 0)
		return r;
	device->back_end = device->net ? arguments->netdev : arguments->drive;
	if (!device->back_end)
		return err_set(err, -EINVAL, "Parameter '%s' is missing",
			       device->net ? "netdev" : "drive");
	device->id = arguments->id ? arguments->id : device->back_end;
	device->disk = (struct qmp_machine_disk_use){
		.serial = arguments->serial,
		.queues = arguments->queues,
		.block_size = (uint32_t)arguments->block_size,
		.write_through = arguments->write_cache == OFF,
		.rerror = arguments->rerror,
		.werror = arguments->werror,
	};
	if (option_given(&add_options, arguments, &arguments->mac))
		device->mac = arguments->mac;
	device->mtu = (uint16_t)arguments->mtu;
	return 0;
}

static int add(struct qmp_call *call, struct err *err)
{
	const struct add_arguments *arguments = call->arguments;
	struct qmp_machine_new_device device = { 0 };
	int r = describe(arguments, &device, err);

	if (r < 0)
		return r;
	r = call->machine->ops->plug(call->machine->ctx, &device, err);
	if (r == -EEXIST)
		return err_set(err, r, "Duplicate device ID '%.64s'", device.id);
	if (r == -ENOENT)
		return err_set(err, r, "Property '%s.%s' can't find value '%.64s'",
			       arguments->driver, device.net ? "netdev" : "drive",
			       device.back_end);
	return r;
}

static void run_add(struct qmp_call *call)
{
	struct err err = { 0 };

	qmp_call_over(call, add(call, &err), &err);
}

struct del_arguments {
	struct option_given given;
	char *id;
};

static const struct option del_rows[] = {
	{ .key = "id", OPTION(struct del_arguments, id), .required = true },
};
static const struct option_object del_options = {
	.name = "device", OPTION_OBJECT(struct del_arguments, del_rows),
};

/* A device is named by its id or by its path, which ends in it. */
static const char *id_of(const char *name)
{
	size_t len = strlen(DEVICES_PATH);

	return strncmp(name, DEVICES_PATH, len) ? name : name + len;
}

static void run_del(struct qmp_call *call)
{
	const struct del_arguments *arguments = call->arguments;
	struct err err = { 0 };
	int r = call->machine->ops->unplug(call->machine->ctx, id_of(arguments->id), &err);

	if (r == -ENOENT)
		qmp_call_fail(call, QMP_DEVICE_NOT_FOUND, "Device '%.64s' not found",
			      arguments->id);
	else if (r == -EALREADY)
		qmp_call_fail(call, QMP_GENERIC_ERROR,
			      "Device %.64s is already in the process of unplug",
			      arguments->id);
	else
		qmp_call_over(call, r, &err);
}

static const struct qmp_command commands[] = {
	{ .name = "device_add", .arguments = &add_options, .run = run_add },
	{ .name = "device_del", .arguments = &del_options, .run = run_del },
};

const struct qmp_table qmp_tables_device = { QMP_COMMANDS(commands) };
