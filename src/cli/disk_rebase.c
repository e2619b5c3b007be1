// SPDX-License-Identifier: Apache-2.0
/*
 * disk_rebase.c - puts another backing file behind an overlay.
 *
 * What the old one shows and the new one would not is copied into the overlay, which is
 * durable before its header names the new one.  So a guest would read the same at any
 * moment, and a rebase that was cut short can be repeated.
 */
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "base/folder.h"
#include "block/disk_chain.h"
#include "cli/command.h"
#include "config/option.h"
#include "disk.h"
#include "disk_copy.h"
#include "disk_tool.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define UNIT	(64 * KiB)	/* that is compared, and copied */

struct rebase {
	struct option_given given;
	char *format, *backing, *backing_format;
	enum disk_backing backing_files;
	bool unsafe, json, help;
};

static const struct option rows[] = {
	{ .key = "backing", .letter = 'b', OPTION_PATH(struct rebase, backing),
	  .required = true,
	  .help = "the new backing file, seen from the image's folder; 'none': none" },
	{ .key = "backing-format", .letter = 'F', OPTION(struct rebase, backing_format),
	  .metavar = "FORMAT",
	  .help = "how that file is laid out; by default what the ending of its name says" },
	{ .key = "unsafe", .letter = 'u', OPTION(struct rebase, unsafe),
	  .help = "only change the name: for a file that was moved, or holds the same" },
	{ .key = "format", .letter = 'f', OPTION(struct rebase, format), .metavar = "FORMAT",
	  .help = "how the image is laid out; by default what the ending of its name says" },
	DISK_TOOL_BACKING_FILES(struct rebase),
	{ .key = "json", .letter = 'j', OPTION(struct rebase, json),
	  .help = "tell the result as one JSON object" },
	{ .key = "help", .letter = 'h', OPTION(struct rebase, help),
	  .help = "print this and exit" },
};

const struct option_object disk_rebase_options = {
	.name = "disk rebase", OPTION_OBJECT(struct rebase, rows),
};

struct work {
	struct disk_tool tool;
	const char *path, *backing;	/* backing: as the image is to say it, or NULL */
	struct disk *disk, *behind;	/* behind: the new backing file's, or NULL */
	uint64_t written;		/* bytes */
};

static int open_image(struct work *w, const struct rebase *rebase, struct err *err)
{
	const struct disk_config config = {
		.path = w->path, .format = rebase->format, .backing = rebase->backing_files,
		.behind = rebase->unsafe ? DISK_BEHIND_LEAVE : DISK_BEHIND_READ,
	};
	int r = disk_open(&w->disk, &config, w->tool.loop, err);

	return r < 0 || rebase->unsafe ? r : disk_tool_refuse_snapshots(w->disk, err);
}

static int open_behind(struct work *w, const struct rebase *rebase, struct err *err)
{
	char path[PATH_MAX];
	const struct disk_config config = {
		.path = path, .format = rebase->backing_format, .read_only = true,
		.backing = rebase->backing_files,
	};
	int r = disk_tool_backing_path(path, w->path, w->backing, err);

	if (r < 0)
		return r;
	if (folder_is_same(path, w->path))
		return err_set(err, -EINVAL, "'%s' cannot be its own backing file", path);
	return rebase->unsafe ? 0 : disk_open(&w->behind, &config, w->tool.loop, err);
}

static int copy(struct work *w, struct err *err)
{
	const struct disk_copy copy = {
		.from = w->disk, .to = w->disk, .from_path = w->path, .to_path = w->path,
		.what = "rebasing", .unit = UNIT, .rebase = true, .new_backing = w->behind,
	};
	int r = disk_copy_run(&w->tool, &copy, err);

	w->written = disk_counter(w->disk, DISK_WRITE).bytes;
	return r;
}

static int rebase_image(struct work *w, const struct rebase *rebase, struct err *err)
{
	int r;

	if (!w->backing && rebase->backing_format)
		return err_set(err, -EINVAL, "disk rebase: what is none has no --backing-format");
	r = disk_tool_init(&w->tool, err);
	if (!r)
		r = open_image(w, rebase, err);
	if (!r && w->backing)
		r = open_behind(w, rebase, err);
	if (!r && !rebase->unsafe)
		r = copy(w, err);
	if (r < 0)
		return r;
	return disk_chain_set_backing(w->disk, w->backing,
				      w->behind ? disk_format_name(w->behind) :
						  rebase->backing_format, err);
}

static int print_json(const struct work *w)
{
	return disk_tool_print_json(json_pack("{s:o,s:o,s:I}",
					      "path", disk_tool_json_text(w->path),
					      "backing", w->backing ?
					      disk_tool_json_text(w->backing) : json_null(),
					      "written", (json_int_t)w->written));
}

int disk_rebase_command(const struct command *command, int argc, char **argv)
{
	struct work w = { 0 };
	struct rebase rebase;
	struct arguments args;
	struct err err = { 0 };
	int r, status = EXIT_OK;

	if (!arguments_read(&args, command, &rebase, argc, argv))
		return args.status;
	w.path = args.words[0];
	w.backing = strcmp(rebase.backing, "none") ? rebase.backing : NULL;
	r = rebase_image(&w, &rebase, &err);
	disk_close(w.behind, NULL);
	disk_close(w.disk, r < 0 ? NULL : &err);
	if (r < 0 || err.code)
		status = command_fail("%s", err.text);
	else if (rebase.json)
		status = print_json(&w);
	disk_tool_fini(&w.tool);
	option_fini(&disk_rebase_options, &rebase);
	return status;
}
