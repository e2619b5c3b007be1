// SPDX-License-Identifier: Apache-2.0
#include "devices/rtc.h"

#include "base/clock.h"
#include "bus/bus.h"
#include "devices/rtc_regs.h"
#include "state_round.h"

#include <check.h>
#include <stdlib.h>

#define PORT 0x70

/* Thursday, 29 February 2024, 13:59:58 */
#define LEAP_DAY	1709215198

static struct bus *ports;
static struct rtc *rtc;
static struct timespec clock_now;

static void tell_time(void *ctx, struct timespec *ret_now)
{
	*ret_now = *(const struct timespec *)ctx;
}

static void setup(void)
{
	const struct rtc_config config = {
		.at = PORT,
		.now = tell_time,
		.ctx = &clock_now,
	};

	clock_now = (struct timespec){ .tv_sec = LEAP_DAY };
	ports = bus_new();
	rtc = rtc_new(&config);
	ck_assert_int_eq(bus_add(ports, rtc_region(rtc)), 0);
}

static void teardown(void)
{
	bus_remove(ports, rtc_region(rtc));
	rtc = rtc_free(rtc);
	ports = bus_free(ports);
}

static uint64_t get(uint8_t index)
{
	bus_write(ports, PORT, 1, index);
	return bus_read(ports, PORT + 1, 1);
}

static void put(uint8_t index, uint8_t value)
{
	bus_write(ports, PORT, 1, index);
	bus_write(ports, PORT + 1, 1, value);
}

static void assert_time(unsigned hours, unsigned minutes, unsigned seconds)
{
	ck_assert_uint_eq(get(RTC_HOURS), hours);
	ck_assert_uint_eq(get(RTC_MINUTES), minutes);
	ck_assert_uint_eq(get(RTC_SECONDS), seconds);
}

static void assert_date(unsigned century, unsigned year, unsigned month, unsigned day)
{
	ck_assert_uint_eq(get(RTC_CENTURY), century);
	ck_assert_uint_eq(get(RTC_YEAR), year);
	ck_assert_uint_eq(get(RTC_MONTH), month);
	ck_assert_uint_eq(get(RTC_DAY), day);
}

/* 31 December 1999, 23:59:59 in BCD, set the way Linux does. */
static void set_millennium(void)
{
	uint8_t a = (uint8_t)get(RTC_A), b = (uint8_t)get(RTC_B);

	put(RTC_B, b | RTC_B_SET);
	put(RTC_A, a | 0x70);
	put(RTC_YEAR, 0x99);
	put(RTC_MONTH, 0x12);
	put(RTC_DAY, 0x31);
	put(RTC_HOURS, 0x23);
	put(RTC_MINUTES, 0x59);
	put(RTC_SECONDS, 0x59);
	put(RTC_CENTURY, 0x19);
	put(RTC_B, b);
	put(RTC_A, a);
}

START_TEST(time_is_bcd_and_24_hours_at_start)
{
	assert_time(0x13, 0x59, 0x58);
	assert_date(0x20, 0x24, 0x02, 0x29);
	ck_assert_uint_eq(get(RTC_WEEKDAY), 5);
}
END_TEST

START_TEST(binary_is_honoured)
{
	put(RTC_B, RTC_B_24H | RTC_B_BINARY);

	assert_time(13, 59, 58);
	assert_date(20, 24, 2, 29);
}
END_TEST

START_TEST(afternoon_in_12_hours_has_the_pm_bit)
{
	put(RTC_B, 0);

	ck_assert_uint_eq(get(RTC_HOURS), RTC_HOURS_PM | 0x01);
}
END_TEST

START_TEST(midnight_and_noon_in_12_hours_are_twelve)
{
	put(RTC_B, 0);

	clock_now.tv_sec = 0;
	ck_assert_uint_eq(get(RTC_HOURS), 0x12);
	clock_now.tv_sec = 12 * 3600;
	ck_assert_uint_eq(get(RTC_HOURS), RTC_HOURS_PM | 0x12);
}
END_TEST

START_TEST(time_follows_the_host)
{
	clock_now.tv_sec += 2;

	assert_time(0x14, 0x00, 0x00);
}
END_TEST

