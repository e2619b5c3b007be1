// SPDX-License-Identifier: Apache-2.0
/*
 * disk_compare.c - do two disks hold the same bytes?
 *
 * Where one is longer, the other is taken to go on with zeros, but not with --strict.
 * What neither stores is not read.
 */
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "block/disk_map.h"
#include "cli/command.h"
#include "config/option.h"
#include "disk.h"
#include "disk_copy.h"
#include "disk_tool.h"
#include "progress.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_SLOTS	8
#define CHUNK		(1 * MiB)

enum {
	EXIT_SAME = EXIT_OK,
	EXIT_ERROR = EXIT_USAGE,
	EXIT_DIFFERENT = 2,
};

struct compare {
	struct option_given given;
	char *format_a, *format_b;
	enum disk_backing backing_files;
	bool strict, json, help;
};

static const struct option rows[] = {
	{ .key = "format-a", .letter = 'f', OPTION(struct compare, format_a),
	  .metavar = "FORMAT", .help = "how the first image is laid out; by default what the "
	  "ending of its name says" },
	{ .key = "format-b", .letter = 'F', OPTION(struct compare, format_b),
	  .metavar = "FORMAT", .help = "how the second image is laid out; likewise" },
	DISK_TOOL_BACKING_FILES(struct compare),
	{ .key = "strict", .letter = 's', OPTION(struct compare, strict),
	  .help = "disks of different sizes differ, even if only zeros follow" },
	{ .key = "json", .letter = 'j', OPTION(struct compare, json),
	  .help = "tell the result as one JSON object" },
	{ .key = "help", .letter = 'h', OPTION(struct compare, help),
	  .help = "print this and exit" },
};

const struct option_object disk_compare_options = {
	.name = "disk compare", OPTION_OBJECT(struct compare, rows),
};

struct comparer;

/* One of the two disks, and how far it is known. */
struct side {
	struct disk *disk;
	const char *path;
	struct disk_extent extent;
};

/* A part of both disks that is being read. */
struct half {
	struct slot *slot;
	struct side *side;
	struct disk_request request;
	struct iovec seg;
	uint8_t *bytes;
};

struct slot {
	struct comparer *comparer;
	unsigned nr_pending;
	uint64_t at, len;
	struct half halves[2];
};

struct comparer {
	struct disk_tool tool;
	struct side sides[2];
	uint64_t at, end;
	uint64_t difference;		/* the first that was found; else UINT64_MAX */
	unsigned nr_busy;
	int res;
	struct err *err;
	struct progress progress;
	struct slot slots[NR_SLOTS];
	struct loop_task begin;
};

/* Bytes from at on that the disk stores alike, and whether they read as zeros. */
static uint64_t look(struct comparer *c, struct side *side, uint64_t at, bool *ret_zeros)
{
	struct disk_extent *x = &side->extent;

	*ret_zeros = at >= disk_size(side->disk);
	if (*ret_zeros)
		return UINT64_MAX;
	if (at - x->at >= x->len) {
		c->res = disk_map(side->disk, at, x, c->err);
		if (c->res)
			return 0;
	}
	*ret_zeros = x->stored == DISK_STORED_NOT || x->stored == DISK_STORED_ZERO;
	return x->len - (at - x->at);
}

/* The next part that has to be read. */
static bool find_next(struct comparer *c, uint64_t *ret_len)
{
	while (c->at < c->end) {
		bool zeros[2];
		uint64_t len = min_u64(look(c, &c->sides[0], c->at, &zeros[0]), c->end - c->at);

		if (!c->res)
			len = min_u64(len, look(c, &c->sides[1], c->at, &zeros[1]));
		if (c->res)
			return false;
		*ret_len = min_u64(len, CHUNK);
		if (!zeros[0] || !zeros[1])
			return true;
		c->at += len;
	}
	return false;
}

static void start(struct slot *slot);

/* Where they differ; len: nowhere. */
static uint64_t first_difference(const uint8_t *a, const uint8_t *b, uint64_t len)
{
	uint64_t at = 0, step = 4 * KiB;

	while (at < len && !memcmp(a + at, b + at, min_u64(step, len - at)))
		at += step;
	while (at < len && a[at] == b[at])
		at++;
	return min_u64(at, len);
}

static void both_read(struct slot *slot)
{
	struct comparer *c = slot->comparer;
	uint64_t at;

	if (!c->res) {
		at = first_difference(slot->halves[0].bytes, slot->halves[1].bytes, slot->len);
		if (at < slot->len)
			c->difference = min_u64(c->difference, slot->at + at);
	}
	start(slot);
}

static void half_read(struct disk_request *request, int res)
{
	struct half *half = container_of(request, struct half, request);
	struct slot *slot = half->slot;
	struct comparer *c = slot->comparer;

	if (res < 0 && !c->res)
		c->res = err_sys(c->err, res, "cannot read '%s' at %llu", half->side->path,
				 (unsigned long long)slot->at);
	if (!--slot->nr_pending)
		both_read(slot);
}

