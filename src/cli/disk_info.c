// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "block/disk_map.h"
#include "cli/command.h"
#include "config/option.h"
#include "disk.h"
#include "disk_snapshots.h"
#include "disk_tool.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct info {
	struct option_given given;
	char *format;
	enum disk_backing backing_files;
	bool json, help;
};

static const struct option rows[] = {
	{ .key = "format", .letter = 'f', OPTION(struct info, format), .metavar = "FORMAT",
	  .help = "how the image is laid out; by default what the ending of its name says" },
	DISK_TOOL_BACKING_FILES(struct info),
	{ .key = "json", .letter = 'j', OPTION(struct info, json),
	  .help = "print one JSON object" },
	{ .key = "help", .letter = 'h', OPTION(struct info, help),
	  .help = "print this and exit" },
};

const struct option_object disk_info_options = {
	.name = "disk info", OPTION_OBJECT(struct info, rows),
};

static void fact_to_json(void *ctx, const char *key, const char *text, uint64_t number)
{
	json_object_set_new(ctx, key, text ? json_string(text) :
				      json_integer((json_int_t)number));
}

static int print_json(const struct disk *disk, const char *path,
		      json_t *snapshots)
{
	json_t *facts = json_object();

	disk_map_facts(disk, fact_to_json, facts);
	return disk_tool_print_json(json_pack("{s:s,s:s,s:I,s:I,s:o,s:O}", "path", path,
					      "format", disk_format_name(disk),
					      "virtual-size", (json_int_t)disk_size(disk),
					      "allocated", (json_int_t)disk_allocated(disk),
					      "details", facts,
					      "snapshots", snapshots));
}

static void print_line(const char *key, const char *text)
{
	printf("%-16s%s\n", key, text);
}

static void print_fact(void *ctx, const char *key, const char *text, uint64_t number)
{
	char line[32];

	(void)ctx;
	snprintf(line, sizeof(line), "%llu", (unsigned long long)number);
	print_line(key, text ? text : line);
}

static int print_text(const struct disk *disk, const char *path,
		      json_t *snapshots)
{
	char size[DISK_TOOL_SIZE_MAX];

	print_line("path", path);
	print_line("format", disk_format_name(disk));
	print_line("virtual size", disk_tool_size(disk_size(disk), size));
	print_line("allocated", disk_tool_size(disk_allocated(disk), size));
	disk_map_facts(disk, print_fact, NULL);
	if (json_array_size(snapshots))
		printf("\n");
	disk_snapshots_print(snapshots);
	return EXIT_OK;
}

int disk_info_command(const struct command *command, int argc, char **argv)
{
	struct disk_config config = { .read_only = true };
	struct disk_tool tool;
	struct info info;
	struct arguments args;
	struct err err = { 0 };
	struct disk *disk = NULL;
	json_t *snapshots = NULL;
	int r, status;

	if (!arguments_read(&args, command, &info, argc, argv))
		return args.status;
	config.path = args.words[0];
	config.format = info.format;
	config.backing = info.backing_files;
	r = disk_tool_init(&tool, &err);
	if (!r)
		r = disk_open(&disk, &config, tool.loop, &err);
	if (!r)
		snapshots = disk_snapshots_read(&config, &err);
	if (!snapshots)
		status = command_fail("%s", err.text);
	else
		status = info.json ? print_json(disk, config.path, snapshots) :
				     print_text(disk, config.path, snapshots);
	json_decref(snapshots);
	disk_close(disk, NULL);
	disk_tool_fini(&tool);
	option_fini(&disk_info_options, &info);
	return status;
}