START_TEST(without_a_clock_given_the_host_is_asked)
{
	const struct rtc_config config = { .at = PORT };
	struct bus *own_ports = bus_new();
	struct rtc *own = rtc_new(&config);
	const time_t y2020 = 1577836800;
	uint64_t year;

	ck_assert_int_ge(time(NULL), y2020);
	ck_assert_int_eq(bus_add(own_ports, rtc_region(own)), 0);

	bus_write(own_ports, PORT, 1, RTC_YEAR);
	year = bus_read(own_ports, PORT + 1, 1);

	ck_assert_uint_ge(year, 0x20);
	bus_remove(own_ports, rtc_region(own));
	rtc_free(own);
	bus_free(own_ports);
}
END_TEST

START_TEST(time_that_is_set_is_read_back)
{
	set_millennium();

	assert_time(0x23, 0x59, 0x59);
	assert_date(0x19, 0x99, 0x12, 0x31);
}
END_TEST

START_TEST(time_that_is_set_goes_on_half_a_second_later)
{
	clock_now.tv_nsec = 700000000;
	set_millennium();

	clock_now = (struct timespec){ LEAP_DAY + 1, 199999999 };
	assert_time(0x23, 0x59, 0x59);
	clock_now.tv_nsec++;
	assert_time(0x00, 0x00, 0x00);
	assert_date(0x20, 0x00, 0x01, 0x01);
}
END_TEST

START_TEST(time_set_in_binary_and_12_hours_is_understood)
{
	put(RTC_B, RTC_B_BINARY);
	put(RTC_B, RTC_B_BINARY | RTC_B_SET);
	put(RTC_HOURS, RTC_HOURS_PM | 12);
	put(RTC_MINUTES, 34);
	put(RTC_B, RTC_B_BINARY);

	put(RTC_B, RTC_B_BINARY | RTC_B_24H);
	assert_time(12, 34, 58);
}
END_TEST

START_TEST(bytes_held_before_a_change_of_format_stay_as_they_are)
{
	put(RTC_B, RTC_B_24H | RTC_B_BINARY | RTC_B_SET);

	assert_time(0x13, 0x59, 0x58);
}
END_TEST

START_TEST(set_holds_the_time_still)
{
	put(RTC_B, RTC_B_24H | RTC_B_SET);

	clock_now.tv_sec += 60;

	assert_time(0x13, 0x59, 0x58);
}
END_TEST

START_TEST(set_without_a_new_time_leaves_the_clock_right)
{
	put(RTC_B, RTC_B_24H | RTC_B_SET);
	clock_now.tv_sec += 2;
	put(RTC_B, RTC_B_24H);

	assert_time(0x14, 0x00, 0x00);
}
END_TEST

START_TEST(time_is_set_once_however_often_the_clock_is_held)
{
	set_millennium();
	clock_now.tv_nsec = 700000000;
	assert_time(0x00, 0x00, 0x00);

	put(RTC_B, RTC_B_24H | RTC_B_SET);
	put(RTC_B, RTC_B_24H);

	clock_now = (struct timespec){ LEAP_DAY + 1, 400000000 };
	assert_time(0x00, 0x00, 0x00);
}
END_TEST

START_TEST(part_written_without_set_takes_effect_at_once)
{
	clock_now.tv_nsec = 700000000;
	put(RTC_MINUTES, 0x10);
	clock_now = (struct timespec){ LEAP_DAY + 1, 0 };

	assert_time(0x13, 0x10, 0x59);
	assert_date(0x20, 0x24, 0x02, 0x29);
}
END_TEST

START_TEST(nonsense_time_is_still_a_time)
{
	const unsigned century_of_25776 = 57;	/* four digits are kept */

	put(RTC_B, RTC_B_24H | RTC_B_BINARY | RTC_B_SET);
	for (uint8_t index = RTC_SECONDS; index <= RTC_YEAR; index++)
		put(index, 0xff);
	put(RTC_CENTURY, 0xff);
	put(RTC_B, RTC_B_24H | RTC_B_BINARY);

	ck_assert_uint_lt(get(RTC_SECONDS), 60);
	ck_assert_uint_lt(get(RTC_HOURS), 24);
	ck_assert_uint_le(get(RTC_MONTH), 12);
	ck_assert_uint_eq(get(RTC_CENTURY), century_of_25776);
}
END_TEST

START_TEST(all_zero_time_is_still_a_time)
{
	put(RTC_B, RTC_B_24H | RTC_B_SET);
	for (uint8_t index = RTC_SECONDS; index <= RTC_YEAR; index++)
		put(index, 0);
	put(RTC_CENTURY, 0);
	put(RTC_B, RTC_B_24H);

	ck_assert_uint_eq(get(RTC_MONTH), 0x11);
	ck_assert_uint_eq(get(RTC_DAY), 0x30);
}
END_TEST

