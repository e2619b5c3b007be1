// SPDX-License-Identifier: Apache-2.0
#include "block/disk_snapshot.h"

#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "block/disk.h"
#include "cli/command.h"
#include "config/option.h"
#include "disk.h"
#include "disk_snapshots.h"
#include "disk_tool.h"
#include "progress.h"

#include <jansson.h>
#include <string.h>

struct snapshot {
	struct option_given given;
	char *format;
	bool json, help;
};

static const struct option rows[] = {
	{ .key = "format", .letter = 'f', OPTION(struct snapshot, format), .metavar = "FORMAT",
	  .help = "how the image is laid out; by default what the ending of its name says" },
	{ .key = "json", .letter = 'j', OPTION(struct snapshot, json),
	  .help = "print the list, as it is in the end, as JSON" },
	{ .key = "help", .letter = 'h', OPTION(struct snapshot, help),
	  .help = "print this and exit" },
};

const struct option_object disk_snapshot_options = {
	.name = "disk snapshot", OPTION_OBJECT(struct snapshot, rows),
};

static int list(const struct disk_config *config, bool json)
{
	struct err err = { 0 };
	json_t *snapshots = disk_snapshots_read(config, &err);

	if (!snapshots)
		return command_fail("%s", err.text);
	if (json)
		return disk_tool_print_json(snapshots);
	disk_snapshots_print(snapshots);
	json_decref(snapshots);
	return EXIT_OK;
}

static int change_one(const struct disk_config *config, enum disk_snapshot_change change,
		      const char *name, struct err *err)
{
	struct progress progress;
	const struct disk_progress shown = { disk_tool_show, &progress };
	struct disk_config with_progress = *config;
	int r;

	with_progress.progress = &shown;
	progress_start(&progress, "changing", 0);
	r = disk_snapshot_change(&with_progress, change, name, err);
	progress_end(&progress);
	return r;
}

static int change(const struct disk_config *config, const char *verb, const char *name,
		  bool json)
{
	static const char *const verbs[] = {
		[DISK_SNAPSHOT_CREATE] = "create", [DISK_SNAPSHOT_APPLY] = "apply",
		[DISK_SNAPSHOT_DELETE] = "delete",
	};
	struct err err = { 0 };

	for (unsigned i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verb, verbs[i]))
			continue;
		if (!name)
			return command_fail("disk snapshot %s: which one? Its name is missing",
					    verb);
		if (change_one(config, i, name, &err) < 0)
			return command_fail("%s", err.text);
		/* What there is then. */
		return json ? list(config, json) : EXIT_OK;
	}
	return command_fail("disk snapshot: there is no '%s', only create, apply, delete and "
			    "list", verb);
}

int disk_snapshot_command(const struct command *command, int argc, char **argv)
{
	struct disk_config config = { 0 };
	struct snapshot snapshot;
	struct arguments args;
	const char *name;
	int status;

	if (!arguments_read(&args, command, &snapshot, argc, argv))
		return args.status;
	config.path = args.words[1];
	config.format = snapshot.format;
	name = args.nr > 2 ? args.words[2] : NULL;
	if (strcmp(args.words[0], "list"))
		status = change(&config, args.words[0], name, snapshot.json);
	else if (name)
		status = command_fail("disk snapshot list: unexpected argument '%s'", name);
	else
		status = list(&config, snapshot.json);
	option_fini(&disk_snapshot_options, &snapshot);
	return status;
}
