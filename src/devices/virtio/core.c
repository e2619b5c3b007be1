// SPDX-License-Identifier: Apache-2.0
/*
 * core.c - what all virtio devices have in common.
 *
 * Two worlds meet here.  Registers belong to vCPU threads, which take turns
 * under regs_lock.  The running device belongs to its loop.  The only ways
 * across are loop_call() from the first to the second, with the lock held, and
 * the flags broken and config (under its own short lock) the other way.  The
 * owner never takes regs_lock, so neither can wait for the other in a circle.
 */
#include "devices/virtio/virtio.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/log.h"
#include "memory/guest_mem.h"
#include "queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CORE_FEATURES							\
	(BIT64(VIRTIO_F_INDIRECT_DESC) | BIT64(VIRTIO_F_EVENT_IDX) |	\
	 BIT64(VIRTIO_F_VERSION_1))

/* Owner. */

static void stop(struct virtio_dev *dev)
{
	if (!dev->running)
		return;
	/* From here on nothing is popped: the guest may go on offering for ever. */
	dev->running = false;
	dev->config_changed = false;
	if (dev->class->stop)
		dev->class->stop(dev);
	for (unsigned i = 0; i < dev->nr_queues; i++)
		virtq_stop(dev->queues[i]);
}

static int start(struct virtio_dev *dev)
{
	int r = 0;

	for (unsigned i = 0; i < dev->nr_queues && !r; i++)
		if (dev->setup[i].enabled)
			r = virtq_start(dev->queues[i], &dev->setup[i]);
	if (!r && dev->class->start)
		r = dev->class->start(dev);
	if (r < 0) {
		for (unsigned i = 0; i < dev->nr_queues; i++)
			virtq_stop(dev->queues[i]);
		return r;
	}
	dev->running = true;
	return 0;
}

void virtio_break(struct virtio_dev *dev, const char *why)
{
	static struct log_limit limit;

	if (dev->broken)
		return;
	log_limited(&limit, LOG_DEBUG, "%s: the driver broke the protocol: %s",
		    dev->class->name, why);
	dev->broken = true;
	dev->transport->config_interrupt(dev->transport);
}

static void store_config(struct virtio_dev *dev, size_t off, const void *bytes, size_t len)
{
	pthread_mutex_lock(&dev->config_lock);
	memcpy(dev->config + off, bytes, len);
	dev->config_generation++;
	pthread_mutex_unlock(&dev->config_lock);
}

void virtio_set_config(struct virtio_dev *dev, size_t off, const void *bytes, size_t len)
{
	assert(range_within(off, len, dev->class->config_size));
	store_config(dev, off, bytes, len);
	dev->config_changed = !dev->running;
	if (dev->running)
		dev->transport->config_interrupt(dev->transport);
}

/* Calls onto the owner. */

static void start_or_break(struct virtio_dev *dev)
{
	int r = start(dev);

	if (r == -EINVAL || r == -EFAULT)
		virtio_break(dev, "a queue is misplaced");
	else if (r < 0)
		virtio_break(dev, strerror(-r));
}

static void call_start(void *ctx)
{
	struct virtio_dev *dev = ctx;

	dev->features = dev->driver_features;
	start_or_break(dev);
}

/* An interrupt may have been under way when it was saved; one for nothing does no harm. */
static void repeat_interrupts(struct virtio_dev *dev)
{
	for (unsigned i = 0; i < dev->nr_queues; i++)
		if (dev->setup[i].enabled)
			dev->transport->queue_interrupt(dev->transport, i);
	dev->transport->config_interrupt(dev->transport);
}

/* A driver that was here before has to hear of what changed meanwhile. */
static void call_resume(void *ctx)
{
	struct virtio_dev *dev = ctx;
	bool loaded = dev->loaded;

	dev->loaded = false;
	dev->features = dev->driver_features;
	start_or_break(dev);
	if (loaded)
		repeat_interrupts(dev);
	else if (dev->config_changed && dev->running)
		dev->transport->config_interrupt(dev->transport);
	dev->config_changed = false;
}

static void call_stop(void *ctx)
{
	stop(ctx);
}

