/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pty.h - the console as a pseudo-terminal that programs can open.
 *
 * While nobody has it open, output is kept as for any viewer, and so is it if
 * whoever has it open does not read: the guest never waits.  Main.
 */
#ifndef CONSOLE_PTY_H
#define CONSOLE_PTY_H

struct err;
struct hub;
struct loop;
struct pty;

int pty_new(struct pty **ret_pty, struct loop *loop, struct hub *hub, struct err *err);
struct pty *pty_free(struct pty *pty);		/* -> NULL */

/* What is to be opened: "/dev/pts/N". */
const char *pty_path(const struct pty *pty);

#endif
