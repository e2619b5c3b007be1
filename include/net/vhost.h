/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost.h - the kernel's vhost-net moves the packets of a tap, without a thread of ours.
 *
 * It awaits a queue's kick, and signals the eventfd that interrupts the guest.
 *
 *	opened --set_up()--> knows the guest --start()--> serves queues --stop()--> knows it
 *
 * Queues are numbered as the card's: two of each pair, first the one that receives.
 * Opened on the main thread, and closed there while no queue is served; all else is for
 * the owner of the card.
 */
#ifndef NET_VHOST_H
#define NET_VHOST_H

#include <stdint.h>

struct err;
struct vhost;

/* A piece of the guest's memory, and where we have it. */
struct vhost_region {
	uint64_t at, len;
	void *host;
};

/* A split virtqueue. */
struct vhost_ring {
	uint16_t size, next_avail;
	const void *desc, *avail;
	void *used;
	int kick_fd, call_fd;		/* call_fd: -1: nobody is to be interrupted */
};

/* One that can do what our own queues can; for as many pairs. */
int vhost_open(struct vhost **ret_vhost, unsigned nr_pairs, struct err *err);
struct vhost *vhost_close(struct vhost *vhost);			/* -> NULL */

/* Feature bits of the guest, as negotiated, and its memory.  While no queue is served. */
int vhost_set_up(struct vhost *vhost, uint64_t features, const struct vhost_region *regions,
		 unsigned nr);

/* Readable once the guest has broken the rules of a queue that was served; it stays ours. */
int vhost_breach_fd(const struct vhost *vhost);

/* Serve the queue, with the tap that has this descriptor at the other end. */
int vhost_start(struct vhost *vhost, unsigned queue, const struct vhost_ring *ring, int tap);

/* Return when nothing is in flight: which available entry is the next. */
uint16_t vhost_stop(struct vhost *vhost, unsigned queue);

#endif