START_TEST(update_in_progress_shows_just_before_the_second_ends)
{
	ck_assert_uint_eq(get(RTC_A), 0x26);

	clock_now.tv_nsec = 999000000;
	ck_assert_uint_eq(get(RTC_A), 0x26 | RTC_A_UIP);
	clock_now = (struct timespec){ .tv_sec = LEAP_DAY + 1 };
	ck_assert_uint_eq(get(RTC_A), 0x26);
}
END_TEST

START_TEST(reader_that_finds_uip_clear_has_two_milliseconds)
{
	clock_now.tv_nsec = (long)CLOCK_NS_PER_S - 2228001;
	ck_assert_uint_eq(get(RTC_A) & RTC_A_UIP, 0);

	clock_now.tv_nsec += 2 * (long)CLOCK_NS_PER_MS;
	assert_time(0x13, 0x59, 0x58);
}
END_TEST

START_TEST(no_update_is_in_progress_under_set)
{
	put(RTC_B, RTC_B_24H | RTC_B_SET);

	clock_now.tv_nsec = 999999999;

	ck_assert_uint_eq(get(RTC_A) & RTC_A_UIP, 0);
}
END_TEST

START_TEST(uip_cannot_be_written)
{
	put(RTC_A, 0xa6);

	ck_assert_uint_eq(get(RTC_A), 0x26);
}
END_TEST

START_TEST(update_flag_is_set_by_a_second_and_cleared_by_reading)
{
	put(RTC_A, 0x20);
	clock_now.tv_sec++;

	ck_assert_uint_eq(get(RTC_C) & RTC_C_UF, RTC_C_UF);
	ck_assert_uint_eq(get(RTC_C), 0);
}
END_TEST

START_TEST(irqf_needs_the_flag_to_be_enabled)
{
	put(RTC_A, 0x20);
	put(RTC_B, RTC_B_24H | RTC_B_AIE);
	clock_now.tv_sec++;
	ck_assert_uint_eq(get(RTC_C), RTC_C_UF);

	put(RTC_B, RTC_B_24H | RTC_B_UIE);
	clock_now.tv_sec++;
	ck_assert_uint_eq(get(RTC_C), RTC_C_UF | RTC_C_IRQF);
}
END_TEST

START_TEST(set_disables_the_update_interrupt_and_its_flag)
{
	put(RTC_A, 0x20);
	put(RTC_B, RTC_B_24H | RTC_B_UIE | RTC_B_SET);
	clock_now.tv_sec++;

	ck_assert_uint_eq(get(RTC_B), RTC_B_24H | RTC_B_SET);
	ck_assert_uint_eq(get(RTC_C), 0);
}
END_TEST

START_TEST(alarm_flag_is_set_when_its_second_passes)
{
	put(RTC_HOURS_ALARM, 0x14);
	put(RTC_MINUTES_ALARM, 0x00);
	put(RTC_SECONDS_ALARM, 0x01);

	clock_now.tv_sec += 2;
	ck_assert_uint_eq(get(RTC_C) & RTC_C_AF, 0);
	clock_now.tv_sec += 1;
	ck_assert_uint_eq(get(RTC_C) & RTC_C_AF, RTC_C_AF);
	clock_now.tv_sec += 1;
	ck_assert_uint_eq(get(RTC_C) & RTC_C_AF, 0);
}
END_TEST

START_TEST(alarm_with_wildcards_matches_every_value)
{
	put(RTC_HOURS_ALARM, 0xff);
	put(RTC_MINUTES_ALARM, 0xc0);
	put(RTC_SECONDS_ALARM, 0x30);

	clock_now.tv_sec += 31;
	ck_assert_uint_eq(get(RTC_C) & RTC_C_AF, 0);
	clock_now.tv_sec += 1;
	ck_assert_uint_eq(get(RTC_C) & RTC_C_AF, RTC_C_AF);
}
END_TEST

START_TEST(alarm_is_found_in_a_gap_of_many_days)
{
	put(RTC_HOURS_ALARM, 0x13);
	put(RTC_MINUTES_ALARM, 0x59);
	put(RTC_SECONDS_ALARM, 0x59);

	clock_now.tv_sec += 365 * 86400;

	ck_assert_uint_eq(get(RTC_C) & RTC_C_AF, RTC_C_AF);
}
END_TEST

