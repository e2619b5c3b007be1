// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "block/disk_create.h"
#include "block/disk_map.h"
#include "cli/command.h"
#include "config/option.h"
#include "disk.h"
#include "disk_tool.h"
#include "progress.h"

#include <errno.h>
#include <jansson.h>

struct resize {
	struct option_given given;
	char *format;
	enum disk_backing backing_files;
	uint64_t size;
	bool shrink, json, help;
};

static const struct option rows[] = {
	{ .key = "size", .letter = 's', OPTION_SIZE(struct resize, size), .required = true,
	  .min = 512, .help = "what a guest is going to see; a multiple of 512" },
	{ .key = "format", .letter = 'f', OPTION(struct resize, format), .metavar = "FORMAT",
	  .help = "how the image is laid out; by default what the ending of its name says" },
	DISK_TOOL_BACKING_FILES(struct resize),
	{ .key = "shrink", OPTION(struct resize, shrink),
	  .help = "let the disk become smaller: what is beyond the new end is lost" },
	{ .key = "json", .letter = 'j', OPTION(struct resize, json),
	  .help = "tell the result as one JSON object" },
	{ .key = "help", .letter = 'h', OPTION(struct resize, help),
	  .help = "print this and exit" },
};

const struct option_object disk_resize_options = {
	.name = "disk resize", OPTION_OBJECT(struct resize, rows),
};

/* Bytes from from on that the image itself holds. */
static int count_stored(struct disk *disk, uint64_t from, uint64_t *ret_bytes, struct err *err)
{
	struct disk_extent extent;

	*ret_bytes = 0;
	for (; from < disk_size(disk); from += extent.len) {
		int r = disk_map(disk, from, &extent, err);

		if (r < 0)
			return r;
		if (!extent.depth && extent.stored >= DISK_STORED_DATA)
			*ret_bytes += extent.len;
	}
	return 0;
}

static int refuse_loss(struct disk *disk, uint64_t size, const char *path, struct err *err)
{
	char lost[DISK_TOOL_SIZE_MAX], stored[DISK_TOOL_SIZE_MAX];
	uint64_t bytes;
	int r = count_stored(disk, size, &bytes, err);

	if (r < 0)
		return r;
	return err_set(err, -EINVAL, "'%s' would lose its last %s, of which %s are stored; add "
		       "--shrink if it may", path, disk_tool_size(disk_size(disk) - size, lost),
		       disk_tool_size(bytes, stored));
}

static int judge(struct disk *disk, const struct resize *resize, const char *path,
		 struct err *err)
{
	if (resize->size % disk_block_size(disk))
		return err_set(err, -EINVAL, "'%s' cannot have %llu bytes: the size of a disk "
			       "is a multiple of %u", path, (unsigned long long)resize->size,
			       disk_block_size(disk));
	if (resize->size < disk_size(disk) && !resize->shrink)
		return refuse_loss(disk, resize->size, path, err);
	return 0;
}

/* Open it, and see whether it may have that size. */
static int open_image(struct disk **ret_disk, struct disk_tool *tool, const struct resize *resize,
		      const struct disk_config *config, struct err *err)
{
	int r = disk_open(ret_disk, config, tool->loop, err);

	if (r < 0)
		return r;
	r = judge(*ret_disk, resize, config->path, err);
	if (r < 0)
		disk_close(*ret_disk, NULL);
	return r;
}

/* What is opened for writing has changed, as by a repair: so it is judged before that, too. */
static int resize_image(struct disk_tool *tool, const struct resize *resize,
			const char *path, const struct disk_progress *progress, struct err *err)
{
	struct disk_config config = {
		.path = path, .format = resize->format, .backing = resize->backing_files,
		.read_only = true, .progress = progress,
	};
	struct err why = { 0 };
	struct disk *disk;
	int r = open_image(&disk, tool, resize, &config, err);

	if (r < 0)
		return r;
	disk_close(disk, NULL);
	config.read_only = false;
	r = open_image(&disk, tool, resize, &config, err);
	if (r < 0)
		return r;
	r = disk_create_resize(disk, resize->size, err);
	disk_close(disk, &why);
	if (!r && why.code)
		r = err_set(err, why.code, "%s", why.text);
	return r;
}

int disk_resize_command(const struct command *command, int argc, char **argv)
{
	struct progress progress;
	const struct disk_progress shown = { disk_tool_show, &progress };
	struct disk_tool tool;
	struct resize resize;
	struct arguments args;
	struct err err = { 0 };
	int r, status = EXIT_OK;

	if (!arguments_read(&args, command, &resize, argc, argv))
		return args.status;
	r = disk_tool_init(&tool, &err);
	progress_start(&progress, "resizing", 0);
	if (!r)
		r = resize_image(&tool, &resize, args.words[0], &shown, &err);
	progress_end(&progress);
	if (r < 0)
		status = command_fail("%s", err.text);
	else if (resize.json)
		status = disk_tool_print_json(json_pack("{s:o,s:I}", "path",
							disk_tool_json_text(args.words[0]),
							"virtual-size",
							(json_int_t)resize.size));
	disk_tool_fini(&tool);
	option_fini(&disk_resize_options, &resize);
	return status;
}
