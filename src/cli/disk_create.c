// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "cli/command.h"
#include "config/option.h"
#include "disk.h"
#include "disk_target.h"
#include "disk_tool.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>

struct create {
	struct option_given given;
	char *format, *backing, *backing_format;
	enum disk_backing backing_files;
	uint64_t size, cluster_size;
	bool force, json, help;
};

static const struct option rows[] = {
	{ .key = "size", .letter = 's', OPTION_SIZE(struct create, size), .min = 512,
	  .help = "what a guest sees; a multiple of 512" },
	{ .key = "format", .letter = 'f', OPTION(struct create, format), .metavar = "FORMAT",
	  .help = "how the image is laid out; by default what the ending of its name says" },
	{ .key = "cluster-size", .letter = 'c', OPTION_SIZE(struct create, cluster_size),
	  .min = 512, .max = 2 * MiB,
	  .help = "of qcow2: how much is stored in one piece; 64K by default" },
	{ .key = "backing", .letter = 'b', OPTION_PATH(struct create, backing),
	  .help = "of qcow2: the image that holds what this one does not, seen from this "
		  "one's folder; gives the size, too" },
	{ .key = "backing-format", .letter = 'F', OPTION(struct create, backing_format),
	  .metavar = "FORMAT",
	  .help = "how that image is laid out; by default what the ending of its name says" },
	DISK_TOOL_BACKING_FILES(struct create),
	{ .key = "force", OPTION(struct create, force),
	  .help = "replace the image if it exists" },
	{ .key = "json", .letter = 'j', OPTION(struct create, json),
	  .help = "tell the result as one JSON object" },
	{ .key = "help", .letter = 'h', OPTION(struct create, help),
	  .help = "print this and exit" },
};

const struct option_object disk_create_options = {
	.name = "disk create", OPTION_OBJECT(struct create, rows),
};

/* What is to be behind the image; open, and so protected, until that is there. */
struct behind {
	struct disk_tool tool;
	struct disk *disk;
};

/* It must be there: its size and format are what the new image has to know. */
static int open_behind(struct behind *behind, struct disk_create *image, const char *path,
		       enum disk_backing backing_files, struct err *err)
{
	char backing[PATH_MAX];
	const struct disk_config config = {
		.path = backing, .format = image->backing_format, .read_only = true,
		.backing = backing_files,
	};
	int r = disk_tool_backing_path(backing, path, image->backing, err);

	if (!r)
		r = disk_tool_init(&behind->tool, err);
	if (!r)
		r = disk_open(&behind->disk, &config, behind->tool.loop, err);
	if (r < 0)
		return r;
	image->backing_format = disk_format_name(behind->disk);
	if (!image->size)
		image->size = disk_size(behind->disk);
	return 0;
}

static void close_behind(struct behind *behind)
{
	disk_close(behind->disk, NULL);
	disk_tool_fini(&behind->tool);
}

static int create_image(const struct create *create, struct disk_create *image,
			const char *path, const char **ret_format, struct err *err)
{
	struct disk_target target = { 0 };
	int r = disk_target_create(&target, path, create->force, image, err);

	if (!r)
		r = disk_target_publish(&target, err);
	disk_target_remove(&target);
	*ret_format = target.format;
	return r;
}

int disk_create_command(const struct command *command, int argc, char **argv)
{
	struct create create;
	struct arguments args;
	struct err err = { 0 };
	struct disk_create image;
	struct behind behind = { 0 };
	const char *format = NULL;
	int r = 0, status = EXIT_OK;

	if (!arguments_read(&args, command, &create, argc, argv))
		return args.status;
	image = (struct disk_create){
		.format = create.format, .size = create.size,
		.cluster_size = (uint32_t)create.cluster_size,
		.backing = create.backing, .backing_format = create.backing_format,
	};
	if (image.backing)
		r = open_behind(&behind, &image, args.words[0], create.backing_files, &err);
	else if (image.backing_format)
		r = err_set(&err, -EINVAL, "disk create: --backing-format goes with --backing");
	else if (!image.size)
		r = err_set(&err, -EINVAL, "disk create: --size is missing");
	if (!r)
		r = create_image(&create, &image, args.words[0], &format, &err);
	close_behind(&behind);
	if (r < 0)
		status = command_fail("%s", err.text);
	else if (create.json)
		status = disk_tool_print_json(json_pack("{s:o,s:s,s:I}", "path",
							disk_tool_json_text(args.words[0]),
							"format", format, "virtual-size",
							(json_int_t)image.size));
	option_fini(&disk_create_options, &create);
	return status;
}