START_TEST(alarm_is_found_before_1970)
{
	const time_t new_year_1970 = 0;

	clock_now.tv_sec = new_year_1970 - 10;
	get(RTC_C);
	put(RTC_HOURS_ALARM, 0x23);
	put(RTC_MINUTES_ALARM, 0x59);
	put(RTC_SECONDS_ALARM, 0x55);

	clock_now.tv_sec += 5;

	ck_assert_uint_eq(get(RTC_C) & RTC_C_AF, RTC_C_AF);
}
END_TEST

START_TEST(alarm_set_after_its_second_passed_is_not_due)
{
	clock_now.tv_sec += 10;
	put(RTC_HOURS_ALARM, 0x14);
	put(RTC_MINUTES_ALARM, 0x00);
	put(RTC_SECONDS_ALARM, 0x01);

	ck_assert_uint_eq(get(RTC_C) & RTC_C_AF, 0);
}
END_TEST

START_TEST(impossible_alarm_never_matches)
{
	put(RTC_HOURS_ALARM, 0x25);
	put(RTC_MINUTES_ALARM, 0xff);
	put(RTC_SECONDS_ALARM, 0xff);

	clock_now.tv_sec += 2 * 86400;

	ck_assert_uint_eq(get(RTC_C) & RTC_C_AF, 0);
}
END_TEST

START_TEST(periodic_flag_is_set_once_a_period_has_passed)
{
	const long period_1024hz = 976563;

	clock_now.tv_nsec = period_1024hz - 2;
	ck_assert_uint_eq(get(RTC_C) & RTC_C_PF, 0);
	clock_now.tv_nsec = period_1024hz;
	ck_assert_uint_eq(get(RTC_C) & RTC_C_PF, RTC_C_PF);
}
END_TEST

START_TEST(rate_one_is_256_hz)
{
	put(RTC_A, 0x21);

	clock_now.tv_nsec = 3906249;
	ck_assert_uint_eq(get(RTC_C) & RTC_C_PF, 0);
	clock_now.tv_nsec = 3906250;
	ck_assert_uint_eq(get(RTC_C) & RTC_C_PF, RTC_C_PF);
}
END_TEST

START_TEST(setting_the_time_is_no_passing_of_seconds)
{
	set_millennium();
	put(RTC_YEAR, 0x50);
	put(RTC_CENTURY, 0x21);

	ck_assert_uint_eq(get(RTC_C) & (RTC_C_UF | RTC_C_AF), 0);
}
END_TEST

START_TEST(host_clock_that_steps_back_raises_no_flags)
{
	clock_now.tv_sec -= 3600;

	ck_assert_uint_eq(get(RTC_C), 0);
	assert_time(0x12, 0x59, 0x58);
}
END_TEST

START_TEST(battery_is_good_and_d_is_read_only)
{
	put(RTC_D, 0);

	ck_assert_uint_eq(get(RTC_D), RTC_D_VRT);
}
END_TEST

START_TEST(other_bytes_are_memory)
{
	put(0x0e, 0x5a);
	put(0x7f, 0xa5);

	ck_assert_uint_eq(get(0x0e), 0x5a);
	ck_assert_uint_eq(get(0x7f), 0xa5);
}
END_TEST

START_TEST(nmi_bit_is_no_part_of_the_index)
{
	put(0x80 | 0x40, 0x77);

	ck_assert_uint_eq(get(0x40), 0x77);
}
END_TEST

START_TEST(index_port_reads_as_ones)
{
	ck_assert_uint_eq(bus_read(ports, PORT, 1), 0xff);
}
END_TEST

START_TEST(wide_write_is_index_then_data)
{
	bus_write(ports, PORT, 2, 0x6640);

	ck_assert_uint_eq(get(0x40), 0x66);
	ck_assert_uint_eq(bus_read(ports, PORT, 2), 0x66ff);
}
END_TEST

START_TEST(access_beyond_the_ports_touches_nothing)
{
	put(0x40, 0x66);

	bus_write(ports, PORT + 1, 2, 0);
	bus_write(ports, PORT, 4, 0x0040);

	ck_assert_uint_eq(bus_read(ports, PORT + 1, 1), 0x66);
	ck_assert_uint_eq(bus_read(ports, PORT, 4), UINT32_MAX);
}
END_TEST

/* Saved and loaded. */

