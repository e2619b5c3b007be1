/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion.h - a bash completion script made from option tables.
 *
 * The script completes subcommands, options, the keys within the value of a
 * list or group, choices, and file names.  It needs bash 4.3 and no other
 * package.
 */
#ifndef CONFIG_COMPLETION_H
#define CONFIG_COMPLETION_H

#include <stddef.h>
#include <stdio.h>

struct option_object;

struct completion_command {
	const char *name;			/* "run", or two words: "disk create" */
	const struct option_object *options;	/* or NULL */
};

/* Arguments that are no options are completed as file names. */
void completion_print(const char *program, const struct completion_command *commands,
		      size_t nr, FILE *out);

#endif
