/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line_editor.h - lines typed at a terminal, with the keys that people know from
 * their shell: cursor, history, and completion by the tabulator.
 *
 * Of a library for this would be used little, and each start of a VM would load it.
 * Where standard input is no terminal, lines are just read.  The terminal is in its
 * own mode except while line_editor_read() waits.
 */
#ifndef CLI_LINE_EDITOR_H
#define CLI_LINE_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_EDITOR_MAX		4096	/* bytes of a line, with the NUL */
#define LINE_EDITOR_HISTORY	100	/* lines */

struct line_editor {
	const char *prompt;

	/*
	 * The i-th of the words that may stand at the end of before, the line up to
	 * the cursor, and in ret_typed how many bytes of it are there already; NULL
	 * when there are fewer.  What follows a word that is the only one is ret_end.
	 */
	const char *(*offer)(void *ctx, const char *before, size_t i, size_t *ret_typed,
			     const char **ret_end);
	void *ctx;

	/* Its own; zero to start. */
	char line[LINE_EDITOR_MAX];
	size_t len, at;			/* at: of the cursor */
	char *history[LINE_EDITOR_HISTORY];
	size_t nr_history, shown;	/* shown: of the history; nr_history: the new line */
};

/* True when there is a line, in editor->line; false at the end of input. */
bool line_editor_read(struct line_editor *editor);

void line_editor_fini(struct line_editor *editor);

#endif
