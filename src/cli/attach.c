// SPDX-License-Identifier: Apache-2.0
/*
 * attach.c - vmm attach: disks and network cards for a running VM.
 *
 * What they are is said as for 'vmm run', by the same tables.  Each is a back end
 * and a device, which QMP makes one after the other; if there can be no device, the
 * back end goes again.
 */
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "base/folder.h"
#include "block/disk.h"
#include "block/disk_overlay.h"
#include "block/throttle.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"
#include "machine/vm_config.h"
#include "machine/vm_fds.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_MAX	100	/* for a name; others are fewer at a time */

struct attach {
	struct option_given given;
	struct vm_disk_config *disk;
	uint32_t nr_disk;
	struct vm_net_config *net;
	uint32_t nr_net;
	uint32_t timeout;		/* seconds */
	bool help;
};

static const struct option rows[] = {
	{ .key = "disk", .letter = 'd', OPTION_LIST(struct attach, disk, nr_disk,
						    vm_config_disk_options),
	  .help = "add a disk, as of 'vmm run'" },
	{ .key = "net", .letter = 'n', OPTION_LIST(struct attach, net, nr_net,
						   vm_config_net_options),
	  .help = "add a network card, as of 'vmm run'" },
	{ .key = "timeout", OPTION(struct attach, timeout), .preset = "30",
	  .max = COMMAND_TIMEOUT_MAX, .metavar = "SECONDS",
	  .help = "how long the VM may take to do it" },
	{ .key = "help", .letter = 'h', OPTION(struct attach, help),
	  .help = "print this and exit" },
};

const struct option_object command_attach_options = {
	.name = "attach", OPTION_OBJECT(struct attach, rows),
};

static int not_utf8(struct err *err)
{
	return err_set(err, -EINVAL, "what is no UTF-8 cannot be sent to the VM");
}

/* Takes arguments. */
static int execute(struct client *client, const char *command, json_t *arguments,
		   struct err *err)
{
	if (!arguments)
		return not_utf8(err);
	return client_execute(client, command, arguments, NULL, err);
}

/* Names. */

static void add_name(json_t *names, const json_t *name)
{
	if (json_is_string(name))
		json_object_set_new(names, json_string_value(name), json_true());
}

/* Of disks, whether in use or not, and of devices. */
static int collect_names(struct client *client, json_t *names, struct err *err)
{
	json_t *nodes, *buses, *one, *device;
	size_t i, k;
	int r = client_execute(client, "query-blockstats", json_pack("{s:b}", "query-nodes", 1),
			       &nodes, err);

	if (r < 0)
		return r;
	json_array_foreach(nodes, i, one)
		add_name(names, json_object_get(one, "node-name"));
	json_decref(nodes);
	r = client_execute(client, "query-pci", NULL, &buses, err);
	if (r < 0)
		return r;
	json_array_foreach(buses, i, one)
		json_array_foreach(json_object_get(one, "devices"), k, device)
			add_name(names, json_object_get(device, "qdev_id"));
	json_decref(buses);
	return 0;
}

/* -EEXIST: something has the id already. */
typedef int attach_fn(struct client *client, const void *config, const char *id,
		      struct err *err);

/* Others may take a name before we do, and a back end without a device is in no list. */
static int try_names(struct client *client, const json_t *names, const char *kind,
		     attach_fn *attach, const void *config, struct err *err)
{
	char id[VM_CONFIG_NAME_MAX + 1];
	int r = -EEXIST;

	for (unsigned i = 0, tries = 0; r == -EEXIST && tries < TRIES_MAX; i++) {
		snprintf(id, sizeof(id), "%s%u", kind, i);
		if (json_object_get(names, id))
			continue;
		r = attach(client, config, id, err);
		tries++;
	}
	return r;
}

/* As the one that is wished, else the first that is free of disk0, disk1, ... */
static int attach_as(struct client *client, const char *wish, const char *kind,
		     attach_fn *attach, const void *config, struct err *err)
{
	json_t *names;
	int r;

	if (wish)
		return attach(client, config, wish, err);
	names = json_object();
	r = collect_names(client, names, err);
	if (!r)
		r = try_names(client, names, kind, attach, config, err);
	json_decref(names);
	return r;
}