/* What is beyond the end of the shorter disk is zeros. */
static void read_half(struct half *half)
{
	struct slot *slot = half->slot;
	uint64_t size = disk_size(half->side->disk);
	uint64_t len = slot->at < size ? min_u64(slot->len, size - slot->at) : 0;

	memset(half->bytes + len, 0, slot->len - len);
	half->seg = (struct iovec){ half->bytes, len };
	half->request = (struct disk_request){
		.op = DISK_READ, .at = len ? slot->at : 0, .len = len, .done = half_read,
		.segs = &half->seg, .nr_segs = 1,
	};
	disk_submit(half->side->disk, &half->request);
}

/*
 * Parts are taken in order, and one that was taken is looked at to its end: so the
 * lowest difference that is found is the first there is.
 */
static void start(struct slot *slot)
{
	struct comparer *c = slot->comparer;

	progress_show(&c->progress, c->at);
	if (c->res || c->tool.interrupted || c->difference != UINT64_MAX ||
	    !find_next(c, &slot->len)) {
		if (!--c->nr_busy)
			loop_quit(c->tool.loop);
		return;
	}
	slot->at = c->at;
	c->at += slot->len;
	slot->nr_pending = 2;
	read_half(&slot->halves[0]);
	read_half(&slot->halves[1]);
}

static void begin(struct loop_task *task)
{
	struct comparer *c = container_of(task, struct comparer, begin);

	for (unsigned i = 0; i < NR_SLOTS; i++)
		start(&c->slots[i]);
}

static int compare_all(struct comparer *c)
{
	int r = 0;

	c->begin.run = begin;
	c->nr_busy = NR_SLOTS;
	progress_start(&c->progress, "comparing", c->end);
	loop_defer(c->tool.loop, &c->begin);
	while (c->nr_busy && r >= 0)
		r = loop_run(c->tool.loop);
	progress_end(&c->progress);
	if (r < 0)
		return err_sys(c->err, r, "cannot compare");
	return c->res ? c->res : disk_tool_check(&c->tool, c->err);
}

static int compare_disks(struct comparer *c, bool strict)
{
	uint64_t a = disk_size(c->sides[0].disk), b = disk_size(c->sides[1].disk);
	uint8_t *memory;
	int r;

	c->end = strict ? min_u64(a, b) : max_u64(a, b);
	if (posix_memalign((void **)&memory, 4096, 2 * NR_SLOTS * CHUNK))
		return err_sys(c->err, -ENOMEM, "cannot compare");
	for (unsigned i = 0; i < 2 * NR_SLOTS; i++) {
		struct slot *slot = &c->slots[i / 2];

		slot->comparer = c;
		slot->halves[i % 2] = (struct half){
			.slot = slot, .side = &c->sides[i % 2], .bytes = memory + i * CHUNK,
		};
	}
	r = compare_all(c);
	free(memory);
	if (!r && strict && a != b && c->difference == UINT64_MAX)
		c->difference = c->end;
	return r;
}

static int open_side(struct comparer *c, struct side *side, const char *format,
		     enum disk_backing backing)
{
	const struct disk_config config = {
		.path = side->path, .format = format, .read_only = true, .backing = backing,
	};

	return disk_open(&side->disk, &config, c->tool.loop, c->err);
}

static int compare(struct comparer *c, const struct compare *options)
{
	int r = disk_tool_init(&c->tool, c->err);

	if (!r)
		r = open_side(c, &c->sides[0], options->format_a, options->backing_files);
	if (!r)
		r = open_side(c, &c->sides[1], options->format_b, options->backing_files);
	return r < 0 ? r : compare_disks(c, options->strict);
}

static int tell(const struct comparer *c, bool json)
{
	bool same = c->difference == UINT64_MAX;

	if (json) {
		json_t *result = json_pack("{s:b}", "identical", same);

		if (!same)
			json_object_set_new(result, "first-difference",
					    json_integer((json_int_t)c->difference));
		if (disk_tool_print_json(result) != EXIT_OK)
			return EXIT_ERROR;
	} else if (same) {
		printf("The disks are identical.\n");
	} else {
		printf("The disks differ from byte %llu on.\n",
		       (unsigned long long)c->difference);
	}
	return same ? EXIT_SAME : EXIT_DIFFERENT;
}

int disk_compare_command(const struct command *command, int argc, char **argv)
{
	struct compare options;
	struct arguments args;
	struct err err = { 0 };
	struct comparer c = { .difference = UINT64_MAX, .err = &err };
	int status;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	c.sides[0].path = args.words[0];
	c.sides[1].path = args.words[1];
	if (compare(&c, &options) < 0)
		status = command_fail("%s", err.text);
	else
		status = tell(&c, options.json);
	disk_close(c.sides[0].disk, NULL);
	disk_close(c.sides[1].disk, NULL);
	disk_tool_fini(&c.tool);
	option_fini(&disk_compare_options, &options);
	return status;
}
