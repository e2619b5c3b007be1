/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_vsock.h - socket device, virtio 1.2 section 5.10.
 *
 * Connections outlive a pause, and end with a reset.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_VSOCK_H
#define DEVICES_VIRTIO_VIRTIO_VSOCK_H

#include <stdint.h>

struct err;
struct guest_mem;
struct loop;
struct virtio_dev;
struct vsock_front;

#define VIRTIO_VSOCK_CID_MIN	3		/* below it, none is a guest's */
#define VIRTIO_VSOCK_CID_MAX	UINT32_C(0xfffffffe)

/*
 * front belongs to the same loop, outlives the device and is used by it alone.
 * Main.  Freed by virtio_free().
 */
int virtio_vsock_new(struct virtio_dev **ret_dev, struct vsock_front *front, uint32_t cid,
		     struct guest_mem *mem, struct loop *loop, struct err *err);

#endif
