/* SPDX-License-Identifier: Apache-2.0 */
/*
 * all_kinds.h - a configuration with options of every kind, for the tests and
 * the fuzzer of the config layer.
 */
#ifndef TESTS_UNIT_ALL_KINDS_H
#define TESTS_UNIT_ALL_KINDS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "config/option.h"

enum image_format { FORMAT_RAW, FORMAT_QCOW2, FORMAT_VMDK };

static const char *const image_formats[] = { "raw", "qcow2", "vmdk", NULL };

struct image {
	struct option_given given;
	char *path;
	enum image_format format;
	bool readonly;
	char *serial;
	uint64_t cache;
	uint8_t mac[6];
};

static const struct option image_rows[] = {
	{ .key = "path", OPTION_PATH(struct image, path), .required = true, .primary = true,
	  .help = "image file or block device" },
	{ .key = "format", OPTION_CHOICE(struct image, format, image_formats),
	  .preset = "raw", .help = "how the image is laid out" },
	{ .key = "readonly", OPTION(struct image, readonly), .help = "refuse writes" },
	{ .key = "serial", OPTION(struct image, serial), .max = 20,
	  .help = "serial number the guest sees" },
	{ .key = "cache", OPTION_SIZE(struct image, cache), .min = 4 * KiB,
	  .help = "memory for tables" },
	{ .key = "mac", OPTION(struct image, mac), .help = "address on the wire" },
};

static const struct option_object image_options = {
	.name = "image", OPTION_OBJECT(struct image, image_rows),
};

enum clock_base { BASE_UTC, BASE_LOCAL };

static const char *const clock_bases[] = { "utc", "local", NULL };

struct wall_clock {
	struct option_given given;
	enum clock_base base;
	char *zone;
};

static const struct option wall_clock_rows[] = {
	{ .key = "base", OPTION_CHOICE(struct wall_clock, base, clock_bases),
	  .preset = "utc", .help = "what the clock shows" },
	{ .key = "zone", OPTION(struct wall_clock, zone), .preset = "UTC",
	  .help = "name of the time zone" },
};

static const struct option_object wall_clock_options = {
	.name = "clock", OPTION_OBJECT(struct wall_clock, wall_clock_rows),
};

struct all_kinds {
	struct option_given given;
	char *config;
	uint64_t memory;
	uint32_t cpus;
	uint16_t port;
	uint64_t seed;
	char *name;
	char *log;
	bool direct;
	bool verbose;
	uint8_t mac[6];
	struct wall_clock clock;
	struct image *images;
	uint32_t nr_images;
};

static const struct option all_kinds_rows[] = {
	{ .key = "config", OPTION_PATH(struct all_kinds, config), .cmdline_only = true,
	  .help = "read options from this file first" },
	{ .key = "memory", .letter = 'm', OPTION_SIZE(struct all_kinds, memory),
	  .min = MiB, .max = TiB, .preset = "512M", .help = "guest memory" },
	{ .key = "cpus", .letter = 'c', OPTION(struct all_kinds, cpus),
	  .min = 1, .max = 255, .preset = "1", .help = "number of virtual CPUs" },
	{ .key = "port", OPTION(struct all_kinds, port), .help = "where to listen" },
	{ .key = "seed", OPTION(struct all_kinds, seed), .metavar = "NUMBER",
	  .help = "start of the random numbers" },
	{ .key = "name", OPTION(struct all_kinds, name), .required = true,
	  .help = "what the machine is called" },
	{ .key = "log", .letter = 'l', OPTION_PATH(struct all_kinds, log),
	  .help = "append messages to this file" },
	{ .key = "direct", .letter = 'd', OPTION(struct all_kinds, direct),
	  .help = "pass the page cache by" },
	{ .key = "verbose", .letter = 'v', OPTION(struct all_kinds, verbose),
	  .help = "say more" },
	{ .key = "mac", OPTION(struct all_kinds, mac), .help = "address of the interface" },
	{ .key = "clock", OPTION_GROUP(struct all_kinds, clock, wall_clock_options),
	  .help = "the real-time clock" },
	{ .key = "image", .letter = 'i',
	  OPTION_LIST(struct all_kinds, images, nr_images, image_options), .max = 3,
	  .help = "add a disk image" },
};

static const struct option_object all_kinds_options = {
	.name = "machine", OPTION_OBJECT(struct all_kinds, all_kinds_rows),
};

static inline bool same_string(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static inline bool same_image(const struct image *a, const struct image *b)
{
	return same_string(a->path, b->path) && a->format == b->format &&
	       a->readonly == b->readonly && same_string(a->serial, b->serial) &&
	       a->cache == b->cache && !memcmp(a->mac, b->mac, sizeof(a->mac));
}

/* Of what a file holds: all but config, and who gave it. */
static inline bool all_kinds_equal(const struct all_kinds *a, const struct all_kinds *b)
{
	bool same = a->memory == b->memory && a->cpus == b->cpus && a->port == b->port &&
		    a->seed == b->seed && same_string(a->name, b->name) &&
		    same_string(a->log, b->log) && a->direct == b->direct &&
		    a->verbose == b->verbose && !memcmp(a->mac, b->mac, sizeof(a->mac)) &&
		    a->clock.base == b->clock.base &&
		    same_string(a->clock.zone, b->clock.zone) &&
		    a->nr_images == b->nr_images;

	for (uint32_t i = 0; same && i < a->nr_images; i++)
		same = same_image(&a->images[i], &b->images[i]);
	return same;
}

#endif
