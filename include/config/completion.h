/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion.h - a completion script for bash or zsh, made from option tables.
 *
 * The script completes subcommands, options, the keys within the value of a
 * list or group, choices, and file names.  It needs bash 4.3, or zsh 5 with its
 * completion system, and no other package.
 */
#ifndef CONFIG_COMPLETION_H
#define CONFIG_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct option_object;

struct completion_command {
	const char *name;			/* "run", or two words: "disk create" */
	const struct option_object *options;	/* or NULL */

	/*
	 * What may stand where no option does: a command of the shell that prints
	 * the words, or NULL for the names of files.
	 */
	const char *words_from;
	bool files;				/* besides words_from, where none of those fits */
	const char *words;			/* offered besides, or NULL */
	bool of_commands;			/* commands instead: it explains them */
};

enum completion_shell { COMPLETION_BASH, COMPLETION_ZSH };

void completion_print(enum completion_shell shell, const char *program,
		      const struct completion_command *commands, size_t nr, FILE *out);

#endif
