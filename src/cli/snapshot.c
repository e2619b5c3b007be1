// SPDX-License-Identifier: Apache-2.0
/*
 * snapshot.c - vmm snapshot: takes one of a running VM, and looks at those that are there.
 */
#include "arguments.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"
#include "ending.h"
#include "migrate/snapshot.h"
#include "progress.h"
#include "runtime.h"
#include "snapshot_take.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Memory is written as fast as the disk takes it; who waits may press Ctrl-C. */
#define TAKE_TIMEOUT_MS	(24 * 3600 * 1000)
#define END_TIMEOUT_MS	10000

struct take {
	struct option_given given;
	struct snapshot_take how;
	bool json, help;
};

static const struct option take_rows[] = {
	{ .key = "track", OPTION(struct take, how.track),
	  .help = "go on noting what the guest changes, so that one with --diff can follow" },
	{ .key = "diff", OPTION(struct take, how.diff),
	  .help = "only what has changed since the one before, which is needed from then on" },
	{ .key = "stop", OPTION(struct take, how.stop),
	  .help = "end the VM with it: its disks stay as the snapshot needs them" },
	{ .key = "force", OPTION(struct take, how.force), .help = "replace the snapshot at DIR" },
	{ .key = "json", OPTION(struct take, json), .help = "print a JSON object" },
	{ .key = "help", .letter = 'h', OPTION(struct take, help),
	  .help = "print this and exit" },
};

const struct option_object command_snapshot_options = {
	.name = "snapshot", OPTION_OBJECT(struct take, take_rows),
};

/* As the VM, which may be in another folder, knows it. */
static int absolute(char path[PATH_MAX], const char *name, struct err *err)
{
	int r = folder_absolute(path, name);
	size_t len;

	if (r < 0)
		return err_sys(err, r, "cannot tell where '%s' is", name);
	for (len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
		path[len - 1] = 0;
	return 0;
}

int snapshot_take(const char *name, const char *dir, const struct snapshot_take *how,
		  json_t **ret_result, struct err *err)
{
	struct client *client;
	char path[PATH_MAX];
	int process, r = absolute(path, dir, err);

	if (!r)
		r = client_open(&client, name, TAKE_TIMEOUT_MS, err);
	if (r < 0)
		return r;
	process = runtime_process(name, err);
	r = client_execute(client, "x-vmm-snapshot",
			   json_pack("{s:s, s:b, s:b, s:b, s:b}", "path", path, "replace",
				     how->force, "diff", how->diff, "track", how->track,
				     "paused", how->stop),
			   ret_result, err);
	if (!r && how->stop)
		r = client_execute(client, "quit", NULL, NULL, err);
	client_close(client);
	/* From then on its disks are free. */
	if (!r && how->stop && process >= 0 && !ending_wait(process, END_TIMEOUT_MS))
		r = err_set(err, -ETIMEDOUT, "VM '%s' has not ended yet", name);
	if (process >= 0)
		close(process);
	return r;
}

static void tell(const char *dir, json_t *result, bool json)
{
	if (json) {
		json_dumpf(result, stdout, 0);
		putchar('\n');
		return;
	}
	printf("%s: %" JSON_INTEGER_FORMAT " KiB of memory, paused for %.1f ms\n", dir,
	       json_integer_value(json_object_get(result, "pages")) * 4,
	       (double)json_integer_value(json_object_get(result, "paused-us")) / 1000);
}

int command_snapshot(const struct command *command, int argc, char **argv)
{
	struct take options;
	struct arguments args;
	struct err err = { 0 };
	json_t *result = NULL;
	int status = EXIT_OK;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	if (snapshot_take(args.words[0], args.words[1], &options.how, &result, &err) < 0)
		status = command_fail("%s", err.text);
	else
		tell(args.words[1], result, options.json);
	json_decref(result);
	option_fini(&command_snapshot_options, &options);
	return status;
}

/* Those that are there. */

struct look {
	struct option_given given;
	bool json, help;
};

static const struct option look_rows[] = {
	{ .key = "json", OPTION(struct look, json), .help = "print JSON" },
	{ .key = "help", .letter = 'h', OPTION(struct look, help),
	  .help = "print this and exit" },
};

const struct option_object command_snapshot_info_options = {
	.name = "info", OPTION_OBJECT(struct look, look_rows),
};

const struct option_object command_snapshot_merge_options = {
	.name = "merge", OPTION_OBJECT(struct look, look_rows),
};

const struct option_object command_snapshot_verify_options = {
	.name = "verify", OPTION_OBJECT(struct look, look_rows),
};

static json_t *describe(const struct snapshot_info *info)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s?}", "path", info->path,
			 "id", info->id, "name", info->name, "created", info->created,
			 "release", info->release, "arch", info->arch, "memory",
			 (json_int_t)info->memory, "pages", (json_int_t)info->pages, "parent",
			 info->parent);
}

