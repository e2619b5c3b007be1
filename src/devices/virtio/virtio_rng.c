// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_rng.c - fills what the guest offers with random bytes.
 *
 * The smallest device there is; read it first to learn how one is written.
 */
#include "devices/virtio/virtio_rng.h"

#include "base/err.h"
#include "devices/virtio/virtio.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* The guest may offer gigabytes; one request gets this much and no more. */
#define BYTES_PER_CHAIN 4096UL

static uint32_t fill(const struct iov *iov)
{
	size_t done = 0;

	for (unsigned i = 0; i < iov->nr && done < BYTES_PER_CHAIN; i++) {
		size_t want = iov->segs[i].iov_len;
		ssize_t got;

		if (want > BYTES_PER_CHAIN - done)
			want = BYTES_PER_CHAIN - done;
		got = getrandom(iov->segs[i].iov_base, want, 0);
		if (got < 0)
			break;
		done += (size_t)got;
		if ((size_t)got < iov->segs[i].iov_len)
			break;		/* bytes must be contiguous */
	}
	return (uint32_t)done;
}

static void rng_kick(struct virtio_dev *dev, struct virtq *vq)
{
	struct virtio_chain chain;

	(void)dev;
	while (virtq_pop(vq, &chain) > 0)
		virtq_push(vq, chain.head, fill(&chain.writable));
}

static void rng_free(struct virtio_dev *dev)
{
	free(dev);
}

static const struct virtio_class rng_class = {
	.name		= "virtio-rng",
	.id		= 4,
	.queue_size	= 64,
	.kick		= rng_kick,
	.free		= rng_free,
};

int virtio_rng_new(struct virtio_dev **ret_dev, struct guest_mem *mem, struct loop *loop,
		   struct err *err)
{
	struct virtio_dev *dev = calloc(1, sizeof(*dev));
	int r;

	if (!dev)
		return err_sys(err, -ENOMEM, "cannot make %s", rng_class.name);
	r = virtio_init(dev, &rng_class, 1, 0, mem, loop, err);
	if (r < 0) {
		free(dev);
		return r;
	}
	*ret_dev = dev;
	return 0;
}
