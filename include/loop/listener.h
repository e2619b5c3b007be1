/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h - a Unix socket, and those who connect to it, taken on a loop.
 *
 * Our own user and root are let in (base/unix_socket.h).
 *
 * All functions belong to the thread of the loop.
 */
#ifndef LOOP_LISTENER_H
#define LOOP_LISTENER_H

#include "base/unix_socket.h"

struct err;
struct listener;
struct loop;

struct listener_config {
	struct loop *loop;
	const char *what;		/* in messages: "QMP" */

	/*
	 * Take the connection, non-blocking.  A negative errno and the reason leave
	 * it to be closed.
	 */
	int (*welcome)(void *ctx, int fd, struct unix_socket_peer peer, struct err *err);

	/* One was turned away, or could not be accepted; may come often. */
	void (*refused)(void *ctx, const struct err *why);
	void *ctx;
};

/* Listen at a socket that is made at path, and removed at the end. */
int listener_new(struct listener **ret_listener, const struct listener_config *config,
		 const char *path, struct err *err);

/* At one that listens already, and is taken unless this fails. */
int listener_adopt(struct listener **ret_listener, const struct listener_config *config,
		   int fd, struct err *err);

struct listener *listener_free(struct listener *listener);	/* -> NULL */

#endif
