/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind_fixture.h - a rig with one of kinds[] and its driver, for tests that
 * every device must pass.  Each includes this once.
 */
#ifndef TESTS_DEVICE_KIND_FIXTURE_H
#define TESTS_DEVICE_KIND_FIXTURE_H

#include "guest_driver.h"
#include "kinds.h"
#include "rig.h"

#include <check.h>

#define RING_SIZE	8
#define SECONDS_MAX	60

static struct rig rig;
static struct driver driver;
static const struct kind *kind;

static inline void setup(void)
{
	rig_open(&rig, RIG_THREAD);
}

static inline void teardown(void)
{
	rig_unplug(&rig);
	if (kind && kind->unplugged)
		kind->unplugged();
	rig_close(&rig);
}

static inline void plug(int index)
{
	kind = &kinds[index];
	kind->plug(&rig);
	ck_assert(driver_find(&driver, &rig, kind->type));
}

static inline void start(int index)
{
	plug(index);
	ck_assert(driver_start(&driver, 0, RING_SIZE));
}

static inline struct ring *the_ring(void)
{
	return &driver.rings[kind->queue];
}

static inline void send_request(void)
{
	struct buffer buffers[KIND_BUFFERS_MAX];
	unsigned nr = kind->request(&rig, buffers);

	ck_assert(ring_send(the_ring(), buffers, nr));
}

/* The device does its work. */
static inline void assert_serves(void)
{
	struct vring_used_elem elem;

	send_request();
	ring_kick(the_ring());
	ck_assert(ring_wait(the_ring(), &elem));
}

static inline void assert_serves_after_reset(void)
{
	ck_assert(driver_start(&driver, 0, RING_SIZE));
	assert_serves();
}

#endif
