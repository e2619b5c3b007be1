// SPDX-License-Identifier: Apache-2.0
/*
 * restore.c - vmm restore: a VM that goes on where a snapshot was taken.
 *
 * The snapshot says what the VM is; options say what is different here.
 */
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "base/log.h"
#include "cli/command.h"
#include "config/cmdline.h"
#include "machine/vm_config.h"
#include "migrate/snapshot.h"
#include "migrate/working_set.h"
#include "restore.h"
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX	86400

struct restore {
	struct option_given given;
	char *name;
	bool paused;
	struct vm_disk_config *disk;
	uint32_t nr_disk;
	struct vm_net_config *net;
	uint32_t nr_net;
	bool new_mac;
	struct vm_vsock_config *vsock;
	uint32_t nr_vsock;
	struct vm_qmp_config *qmp;
	uint32_t nr_qmp;
	char *serial;
	unsigned clock;			/* of clocks[] */
	bool force;
	bool prefetch;
	uint32_t record;		/* seconds */
	unsigned log;
	char *log_file;
	bool detach;
	bool daemon;
	bool help;
};

/* The second is that of the host. */
static const char *const clocks[] = { "saved", "host", NULL };

static const struct option rows[] = {
	{ .key = "name", .letter = 'N', OPTION(struct restore, name), .max = VM_CONFIG_NAME_MAX,
	  .help = "name of the VM; by default what it was" },
	{ .key = "paused", OPTION(struct restore, paused),
	  .help = "wait until QMP says 'cont'" },
	{ .key = "disk", .letter = 'd', OPTION_LIST(struct restore, disk, nr_disk,
						    vm_config_disk_options),
	  .help = "another image, with the content of that time, for the disk of this id" },
	{ .key = "net", .letter = 'n', OPTION_LIST(struct restore, net, nr_net,
						   vm_config_net_options),
	  .help = "another back end for the card of this id, and another address with mac=" },
	{ .key = "new-mac", OPTION(struct restore, new_mac),
	  .help = "give each card a new address, made up by chance, unless mac= says which" },
	{ .key = "vsock", OPTION_LIST(struct restore, vsock, nr_vsock, vm_config_vsock_options),
	  .max = 1, .help = "another socket" },
	{ .key = "qmp", OPTION_LIST(struct restore, qmp, nr_qmp, vm_config_qmp_options),
	  .max = VM_CONFIG_QMP_MAX, .help = "speak QMP on a further Unix socket" },
	{ .key = "serial", OPTION(struct restore, serial), .metavar = "WHERE",
	  .help = "where the serial console leads to, as for 'vmm run'" },
	{ .key = "clock", OPTION_CHOICE(struct restore, clock, clocks), .preset = "saved",
	  .help = "where the guest's clocks go on: where they stopped, or as the host's have "
		  "gone on meanwhile" },
	{ .key = "force", OPTION(struct restore, force),
	  .help = "go on with disks that were written since, whatever the guest makes of it" },
	{ .key = "record", OPTION(struct restore, record), .metavar = "SECONDS", .max = RECORD_MAX,
	  .help = "note in DIR what memory the guest uses in its first seconds" },
	{ .key = "prefetch", OPTION(struct restore, prefetch),
	  .help = "read that ahead, in the background" },
	{ .key = "log", OPTION_CHOICE(struct restore, log, vm_config_log_levels),
	  .preset = "warning", .help = "how much to say on standard error" },
	{ .key = "log-file", OPTION_PATH(struct restore, log_file), .metavar = "FILE",
	  .help = "once the VM runs, add what there is to say to this file instead" },
	{ .key = "detach", OPTION(struct restore, detach),
	  .help = "go on in the background once the VM runs, and print its name" },
	{ .key = "daemon", OPTION(struct restore, daemon),
	  .help = "be a service: no terminal, and tell systemd what happens" },
	{ .key = "help", .letter = 'h', OPTION(struct restore, help),
	  .help = "print this and exit" },
};

const struct option_object command_restore_options = {
	.name = "restore", OPTION_OBJECT(struct restore, rows),
};

/* Values change places: each struct frees what it then has. */
static void swap(void *a, void *b, size_t len)
{
	char kept[sizeof(struct vm_disk_config) + sizeof(struct vm_net_config)];

	memcpy(kept, a, len);
	memcpy(a, b, len);
	memcpy(b, kept, len);
}

#define SWAP(a, b) swap(&(a), &(b), sizeof(a))

/* What the guest can see of it is as it was. */
static int check_disk(const struct vm_disk_config *disk, struct err *err)
{
	const struct option_object *options = &vm_config_disk_options;
	struct option_given given = disk->given;

	for (uint32_t i = 0; i < options->nr_rows; i++) {
		const char *key = options->rows[i].key;

		if (given.rows & BIT64(i) && strcmp(key, "id") && strcmp(key, "path") &&
		    strcmp(key, "format") && strcmp(key, "overlay"))
			return err_set(err, -EINVAL, "disk '%s': %s is as it was when the "
				       "snapshot was taken; only path, format and overlay can "
				       "be others", disk->id, key);
	}
	return 0;
}

static int replace_disk(struct vm_config *vm, struct vm_disk_config *disk, struct err *err)
{
	for (uint32_t i = 0; i < vm->nr_disk; i++) {
		struct vm_disk_config *old = &vm->disk[i];

		if (!disk->id || strcmp(old->id, disk->id))
			continue;
		SWAP(old->path, disk->path);
		SWAP(old->format, disk->format);
		SWAP(old->overlay, disk->overlay);
		return check_disk(disk, err);
	}
	return disk->id ? err_set(err, -EINVAL, "disk '%s': the snapshot has none of that id",
				  disk->id) :
			  err_set(err, -EINVAL, "disk '%s': say by id= what it stands in for",
				  disk->path);
}

