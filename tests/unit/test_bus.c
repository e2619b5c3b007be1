// SPDX-License-Identifier: Apache-2.0
#include "bus/bus.h"

#include "base/bits.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define AT	UINT64_C(0x1000)
#define LEN	UINT64_C(0x10)

/* Answers with its own answer and remembers what it was asked. */
struct device {
	struct bus_region region;
	uint64_t answer, off, value;
	unsigned size;
	int nr;
};

static struct bus *bus;
static struct device dev;

static void remember(struct device *d, uint64_t off, unsigned size, uint64_t value)
{
	d->off = off;
	d->size = size;
	d->value = value;
	d->nr++;
}

static uint64_t dev_read(struct bus_region *region, uint64_t off, unsigned size)
{
	struct device *d = container_of(region, struct device, region);

	remember(d, off, size, 0);
	return d->answer;
}

static void dev_write(struct bus_region *region, uint64_t off, unsigned size,
		      uint64_t value)
{
	remember(container_of(region, struct device, region), off, size, value);
}

static const struct bus_ops dev_ops = { .read = dev_read, .write = dev_write };

static struct device device(uint64_t at, uint64_t len)
{
	return (struct device){
		.region = { .at = at, .len = len, .ops = &dev_ops, .name = "test" },
		.answer = 0x1122334455667788,
	};
}

static void setup(void)
{
	bus = bus_new();
	ck_assert_ptr_nonnull(bus);
	dev = device(AT, LEN);
	ck_assert_int_eq(bus_add(bus, &dev.region), 0);
}

static void teardown(void)
{
	bus = bus_free(bus);
	ck_assert_ptr_null(bus);
}

START_TEST(read_is_relative_to_the_region)
{
	ck_assert_uint_eq(bus_read(bus, AT + 8, 8), 0x1122334455667788);

	ck_assert_uint_eq(dev.off, 8);
	ck_assert_uint_eq(dev.size, 8);
}
END_TEST

START_TEST(read_gives_no_more_than_its_size)
{
	ck_assert_uint_eq(bus_read(bus, AT, 1), 0x88);
	ck_assert_uint_eq(bus_read(bus, AT, 2), 0x7788);
	ck_assert_uint_eq(bus_read(bus, AT + 1, 4), 0x55667788);
}
END_TEST

START_TEST(write_passes_no_more_than_its_size)
{
	bus_write(bus, AT + 3, 1, 0x1234);
	ck_assert_uint_eq(dev.value, 0x34);
	ck_assert_uint_eq(dev.off, 3);

	bus_write(bus, AT, 8, UINT64_MAX);
	ck_assert_uint_eq(dev.value, UINT64_MAX);
	ck_assert_uint_eq(dev.size, 8);
}
END_TEST

