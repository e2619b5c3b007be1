// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "block/disk_chain.h"
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
	  .help = "print a JSON array with an object for each image" },
	{ .key = "help", .letter = 'h', OPTION(struct info, help),
	  .help = "print this and exit" },
};

const struct option_object disk_info_options = {
	.name = "disk info", OPTION_OBJECT(struct info, rows),
};

static void fact_to_json(void *ctx, const char *key, const char *text, uint64_t number)
{
	json_object_set_new(ctx, key, text ? disk_tool_json_text(text) :
				      json_integer((json_int_t)number));
}

/* NULL, and err set, when they cannot be read. */
static json_t *snapshots_of(const struct disk *disk, struct err *err)
{
	const struct disk_config config = {
		.path = disk_id(disk), .format = disk_format_name(disk), .read_only = true,
		.backing = DISK_BACKING_OFF,
	};

	return disk_snapshots_read(&config, err);
}

static json_t *image_to_json(const struct disk *disk, json_t *snapshots)
{
	json_t *facts = json_object();

	disk_map_facts(disk, fact_to_json, facts);
	return json_pack("{s:o,s:s,s:I,s:I,s:o,s:o}", "path",
			 disk_tool_json_text(disk_id(disk)),
			 "format", disk_format_name(disk),
			 "virtual-size", (json_int_t)disk_size(disk),
			 "allocated", (json_int_t)disk_allocated(disk), "details", facts,
			 "snapshots", snapshots);
}

static int print_json(const struct disk *disk, struct err *err)
{
	json_t *list = json_array();

	for (; disk; disk = disk_chain_backing(disk)) {
		json_t *snapshots = snapshots_of(disk, err);

		if (!snapshots) {
			json_decref(list);
			return command_fail("%s", err->text);
		}
		/* What lacks an image is no list. */
		if (json_array_append_new(list, image_to_json(disk, snapshots)) < 0) {
			json_decref(list);
			list = NULL;
			break;
		}
	}
	return disk_tool_print_json(list);
}

/* A name within an image may be anybody's: it has no word with the terminal. */
static void print_line(const char *key, const char *text)
{
	printf("%-16s", key);
	for (; *text; text++)
		putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
	putchar('\n');
}

static void print_fact(void *ctx, const char *key, const char *text, uint64_t number)
{
	char line[32];

	(void)ctx;
	snprintf(line, sizeof(line), "%llu", (unsigned long long)number);
	print_line(key, text ? text : line);
}

static void print_image(const struct disk *disk, const json_t *snapshots)
{
	char size[DISK_TOOL_SIZE_MAX];

	print_line("path", disk_id(disk));
	print_line("format", disk_format_name(disk));
	print_line("virtual size", disk_tool_size(disk_size(disk), size));
	print_line("allocated", disk_tool_size(disk_allocated(disk), size));
	disk_map_facts(disk, print_fact, NULL);
	if (json_array_size(snapshots))
		printf("\n");
	disk_snapshots_print(snapshots);
}

/* What is behind an image follows it after an empty line. */
static int print_text(const struct disk *disk, struct err *err)
{
	for (; disk; disk = disk_chain_backing(disk)) {
		json_t *snapshots = snapshots_of(disk, err);

		if (!snapshots)
			return command_fail("%s", err->text);
		print_image(disk, snapshots);
		json_decref(snapshots);
		if (disk_chain_backing(disk))
			putchar('\n');
	}
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
	int r, status;

	if (!arguments_read(&args, command, &info, argc, argv))
		return args.status;
	config.path = args.words[0];
	config.format = info.format;
	config.backing = info.backing_files;
	if (info.backing_files == DISK_BACKING_OFF)
		config.behind = DISK_BEHIND_LEAVE;
	r = disk_tool_init(&tool, &err);
	if (!r)
		r = disk_open(&disk, &config, tool.loop, &err);
	if (r < 0)
		status = command_fail("%s", err.text);
	else
		status = info.json ? print_json(disk, &err) : print_text(disk, &err);
	disk_close(disk, NULL);
	disk_tool_fini(&tool);
	option_fini(&disk_info_options, &info);
	return status;
}
