// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "base/folder.h"
#include "block/disk_pack.h"
#include "cli/command.h"
#include "config/option.h"
#include "disk.h"
#include "disk_copy.h"
#include "disk_packers.h"
#include "disk_target.h"
#include "disk_tool.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define ZEROS_UNIT	(4 * KiB)	/* what file systems have holes of */

struct convert {
	struct option_given given;
	char *from_format, *to_format;
	enum disk_backing backing_files;
	uint64_t cluster_size;
	enum disk_compression compress;
	bool force, json, help;
};

/* By enum disk_compression. */
static const char *const compressions[] = { "none", "zlib", "zstd", NULL };

static const struct option rows[] = {
	{ .key = "from-format", .letter = 'f', OPTION(struct convert, from_format),
	  .metavar = "FORMAT",
	  .help = "how SOURCE is laid out; by default what the ending of its name says" },
	{ .key = "to-format", .letter = 'O', OPTION(struct convert, to_format),
	  .metavar = "FORMAT",
	  .help = "how TARGET is to be laid out; by default what the ending of its name "
		  "says" },
	{ .key = "cluster-size", .letter = 'c', OPTION_SIZE(struct convert, cluster_size),
	  .min = 512, .max = 2 * MiB,
	  .help = "of a qcow2 TARGET: how much is stored in one piece; 64K by default" },
	{ .key = "compress", .letter = 'z',
	  OPTION_CHOICE(struct convert, compress, compressions), .preset = "none",
	  .help = "how the clusters of a qcow2 TARGET are compressed; zstd is read by QEMU "
		  "from 5.1 on" },
	DISK_TOOL_BACKING_FILES(struct convert),
	{ .key = "force", OPTION(struct convert, force),
	  .help = "replace TARGET if it exists, or overwrite a block device" },
	{ .key = "json", .letter = 'j', OPTION(struct convert, json),
	  .help = "tell the result as one JSON object" },
	{ .key = "help", .letter = 'h', OPTION(struct convert, help),
	  .help = "print this and exit" },
};

const struct option_object disk_convert_options = {
	.name = "disk convert", OPTION_OBJECT(struct convert, rows),
};

struct work {
	struct disk_tool tool;
	struct disk *from, *to;
	struct disk_target target;
	struct disk_pack *pack;		/* instead of to */
	struct disk_packers *packers;
};

static int open_pack(struct work *w, struct err *err)
{
	int r = disk_pack_open(&w->pack, w->target.temporary, err);

	return r < 0 ? r : disk_packers_start(&w->packers, w->pack, err);
}

static bool is_device(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode);
}

/* It cannot be replaced, so it is written itself; what the source does not store is zeros. */
static int open_device(struct work *w, const struct convert *convert, const char *path,
		       struct err *err)
{
	const struct disk_config config = { .path = path, .format = "raw" };
	struct disk_request zero = { .op = DISK_ZERO, .unmap = true, .len = disk_size(w->from) };
	int r;

	if (!convert->force)
		return err_set(err, -EEXIST, "'%s' is a block device: add --force to overwrite "
			       "what it holds", path);
	if (convert->compress || (convert->to_format && strcmp(convert->to_format, "raw")))
		return err_set(err, -EINVAL, "'%s' is a block device, and can only be raw", path);
	r = disk_open(&w->to, &config, w->tool.loop, err);
	if (r < 0)
		return r;
	if (disk_size(w->to) < zero.len)
		return err_set(err, -ENOSPC, "'%s' has %llu bytes: too few for a disk of %llu",
			       path, (unsigned long long)disk_size(w->to),
			       (unsigned long long)zero.len);
	if (zero.len % disk_block_size(w->to))
		return err_set(err, -EINVAL, "'%s' has blocks of %u bytes, of which %llu are no "
			       "multiple", path, disk_block_size(w->to),
			       (unsigned long long)zero.len);
	r = disk_tool_do(&w->tool, w->to, &zero);
	return r < 0 ? err_sys(err, r, "cannot write '%s'", path) : 0;
}

static int open_both(struct work *w, const struct convert *convert, const char *from,
		     const char *to, struct err *err)
{
	const struct disk_config source = {
		.path = from, .format = convert->from_format, .read_only = true,
		.backing = convert->backing_files,
	};
	struct disk_config target = { 0 };
	struct disk_create image = {
		.format = convert->to_format,
		.cluster_size = (uint32_t)convert->cluster_size,
		.compression = convert->compress,
	};
	int r;

	if (folder_is_same(from, to))
		return err_set(err, -EINVAL, "'%s' is the source itself", to);
	r = disk_open(&w->from, &source, w->tool.loop, err);
	if (r < 0)
		return r;
	if (is_device(to))
		return open_device(w, convert, to, err);
	image.size = disk_size(w->from);
	r = disk_target_create(&w->target, to, convert->force, &image, err);
	if (r < 0)
		return r;
	if (convert->compress)
		return open_pack(w, err);
	target.path = w->target.temporary;
	target.format = w->target.format;
	return disk_open(&w->to, &target, w->tool.loop, err);
}

static int finish_pack(struct work *w, struct err *err)
{
	int r;

	w->packers = disk_packers_stop(w->packers);
	r = disk_pack_finish(w->pack, err);
	w->pack = disk_pack_close(w->pack);
	return r;
}

static int finish(struct work *w, struct err *err)
{
	struct err why = { 0 };

	if (w->pack)
		return finish_pack(w, err);
	w->to = disk_close(w->to, &why);
	return why.code ? err_set(err, why.code, "%s", why.text) : 0;
}

static int copy(struct work *w, const char *from, const char *to, struct err *err)
{
	const struct disk_copy copy = {
		.from = w->from, .to = w->to, .from_path = from, .to_path = to,
		.what = "converting", .to_is_new = true, .packers = w->packers,
		.unit = (uint32_t)(w->pack ? disk_pack_unit(w->pack) :
				   max_u64(ZEROS_UNIT, disk_discard_unit(w->to))),
		.depth_max = UINT_MAX,
	};
	int r = disk_copy_run(&w->tool, &copy, err);

	if (!r)
		r = finish(w, err);
	if (!r)
		r = disk_tool_check(&w->tool, err);
	return r < 0 || is_device(to) ? r : disk_target_publish(&w->target, err);
}

static int convert_image(struct work *w, const struct convert *convert, const char *from,
			 const char *to, struct err *err)
{
	int r = disk_tool_init(&w->tool, err);

	if (!r)
		r = open_both(w, convert, from, to, err);
	if (!r)
		r = copy(w, from, to, err);
	return r;
}

static void clean_up(struct work *w)
{
	disk_packers_stop(w->packers);
	disk_pack_close(w->pack);
	disk_close(w->to, NULL);
	disk_close(w->from, NULL);
	disk_target_remove(&w->target);
	disk_tool_fini(&w->tool);
}

int disk_convert_command(const struct command *command, int argc, char **argv)
{
	struct work w = { 0 };
	struct convert convert;
	struct arguments args;
	struct err err = { 0 };
	int status = EXIT_OK;

	if (!arguments_read(&args, command, &convert, argc, argv))
		return args.status;
	if (convert_image(&w, &convert, args.words[0], args.words[1], &err) < 0)
		status = command_fail("%s", err.text);
	else if (convert.json)
		status = disk_tool_print_json(json_pack("{s:o,s:I}", "target",
							disk_tool_json_text(args.words[1]),
							"virtual-size",
							(json_int_t)disk_size(w.from)));
	clean_up(&w);
	option_fini(&disk_convert_options, &convert);
	return status;
}
