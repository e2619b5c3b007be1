// SPDX-License-Identifier: Apache-2.0
/*
 * info.c - vmm info: what a running VM tells of itself.
 */
#include "arguments.h"
#include "base/err.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"
#include "facts.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define QUERY		"query-"
#define OURS		"x-vmm-"
#define REGISTERS	OURS QUERY "cpu-registers"

struct info {
	struct option_given given;
	bool json;
	bool help;
};

static const struct option rows[] = {
	{ .key = "json", .letter = 'j', OPTION(struct info, json),
	  .help = "print one JSON object with the answer to each query" },
	{ .key = "help", .letter = 'h', OPTION(struct info, help),
	  .help = "print this and exit" },
};

const struct option_object command_info_options = {
	.name = "info", OPTION_OBJECT(struct info, rows),
};

/*
 * What the answer to a command goes by: its name less "query-" and what is before.  NULL:
 * what the commands themselves are, what is for vmm stats, and what is no question.
 */
static const char *key_of(const char *command)
{
	if (command && !strcmp(command, REGISTERS))
		return &REGISTERS[strlen(OURS QUERY)];
	if (!command || strncmp(command, QUERY, strlen(QUERY)) ||
	    !strcmp(command, "query-commands") || !strcmp(command, "query-qmp-schema"))
		return NULL;
	return command + strlen(QUERY);
}

/* All that can be asked without arguments. */
static int ask_all(struct client *client, json_t **ret_all, struct err *err)
{
	json_t *commands, *all, *value;
	size_t i;
	json_t *command;
	int r = client_execute(client, "query-commands", NULL, &commands, err);

	if (r < 0)
		return r;
	all = json_object();
	json_array_foreach(commands, i, command) {
		const char *name = json_string_value(json_object_get(command, "name"));
		const char *key = key_of(name);

		if (!key)
			continue;
		r = client_execute(client, name, NULL, &value, err);
		/* What it refuses is not there, or takes arguments. */
		if (r == -EREMOTEIO)
			continue;
		if (r < 0)
			break;
		json_object_set_new(all, key, value);
	}
	json_decref(commands);
	if (r < 0 && r != -EREMOTEIO) {
		json_decref(all);
		return r;
	}
	*ret_all = all;
	return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

static uint64_t number_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* Standard error, where that is a file. */
static void print_log(pid_t pid)
{
	char link[32], path[PATH_MAX];
	struct stat st;
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/%d/fd/2", pid);
	len = stat(link, &st) || !S_ISREG(st.st_mode) ? 0 : readlink(link, path, sizeof(path));
	if (len > 0)
		printf("  log       %.*s\n", (int)len, path);
}

static void print_head(const struct facts *facts, const json_t *all)
{
	struct runtime_path path;

	printf("%s\n", facts->vm.name);
	printf("  state     %s, up for %s\n", facts->state, facts_span(facts->uptime).text);
	printf("  process   %d (%s)\n", facts->vm.pid,
	       text_of(json_object_get(all, "version"), "package"));
	printf("  memory    %s\n", facts_size(facts->memory).text);
	if (!runtime_path(&path, facts->vm.name, RUNTIME_QMP, NULL))
		printf("  QMP       %s\n", path.text);
	print_log(facts->vm.pid);
}

/* Of each the thread, which one may want to bind to a processor. */
static void print_threads(const char *title, const json_t *threads)
{
	json_t *thread;
	size_t i;

	if (!json_array_size(threads))
		return;
	fputs(title, stdout);
	json_array_foreach(threads, i, thread)
		printf("%s%" PRIu64, i ? ", " : "", number_of(thread, "thread-id"));
	putchar('\n');
}

static void print_disk(const json_t *disk, const json_t *stats)
{
	const json_t *medium = json_object_get(disk, "inserted");
	const json_t *image = json_object_get(medium, "image");

	printf("  disk      %s: %s, %s, %s%s\n", text_of(disk, "device"),
	       text_of(medium, "file"), text_of(medium, "drv"),
	       facts_size(number_of(image, "virtual-size")).text,
	       json_is_true(json_object_get(medium, "ro")) ? ", read-only" : "");
	printf("            %" PRIu64 " reads, %s; %" PRIu64 " writes, %s; %" PRIu64
	       " flushes\n",
	       number_of(stats, "rd_operations"), facts_size(number_of(stats, "rd_bytes")).text,
	       number_of(stats, "wr_operations"), facts_size(number_of(stats, "wr_bytes")).text,
	       number_of(stats, "flush_operations"));
}

static void print_disks(const json_t *all)
{
	const json_t *stats = json_object_get(all, "blockstats");
	json_t *disk;
	size_t i;

	json_array_foreach(json_object_get(all, "block"), i, disk)
		print_disk(disk, json_object_get(json_array_get(stats, i), "stats"));
}

static void print_functions(const json_t *all)
{
	json_t *bus, *function;
	size_t i, k;

	json_array_foreach(json_object_get(all, "pci"), i, bus) {
		json_array_foreach(json_object_get(bus, "devices"), k, function) {
			const json_t *id = json_object_get(function, "id");

			printf("  PCI       %02" PRIx64 ":%02" PRIx64 ".%" PRIx64
			       " %04" PRIx64 ":%04" PRIx64 " %s\n",
			       number_of(function, "bus"), number_of(function, "slot"),
			       number_of(function, "function"), number_of(id, "vendor"),
			       number_of(id, "device"), text_of(function, "qdev_id"));
		}
	}
}

static void print_registers(const json_t *all)
{
	json_t *reg;
	size_t i;

	json_array_foreach(json_object_get(all, "cpu-registers"), i, reg)
		printf("  %-9s %-16s %s\n", i ? "" : "registers", text_of(reg, "name"),
		       text_of(reg, "value"));
}

static void print_text(const struct facts *facts, const json_t *all)
{
	json_t *port;
	size_t i;

	print_head(facts, all);
	printf("  cpus      %" PRIu64 "\n", facts->cpus);
	print_threads("  vCPUs     threads ", json_object_get(all, "cpus-fast"));
	print_threads("  I/O       threads ", json_object_get(all, "iothreads"));
	json_array_foreach(json_object_get(all, "chardev"), i, port)
		printf("  port      %s: %s\n", text_of(port, "label"),
		       text_of(port, "filename"));
	print_disks(all);
	print_functions(all);
	print_registers(all);
}

static int inform(struct client *client, const struct info *options, const char *name)
{
	struct err err = { 0 };
	struct runtime_vm vm;
	struct facts facts;
	json_t *all = NULL;
	int r = runtime_find(&vm, name, &err);

	if (!r)
		r = ask_all(client, &all, &err);
	if (r < 0)
		return command_fail("%s", err.text);
	facts_ask(&facts, &vm, client);
	if (options->json) {
		json_object_set_new(all, "process", facts_json(&facts));
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_text(&facts, all);
	}
	json_decref(all);
	return EXIT_OK;
}

int command_info(const struct command *command, int argc, char **argv)
{
	struct err err = { 0 };
	struct arguments args;
	struct client *client;
	struct info options;
	int status;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	if (client_open(&client, args.words[0], CLIENT_TIMEOUT_MS, &err) < 0)
		return command_fail("%s", err.text);
	status = inform(client, &options, args.words[0]);
	client_close(client);
	return status;
}
