// SPDX-License-Identifier: Apache-2.0
/*
 * clone.c - vmm clone: VMs that all go on where one was.
 *
 * Their memory is mapped from one snapshot, and what each writes to its disks goes to an
 * overlay of its own; so the snapshot has to be one whose disks nobody writes any more.
 */
#include "arguments.h"
#include "base/err.h"
#include "block/disk_overlay.h"
#include "cli/command.h"
#include "client.h"
#include "machine/vm_config.h"
#include "migrate/snapshot.h"
#include "restore.h"
#include "runtime.h"
#include "snapshot_take.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_MAX	10000
#define TEMPORARY	"/var/tmp/vmm-clone-XXXXXX"

struct clone {
	struct option_given given;
	uint32_t count;
	char *disks;
	bool new_mac;
	bool paused;
	bool help;
};

static const struct option rows[] = {
	{ .key = "count", .letter = 'c', OPTION(struct clone, count), .preset = "1", .min = 1,
	  .max = COUNT_MAX,
	  .help = "how many, called NEW1, NEW2 and so on if there are several" },
	{ .key = "disks", OPTION_PATH(struct clone, disks), .metavar = "FOLDER",
	  .help = "keep what each writes to its disks in this folder, as NAME-ID.qcow2; "
		  "else it is gone when the VM ends" },
	{ .key = "new-mac", OPTION(struct clone, new_mac),
	  .help = "give each card of each clone a new address, made up by chance" },
	{ .key = "paused", OPTION(struct clone, paused),
	  .help = "wait until QMP says 'cont'" },
	{ .key = "help", .letter = 'h', OPTION(struct clone, help),
	  .help = "print this and exit" },
};

const struct option_object command_clone_options = {
	.name = "clone", OPTION_OBJECT(struct clone, rows),
};

static int overlay(struct vm_disk_config *disk, const struct clone *options, const char *name,
		   struct err *err)
{
	if (disk->readonly)
		return 0;
	/* What was written to is the base of what is going to be. */
	if (disk->overlay) {
		free(disk->path);
		disk->path = disk->overlay;
		disk->overlay = NULL;
		free(disk->format);
		disk->format = strdup("qcow2");
		if (!disk->format)
			return err_sys(err, -ENOMEM, "disk '%s'", disk->id);
	}
	if (!options->disks)
		disk->overlay = strdup(DISK_OVERLAY_TEMPORARY);
	else if (asprintf(&disk->overlay, "%s/%s-%s.qcow2", options->disks, name, disk->id) < 0)
		disk->overlay = NULL;
	return disk->overlay ? 0 : err_sys(err, -ENOMEM, "disk '%s'", disk->id);
}

static int own_vsock(struct vm_vsock_config *vsock, const char *name, struct err *err)
{
	char *path;

	if (asprintf(&path, "%s-%s", vsock->path, name) < 0)
		return err_sys(err, -ENOMEM, "vsock");
	free(vsock->path);
	vsock->path = path;
	return 0;
}

/* What each has to have for itself. */
static int make_own(struct vm_config *vm, const struct clone *options, const char *name,
		    struct err *err)
{
	int r = 0;

	free(vm->name);
	vm->name = strdup(name);
	if (!vm->name)
		r = err_sys(err, -ENOMEM, "VM '%s'", name);
	for (uint32_t i = 0; i < vm->nr_disk && !r; i++)
		r = overlay(&vm->disk[i], options, name, err);
	for (uint32_t i = 0; i < vm->nr_vsock && !r; i++)
		r = own_vsock(&vm->vsock[i], name, err);
	if (options->new_mac)
		restore_renew_macs(vm);
	vm->paused = options->paused;
	vm->detach = true;
	return r < 0 ? r : vm_config_check(vm, err);
}

