/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.h - a driver of one queue over PCI, one request at a time.
 */
#ifndef TESTS_GUEST_LIB_VIRTIO_H
#define TESTS_GUEST_LIB_VIRTIO_H

#include <stddef.h>
#include <stdint.h>

#define VIRTIO_NET		1	/* device types */
#define VIRTIO_BLK		2
#define VIRTIO_RNG		4

#define VIRTIO_POLL		0	/* instead of a vector */

#define VIRTIO_BLK_FLUSH	9	/* feature bits */

#define VIRTIO_QUEUE_SIZE	8

struct virtio_part {
	const void *at;
	uint32_t len;
};

struct virtio {
	unsigned slot, queue;
	unsigned vector;
	uint64_t common, notify, config;	/* addresses */
	uint32_t nr_done;
};

#define VIRTIO_NET_TRANSMIT	1	/* a queue; all else here is queue 0 */

/*
 * Take the first device of this type from reset to ready, with this one of its
 * queues and these features besides VERSION_1.  Its completions raise the vector,
 * by MSI-X.  One device at a time.
 */
void virtio_open_queue(struct virtio *v, unsigned type, unsigned queue, unsigned vector,
		       uint64_t features);

static inline void virtio_open(struct virtio *v, unsigned type, unsigned vector,
			       uint64_t features)
{
	virtio_open_queue(v, type, 0, vector, features);
}

/*
 * Let the device have parts of which it reads the first nr_out and writes the
 * others, and wait for it.  Returns how many bytes it says it has written.
 */
uint32_t virtio_request(struct virtio *v, const struct virtio_part *parts,
			unsigned nr_out, unsigned nr_in);

/* On a block device: write, flush, and so on; the status byte it answers. */
#define VIRTIO_BLK_READ		0
#define VIRTIO_BLK_WRITE	1
#define VIRTIO_BLK_SYNC		4
#define VIRTIO_BLK_ID		8

#define VIRTIO_BLK_OK		0
#define VIRTIO_BLK_ERROR	1
#define VIRTIO_BLK_UNKNOWN	2

uint8_t virtio_blk(struct virtio *v, uint32_t type, uint64_t sector, void *data,
		   uint32_t len);

#endif
