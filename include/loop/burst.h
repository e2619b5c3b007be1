/* SPDX-License-Identifier: Apache-2.0 */
/*
 * burst.h - packets read or written many at a time, at once.
 *
 * Of what it takes to move a small packet much is the way into the kernel and back; here
 * it is gone once for all of them.  Only for descriptors that do not block.
 *
 * A burst belongs to the thread that made it.  Where there can be none, NULL stands for
 * one that moves packets one by one.
 */
#ifndef LOOP_BURST_H
#define LOOP_BURST_H

#include <sys/types.h>
#include <sys/uio.h>

#define BURST_MAX 16

struct burst;

struct burst_packet {
	const struct iovec *segs;
	unsigned nr;
	ssize_t len;			/* that was moved, or a negative errno */
};

struct burst *burst_new(void);
struct burst *burst_free(struct burst *burst);		/* -> NULL */

/*
 * In their order, up to BURST_MAX, until one fails: how many were tried.  Only the last
 * of these can have failed.
 */
unsigned burst_write(struct burst *burst, int fd, struct burst_packet *packets, unsigned nr);

/* All, whatever becomes of those before: costs less, where a descriptor is never full. */
void burst_write_all(struct burst *burst, int fd, struct burst_packet *packets, unsigned nr);

/*
 * As many as there are; how many were tried until the last that came.  Some before that
 * may have failed, where there was nothing yet.
 */
unsigned burst_read(struct burst *burst, int fd, struct burst_packet *packets, unsigned nr);

#endif
