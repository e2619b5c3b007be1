// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"

#include "base/err.h"
#include "cli/command.h"
#include "config/cmdline.h"
#include "config/option.h"

#include <string.h>

static bool wants_help(const struct option_object *object, const void *options)
{
	for (uint32_t i = 0; i < object->nr_rows; i++)
		if (!strcmp(object->rows[i].key, "help"))
			return *(const bool *)((const char *)options +
					       object->rows[i].offset);
	return false;
}

static int count(const struct arguments *args, const struct command *command)
{
	if (args->nr < command->nr_least)
		return command_fail("%s: '%s' is missing: 'vmm help %s' tells more",
				    command->name, command->arguments, command->name);
	if (command->nr_most != COMMAND_ANY && args->nr > command->nr_most)
		return command_fail("%s: unexpected argument '%s'", command->name,
				    args->words[command->nr_most]);
	return EXIT_OK;
}

/* True when the command is to be run; else ret_args->status is set. */
static bool judge(struct arguments *args, const struct command *command,
		  const void *options)
{
	const char *missing = option_missing(command->options, options);
	struct err err = { 0 };

	if (wants_help(command->options, options)) {
		command_usage(command);
		args->status = EXIT_OK;
		return false;
	}
	if (missing) {
		args->status = command_fail("%s: --%s is missing", command->name, missing);
		return false;
	}
	if (option_check(command->options, options, &err) < 0) {
		args->status = command_fail("%s", err.text);
		return false;
	}
	args->status = count(args, command);
	return args->status == EXIT_OK;
}

bool arguments_read(struct arguments *ret_args, const struct command *command,
		    void *options, int argc, char **argv)
{
	struct err err = { 0 };
	bool good = false;
	int rest;

	if (option_defaults(command->options, options)) {
		ret_args->status = command_fail("%s: out of memory", command->name);
		return false;
	}
	if (cmdline_parse(command->options, options, argc, argv, &rest, &err) < 0) {
		ret_args->status = command_fail("%s", err.text);
	} else {
		ret_args->words = argv + rest;
		ret_args->nr = argc - rest;
		good = judge(ret_args, command, options);
	}
	if (!good)
		option_fini(command->options, options);
	return good;
}

int arguments_each(const struct arguments *args,
		   int (*do_it)(const char *name, void *ctx, struct err *err), void *ctx)
{
	int worst = EXIT_OK;

	for (int i = 0; i < args->nr; i++) {
		struct err err = { 0 };
		int status = do_it(args->words[i], ctx, &err);

		if (err.code)
			command_fail("%s", err.text);
		if (status > worst)
			worst = status;
	}
	return worst;
}
