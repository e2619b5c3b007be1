/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detach.h - a command that goes on in the background once its work has begun.
 *
 *	r = detach_fork(&background, &err);
 *	if (r > 0)
 *		return background.status;		the command's, in front
 *	...						behind: begin the work
 *	r = detach_done(&background, "web", &err);	the one in front ends
 *
 * Until then whoever is behind has the standard error of the one in front and
 * says there why it cannot begin; the one in front ends with its exit status.
 */
#ifndef CLI_DETACH_H
#define CLI_DETACH_H

struct err;

struct detach {
	int pipe;			/* behind */
	int status;			/* in front */
};

/*
 * Go on behind, in a session of its own and without a standard input and output:
 * 0.  In front it returns when the other one has begun, or ended: 1; what was
 * said by detach_done() has been printed.  Before any thread is started.
 */
int detach_fork(struct detach *detach, struct err *err);

/* It has begun.  -EPIPE: nobody waits for it any more. */
int detach_done(struct detach *detach, const char *what, struct err *err);

#endif