START_TEST(time_that_was_set_is_kept)
{
	set_millennium();
	put(RTC_SECONDS_ALARM, 0x17);
	state_round_save(rtc_save, rtc);
	teardown();
	setup();
	clock_now.tv_sec += 3600;

	ck_assert_int_eq(state_round_load(rtc_load, rtc), 0);

	ck_assert_uint_eq(get(RTC_SECONDS_ALARM), 0x17);
	assert_date(0x20, 0x00, 0x01, 0x01);
	assert_time(0x00, 0x59, 0x59);
	state_round_forget();
}
END_TEST

START_TEST(time_can_go_on_where_it_was)
{
	set_millennium();
	state_round_save(rtc_save, rtc);
	teardown();
	setup();
	clock_now.tv_sec += 3600;
	ck_assert_int_eq(state_round_load(rtc_load, rtc), 0);

	rtc_fall_back(rtc, 3600 * CLOCK_NS_PER_S);

	assert_date(0x19, 0x99, 0x12, 0x31);
	assert_time(0x23, 0x59, 0x59);
	state_round_forget();
}
END_TEST

static TCase *time_tests(void)
{
	TCase *tc = tcase_create("time");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, time_is_bcd_and_24_hours_at_start);
	tcase_add_test(tc, binary_is_honoured);
	tcase_add_test(tc, afternoon_in_12_hours_has_the_pm_bit);
	tcase_add_test(tc, midnight_and_noon_in_12_hours_are_twelve);
	tcase_add_test(tc, time_follows_the_host);
	tcase_add_test(tc, without_a_clock_given_the_host_is_asked);
	tcase_add_test(tc, time_that_is_set_is_read_back);
	tcase_add_test(tc, time_that_is_set_goes_on_half_a_second_later);
	tcase_add_test(tc, time_set_in_binary_and_12_hours_is_understood);
	tcase_add_test(tc, bytes_held_before_a_change_of_format_stay_as_they_are);
	tcase_add_test(tc, set_holds_the_time_still);
	tcase_add_test(tc, set_without_a_new_time_leaves_the_clock_right);
	tcase_add_test(tc, time_is_set_once_however_often_the_clock_is_held);
	tcase_add_test(tc, part_written_without_set_takes_effect_at_once);
	tcase_add_test(tc, nonsense_time_is_still_a_time);
	tcase_add_test(tc, all_zero_time_is_still_a_time);
	return tc;
}

static TCase *flag_tests(void)
{
	TCase *tc = tcase_create("flags");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, update_in_progress_shows_just_before_the_second_ends);
	tcase_add_test(tc, reader_that_finds_uip_clear_has_two_milliseconds);
	tcase_add_test(tc, no_update_is_in_progress_under_set);
	tcase_add_test(tc, uip_cannot_be_written);
	tcase_add_test(tc, update_flag_is_set_by_a_second_and_cleared_by_reading);
	tcase_add_test(tc, irqf_needs_the_flag_to_be_enabled);
	tcase_add_test(tc, set_disables_the_update_interrupt_and_its_flag);
	tcase_add_test(tc, alarm_flag_is_set_when_its_second_passes);
	tcase_add_test(tc, alarm_with_wildcards_matches_every_value);
	tcase_add_test(tc, alarm_is_found_in_a_gap_of_many_days);
	tcase_add_test(tc, alarm_is_found_before_1970);
	tcase_add_test(tc, alarm_set_after_its_second_passed_is_not_due);
	tcase_add_test(tc, impossible_alarm_never_matches);
	tcase_add_test(tc, periodic_flag_is_set_once_a_period_has_passed);
	tcase_add_test(tc, rate_one_is_256_hz);
	tcase_add_test(tc, setting_the_time_is_no_passing_of_seconds);
	tcase_add_test(tc, host_clock_that_steps_back_raises_no_flags);
	return tc;
}

static TCase *access_tests(void)
{
	TCase *tc = tcase_create("memory and ports");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, battery_is_good_and_d_is_read_only);
	tcase_add_test(tc, other_bytes_are_memory);
	tcase_add_test(tc, nmi_bit_is_no_part_of_the_index);
	tcase_add_test(tc, index_port_reads_as_ones);
	tcase_add_test(tc, wide_write_is_index_then_data);
	tcase_add_test(tc, access_beyond_the_ports_touches_nothing);
	tcase_add_test(tc, time_that_was_set_is_kept);
	tcase_add_test(tc, time_can_go_on_where_it_was);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("rtc");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, time_tests());
	suite_add_tcase(s, flag_tests());
	suite_add_tcase(s, access_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
