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

int virtq_kick_fd(const struct virtq *vq);

/* Any thread. */
struct virtq_counts virtq_counts(const struct virtq *vq);

#endif
