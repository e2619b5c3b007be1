// SPDX-License-Identifier: Apache-2.0
/*
 * qmp.c - vmm qmp: a QMP command by hand.
 */
#include "arguments.h"
#include "base/err.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"

#include <stdio.h>

struct qmp {
	struct option_given given;
	uint32_t timeout;		/* seconds */
	bool help;
};

static const struct option rows[] = {
	{ .key = "timeout", OPTION(struct qmp, timeout), .preset = "30",
	  .max = COMMAND_TIMEOUT_MAX, .metavar = "SECONDS",
	  .help = "how long the VM may take to answer" },
	{ .key = "help", .letter = 'h', OPTION(struct qmp, help),
	  .help = "print this and exit" },
};

const struct option_object command_qmp_options = {
	.name = "qmp", OPTION_OBJECT(struct qmp, rows),
};

/* text: a JSON object, or NULL. */
static int execute(struct client *client, const char *command, const char *text)
{
	json_t *arguments = NULL, *value = NULL;
	struct err err = { 0 };
	json_error_t error;

	if (text) {
		arguments = json_loads(text, JSON_REJECT_DUPLICATES, &error);
		if (!json_is_object(arguments)) {
			json_decref(arguments);
			return command_fail("qmp: the arguments are no JSON object: %s",
					    arguments ? "it begins with no '{'" : error.text);
		}
	}
	if (client_execute(client, command, arguments, &value, &err) < 0)
		return command_fail("%s", err.text);
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
	json_decref(value);
	return EXIT_OK;
}

int command_qmp(const struct command *command, int argc, char **argv)
{
	struct err err = { 0 };
	struct arguments args;
	struct client *client;
	struct qmp options;
	int status;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	if (client_open(&client, args.words[0], (int)options.timeout * 1000, &err) < 0)
		return command_fail("%s", err.text);
	status = execute(client, args.words[1], args.nr > 2 ? args.words[2] : NULL);
	client_close(client);
	return status;
}
