// SPDX-License-Identifier: Apache-2.0
#include "devices/gpio_button.h"

#include "bus/bus.h"
#include "bus/irq.h"
#include "state_round.h"

#include <check.h>
#include <stdlib.h>

#define AT	0x9020000
#define BUTTON	(1u << GPIO_BUTTON_LINE)
#define DATA_OF(lines) (GPIO_BUTTON_DATA + ((lines) << 2))

static struct bus *bus;
static struct gpio_button *button;
static bool line;

static void set_line(struct irq *irq, bool level)
{
	(void)irq;
	line = level;
}

static struct irq irq = { .set = set_line };

static void setup(void)
{
	const struct gpio_button_config config = { .at = AT, .irq = &irq };

	line = false;
	bus = bus_new();
	button = gpio_button_new(&config);
	ck_assert_int_eq(bus_add(bus, gpio_button_region(button)), 0);
}

static void teardown(void)
{
	bus_remove(bus, gpio_button_region(button));
	button = gpio_button_free(button);
	bus = bus_free(bus);
}

static uint64_t reg(uint64_t off)
{
	return bus_read(bus, AT + off, 1);
}

static void set_reg(uint64_t off, uint8_t value)
{
	bus_write(bus, AT + off, 1, value);
}

/* As Linux's driver of keys does. */
static void listen_to_both_edges(void)
{
	set_reg(GPIO_BUTTON_BOTH, BUTTON);
	set_reg(GPIO_BUTTON_ENABLE, BUTTON);
}

START_TEST(press_interrupts_and_is_seen)
{
	listen_to_both_edges();

	gpio_button_press(button);

	ck_assert(line);
	ck_assert_uint_eq(reg(GPIO_BUTTON_MASKED), BUTTON);
	ck_assert_uint_eq(reg(DATA_OF(BUTTON)), BUTTON);
}
END_TEST

START_TEST(button_comes_up_once_it_was_seen_down_and_interrupts_again)
{
	listen_to_both_edges();
	gpio_button_press(button);
	set_reg(GPIO_BUTTON_CLEAR, BUTTON);
	ck_assert(!line);

	ck_assert_uint_eq(reg(DATA_OF(BUTTON)), BUTTON);

	ck_assert(line);
	set_reg(GPIO_BUTTON_CLEAR, BUTTON);
	ck_assert(!line);
	ck_assert_uint_eq(reg(DATA_OF(BUTTON)), 0);
	ck_assert(!line);
}
END_TEST

START_TEST(press_that_nobody_listens_to_is_found_later)
{
	gpio_button_press(button);

	ck_assert(!line);
	listen_to_both_edges();
	ck_assert_uint_eq(reg(DATA_OF(BUTTON)), BUTTON);
}
END_TEST

START_TEST(look_at_other_lines_does_not_see_the_button)
{
	gpio_button_press(button);

	ck_assert_uint_eq(reg(DATA_OF(0xff & ~BUTTON)), 0);
	ck_assert_uint_eq(reg(DATA_OF(BUTTON)), BUTTON);
}
END_TEST

START_TEST(rising_edge_alone_can_be_listened_to)
{
	set_reg(GPIO_BUTTON_EVENT, BUTTON);
	set_reg(GPIO_BUTTON_ENABLE, BUTTON);

	gpio_button_press(button);
	ck_assert(line);
	set_reg(GPIO_BUTTON_CLEAR, BUTTON);
	ck_assert_uint_eq(reg(DATA_OF(BUTTON)), BUTTON);

	ck_assert(!line);
}
END_TEST

START_TEST(falling_edge_alone_can_be_listened_to)
{
	set_reg(GPIO_BUTTON_ENABLE, BUTTON);

	gpio_button_press(button);
	ck_assert(!line);
	ck_assert_uint_eq(reg(DATA_OF(BUTTON)), BUTTON);

	ck_assert(line);
}
END_TEST

START_TEST(level_interrupts_for_as_long_as_it_lasts)
{
	set_reg(GPIO_BUTTON_SENSE, BUTTON);
	set_reg(GPIO_BUTTON_EVENT, BUTTON);
	set_reg(GPIO_BUTTON_ENABLE, BUTTON);
	ck_assert(!line);

	gpio_button_press(button);
	set_reg(GPIO_BUTTON_CLEAR, BUTTON);
	ck_assert(line);
	ck_assert_uint_eq(reg(DATA_OF(BUTTON)), BUTTON);

	ck_assert(!line);
}
END_TEST

START_TEST(outputs_read_as_they_were_written)
{
	set_reg(GPIO_BUTTON_DIRECTION, 0x81);

	set_reg(DATA_OF(0x80), 0xff);
	set_reg(DATA_OF(0x02), 0xff);

	ck_assert_uint_eq(reg(DATA_OF(0xff)), 0x80);
	ck_assert_uint_eq(reg(GPIO_BUTTON_DIRECTION), 0x81);
}
END_TEST

START_TEST(driver_finds_a_pl061)
{
	ck_assert_uint_eq(reg(0xfe0), 0x61);
	ck_assert_uint_eq(reg(0xfe4), 0x10);
	ck_assert_uint_eq(reg(0xffc), 0xb1);
}
END_TEST

START_TEST(saved_press_interrupts_after_loading)
{
	listen_to_both_edges();
	gpio_button_press(button);
	state_round_save(gpio_button_save, button);
	teardown();
	setup();

	ck_assert_int_eq(state_round_load(gpio_button_load, button), 0);

	ck_assert(line);
	ck_assert_uint_eq(reg(DATA_OF(BUTTON)), BUTTON);
	state_round_forget();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gpio_button");
	TCase *tc = tcase_create("button");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, press_interrupts_and_is_seen);
	tcase_add_test(tc, button_comes_up_once_it_was_seen_down_and_interrupts_again);
	tcase_add_test(tc, press_that_nobody_listens_to_is_found_later);
	tcase_add_test(tc, look_at_other_lines_does_not_see_the_button);
	tcase_add_test(tc, rising_edge_alone_can_be_listened_to);
	tcase_add_test(tc, falling_edge_alone_can_be_listened_to);
	tcase_add_test(tc, level_interrupts_for_as_long_as_it_lasts);
	tcase_add_test(tc, outputs_read_as_they_were_written);
	tcase_add_test(tc, driver_finds_a_pl061);
	tcase_add_test(tc, saved_press_interrupts_after_loading);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