static int start(struct snapshot **snapshot, const struct clone *options, const char *name)
{
	const struct restore_how how = { 0 };
	struct err err = { 0 };
	struct vm_config vm;
	int r = snapshot_config(*snapshot, &vm, &err);

	if (r < 0)
		return command_fail("%s", err.text);
	r = snapshot_check_disks(*snapshot, &vm, &err);
	if (!r)
		r = make_own(&vm, options, name, &err);
	if (!r)
		return restore_run(snapshot, &vm, &how);
	option_fini(&vm_config_options, &vm);
	return command_fail("%s", err.text);
}

/* Until one cannot be started; those that run are left alone. */
static int start_all(struct snapshot **snapshot, const struct clone *options,
		     const struct arguments *args)
{
	int status = EXIT_OK;

	/* A process that has begun as a clone has no snapshot any more when it comes back. */
	for (int i = 1; i < args->nr && *snapshot && !status; i++) {
		for (uint32_t k = 1; k <= options->count && *snapshot && !status; k++) {
			char name[VM_CONFIG_NAME_MAX + 16];

			if (options->count > 1)
				snprintf(name, sizeof(name), "%s%u", args->words[i], k);
			else
				snprintf(name, sizeof(name), "%s", args->words[i]);
			status = start(snapshot, options, name);
		}
	}
	return status;
}

/* A running VM goes on writing to its disks, which its clones could then not build upon. */
static int check_source(const char *name, struct err *err)
{
	json_t *disks = NULL, *disk;
	struct client *client;
	int r = client_open(&client, name, CLIENT_TIMEOUT_MS, err);
	size_t i;

	if (r < 0)
		return r;
	r = client_execute(client, "query-block", NULL, &disks, err);
	json_array_foreach(disks, i, disk) {
		const char *device = json_string_value(json_object_get(disk, "qdev"));
		const json_t *inserted = json_object_get(disk, "inserted");

		if (device && !json_is_true(json_object_get(inserted, "ro")))
			r = err_set(err, -EBUSY, "VM '%s' goes on writing to its disk '%s': clone "
				    "a snapshot of it ('vmm snapshot %s DIR --stop')", name,
				    device, name);
	}
	json_decref(disks);
	client_close(client);
	return r;
}

/* Of a running VM a snapshot is taken that has no name any more once it is open. */
static int take(struct snapshot **ret_snapshot, const char *name, struct err *err)
{
	const struct snapshot_take how = { 0 };
	char temporary[] = TEMPORARY, dir[sizeof(TEMPORARY "/snapshot")];
	int r;

	if (!mkdtemp(temporary))
		return err_sys(err, -errno, "cannot make a temporary folder");
	snprintf(dir, sizeof(dir), "%s/snapshot", temporary);
	r = snapshot_take(name, dir, &how, NULL, err);
	if (!r)
		r = snapshot_open(ret_snapshot, dir, err);
	snapshot_remove(dir);
	rmdir(temporary);
	return r;
}

/* Ctrl-C has to wait, or the folder would be left. */
static int take_undisturbed(struct snapshot **ret_snapshot, const char *name, struct err *err)
{
	sigset_t ends, before;
	int r = check_source(name, err);

	if (r < 0)
		return r;
	sigemptyset(&ends);
	sigaddset(&ends, SIGHUP);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, &before);
	r = take(ret_snapshot, name, err);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}

static int open_source(struct snapshot **ret_snapshot, const char *source, struct err *err)
{
	struct runtime_vm vm;
	struct err other = { 0 };

	if (strchr(source, '/') || runtime_find(&vm, source, &other) < 0)
		return snapshot_open(ret_snapshot, source, err);
	return take_undisturbed(ret_snapshot, source, err);
}

int command_clone(const struct command *command, int argc, char **argv)
{
	struct clone options;
	struct arguments args;
	struct snapshot *snapshot = NULL;
	struct err err = { 0 };
	int status;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	if (open_source(&snapshot, args.words[0], &err) < 0)
		status = command_fail("%s", err.text);
	else
		status = start_all(&snapshot, &options, &args);
	snapshot_close(snapshot);
	option_fini(&command_clone_options, &options);
	return status;
}
