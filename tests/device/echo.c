// SPDX-License-Identifier: Apache-2.0
#include "echo.h"

#include "base/bits.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

static struct echo *echo_of(struct virtio_dev *dev)
{
	return container_of(dev, struct echo, dev);
}

/* As much as fits. */
static void answer(struct echo *echo, struct virtq *vq, struct virtio_chain *chain)
{
	uint8_t bytes[512];
	uint64_t done = 0, len = min_u64(chain->readable.len, chain->writable.len);

	while (done < len) {
		size_t part = min_u64(len - done, sizeof(bytes));

		if (iov_read(&chain->readable, done, bytes, part) ||
		    iov_write(&chain->writable, done, bytes, part))
			abort();
		done += part;
	}
	virtq_push(vq, chain->head, (uint32_t)done);
	echo->nr_served++;
}

static void set_timer(struct echo *echo)
{
	if (echo->nr_held && !echo->timer.set)
		loop_timer_set(echo->dev.loop, &echo->timer, clock_ns() + echo->delay_ns);
}

static void answer_newest(struct loop_timer *timer)
{
	struct echo *echo = container_of(timer, struct echo, timer);
	struct echo_held *held = &echo->held[--echo->nr_held];

	answer(echo, held->vq, &held->chain);
	set_timer(echo);
}

static int echo_start(struct virtio_dev *dev)
{
	struct echo *echo = echo_of(dev);

	if (!echo->start_result)
		echo->nr_starts++;
	return echo->start_result;
}

static bool is_idle(void *ctx)
{
	return !((struct echo *)ctx)->nr_held;
}

static void echo_stop(struct virtio_dev *dev)
{
	struct echo *echo = echo_of(dev);

	loop_wait(dev->loop, is_idle, echo);
	echo->nr_stops++;
}

/* A chain points into itself, so it is popped to where it is to stay. */
static void echo_kick(struct virtio_dev *dev, struct virtq *vq)
{
	struct echo *echo = echo_of(dev);

	echo->nr_kicks++;
	while (virtq_pop(vq, &echo->held[echo->nr_held].chain) > 0) {
		struct echo_held *held = &echo->held[echo->nr_held];

		if (!echo->delay_ns || echo->nr_held == ECHO_HELD_MAX) {
			answer(echo, vq, &held->chain);
			continue;
		}
		held->vq = vq;
		echo->nr_held++;
	}
	set_timer(echo);
}

static void echo_free(struct virtio_dev *dev)
{
	free(echo_of(dev));
}

static const struct virtio_class echo_class = {
	.name		= "echo",
	.id		= ECHO_TYPE,
	.queue_size	= ECHO_QUEUE_SIZE,
	.config_size	= ECHO_CONFIG_LEN,
	.polled		= true,
	.start		= echo_start,
	.stop		= echo_stop,
	.kick		= echo_kick,
	.free		= echo_free,
};

struct echo *echo_new(struct guest_mem *mem, struct loop *loop)
{
	struct echo *echo = calloc(1, sizeof(*echo));

	if (!echo || virtio_init(&echo->dev, &echo_class, ECHO_QUEUES, BIT64(ECHO_F_SHOUT),
				 mem, loop, NULL))
		abort();
	echo->timer.fired = answer_newest;
	echo_set_config(echo, 0x11);
	return echo;
}

void echo_set_config(struct echo *echo, uint8_t byte)
{
	uint8_t config[ECHO_CONFIG_LEN];

	memset(config, byte, sizeof(config));
	virtio_set_config(&echo->dev, 0, config, sizeof(config));
}