static void call_reset(void *ctx)
{
	struct virtio_dev *dev = ctx;

	stop(dev);
	for (unsigned i = 0; i < dev->nr_queues; i++)
		virtq_reset(dev->queues[i]);
	if (dev->class->reset)
		dev->class->reset(dev);
	dev->features = 0;
	dev->broken = false;
}

/* Registers: any thread but a loop's. */

static void reset_locked(struct virtio_dev *dev)
{
	loop_call(dev->loop, call_reset, dev);
	dev->status = 0;
	dev->driver_features = 0;
	for (unsigned i = 0; i < dev->nr_queues; i++)
		dev->setup[i] = (struct virtq_setup){ .size = dev->class->queue_size };
}

uint8_t virtio_status(struct virtio_dev *dev)
{
	uint8_t status;

	pthread_mutex_lock(&dev->regs_lock);
	status = dev->status;
	pthread_mutex_unlock(&dev->regs_lock);
	if (dev->broken)
		status |= VIRTIO_STATUS_NEEDS_RESET;
	return status;
}

/* Section 3.1.1, step 5: FEATURES_OK stays clear for what we cannot do. */
static bool features_fit(const struct virtio_dev *dev)
{
	return !(dev->driver_features & ~dev->offered) &&
	       dev->driver_features & BIT64(VIRTIO_F_VERSION_1);
}

void virtio_set_status(struct virtio_dev *dev, uint8_t status)
{
	uint8_t fresh;

	pthread_mutex_lock(&dev->regs_lock);
	if (!status) {
		reset_locked(dev);
		goto out;
	}
	/* Bits are only ever added, until a reset (section 2.1.1). */
	fresh = status & ~dev->status & ~VIRTIO_STATUS_NEEDS_RESET;
	if (fresh & VIRTIO_STATUS_FEATURES_OK && !features_fit(dev))
		fresh &= ~VIRTIO_STATUS_FEATURES_OK;
	dev->status |= fresh;
	if (fresh & VIRTIO_STATUS_DRIVER_OK && dev->status & VIRTIO_STATUS_FEATURES_OK)
		loop_call(dev->loop, call_start, dev);
out:
	pthread_mutex_unlock(&dev->regs_lock);
}

uint32_t virtio_offered(struct virtio_dev *dev, uint32_t which)
{
	return which < 2 ? (uint32_t)(dev->offered >> 32 * which) : 0;
}

uint32_t virtio_accepted(struct virtio_dev *dev, uint32_t which)
{
	uint64_t features;

	pthread_mutex_lock(&dev->regs_lock);
	features = dev->driver_features;
	pthread_mutex_unlock(&dev->regs_lock);
	return which < 2 ? (uint32_t)(features >> 32 * which) : 0;
}

void virtio_accept(struct virtio_dev *dev, uint32_t which, uint32_t features)
{
	if (which >= 2)
		return;
	pthread_mutex_lock(&dev->regs_lock);
	if (!(dev->status & VIRTIO_STATUS_FEATURES_OK)) {
		dev->driver_features &= ~((uint64_t)UINT32_MAX << 32 * which);
		dev->driver_features |= (uint64_t)features << 32 * which;
	}
	pthread_mutex_unlock(&dev->regs_lock);
}

struct virtq_setup virtio_setup(struct virtio_dev *dev, unsigned queue)
{
	struct virtq_setup setup;

	pthread_mutex_lock(&dev->regs_lock);
	setup = dev->setup[queue];
	pthread_mutex_unlock(&dev->regs_lock);
	return setup;
}

void virtio_set_setup(struct virtio_dev *dev, unsigned queue,
		      const struct virtq_setup *setup)
{
	pthread_mutex_lock(&dev->regs_lock);
	if (!(dev->status & VIRTIO_STATUS_DRIVER_OK) && !dev->setup[queue].enabled)
		dev->setup[queue] = *setup;
	pthread_mutex_unlock(&dev->regs_lock);
}

void virtio_read_config(struct virtio_dev *dev, size_t off, void *bytes, size_t len)
{
	size_t size = dev->class->config_size, part = 0;

	pthread_mutex_lock(&dev->config_lock);
	if (off < size)
		part = len < size - off ? len : size - off;
	memcpy(bytes, dev->config + (part ? off : 0), part);
	pthread_mutex_unlock(&dev->config_lock);
	memset((char *)bytes + part, 0, len - part);
}

