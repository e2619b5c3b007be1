// SPDX-License-Identifier: Apache-2.0
/*
 * order.c - vmm pause, resume and reset: one QMP command to each VM.
 */
#include "arguments.h"
#include "base/bits.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"

#include <string.h>

struct order {
	struct option_given given;
	uint32_t timeout;		/* seconds */
	bool help;
	const char *qmp;		/* the command; no option */
};

static const struct option rows[] = {
	{ .key = "timeout", OPTION(struct order, timeout), .preset = "30",
	  .max = COMMAND_TIMEOUT_MAX, .metavar = "SECONDS",
	  .help = "how long a VM may take to do it" },
	{ .key = "help", .letter = 'h', OPTION(struct order, help),
	  .help = "print this and exit" },
};

const struct option_object command_order_options = {
	.name = "order", OPTION_OBJECT(struct order, rows),
};

static int order_one(const char *name, void *ctx, struct err *err)
{
	const struct order *order = ctx;
	struct client *client;
	int r = client_open(&client, name, (int)order->timeout * 1000, err);

	if (r < 0)
		return EXIT_USAGE;
	r = client_execute(client, order->qmp, NULL, NULL, err);
	client_close(client);
	return r < 0 ? EXIT_USAGE : EXIT_OK;
}

static const char *qmp_of(const char *name)
{
	static const char *const words[][2] = {
		{ "pause", "stop" }, { "resume", "cont" }, { "reset", "system_reset" },
	};
	size_t i = 0;

	while (strcmp(words[i][0], name))
		i++;
	return words[i][1];
}

int command_order(const struct command *command, int argc, char **argv)
{
	struct order order;
	struct arguments args;

	if (!arguments_read(&args, command, &order, argc, argv))
		return args.status;
	order.qmp = qmp_of(command->name);
	return arguments_each(&args, order_one, &order);
}
