/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - the split virtqueue, between the core and queue.c.
 *
 * virtio 1.2 section 2.7.  Owner, except virtq_new() and virtq_free().
 */
#ifndef DEVICES_VIRTIO_QUEUE_H
#define DEVICES_VIRTIO_QUEUE_H

#include "devices/virtio/virtio.h"

struct virtq;

/* NULL when an eventfd cannot be had. */
struct virtq *virtq_new(struct virtio_dev *dev, unsigned index);
struct virtq *virtq_free(struct virtq *vq);	/* -> NULL */

/*
 * Believe the driver's set-up: map the rings and serve them.  -EINVAL when
 * they are misaligned, -EFAULT when they lie outside RAM.
 */
int virtq_start(struct virtq *vq, const struct virtq_setup *setup);

/* Publishes what was pushed; the position in the rings is kept. */
void virtq_stop(struct virtq *vq);

/* Forget the position too. */
void virtq_reset(struct virtq *vq);

/*
 * Where a stopped queue stands in its rings, and requests that the driver has offered
 * before that and that are to be popped first, in their order.  -ENOMEM.
 */
struct virtq_position {
	uint16_t next_avail, next_used;
	uint32_t nr_held;
	uint16_t held[VIRTIO_QUEUE_SIZE_MAX];
};

void virtq_get_position(const struct virtq *vq, struct virtq_position *position);
int virtq_set_position(struct virtq *vq, const struct virtq_position *position);

int virtq_kick_fd(const struct virtq *vq);

/* Any thread. */
struct virtq_counts virtq_counts(const struct virtq *vq);

#endif
