// SPDX-License-Identifier: Apache-2.0
#include "devices/pl031.h"

#include "bus/bus.h"
#include "state_round.h"

#include <check.h>
#include <stdlib.h>

#define AT	0x9010000
#define SECOND	UINT64_C(1000000000)
#define NOW	UINT64_C(1700000000)

static uint64_t host_ns;
static struct bus *bus;
static struct pl031 *rtc;

static uint64_t now(void *ctx)
{
	(void)ctx;
	return host_ns;
}

static void setup(void)
{
	const struct pl031_config config = { .at = AT, .now = now };

	host_ns = NOW * SECOND + SECOND / 2;
	bus = bus_new();
	rtc = pl031_new(&config);
	ck_assert_int_eq(bus_add(bus, pl031_region(rtc)), 0);
}

static void teardown(void)
{
	bus_remove(bus, pl031_region(rtc));
	rtc = pl031_free(rtc);
	bus = bus_free(bus);
}

static uint32_t reg(uint64_t off)
{
	return (uint32_t)bus_read(bus, AT + off, 4);
}

START_TEST(time_is_the_host_s)
{
	ck_assert_uint_eq(reg(PL031_DATA), NOW);
}
END_TEST

START_TEST(time_that_was_set_goes_on_with_the_host_s)
{
	bus_write(bus, AT + PL031_LOAD, 4, 1000);
	host_ns += 7 * SECOND;

	ck_assert_uint_eq(reg(PL031_DATA), 1007);
	ck_assert_uint_eq(reg(PL031_LOAD), 1000);
}
END_TEST

START_TEST(clock_runs_and_cannot_be_stopped)
{
	bus_write(bus, AT + PL031_CONTROL, 4, 0);

	ck_assert_uint_eq(reg(PL031_CONTROL), 1);
}
END_TEST

START_TEST(alarm_is_kept_and_never_comes)
{
	bus_write(bus, AT + PL031_MATCH, 4, NOW);
	bus_write(bus, AT + PL031_MASK, 4, 1);

	ck_assert_uint_eq(reg(PL031_MATCH), NOW);
	ck_assert_uint_eq(reg(PL031_MASK), 1);
	ck_assert_uint_eq(reg(0x14), 0);
}
END_TEST

START_TEST(driver_finds_a_pl031)
{
	static const uint8_t id[] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	for (unsigned i = 0; i < sizeof(id); i++)
		ck_assert_uint_eq(reg(PL031_ID + 4 * i), id[i]);
}
END_TEST

START_TEST(bytes_are_no_registers)
{
	bus_write(bus, AT + PL031_LOAD, 1, 0);

	ck_assert_uint_eq(bus_read(bus, AT + PL031_DATA, 1), 0);
	ck_assert_uint_eq(reg(PL031_DATA), NOW);
}
END_TEST

START_TEST(time_falls_back)
{
	pl031_fall_back(rtc, 100 * SECOND);

	ck_assert_uint_eq(reg(PL031_DATA), NOW - 100);
}
END_TEST

START_TEST(saved_clock_is_as_far_from_the_host_s)
{
	bus_write(bus, AT + PL031_LOAD, 4, 1000);
	bus_write(bus, AT + PL031_MATCH, 4, 5);
	state_round_save(pl031_save, rtc);
	teardown();
	setup();

	ck_assert_int_eq(state_round_load(pl031_load, rtc), 0);

	host_ns += 3 * SECOND;
	ck_assert_uint_eq(reg(PL031_DATA), 1003);
	ck_assert_uint_eq(reg(PL031_MATCH), 5);
	state_round_forget();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pl031");
	TCase *tc = tcase_create("clock");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, time_is_the_host_s);
	tcase_add_test(tc, time_that_was_set_goes_on_with_the_host_s);
	tcase_add_test(tc, clock_runs_and_cannot_be_stopped);
	tcase_add_test(tc, alarm_is_kept_and_never_comes);
	tcase_add_test(tc, driver_finds_a_pl031);
	tcase_add_test(tc, bytes_are_no_registers);
	tcase_add_test(tc, time_falls_back);
	tcase_add_test(tc, saved_clock_is_as_far_from_the_host_s);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
