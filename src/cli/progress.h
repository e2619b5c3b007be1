/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - tells on a terminal how far a long piece of work has come.
 *
 * On standard error, in one line that is gone when the work is done, so that output
 * stays what it is.  Where standard error is no terminal nothing is said.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *what;	/* "converting"; outlives the work */
	uint64_t total;		/* bytes */
	uint64_t started, next;	/* by clock_ns() */
	bool terminal, shown;
};

void progress_start(struct progress *progress, const char *what, uint64_t total);

/* done bytes of the total; may be called often. */
void progress_show(struct progress *progress, uint64_t done);

/* Before anything else is written to the terminal. */
void progress_end(struct progress *progress);

/* The line, of at most columns; ns is for how long the work has gone on. */
void progress_line(char *line, size_t len, const char *what, uint64_t done, uint64_t total,
		   uint64_t ns, unsigned columns);

#endif