/* Both end here: with a device of the back end, or without the back end. */
static int finish(struct client *client, const char *id, json_t *device, const char *undo,
		  const char *undo_key, struct err *err)
{
	int r = execute(client, "device_add", device, err);

	if (r < 0)
		(void)client_execute(client, undo, json_pack("{s:s}", undo_key, id), NULL,
				     NULL);
	else
		printf("%s\n", id);
	return r;
}

/* Disks. */

static const char *const backings[] = {
	[DISK_BACKING_FOLDER] = "folder", [DISK_BACKING_ON] = "on", [DISK_BACKING_OFF] = "off",
};
static const char *const on_errors[] = {
	[DISK_ON_ERROR_REPORT] = "report", [DISK_ON_ERROR_STOP] = "stop",
	[DISK_ON_ERROR_IGNORE] = "ignore", [DISK_ON_ERROR_ENOSPC] = "enospc",
};

static void set_number(json_t *object, const char *key, uint64_t number)
{
	if (number)
		json_object_set_new(object, key, json_integer((json_int_t)number));
}

/* Of disks and cards; what is not limited is not said. */
static void set_limit(json_t *object, const char *key, const struct bucket_limit *limit)
{
	char max[16], length[24];

	snprintf(max, sizeof(max), "%s-max", key);
	snprintf(length, sizeof(length), "%s-max-length", key);
	set_number(object, key, limit->avg);
	set_number(object, max, limit->max);
	set_number(object, length, limit->length);
}

static int set_path(json_t *object, const char *key, const char *file, struct err *err)
{
	char path[PATH_MAX];
	int r = folder_absolute(path, file);

	if (r < 0)
		return err_sys(err, r, "cannot tell where '%s' is", file);
	return json_object_set_new(object, key, json_string(path)) < 0 ? not_utf8(err) : 0;
}

static int set_overlay(json_t *node, const char *overlay, struct err *err)
{
	if (strcmp(overlay, DISK_OVERLAY_TEMPORARY))
		return set_path(node, "x-vmm-overlay", overlay, err);
	return json_object_set_new(node, "x-vmm-overlay", json_string(overlay)) < 0 ?
	       not_utf8(err) : 0;
}

static int set_limits(json_t *node, const struct vm_disk_config *disk, struct err *err)
{
	static const char *const keys[] = {
		[THROTTLE_BPS] = "bps", [THROTTLE_BPS_RD] = "bps-rd", [THROTTLE_BPS_WR] = "bps-wr",
		[THROTTLE_IOPS] = "iops", [THROTTLE_IOPS_RD] = "iops-rd",
		[THROTTLE_IOPS_WR] = "iops-wr",
	};
	json_t *limits = json_pack("{s:s*}", "group", disk->group);

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		set_limit(limits, keys[i], &disk->limits.of[i]);
	set_number(limits, "iops-size", disk->limits.iops_size);
	return json_object_set_new(node, "x-vmm-limits", limits) < 0 ? not_utf8(err) : 0;
}

static json_t *node_of(const struct vm_disk_config *disk, const char *id, const char *path)
{
	json_t *node = json_pack(
		"{s:s, s:s, s:b, s:s, s:{s:s, s:s}, s:{s:b, s:b}}",
		"driver", disk->format ? disk->format : "x-vmm-by-name",
		"node-name", id, "read-only", disk->readonly,
		"x-vmm-backing", backings[disk->backing],
		"file", "driver", "file", "filename", path,
		"cache", "direct", disk->cache == DISK_DIRECT,
		"no-flush", disk->cache == DISK_UNSAFE);

	set_number(node, "l2-cache-size", disk->l2_cache);
	return node;
}

