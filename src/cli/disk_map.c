// SPDX-License-Identifier: Apache-2.0
#include "block/disk_map.h"

#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "cli/command.h"
#include "config/option.h"
#include "disk.h"
#include "disk_tool.h"
#include "progress.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

struct map {
	struct option_given given;
	char *format;
	enum disk_backing backing_files;
	bool json, help;
};

static const struct option rows[] = {
	{ .key = "format", .letter = 'f', OPTION(struct map, format), .metavar = "FORMAT",
	  .help = "how the image is laid out; by default what the ending of its name says" },
	DISK_TOOL_BACKING_FILES(struct map),
	{ .key = "json", .letter = 'j', OPTION(struct map, json),
	  .help = "print one JSON array" },
	{ .key = "help", .letter = 'h', OPTION(struct map, help),
	  .help = "print this and exit" },
};

const struct option_object disk_map_options = {
	.name = "disk map", OPTION_OBJECT(struct map, rows),
};

static const char *const stored_names[] = {
	[DISK_STORED_NOT] = "absent",
	[DISK_STORED_ZERO] = "zero",
	[DISK_STORED_DATA] = "data",
	[DISK_STORED_COMPRESSED] = "compressed",
};

static bool goes_on(const struct disk_extent *a, const struct disk_extent *b)
{
	if (a->stored != b->stored || a->depth != b->depth)
		return false;
	return a->stored != DISK_STORED_DATA || a->host + a->len == b->host;
}

/* *extent, and all that follows and is stored as it is. */
static int whole_extent(struct disk *disk, struct disk_extent *extent,
			struct progress *progress, struct err *err)
{
	struct disk_extent more;
	int r = 0;

	while (!r && extent->at + extent->len < disk_size(disk)) {
		r = disk_map(disk, extent->at + extent->len, &more, err);
		if (r < 0 || !goes_on(extent, &more))
			break;
		extent->len += more.len;
		progress_show(progress, more.at);
	}
	return r;
}

static void add(json_t *list, const struct disk_extent *x)
{
	json_t *item = json_pack("{s:I,s:I,s:s,s:i}", "start", (json_int_t)x->at, "length",
				 (json_int_t)x->len, "stored", stored_names[x->stored],
				 "depth", (int)x->depth);

	if (x->stored == DISK_STORED_DATA)
		json_object_set_new(item, "offset", json_integer((json_int_t)x->host));
	json_array_append_new(list, item);
}

static void print(const struct disk_extent *x)
{
	printf("%16" PRIu64 " %16" PRIu64 "  %-10s %5u", x->at, x->len,
	       stored_names[x->stored], x->depth);
	if (x->stored == DISK_STORED_DATA)
		printf(" %16" PRIu64, x->host);
	putchar('\n');
}

static int map_disk(struct disk_tool *tool, struct disk *disk, json_t *list,
		    struct progress *progress, struct err *err)
{
	struct disk_extent extent;
	int r = 0;

	if (!list)
		printf("%16s %16s  %-10s %5s %16s\n", "start", "length", "stored", "depth",
		       "offset");
	for (uint64_t at = 0; at < disk_size(disk) && !r; at += extent.len) {
		r = disk_map(disk, at, &extent, err);
		if (!r)
			r = whole_extent(disk, &extent, progress, err);
		if (!r)
			r = disk_tool_check(tool, err);
		if (!r && list)
			add(list, &extent);
		else if (!r)
			print(&extent);
		progress_show(progress, extent.at);
	}
	return r;
}

int disk_map_command(const struct command *command, int argc, char **argv)
{
	struct disk_config config = { .read_only = true };
	struct progress progress;
	struct disk_tool tool;
	struct map map;
	struct arguments args;
	struct err err = { 0 };
	struct disk *disk = NULL;
	json_t *list = NULL;
	int r, status = EXIT_OK;

	if (!arguments_read(&args, command, &map, argc, argv))
		return args.status;
	list = map.json ? json_array() : NULL;
	config.path = args.words[0];
	config.format = map.format;
	config.backing = map.backing_files;
	/* On a terminal the list itself shows how far it is. */
	progress_start(&progress, "mapping", 0);
	progress.terminal &= list || !isatty(STDOUT_FILENO);
	r = disk_tool_init(&tool, &err);
	if (!r)
		r = disk_open(&disk, &config, tool.loop, &err);
	if (!r) {
		progress.total = disk_size(disk);
		r = map_disk(&tool, disk, list, &progress, &err);
	}
	progress_end(&progress);
	if (r < 0)
		status = command_fail("%s", err.text);
	else if (list)
		status = disk_tool_print_json(json_incref(list));
	json_decref(list);
	disk_close(disk, NULL);
	disk_tool_fini(&tool);
	option_fini(&disk_map_options, &map);
	return status;
}
