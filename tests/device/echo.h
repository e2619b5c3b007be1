/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo.h - a virtio device for tests: writes back what it is sent.
 *
 * It gives back one request after each delay, or all at once when that is 0, so
 * that there is something in flight whenever a test wants it.
 */
#ifndef TESTS_DEVICE_ECHO_H
#define TESTS_DEVICE_ECHO_H

#include "devices/virtio/virtio.h"

#define ECHO_TYPE		63	/* no device of the specification */
#define ECHO_QUEUES		2
#define ECHO_QUEUE_SIZE		64
#define ECHO_CONFIG_LEN		12
#define ECHO_F_SHOUT		3	/* a feature that does nothing */

#define ECHO_HELD_MAX		128

struct echo_held {
	struct virtq *vq;
	struct virtio_chain chain;
};

struct echo {
	struct virtio_dev dev;
	struct loop_timer timer;
	uint64_t delay_ns;		/* set before start */
	int start_result;		/* what start() is to return; as above */
	unsigned nr_held;
	struct echo_held held[ECHO_HELD_MAX + 1];

	/* Counted, for tests to look at when the loop is settled. */
	_Atomic(unsigned) nr_starts, nr_stops, nr_kicks, nr_served;
};

struct echo *echo_new(struct guest_mem *mem, struct loop *loop);

/* Owner. */
void echo_set_config(struct echo *echo, uint8_t byte);

#endif