static json_t *disk_device(const struct vm_disk_config *disk, const char *id)
{
	json_t *device = json_pack(
		"{s:s, s:s, s:s, s:s*, s:s, s:s, s:s}", "driver", "virtio-blk-pci", "id", id,
		"drive", id, "serial", disk->serial, "rerror", on_errors[disk->read_error],
		"werror", on_errors[disk->write_error],
		"write-cache", disk->cache == DISK_WRITETHROUGH ? "off" : "auto");

	set_number(device, "num-queues", disk->queues);
	set_number(device, "logical_block_size", disk->block_size);
	return device;
}

static int add_node(struct client *client, const struct vm_disk_config *disk, const char *id,
		    const char *path, struct err *err)
{
	json_t *node = node_of(disk, id, path);
	int r = node ? set_limits(node, disk, err) : 0;

	if (!r && node && disk->overlay)
		r = set_overlay(node, disk->overlay, err);
	if (r < 0) {
		json_decref(node);
		return r;
	}
	return execute(client, "blockdev-add", node, err);
}

/* The VM may be in another folder than we are. */
static int attach_disk(struct client *client, const void *config, const char *id,
		       struct err *err)
{
	const struct vm_disk_config *disk = config;
	char *path = realpath(disk->path, NULL);
	int r;

	if (!path)
		return err_sys(err, -errno, "cannot open '%s'", disk->path);
	r = add_node(client, disk, id, path, err);
	free(path);
	if (r < 0)
		return r;
	return finish(client, id, disk_device(disk, id), "blockdev-del", "node-name", err);
}

/* Network cards. */

static json_t *net_device(const struct vm_net_config *net, const char *id)
{
	json_t *device = json_pack("{s:s, s:s, s:s}", "driver", "virtio-net-pci", "id", id,
				   "netdev", id);
	const uint8_t *mac = net->mac;

	if (option_given(&vm_config_net_options, net, &net->mac))
		json_object_set_new(device, "mac",
				    json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
						 mac[2], mac[3], mac[4], mac[5]));
	set_number(device, "host_mtu", net->mtu);
	return device;
}

static json_t *limits_of(const struct vm_net_config *net, const char *id)
{
	const struct {
		const char *key;
		const struct bucket_limit *limit;
	} limits[] = {
		{ "bps-rx", &net->limits.rx_bytes },
		{ "bps-tx", &net->limits.tx_bytes },
		{ "pps-rx", &net->limits.rx_packets },
		{ "pps-tx", &net->limits.tx_packets },
	};
	json_t *object = json_pack("{s:s}", "name", id);

	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		set_limit(object, limits[i].key, limits[i].limit);
	return object;
}

static const char *type_of(const struct vm_net_config *net)
{
	if (net->user)
		return "user";
	if (net->socket)
		return "stream";
	if (net->none)
		return "none";
	return net->bridge && !net->tap ? "bridge" : "tap";
}

/* Descriptors, and what they are called on their way. */
struct passed {
	struct client_fd fds[NETDEV_PAIRS_MAX];
	unsigned nr;
	char list[NETDEV_PAIRS_MAX * CLIENT_FD_NAME_ROOM];	/* with a colon between two */
};

static int give_fds(struct client *client, struct passed *passed, const struct vm_fds *ours,
		    struct err *err)
{
	size_t len = 0;
	int r = 0;

	for (unsigned i = 0; i < ours->nr && !r; i++) {
		struct client_fd *fd = &passed->fds[passed->nr++];

		r = client_give_fd(client, fd, ours->fds[i], err);
		len += (size_t)snprintf(passed->list + len, sizeof(passed->list) - len, "%s%s",
					i ? ":" : "", fd->name);
	}
	return r;
}

static void take_fds_back(struct client *client, const struct passed *passed)
{
	for (unsigned i = 0; i < passed->nr; i++)
		client_take_fd_back(client, &passed->fds[i]);
}

