/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arguments.h - what every subcommand does with its command line first.
 *
 *	struct pause options;
 *	struct arguments args;
 *
 *	if (!arguments_read(&args, command, &options, argc, argv))
 *		return args.status;
 *	for (int i = 0; i < args.nr; i++)
 *		... args.words[i] ...
 *	option_fini(command->options, &options);
 *	return EXIT_OK;
 *
 * Options are read by the command's table, words are counted as its line in the
 * table of commands says, and --help, if the table has it, is answered.
 */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include <stdbool.h>

struct command;
struct err;

struct arguments {
	char **words;			/* of argv, those that are no options */
	int nr;
	int status;			/* to exit with, when there is nothing to do */
};

/* True: go on, and free the options afterwards.  False: all has been said and freed. */
bool arguments_read(struct arguments *ret_args, const struct command *command,
		    void *options, int argc, char **argv);

/*
 * For a command that does the same to each VM that is named: do it, go on with the
 * next whatever happens, and return the highest of the exit statuses.  An error,
 * which do_it() sets, has been told.
 */
int arguments_each(const struct arguments *args,
		   int (*do_it)(const char *name, void *ctx, struct err *err), void *ctx);

#endif
