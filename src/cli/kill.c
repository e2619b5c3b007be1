// SPDX-License-Identifier: Apache-2.0
/*
 * kill.c - vmm kill: the end of VMs, without asking their guests.
 */
#include "arguments.h"
#include "base/bits.h"
#include "cli/command.h"
#include "config/option.h"
#include "ending.h"
#include "runtime.h"

#include <unistd.h>

struct kill {
	struct option_given given;
	uint32_t timeout;		/* seconds */
	bool help;
};

static const struct option rows[] = {
	{ .key = "timeout", OPTION(struct kill, timeout), .preset = "5",
	  .max = COMMAND_TIMEOUT_MAX, .metavar = "SECONDS",
	  .help = "how long a VM may take to end before it gets SIGKILL" },
	{ .key = "help", .letter = 'h', OPTION(struct kill, help),
	  .help = "print this and exit" },
};

const struct option_object command_kill_options = {
	.name = "kill", OPTION_OBJECT(struct kill, rows),
};

static int kill_one(const char *name, void *ctx, struct err *err)
{
	const struct kill *options = ctx;
	int process = runtime_process(name, err);
	int r;

	if (process < 0)
		return EXIT_USAGE;
	r = ending_force(name, process, (int)options->timeout * 1000, err);
	close(process);
	return r < 0 ? EXIT_USAGE : EXIT_OK;
}

int command_kill(const struct command *command, int argc, char **argv)
{
	struct kill options;
	struct arguments args;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	return arguments_each(&args, kill_one, &options);
}