static json_t *netdev_of(const struct vm_net_config *net, const char *id, const char *fds)
{
	json_t *netdev = json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "type", type_of(net), "id",
				   id, "ifname", net->tap, "fds", *fds ? fds : NULL, "br",
				   net->bridge);

	set_number(netdev, "queues", net->queues);
	if (net->hostfwd)
		json_object_set_new(netdev, "hostfwd",
				    json_pack("[{s:s}]", "str", net->hostfwd));
	if (net->vhost)
		json_object_set_new(netdev, "vhost", json_true());
	return netdev;
}

/* The VM may be in another folder than we are. */
static int set_socket(json_t *netdev, const struct vm_net_config *net, struct err *err)
{
	json_t *address = json_pack("{s:s}", "type", "unix");
	int r = set_path(address, "path", net->socket, err);

	json_object_set_new(netdev, "addr", address);
	json_object_set_new(netdev, "server", json_boolean(net->listen));
	return r;
}

static int add_netdev(struct client *client, const struct vm_net_config *net, const char *id,
		      const char *fds, struct err *err)
{
	json_t *netdev = netdev_of(net, id, fds);
	int r = netdev && net->dump ? set_path(netdev, "x-vmm-dump", net->dump, err) : 0;

	if (!r && netdev && net->socket)
		r = set_socket(netdev, net, err);
	if (r < 0) {
		json_decref(netdev);
		return r;
	}
	return execute(client, "netdev_add", netdev, err);
}

static int attach_net(struct client *client, const void *config, const char *id,
		      struct err *err)
{
	const struct vm_net_config *net = config;
	struct passed passed = { .nr = 0 };
	struct vm_fds ours = { .nr = 0 };
	int r = net->fd ? vm_fds_parse(&ours, net->fd, err) : 0;

	if (!r)
		r = give_fds(client, &passed, &ours, err);
	if (!r)
		r = add_netdev(client, net, id, passed.list, err);
	if (r < 0) {
		take_fds_back(client, &passed);
		return r;
	}
	r = execute(client, "x-vmm-net-set-limits", limits_of(net, id), err);
	if (r < 0) {
		(void)client_execute(client, "netdev_del", json_pack("{s:s}", "id", id), NULL,
				     NULL);
		return r;
	}
	return finish(client, id, net_device(net, id), "netdev_del", "id", err);
}

/* All of them. */

static int check(const struct attach *attach, struct err *err)
{
	int r = 0;

	if (!attach->nr_disk && !attach->nr_net)
		return err_set(err, -EINVAL, "attach: what? give --disk or --net");
	for (uint32_t i = 0; i < attach->nr_disk && !r; i++)
		r = vm_config_check_disk(&attach->disk[i], i, err);
	for (uint32_t i = 0; i < attach->nr_net && !r; i++)
		r = vm_config_check_net(&attach->net[i], i, err);
	return r;
}

static int told(int r, const struct err *err)
{
	return r < 0 ? command_fail("%s", err->text) : EXIT_OK;
}

static int attach_all(struct client *client, const struct attach *attach)
{
	int status = EXIT_OK;

	for (uint32_t i = 0; i < attach->nr_disk; i++) {
		const struct vm_disk_config *disk = &attach->disk[i];
		struct err err = { 0 };

		status |= told(attach_as(client, disk->id, "disk", attach_disk, disk, &err), &err);
	}
	for (uint32_t i = 0; i < attach->nr_net; i++) {
		const struct vm_net_config *net = &attach->net[i];
		struct err err = { 0 };

		status |= told(attach_as(client, net->id, "net", attach_net, net, &err), &err);
	}
	return status;
}

int command_attach(const struct command *command, int argc, char **argv)
{
	struct client *client = NULL;
	struct err err = { 0 };
	struct arguments args;
	struct attach attach;
	int r, status;

	if (!arguments_read(&args, command, &attach, argc, argv))
		return args.status;
	r = check(&attach, &err);
	if (!r)
		r = client_open(&client, args.words[0], (int)attach.timeout * 1000, &err);
	status = r < 0 ? command_fail("%s", err.text) : attach_all(client, &attach);
	client_close(client);
	option_fini(command->options, &attach);
	return status;
}
