// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/virtio_rng.h"

#include "guest_driver.h"
#include "rig.h"

#include <check.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#define IN_AT		DRIVER_FREE_AT
#define BYTES_MAX	4096		/* that one request gets */
#define RING_SIZE	64

static struct rig rig;
static struct driver driver;
static struct vring_used_elem elem;

static void setup(void)
{
	struct virtio_dev *dev;

	rig_open(&rig, RIG_THREAD);
	ck_assert_int_eq(virtio_rng_new(&dev, rig.mem, rig.loop, NULL), 0);
	rig_plug(&rig, dev);
	ck_assert(driver_find(&driver, &rig, VIRTIO_ID_RNG));
	ck_assert(driver_start(&driver, DRIVER_CORE_FEATURES, RING_SIZE));
}

static void teardown(void)
{
	rig_close(&rig);
}

static void ask(const struct buffer *buffers, unsigned nr)
{
	ck_assert(ring_send(&driver.rings[0], buffers, nr));
	ring_kick(&driver.rings[0]);
	ck_assert(ring_wait(&driver.rings[0], &elem));
}

static unsigned nr_zeroes(uint64_t at, size_t len)
{
	const uint8_t *bytes = rig_ram(&rig, at, len);
	unsigned nr = 0;

	for (size_t i = 0; i < len; i++)
		nr += !bytes[i];
	return nr;
}

START_TEST(buffer_is_filled_and_no_more_than_that)
{
	const struct buffer buffer = { IN_AT, 1024, true };

	ask(&buffer, 1);

	ck_assert_uint_eq(elem.len, 1024);
	ck_assert_uint_lt(nr_zeroes(IN_AT, 1024), 40);
	ck_assert_uint_eq(nr_zeroes(IN_AT + 1024, 1024), 1024);
}
END_TEST

START_TEST(bytes_differ_each_time)
{
	const struct buffer first = { IN_AT, 16, true }, second = { IN_AT + 16, 16, true };

	ask(&first, 1);
	ask(&second, 1);

	ck_assert_mem_ne(rig_ram(&rig, IN_AT, 16), rig_ram(&rig, IN_AT + 16, 16), 16);
}
END_TEST

START_TEST(scattered_buffers_are_filled_in_order)
{
	const struct buffer buffers[] = {
		{ IN_AT, 256, true }, { IN_AT + 0x1000, 256, true }, { RIG_SEAM - 128, 256, true },
	};

	ask(buffers, ARRAY_LEN(buffers));

	ck_assert_uint_eq(elem.len, 3 * 256);
	ck_assert_uint_lt(nr_zeroes(RIG_SEAM, 128), 20);
}
END_TEST

START_TEST(large_request_gets_its_first_part)
{
	const struct buffer buffer = { IN_AT, 4 * BYTES_MAX, true };

	ask(&buffer, 1);

	ck_assert_uint_eq(elem.len, BYTES_MAX);
	ck_assert_uint_eq(nr_zeroes(IN_AT + BYTES_MAX, BYTES_MAX), BYTES_MAX);
}
END_TEST

START_TEST(request_without_room_gets_nothing)
{
	const struct buffer buffer = { IN_AT, 64, false };

	ask(&buffer, 1);

	ck_assert_uint_eq(elem.len, 0);
	ck_assert_uint_eq(nr_zeroes(IN_AT, 64), 64);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_rng");
	TCase *tc = tcase_create("started");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, buffer_is_filled_and_no_more_than_that);
	tcase_add_test(tc, bytes_differ_each_time);
	tcase_add_test(tc, scattered_buffers_are_filled_in_order);
	tcase_add_test(tc, large_request_gets_its_first_part);
	tcase_add_test(tc, request_without_room_gets_nothing);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