START_TEST(where_nobody_is_reads_are_ones_and_writes_are_lost)
{
	bus_write(bus, AT - 1, 1, 1);
	bus_write(bus, AT + LEN, 1, 1);

	ck_assert_uint_eq(bus_read(bus, AT - 1, 1), 0xff);
	ck_assert_uint_eq(bus_read(bus, AT + LEN, 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(bus, UINT64_MAX, 8), UINT64_MAX);
	ck_assert_int_eq(dev.nr, 0);
}
END_TEST

START_TEST(access_across_an_edge_reaches_nobody)
{
	struct device next = device(AT + LEN, LEN);

	ck_assert_int_eq(bus_add(bus, &next.region), 0);
	bus_write(bus, AT + LEN - 1, 2, 0);
	bus_write(bus, AT - 1, 2, 0);

	ck_assert_uint_eq(bus_read(bus, AT + LEN - 4, 8), UINT64_MAX);
	ck_assert_int_eq(dev.nr + next.nr, 0);
}
END_TEST

START_TEST(region_at_the_very_end_answers)
{
	struct device last = device(UINT64_MAX - 7, 8);

	ck_assert_int_eq(bus_add(bus, &last.region), 0);

	ck_assert_uint_eq(bus_read(bus, UINT64_MAX - 7, 8), last.answer);
	ck_assert_uint_eq(bus_read(bus, UINT64_MAX - 3, 8), UINT64_MAX);
	ck_assert_int_eq(last.nr, 1);
}
END_TEST

START_TEST(overlap_is_refused)
{
	struct device at_front = device(AT - 1, 2), at_back = device(AT + LEN - 1, 2);
	struct device inside = device(AT + 1, 1), around = device(AT - 1, LEN + 2);

	ck_assert_int_eq(bus_add(bus, &at_front.region), -EEXIST);
	ck_assert_int_eq(bus_add(bus, &at_back.region), -EEXIST);
	ck_assert_int_eq(bus_add(bus, &inside.region), -EEXIST);
	ck_assert_int_eq(bus_add(bus, &around.region), -EEXIST);
	ck_assert_int_eq(bus_add(bus, &dev.region), -EEXIST);
}
END_TEST

START_TEST(empty_or_wrapping_region_is_refused)
{
	struct device empty = device(0, 0), wrapping = device(UINT64_MAX, 2);

	ck_assert_int_eq(bus_add(bus, &empty.region), -EINVAL);
	ck_assert_int_eq(bus_add(bus, &wrapping.region), -EINVAL);
}
END_TEST

START_TEST(removed_region_answers_no_more_and_its_place_is_free)
{
	struct device successor = device(AT, LEN);

	bus_remove(bus, &dev.region);
	ck_assert_uint_eq(bus_read(bus, AT, 1), 0xff);

	ck_assert_int_eq(bus_add(bus, &successor.region), 0);
	bus_read(bus, AT, 1);
	ck_assert_int_eq(successor.nr, 1);
	ck_assert_int_eq(dev.nr, 0);
}
END_TEST

START_TEST(removing_what_is_not_there_is_ignored)
{
	struct device stranger = device(AT, LEN);

	bus_remove(bus, &stranger.region);
	bus_read(bus, AT, 1);

	ck_assert_int_eq(dev.nr, 1);
}
END_TEST

START_TEST(each_of_many_regions_answers_for_itself)
{
	static struct device many[100];

	/* 37 has no factor in common with 100: every place once, in disorder. */
	for (int i = 0; i < 100; i++) {
		many[i] = device(0x100000 + (uint64_t)(i * 37 % 100) * 16, 8);
		ck_assert_int_eq(bus_add(bus, &many[i].region), 0);
	}
	for (int i = 0; i < 100; i++) {
		bus_read(bus, many[i].region.at + 7, 1);
		bus_read(bus, many[i].region.at + 8, 1);
	}

	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(many[i].nr, 1);
}
END_TEST

static void move_away(struct bus_region *region, uint64_t off, unsigned size,
		      uint64_t value)
{
	(void)off;
	(void)size;
	bus_remove(bus, region);
	region->at = value;
	ck_assert_int_eq(bus_add(bus, region), 0);
}

START_TEST(handler_may_move_its_own_region)
{
	static const struct bus_ops ops = { .read = dev_read, .write = move_away };

	dev.region.ops = &ops;
	bus_write(bus, AT, 4, 0x8000);

	ck_assert_uint_eq(bus_read(bus, AT, 1), 0xff);
	ck_assert_uint_eq(bus_read(bus, 0x8000, 1), 0x88);
}
END_TEST

/* Several vCPUs read while another moves a region about. */

#define NR_READERS	3
#define NR_READS	20000
#define NR_MOVES	2000

static atomic_int nr_wrong;

static uint64_t read_constant(struct bus_region *region, uint64_t off, unsigned size)
{
	(void)region;
	(void)size;
	return 0x40 + off;
}

static const struct bus_ops constant_ops = { .read = read_constant };

static void *read_both(void *arg)
{
	(void)arg;
	for (int i = 0; i < NR_READS; i++) {
		uint64_t fixed = bus_read(bus, 0x8000, 1);
		uint64_t moving = bus_read(bus, 0x9001, 1);

		nr_wrong += fixed != 0x40 || (moving != 0x41 && moving != 0xff);
	}
	return NULL;
}

static void *add_and_remove(void *arg)
{
	struct bus_region *region = arg;

	for (int i = 0; i < NR_MOVES; i++) {
		nr_wrong += bus_add(bus, region) != 0;
		bus_remove(bus, region);
	}
	return NULL;
}

START_TEST(readers_see_a_region_wholly_or_not_at_all)
{
	struct bus_region fixed = { .at = 0x8000, .len = 1, .ops = &constant_ops };
	struct bus_region moving = { .at = 0x9000, .len = 2, .ops = &constant_ops };
	pthread_t readers[NR_READERS], mover;

	ck_assert_int_eq(bus_add(bus, &fixed), 0);
	for (int i = 0; i < NR_READERS; i++)
		pthread_create(&readers[i], NULL, read_both, NULL);
	pthread_create(&mover, NULL, add_and_remove, &moving);
	pthread_join(mover, NULL);
	for (int i = 0; i < NR_READERS; i++)
		pthread_join(readers[i], NULL);

	ck_assert_int_eq(nr_wrong, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bus");
	TCase *tc = tcase_create("one region");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, read_is_relative_to_the_region);
	tcase_add_test(tc, read_gives_no_more_than_its_size);
	tcase_add_test(tc, write_passes_no_more_than_its_size);
	tcase_add_test(tc, where_nobody_is_reads_are_ones_and_writes_are_lost);
	tcase_add_test(tc, access_across_an_edge_reaches_nobody);
	tcase_add_test(tc, region_at_the_very_end_answers);
	tcase_add_test(tc, overlap_is_refused);
	tcase_add_test(tc, empty_or_wrapping_region_is_refused);
	tcase_add_test(tc, removed_region_answers_no_more_and_its_place_is_free);
	tcase_add_test(tc, removing_what_is_not_there_is_ignored);
	tcase_add_test(tc, each_of_many_regions_answers_for_itself);
	tcase_add_test(tc, handler_may_move_its_own_region);
	tcase_add_test(tc, readers_see_a_region_wholly_or_not_at_all);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
