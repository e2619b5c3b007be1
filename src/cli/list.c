// SPDX-License-Identifier: Apache-2.0
/*
 * list.c - vmm list: a line for each VM of this user.
 */
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "cli/command.h"
#include "config/option.h"
#include "facts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A VM that hangs delays the list, but not for long. */
#define ANSWER_MS	1000

struct list {
	struct option_given given;
	bool json;
	bool names;
	bool help;
};

static const struct option rows[] = {
	{ .key = "json", .letter = 'j', OPTION(struct list, json),
	  .help = "print a JSON array with an object for each" },
	{ .key = "names", OPTION(struct list, names),
	  .help = "print the names of those that are running, and nothing else" },
	{ .key = "help", .letter = 'h', OPTION(struct list, help),
	  .help = "print this and exit" },
};

const struct option_object command_list_options = {
	.name = "list", OPTION_OBJECT(struct list, rows),
};

static void print_names(const struct runtime_vm *vms, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (vms[i].running)
			puts(vms[i].name);
}

static void print_row(const struct facts *facts, int width)
{
	char pid[16] = "-", cpus[24] = "-";

	if (facts->vm.pid)
		snprintf(pid, sizeof(pid), "%d", facts->vm.pid);
	if (facts->cpus)
		snprintf(cpus, sizeof(cpus), "%" PRIu64, facts->cpus);
	printf("%-*s  %-14s %8s %5s %8s  %s\n", width, facts->vm.name, facts->state, pid, cpus,
	       facts->memory ? facts_size(facts->memory).text : "-",
	       facts->vm.running ? facts_span(facts->uptime).text : "-");
}

static void print_table(const struct facts *facts, size_t nr)
{
	int width = (int)strlen("NAME");

	for (size_t i = 0; i < nr; i++)
		if ((int)strlen(facts[i].vm.name) > width)
			width = (int)strlen(facts[i].vm.name);
	printf("%-*s  %-14s %8s %5s %8s  %s\n", width, "NAME", "STATE", "PID", "CPUS", "MEMORY",
	       "UPTIME");
	for (size_t i = 0; i < nr; i++)
		print_row(&facts[i], width);
}

static int print_json(const struct facts *facts, size_t nr)
{
	json_t *list = json_array();
	int r;

	for (size_t i = 0; i < nr; i++)
		json_array_append_new(list, facts_json(&facts[i]));
	r = json_dumpf(list, stdout, JSON_INDENT(2));
	json_decref(list);
	putchar('\n');
	return r ? command_fail("list: out of memory") : EXIT_OK;
}

/* What has been shown as dead is not there the next time. */
static void sweep(const struct runtime_vm *vms, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		struct err err = { 0 };

		/* It may have been started again meanwhile, or swept by another. */
		if (!vms[i].running && runtime_sweep(vms[i].name, &err) < 0 &&
		    err.code != -EBUSY && err.code != -ENOENT)
			command_fail("%s", err.text);
	}
}

static int print(const struct list *options, const struct runtime_vm *vms, size_t nr)
{
	struct facts *facts;
	int status = EXIT_OK;

	if (options->names) {
		print_names(vms, nr);
		return status;
	}
	facts = calloc(nr ? nr : 1, sizeof(*facts));
	if (!facts)
		return command_fail("list: out of memory");
	for (size_t i = 0; i < nr; i++)
		facts_read(&facts[i], &vms[i], ANSWER_MS);
	if (options->json)
		status = print_json(facts, nr);
	else
		print_table(facts, nr);
	free(facts);
	sweep(vms, nr);
	return status;
}

int command_list(const struct command *command, int argc, char **argv)
{
	struct err err = { 0 };
	struct runtime_vm *vms;
	struct arguments args;
	struct list options;
	size_t nr;
	int status;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	if (options.json && options.names)
		return command_fail("list: give --json or --names, not both");
	if (runtime_list(&vms, &nr, &err) < 0)
		return command_fail("%s", err.text);
	status = print(&options, vms, nr);
	free(vms);
	return status;
}
