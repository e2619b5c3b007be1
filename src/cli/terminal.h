/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.h - our terminal, given to a guest for a while.
 *
 * In raw mode every key is the guest's.  The terminal is restored by
 * terminal_restore(), at exit(), and on signals that kill the process.
 *
 * Main.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>

struct err;

/* Are standard input and output a terminal that is ours now? */
bool terminal_is_ours(void);

/* Would reading standard input stop us, since its terminal is another's now? */
bool terminal_forbids_input(void);

int terminal_make_raw(struct err *err);
void terminal_restore(void);

/* Lines for whoever sits there end with \r\n; dropped if the terminal is stopped. */
void terminal_say(const char *text);

#endif
