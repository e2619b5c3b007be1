/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo_fixture.h - a rig with the echo device and its driver, for tests of what
 * only a device made for tests can show.  Each includes this once.
 */
#ifndef TESTS_DEVICE_ECHO_FIXTURE_H
#define TESTS_DEVICE_ECHO_FIXTURE_H

#include "echo.h"
#include "guest_driver.h"
#include "rig.h"

#include <check.h>
#include <string.h>

#define SIZE		ECHO_QUEUE_SIZE
#define SECONDS_MAX	120

#define OUT_AT		DRIVER_FREE_AT			/* what the device reads */
#define IN_AT		(DRIVER_FREE_AT + 0x4000)	/* what it writes */
#define TABLE_AT	(DRIVER_FREE_AT + 0x8000)	/* indirect descriptors */
#define TABLE_LEN	0x1000
#define LEN		48

static struct rig rig;
static struct driver driver;
static struct echo *echo;
static struct ring *ring;

static inline void setup(void)
{
	rig_open(&rig, RIG_THREAD);
	echo = echo_new(rig.mem, rig.loop);
	rig_plug(&rig, &echo->dev);
	ck_assert(driver_find(&driver, &rig, ECHO_TYPE));
	ring = &driver.rings[0];
}

static inline void teardown(void)
{
	rig_close(&rig);
}

static inline void start(uint64_t features)
{
	ck_assert(driver_start(&driver, features, SIZE));
}

static inline void send_one(void)
{
	const struct buffer buffers[] = { { OUT_AT, LEN, false }, { IN_AT, LEN, true } };

	ck_assert(ring_send(ring, buffers, ARRAY_LEN(buffers)));
}

static inline void assert_serves(void)
{
	struct vring_used_elem elem;

	memset(rig_ram(&rig, OUT_AT, LEN), 0x5a, LEN);
	memset(rig_ram(&rig, IN_AT, LEN), 0, LEN);
	send_one();
	ring_kick(ring);
	ck_assert(ring_wait(ring, &elem));
	ck_assert_uint_eq(elem.len, LEN);
	ck_assert_mem_eq(rig_ram(&rig, IN_AT, LEN), rig_ram(&rig, OUT_AT, LEN), LEN);
}

#endif
