/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.h - a row in words, for the help, the manual page and messages.
 */
#ifndef CONFIG_DESCRIBE_H
#define CONFIG_DESCRIBE_H

struct option;

#define DESCRIBE_MAX 256	/* a longer text is cut */

struct describe {
	char text[DESCRIBE_MAX];
};

/* How the value is written: "SIZE", "raw|qcow2", "KEY=VALUE,..." */
struct describe describe_metavar(const struct option *row);

/*
 * What the table says besides the help text: "required; from 1M to 4T; default
 * 512M".  Often empty.
 */
struct describe describe_notes(const struct option *row);

#endif
