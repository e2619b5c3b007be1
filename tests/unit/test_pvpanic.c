// SPDX-License-Identifier: Apache-2.0
#include "devices/pvpanic.h"

#include "bus/bus.h"

#include <check.h>
#include <stdlib.h>

#define PORT 0x505

static struct bus *ports;
static struct pvpanic *pvpanic;
static int nr_told;
static uint8_t last_told;

static void told(void *ctx, uint8_t events)
{
	++*(int *)ctx;
	last_told = events;
}

static void setup(void)
{
	const struct pvpanic_config config = {
		.at = PORT,
		.told = told,
		.ctx = &nr_told,
	};

	nr_told = 0;
	ports = bus_new();
	pvpanic = pvpanic_new(&config);
	ck_assert_int_eq(bus_add(ports, pvpanic_region(pvpanic)), 0);
}

static void teardown(void)
{
	bus_remove(ports, pvpanic_region(pvpanic));
	pvpanic = pvpanic_free(pvpanic);
	ports = bus_free(ports);
}

START_TEST(reading_tells_which_events_are_known)
{
	ck_assert_uint_eq(bus_read(ports, PORT, 1), PVPANIC_PANICKED | PVPANIC_CRASH_LOADED);
}
END_TEST

START_TEST(writing_tells_an_event)
{
	bus_write(ports, PORT, 1, PVPANIC_PANICKED);

	ck_assert_int_eq(nr_told, 1);
	ck_assert_uint_eq(last_told, PVPANIC_PANICKED);
}
END_TEST

START_TEST(unknown_events_are_left_out)
{
	bus_write(ports, PORT, 1, 0xf0 | PVPANIC_CRASH_LOADED);
	bus_write(ports, PORT, 1, 0xfc);
	bus_write(ports, PORT, 1, 0);

	ck_assert_int_eq(nr_told, 1);
	ck_assert_uint_eq(last_told, PVPANIC_CRASH_LOADED);
}
END_TEST

START_TEST(wide_accesses_find_nothing)
{
	bus_write(ports, PORT, 4, 0x01010101);

	ck_assert_int_eq(nr_told, 0);
	ck_assert_uint_eq(bus_read(ports, PORT, 4), 0xffffffff);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pvpanic");
	TCase *tc = tcase_create("on a bus");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, reading_tells_which_events_are_known);
	tcase_add_test(tc, writing_tells_an_event);
	tcase_add_test(tc, unknown_events_are_left_out);
	tcase_add_test(tc, wide_accesses_find_nothing);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
