// SPDX-License-Identifier: Apache-2.0
/*
 * stats.c - vmm stats: what a running VM costs and does.
 *
 * Once, the numbers are totals since the VM's last reset; with --watch they are
 * what was added in each second.
 */
#include "arguments.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"
#include "facts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL_NS	CLOCK_NS_PER_S
#define CLEAR		"\033[H\033[J"

struct stats {
	struct option_given given;
	bool watch;
	bool json;
	bool help;
};

static const struct option rows[] = {
	{ .key = "watch", .letter = 'w', OPTION(struct stats, watch),
	  .help = "go on, each second with what that second has added, until the VM ends" },
	{ .key = "json", .letter = 'j', OPTION(struct stats, json),
	  .help = "print one JSON object, with --watch one a line; of totals always" },
	{ .key = "help", .letter = 'h', OPTION(struct stats, help),
	  .help = "print this and exit" },
};

const struct option_object command_stats_options = {
	.name = "stats", OPTION_OBJECT(struct stats, rows),
};

/* What was asked at one time. */
struct sample {
	json_t *all;
	uint64_t at;			/* clock_ns() */
};

static int ask(struct client *client, struct sample *ret_sample, struct err *err)
{
	static const struct {
		const char *key, *command;
	} queries[] = {
		{ "status", "query-status" },
		{ "use", "x-vmm-query-use" },
		{ "memory", "x-vmm-query-memory-use" },
		{ "blockstats", "query-blockstats" },
	};
	json_t *all = json_object(), *value;
	int r = 0;

	ret_sample->at = clock_ns();
	for (size_t i = 0; i < ARRAY_LEN(queries) && !r; i++) {
		r = client_execute(client, queries[i].command, NULL, &value, err);
		if (!r)
			json_object_set_new(all, queries[i].key, value);
	}
	if (r < 0) {
		json_decref(all);
		return r;
	}
	ret_sample->all = all;
	return 0;
}

/* Columns of a table, each the value of a key. */
struct column {
	const char *title, *key;
	bool bytes;
};

struct view {
	const struct sample *now, *before;	/* before: NULL for totals */
};

static double seconds_of(const struct view *view)
{
	return (double)(view->now->at - view->before->at) / (double)CLOCK_NS_PER_S;
}

/* A counter that has become less was reset meanwhile. */
static uint64_t amount(const struct view *view, const json_t *now, const json_t *before,
		       const char *key)
{
	uint64_t value = (uint64_t)json_integer_value(json_object_get(now, key));
	uint64_t old = (uint64_t)json_integer_value(json_object_get(before, key));

	if (!view->before)
		return value;
	value -= old <= value ? old : 0;
	return (uint64_t)((double)value / seconds_of(view) + 0.5);
}

static void print_titles(const char *what, const struct column *columns, size_t nr)
{
	printf("%-19s", what);
	for (size_t i = 0; i < nr; i++)
		printf(" %10s", columns[i].title);
	putchar('\n');
}

static void print_values(const struct view *view, const json_t *now, const json_t *before,
			 const struct column *columns, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t value = amount(view, now, before, columns[i].key);

		if (!json_object_get(now, columns[i].key))
			printf(" %10s", "-");
		else if (columns[i].bytes)
			printf(" %10s", facts_size(value).text);
		else
			printf(" %10llu", (unsigned long long)value);
	}
	putchar('\n');
}

/* The same part of both samples. */
static void both(const struct view *view, const char *key, const json_t **ret_now,
		 const json_t **ret_before)
{
	const json_t *before = view->before ? view->before->all : NULL;

	*ret_now = json_object_get(json_object_get(view->now->all, "use"), key);
	*ret_before = json_object_get(json_object_get(before, "use"), key);
}

static void print_time(const struct view *view, const json_t *now, const json_t *before)
{
	uint64_t ns = amount(view, now, before, "cpu-time-ns");
	double value = (double)ns / (double)CLOCK_NS_PER_S;

	if (view->before)
		printf(" %9.1f%%", 100 * value);
	else
		printf(" %9.3fs", value);
}

static void print_threads(const struct view *view)
{
	static const struct column columns[] = {
		{ "PIO", "pio", false },
		{ "MMIO", "mmio", false },
		{ "SIGNAL", "signal", false },
		{ "OTHER", "other", false },
	};
	const json_t *now, *before;
	json_t *one;
	size_t i;

	print_titles("THREAD          CPU", columns, ARRAY_LEN(columns));
	both(view, "vcpus", &now, &before);
	json_array_foreach(now, i, one) {
		const json_t *old = json_array_get(before, i);

		printf("vcpu%-5zu", i);
		print_time(view, one, old);
		print_values(view, json_object_get(one, "exits"), json_object_get(old, "exits"),
			     columns, ARRAY_LEN(columns));
	}
	both(view, "iothreads", &now, &before);
	json_array_foreach(now, i, one) {
		printf("%-9.9s", json_string_value(json_object_get(one, "id")));
		print_time(view, one, json_array_get(before, i));
		putchar('\n');
	}
	both(view, "monitor", &now, &before);
	printf("%-9s", "monitor");
	print_time(view, now, before);
	putchar('\n');
}

