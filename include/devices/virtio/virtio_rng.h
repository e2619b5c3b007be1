/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_rng.h - entropy device, virtio 1.2 section 5.4.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_RNG_H
#define DEVICES_VIRTIO_VIRTIO_RNG_H

struct err;
struct guest_mem;
struct loop;
struct virtio_dev;

/* Main.  Freed by virtio_free(). */
int virtio_rng_new(struct virtio_dev **ret_dev, struct guest_mem *mem, struct loop *loop,
		   struct err *err);

#endif