void restore_renew_macs(struct vm_config *vm)
{
	for (uint32_t i = 0; i < vm->nr_net; i++) {
		struct vm_net_config *net = &vm->net[i];

		if (!net->renewed)
			memset(net->mac, 0, sizeof(net->mac));
		net->renewed = true;
	}
}

static int replace_net(struct vm_config *vm, struct vm_net_config *net, struct err *err)
{
	static const uint8_t none[sizeof(net->mac)];

	for (uint32_t i = 0; i < vm->nr_net; i++) {
		struct vm_net_config *old = &vm->net[i];

		if (!net->id || strcmp(old->id, net->id))
			continue;
		if (option_given(&vm_config_net_options, net, &net->mtu))
			return err_set(err, -EINVAL, "net '%s': mtu is as it was when the "
				       "snapshot was taken", net->id);
		if (!memcmp(net->mac, none, sizeof(none)))
			memcpy(net->mac, old->mac, sizeof(net->mac));
		net->renewed = memcmp(net->mac, old->mac, sizeof(net->mac));
		net->mtu = old->mtu;
		if (!net->queues)
			net->queues = old->queues;
		swap(old, net, sizeof(*old));
		return 0;
	}
	return net->id ? err_set(err, -EINVAL, "net '%s': the snapshot has none of that id",
				 net->id) :
			 err_set(err, -EINVAL, "net: say by id= which card it is for");
}

/* As if it had been said to vmm run: what is given counts for more than what is preset. */
static int set_serial(struct vm_config *vm, char *where, struct err *err)
{
	char command[] = "restore", option[] = "--serial";
	char *argv[] = { command, option, where, NULL };
	int rest;

	return where ? cmdline_parse(&vm_config_options, vm, 3, argv, &rest, err) : 0;
}

static int replace(struct vm_config *vm, struct restore *options, struct err *err)
{
	int r = set_serial(vm, options->serial, err);

	for (uint32_t i = 0; i < options->nr_disk && !r; i++)
		r = replace_disk(vm, &options->disk[i], err);
	for (uint32_t i = 0; i < options->nr_net && !r; i++)
		r = replace_net(vm, &options->net[i], err);
	if (options->new_mac)
		restore_renew_macs(vm);
	if (options->nr_vsock) {
		SWAP(vm->vsock, options->vsock);
		SWAP(vm->nr_vsock, options->nr_vsock);
	}
	if (options->name)
		SWAP(vm->name, options->name);
	SWAP(vm->log_file, options->log_file);
	SWAP(vm->qmp, options->qmp);
	SWAP(vm->nr_qmp, options->nr_qmp);
	vm->paused = options->paused;
	vm->log = options->log;
	vm->detach = options->detach;
	vm->daemon = options->daemon;
	return r;
}

/* One that is under way. */
struct going {
	struct snapshot **snapshot;
	const struct restore_how *how;
	struct recorder *recorder;
	struct prefetch *prefetch;
};

static int fill(void *ctx, struct ram *ram, struct err *err)
{
	struct going *going = ctx;
	int r = snapshot_map(*going->snapshot, ram, err);

	if (!r && going->how->record)
		r = recorder_new(&going->recorder, *going->snapshot, ram, going->how->record,
				 err);
	return r;
}

static void over(void *ctx)
{
	struct going *going = ctx;

	if (going->how->prefetch)
		going->prefetch = prefetch_start(*going->snapshot);
	else
		snapshot_close(*going->snapshot);
	*going->snapshot = NULL;
}

static void started(void *ctx, struct machine *machine, struct loop *main)
{
	struct going *going = ctx;

	if (going->recorder)
		recorder_start(going->recorder, machine, main);
}

int restore_run(struct snapshot **snapshot, struct vm_config *vm, const struct restore_how *how)
{
	struct going going = { .snapshot = snapshot, .how = how };
	const struct run_saved saved = {
		.state = snapshot_state(*snapshot),
		.fill = fill,
		.over = over,
		.started = started,
		.ctx = &going,
		.change = { .clock = how->clock, .fork = true },
	};
	int status = run_go(vm, &saved);

	prefetch_stop(going.prefetch);
	recorder_free(going.recorder);
	return status;
}

static int go(struct snapshot **opened, struct restore *options)
{
	const struct restore_how how = {
		.clock = options->clock,
		.prefetch = options->prefetch,
		.record = options->record,
	};
	struct snapshot *snapshot = *opened;
	struct err err = { 0 };
	struct vm_config vm;
	int r = snapshot_config(snapshot, &vm, &err);

	if (r < 0)
		return command_fail("%s", err.text);
	r = replace(&vm, options, &err);
	if (!r)
		r = vm_config_check(&vm, &err);
	if (!r && !options->force)
		r = snapshot_check_disks(snapshot, &vm, &err);
	if (!r)
		return restore_run(opened, &vm, &how);
	option_fini(&vm_config_options, &vm);
	return command_fail("%s", err.text);
}

int command_restore(const struct command *command, int argc, char **argv)
{
	struct restore options;
	struct arguments args;
	struct snapshot *snapshot;
	struct err err = { 0 };
	int status;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	if (snapshot_open(&snapshot, args.words[0], &err) < 0) {
		status = command_fail("%s", err.text);
	} else {
		status = go(&snapshot, &options);
		snapshot_close(snapshot);
	}
	option_fini(&command_restore_options, &options);
	return status;
}