static void print_disks(const struct view *view)
{
	static const struct column columns[] = {
		{ "READS", "rd_operations", false },
		{ "READ", "rd_bytes", true },
		{ "WRITES", "wr_operations", false },
		{ "WRITTEN", "wr_bytes", true },
		{ "FLUSHES", "flush_operations", false },
	};
	const json_t *now = json_object_get(view->now->all, "blockstats");
	const json_t *before =
		view->before ? json_object_get(view->before->all, "blockstats") : NULL;
	json_t *one;
	size_t i;

	if (json_array_size(now))
		print_titles("DISK", columns, ARRAY_LEN(columns));
	json_array_foreach(now, i, one) {
		printf("%-19.19s", json_string_value(json_object_get(one, "device")));
		print_values(view, json_object_get(one, "stats"),
			     json_object_get(json_array_get(before, i), "stats"), columns,
			     ARRAY_LEN(columns));
	}
}

static void print_queues(const struct view *view)
{
	static const struct column columns[] = {
		{ "KICKS", "kicks", false },
		{ "INTERRUPTS", "interrupts", false },
		{ "REQUESTS", "requests", false },
		{ "PACKETS", "packets", false },
		{ "BYTES", "bytes", true },
		{ "DROPS", "drops", false },
	};
	const json_t *now, *before;
	json_t *one;
	size_t i;

	both(view, "queues", &now, &before);
	if (json_array_size(now))
		print_titles("QUEUE", columns, ARRAY_LEN(columns));
	json_array_foreach(now, i, one) {
		printf("%02llx.%llu %-14.14s",
		       (unsigned long long)json_integer_value(json_object_get(one, "slot")),
		       (unsigned long long)json_integer_value(json_object_get(one, "queue")),
		       json_string_value(json_object_get(one, "driver")));
		print_values(view, one, json_array_get(before, i), columns, ARRAY_LEN(columns));
	}
}

static void print_memory(const json_t *memory)
{
	static const char *const parts[] = { "guest", "monitor" };

	printf("%-19s %10s %10s\n", "MEMORY", "RSS", "PSS");
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		char rss[16], pss[16];

		snprintf(rss, sizeof(rss), "%s-rss", parts[i]);
		snprintf(pss, sizeof(pss), "%s-pss", parts[i]);
		printf("%-19s %10s %10s\n", parts[i],
		       facts_size((uint64_t)json_integer_value(
				  json_object_get(memory, rss))).text,
		       facts_size((uint64_t)json_integer_value(
				  json_object_get(memory, pss))).text);
	}
}

static void print_text(const char *name, const struct view *view)
{
	const json_t *status = json_object_get(view->now->all, "status");

	printf("%s: %s, %s\n", name, json_string_value(json_object_get(status, "status")),
	       view->before ? "per second" : "in all");
	print_threads(view);
	print_disks(view);
	print_queues(view);
	print_memory(json_object_get(view->now->all, "memory"));
}

static void print(const char *name, const struct stats *options, const struct view *view)
{
	if (options->json) {
		json_dumpf(view->now->all, stdout, options->watch ? JSON_COMPACT : JSON_INDENT(2));
		putchar('\n');
	} else {
		if (options->watch && isatty(STDOUT_FILENO))
			fputs(CLEAR, stdout);
		print_text(name, view);
		if (options->watch && !isatty(STDOUT_FILENO))
			putchar('\n');
	}
	/* Whoever reads it through a pipe wants it now. */
	fflush(stdout);
}

/* Events end up here, too, or they would pile up. */
static int wait_until(struct client *client, uint64_t at, struct err *err)
{
	for (;;) {
		uint64_t now = clock_ns();
		json_t *event;
		int r;

		if (now >= at)
			return 0;
		r = client_event(client, &event, (int)((at - now) / CLOCK_NS_PER_MS + 1), err);
		if (r < 0)
			return r;
		if (r > 0)
			json_decref(event);
	}
}

/* Until an error, of which -EPIPE is that the VM has ended, or nothing can be written. */
static int watch(struct client *client, const char *name, const struct stats *options,
		 struct err *err)
{
	struct sample before = { 0 }, now;
	int r = ask(client, &before, err);

	while (!r && !ferror(stdout)) {
		r = wait_until(client, before.at + INTERVAL_NS, err);
		if (!r)
			r = ask(client, &now, err);
		if (r < 0)
			break;
		print(name, options, &(struct view){ &now, &before });
		json_decref(before.all);
		before = now;
	}
	json_decref(before.all);
	return r;
}

static int once(struct client *client, const char *name, const struct stats *options,
		struct err *err)
{
	struct sample now;
	int r = ask(client, &now, err);

	if (r < 0)
		return r;
	print(name, options, &(struct view){ &now, NULL });
	json_decref(now.all);
	return 0;
}

int command_stats(const struct command *command, int argc, char **argv)
{
	struct err err = { 0 };
	struct arguments args;
	struct stats options;
	struct client *client;
	const char *name;
	int r;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	name = args.words[0];
	r = client_open(&client, name, CLIENT_TIMEOUT_MS, &err);
	if (r < 0)
		return command_fail("%s", err.text);
	r = options.watch ? watch(client, name, &options, &err) :
			    once(client, name, &options, &err);
	client_close(client);
	if (options.watch && r == -EPIPE)
		return EXIT_OK;
	return r < 0 ? command_fail("%s", err.text) : EXIT_OK;
}
