/* SPDX-License-Identifier: Apache-2.0 */
/*
 * viewer.h - one who looks at the console from outside, and may type.
 *
 * Sees what the ring keeps, then all that follows.  Nobody waits for a viewer:
 * one that does not read for so long that the ring overtakes it finds a line in
 * brackets, "[vmm: N bytes of output are missing here]", where it goes on.
 *
 * What it typed before it left is still typed.  Main.
 */
#ifndef CONSOLE_VIEWER_H
#define CONSOLE_VIEWER_H

#include <stdbool.h>

struct hub;
struct loop;
struct viewer;

struct viewer_config {
	struct loop *loop;
	struct hub *hub;
	int fd;				/* non-blocking; becomes the viewer's */

	/* It has left and is to be freed, for example at once. */
	void (*gone)(void *ctx, struct viewer *viewer);
	void *ctx;
};

/* -ENOMEM leaves the descriptor to the caller. */
int viewer_new(struct viewer **ret_viewer, const struct viewer_config *config);
struct viewer *viewer_free(struct viewer *viewer);	/* -> NULL */

/* It has left, and is only here because the guest does not take its input. */
bool viewer_has_left(const struct viewer *viewer);

#endif
