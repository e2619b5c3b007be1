// SPDX-License-Identifier: Apache-2.0
/*
 * disk_commit.c - brings what an overlay holds into its backing file.
 *
 * The overlay gives up nothing before all of it is durable in the backing file, and
 * hides the backing file's bytes wherever it holds some itself.  So what a guest would
 * read is the same at any moment, and a commit that was cut short can be repeated.
 */
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "block/disk_chain.h"
#include "block/disk_create.h"
#include "cli/command.h"
#include "config/option.h"
#include "disk.h"
#include "disk_copy.h"
#include "disk_tool.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>

struct commit {
	struct option_given given;
	char *format;
	enum disk_backing backing_files;
	bool keep, json, help;
};

static const struct option rows[] = {
	{ .key = "keep", .letter = 'k', OPTION(struct commit, keep),
	  .help = "leave IMAGE as it is, instead of emptying it afterwards" },
	{ .key = "format", .letter = 'f', OPTION(struct commit, format), .metavar = "FORMAT",
	  .help = "how the image is laid out; by default what the ending of its name says" },
	DISK_TOOL_BACKING_FILES(struct commit),
	{ .key = "json", .letter = 'j', OPTION(struct commit, json),
	  .help = "tell the result as one JSON object" },
	{ .key = "help", .letter = 'h', OPTION(struct commit, help),
	  .help = "print this and exit" },
};

const struct option_object disk_commit_options = {
	.name = "disk commit", OPTION_OBJECT(struct commit, rows),
};

struct work {
	struct disk_tool tool;
	const char *path;
	struct disk *disk, *backing;
	char backing_path[PATH_MAX];
	uint64_t written;		/* bytes */
};

static int open_image(struct work *w, const struct commit *commit, struct err *err)
{
	const struct disk_config config = {
		.path = w->path, .format = commit->format,
		.backing = commit->backing_files, .behind = DISK_BEHIND_WRITE,
	};
	int r = disk_open(&w->disk, &config, w->tool.loop, err);

	if (r < 0)
		return r;
	w->backing = disk_chain_backing(w->disk);
	if (!w->backing)
		return err_set(err, -EINVAL, "'%s' has no backing file that it could be "
			       "committed to", w->path);
	snprintf(w->backing_path, sizeof(w->backing_path), "%s", disk_id(w->backing));
	return disk_tool_refuse_snapshots(w->disk, err);
}

static bool is_smaller(const struct work *w)
{
	return disk_size(w->backing) < disk_size(w->disk);
}

/* A disk whose size was changed is of no further use, so both are opened anew. */
static int grow_backing(struct work *w, const struct commit *commit, struct err *err)
{
	int r = disk_create_resize(w->backing, disk_size(w->disk), err);

	w->disk = disk_close(w->disk, NULL);
	if (!r)
		r = open_image(w, commit, err);
	if (!r && is_smaller(w))
		r = err_set(err, -EBUSY, "'%s' was made smaller meanwhile", w->backing_path);
	return r;
}

static int copy(struct work *w, struct err *err)
{
	const struct disk_copy copy = {
		.from = w->disk, .to = w->backing, .from_path = w->path,
		.to_path = w->backing_path, .what = "committing",
	};
	int r = disk_copy_run(&w->tool, &copy, err);

	w->written = disk_counter(w->backing, DISK_WRITE).bytes;
	return r;
}

static int commit_image(struct work *w, const struct commit *commit, struct err *err)
{
	int r = disk_tool_init(&w->tool, err);

	if (!r)
		r = open_image(w, commit, err);
	if (!r && is_smaller(w))
		r = grow_backing(w, commit, err);
	if (!r)
		r = copy(w, err);
	if (!r && !commit->keep)
		r = disk_chain_empty(w->disk, err);
	return r;
}

int disk_commit_command(const struct command *command, int argc, char **argv)
{
	struct work w = { 0 };
	struct commit commit;
	struct arguments args;
	struct err err = { 0 };
	int r, status = EXIT_OK;

	if (!arguments_read(&args, command, &commit, argc, argv))
		return args.status;
	w.path = args.words[0];
	r = commit_image(&w, &commit, &err);
	disk_close(w.disk, r < 0 ? NULL : &err);
	if (r < 0 || err.code)
		status = command_fail("%s", err.text);
	else if (commit.json)
		status = disk_tool_print_json(json_pack("{s:o,s:o,s:I,s:b}", "path",
							disk_tool_json_text(w.path), "backing",
							disk_tool_json_text(w.backing_path),
							"written", (json_int_t)w.written,
							"emptied", !commit.keep));
	disk_tool_fini(&w.tool);
	option_fini(&disk_commit_options, &commit);
	return status;
}