struct config_write {
	struct virtio_dev *dev;
	size_t off;
	const void *bytes;
	size_t len;
};

static void call_write_config(void *ctx)
{
	const struct config_write *w = ctx;

	/* The driver knows what it wrote: no interrupt. */
	if (w->dev->class->write_config(w->dev, w->off, w->bytes, w->len))
		store_config(w->dev, w->off, w->bytes, w->len);
}

void virtio_write_config(struct virtio_dev *dev, size_t off, const void *bytes, size_t len)
{
	struct config_write write = { dev, off, bytes, len };

	if (!dev->class->write_config || !range_within(off, len, dev->class->config_size))
		return;
	pthread_mutex_lock(&dev->regs_lock);
	loop_call(dev->loop, call_write_config, &write);
	pthread_mutex_unlock(&dev->regs_lock);
}

uint8_t virtio_config_generation(struct virtio_dev *dev)
{
	uint8_t generation;

	pthread_mutex_lock(&dev->config_lock);
	generation = dev->config_generation;
	pthread_mutex_unlock(&dev->config_lock);
	return generation;
}

struct virtq_counts virtio_counts(const struct virtio_dev *dev, unsigned queue)
{
	return virtq_counts(dev->queues[queue]);
}

int virtio_kick_fd(struct virtio_dev *dev, unsigned queue)
{
	return virtq_kick_fd(dev->queues[queue]);
}

/* Pause and resume: no vCPU runs, so the registers are at rest. */

void virtio_pause(struct virtio_dev *dev)
{
	loop_call(dev->loop, call_stop, dev);
}

void virtio_resume(struct virtio_dev *dev)
{
	const uint8_t ready = VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK;

	if ((dev->status & ready) == ready && !dev->broken)
		loop_call(dev->loop, call_resume, dev);
}

/* Life. */

static void free_queues(struct virtio_dev *dev)
{
	for (unsigned i = 0; i < dev->nr_queues; i++)
		virtq_free(dev->queues[i]);
	free(dev->queues);
	free(dev->setup);
}

static bool make_queues(struct virtio_dev *dev, unsigned nr)
{
	dev->queues = calloc(nr, sizeof(*dev->queues));
	dev->setup = calloc(nr, sizeof(*dev->setup));
	if (!dev->queues || !dev->setup)
		return false;
	for (; dev->nr_queues < nr; dev->nr_queues++) {
		dev->queues[dev->nr_queues] = virtq_new(dev, dev->nr_queues);
		if (!dev->queues[dev->nr_queues])
			return false;
		dev->setup[dev->nr_queues].size = dev->class->queue_size;
	}
	return true;
}

int virtio_init(struct virtio_dev *dev, const struct virtio_class *class,
		unsigned nr_queues, uint64_t features, struct guest_mem *mem,
		struct loop *loop, struct err *err)
{
	assert(nr_queues && nr_queues <= VIRTIO_QUEUES_MAX);
	assert(class->queue_size <= VIRTIO_QUEUE_SIZE_MAX);
	assert(class->config_size <= VIRTIO_CONFIG_MAX);

	dev->class = class;
	dev->mem = mem;
	dev->loop = loop;
	dev->offered = features | CORE_FEATURES;
	if (!make_queues(dev, nr_queues)) {
		free_queues(dev);
		return err_set(err, -ENOMEM, "%s: cannot make its queues: out of memory or "
			       "file descriptors", class->name);
	}
	pthread_mutex_init(&dev->regs_lock, NULL);
	pthread_mutex_init(&dev->config_lock, NULL);
	return 0;
}

static void call_free(void *ctx)
{
	struct virtio_dev *dev = ctx;

	stop(dev);
	free_queues(dev);
	pthread_mutex_destroy(&dev->config_lock);
	pthread_mutex_destroy(&dev->regs_lock);
	dev->class->free(dev);
}

void virtio_free(struct virtio_dev *dev)
{
	loop_call(dev->loop, call_free, dev);
}
