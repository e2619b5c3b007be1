/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help.h - the option list that --help prints.
 */
#ifndef CONFIG_HELP_H
#define CONFIG_HELP_H

#include <stdio.h>

struct option_object;

#define HELP_COLUMNS	80	/* where the width of the terminal is unknown */

/*
 * One entry a row, in the table's order, wrapped to that many columns; the keys
 * of a list or group stand below it.  Very narrow widths are treated as 40.
 */
void help_print(const struct option_object *object, FILE *out, unsigned columns);

#endif
