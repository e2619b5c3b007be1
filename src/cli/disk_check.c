// SPDX-License-Identifier: Apache-2.0
#include "block/disk_check.h"

#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "block/disk.h"
#include "cli/command.h"
#include "config/option.h"
#include "disk.h"
#include "disk_tool.h"
#include "progress.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

enum {
	EXIT_CLEAN = EXIT_OK,
	EXIT_ERROR = EXIT_USAGE,
	EXIT_DAMAGED,
	EXIT_LEAKS,
};

struct check {
	struct option_given given;
	char *format;
	bool repair, json, help;
};

static const struct option rows[] = {
	{ .key = "repair", .letter = 'r', OPTION(struct check, repair),
	  .help = "put it right, if all of it can be" },
	{ .key = "format", .letter = 'f', OPTION(struct check, format), .metavar = "FORMAT",
	  .help = "how the image is laid out; by default what the ending of its name says" },
	{ .key = "json", .letter = 'j', OPTION(struct check, json),
	  .help = "print one JSON object" },
	{ .key = "help", .letter = 'h', OPTION(struct check, help),
	  .help = "print this and exit" },
};

const struct option_object disk_check_options = {
	.name = "disk check", OPTION_OBJECT(struct check, rows),
};

static int print_json(const struct disk_check *found)
{
	return disk_tool_print_json(json_pack("{s:I,s:I,s:I,s:I}",
					      "clusters", (json_int_t)found->nr_clusters,
					      "leaks", (json_int_t)found->nr_leaks,
					      "corruptions", (json_int_t)found->nr_corruptions,
					      "fixed", (json_int_t)found->nr_fixed));
}

static void print_text(const struct disk_check *found, bool repaired)
{
	if (found->nr_fixed)
		printf("%" PRIu64 " errors were put right.\n", found->nr_fixed);
	if (found->nr_corruptions)
		printf("The image is damaged: %" PRIu64 " errors, and %" PRIu64
		       " clusters that nothing refers to.\n%s.\n", found->nr_corruptions,
		       found->nr_leaks, repaired ?
		       "It cannot be put right, as when a part of the file is missing, and was "
		       "left as it is: take a copy from before" :
		       "With --repair it is put right if that can be done; keep a copy of it "
		       "first");
	else if (found->nr_leaks)
		printf("The image is good, but nothing refers to %" PRIu64
		       " of its clusters.\n", found->nr_leaks);
	else
		printf("The image is good: %" PRIu64 " clusters are in use.\n",
		       found->nr_clusters);
}

static int tell(const struct disk_check *found, bool repaired, bool json)
{
	if (!json)
		print_text(found, repaired);
	else if (print_json(found) != EXIT_OK)
		return EXIT_ERROR;
	return found->nr_corruptions ? EXIT_DAMAGED : found->nr_leaks ? EXIT_LEAKS : EXIT_CLEAN;
}

int disk_check_command(const struct command *command, int argc, char **argv)
{
	struct progress progress;
	const struct disk_progress shown = { disk_tool_show, &progress };
	struct disk_config config = { .progress = &shown };
	struct disk_check found;
	struct check check;
	struct arguments args;
	struct err err = { 0 };
	int r, status;

	if (!arguments_read(&args, command, &check, argc, argv))
		return args.status;
	config.path = args.words[0];
	config.format = check.format;
	progress_start(&progress, "checking", 0);
	r = disk_check(&found, &config, check.repair, &err);
	progress_end(&progress);
	if (r < 0)
		status = command_fail("%s", err.text);
	else
		status = tell(&found, check.repair, check.json);
	option_fini(&disk_check_options, &check);
	return status;
}
