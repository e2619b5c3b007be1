/* SPDX-License-Identifier: Apache-2.0 */
/*
 * viewers.h - a Unix socket at which the console can be seen and typed into.
 *
 * Bytes stream unchanged both ways.  Only our own user and root may connect.
 * Main.
 */
#ifndef CONSOLE_VIEWERS_H
#define CONSOLE_VIEWERS_H

struct err;
struct hub;
struct loop;
struct viewers;

#define VIEWERS_MAX	16

struct viewers_config {
	struct loop *loop;
	struct hub *hub;
	const char *path;
};

int viewers_new(struct viewers **ret_viewers, const struct viewers_config *config,
		struct err *err);

/* Removes the socket; those who look see the end.  -> NULL */
struct viewers *viewers_free(struct viewers *viewers);

#endif
