/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - the console on descriptors that are the guest's alone: standard
 * input and output, or a file.
 *
 * Output that does not get on holds the guest.  Output that fails is lost, and
 * the guest goes on; the first failure is logged where the output has a name.
 *
 * Main.
 */
#ifndef CONSOLE_STREAM_H
#define CONSOLE_STREAM_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct hub;
struct loop;
struct stream;

struct stream_config {
	struct loop *loop;
	struct hub *hub;
	int out_fd;			/* stays open */
	const char *name;		/* of the output in messages, or NULL; outlives it */

	/* Takes what is not for the guest out of fresh input, in place; or NULL. */
	size_t (*filter)(void *ctx, uint8_t *bytes, size_t len);
	void *ctx;
};

int stream_new(struct stream **ret_stream, const struct stream_config *config,
	       struct err *err);

/* The loop does not turn again: a write may be under way for ever.  -> NULL */
struct stream *stream_free(struct stream *stream);

/* Begin to read input; fd stays open.  Its end is not the end of the stream. */
int stream_read(struct stream *stream, int fd, struct err *err);

#endif