/* In pages; 0: there is none. */
static uint64_t working_set(const struct snapshot *snapshot)
{
	struct err err = { 0 };
	uint64_t pages;
	int r = snapshot_count_used(snapshot, &pages, &err);

	if (r < 0 && r != -ENOENT)
		log_warn("%s: it is not used", err.text);
	return r < 0 ? 0 : pages;
}

static void print_json(const struct snapshot *snapshot)
{
	struct snapshot_info info;
	json_t *chain = json_array();

	for (unsigned i = 0; snapshot_info(snapshot, i, &info); i++)
		json_array_append_new(chain, describe(&info));
	json_object_set_new(json_array_get(chain, 0), "working-set",
			    json_integer((json_int_t)working_set(snapshot)));
	json_dumpf(chain, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(chain);
}

static void print_text(const struct snapshot *snapshot)
{
	uint64_t used = working_set(snapshot);
	struct snapshot_info info;

	for (unsigned i = 0; snapshot_info(snapshot, i, &info); i++) {
		printf("%s%s\n", i ? "\nbuilds upon " : "", info.path);
		printf("  VM       %s, %s, by vmm %s\n", info.name, info.arch, info.release);
		printf("  created  %s\n", info.created);
		printf("  memory   %" PRIu64 " MiB, of which %" PRIu64 " KiB are here\n",
		       info.memory >> 20, info.pages * 4);
		if (!i && used)
			printf("  used     %" PRIu64 " KiB of it at first\n", used * 4);
	}
}

static int with_snapshot(const struct command *command, int argc, char **argv,
			 int (*do_it)(struct snapshot *snapshot, const struct look *options,
				      struct err *err))
{
	struct look options;
	struct arguments args;
	struct snapshot *snapshot;
	struct err err = { 0 };
	int r;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	r = snapshot_open(&snapshot, args.words[0], &err);
	if (!r) {
		r = do_it(snapshot, &options, &err);
		snapshot_close(snapshot);
	}
	option_fini(command->options, &options);
	return r < 0 ? command_fail("%s", err.text) : EXIT_OK;
}

static int print_info(struct snapshot *snapshot, const struct look *options, struct err *err)
{
	(void)err;
	if (options->json)
		print_json(snapshot);
	else
		print_text(snapshot);
	return 0;
}

int command_snapshot_info(const struct command *command, int argc, char **argv)
{
	return with_snapshot(command, argc, argv, print_info);
}

static bool show(void *ctx, uint64_t bytes)
{
	progress_show(ctx, bytes);
	return true;
}

static int verify(struct snapshot *snapshot, const struct look *options, struct err *err)
{
	struct progress progress;
	struct snapshot_info info = { 0 };
	int r;

	snapshot_info(snapshot, 0, &info);
	progress_start(&progress, "verifying", info.memory);
	r = snapshot_verify(snapshot, show, &progress, err);
	progress_end(&progress);
	(void)working_set(snapshot);
	if (!r && options->json)
		puts("{\"ok\": true}");
	else if (!r)
		printf("%s: all of it is as it was written\n", info.path);
	return r;
}

int command_snapshot_verify(const struct command *command, int argc, char **argv)
{
	return with_snapshot(command, argc, argv, verify);
}

static int merge(struct snapshot *snapshot, const struct look *options, struct err *err)
{
	struct progress progress;
	struct snapshot_info info = { 0 };
	int r;

	snapshot_info(snapshot, 0, &info);
	progress_start(&progress, "merging", info.memory);
	r = snapshot_merge(info.path, show, &progress, err);
	progress_end(&progress);
	if (!r && options->json)
		puts("{\"ok\": true}");
	return r;
}

int command_snapshot_merge(const struct command *command, int argc, char **argv)
{
	return with_snapshot(command, argc, argv, merge);
}
