// SPDX-License-Identifier: Apache-2.0
#include "devices/acpi_power.h"

#include "base/bits.h"
#include "bus/bus.h"
#include "bus/irq.h"
#include "state_round.h"

#include <check.h>
#include <stdlib.h>

#define PORT	0x600
#define SLEEP	(PORT + ACPI_POWER_SLEEP_CONTROL)
#define STATUS	(PORT + ACPI_POWER_SLEEP_STATUS)
#define RESET	(PORT + ACPI_POWER_RESET)
#define EVENTS	(PORT + ACPI_POWER_EVENTS)

#define S5	(ACPI_POWER_S5_TYPE << ACPI_POWER_SLP_TYP_SHIFT)

static struct bus *ports;
static struct acpi_power *power;
static int poweroffs, resets, edges;
static bool line;
static uint64_t events_at_edge;

static void count_poweroff(void *ctx)
{
	(void)ctx;
	poweroffs++;
}

static void count_reset(void *ctx)
{
	(void)ctx;
	resets++;
}

static void count_edge(struct irq *irq, bool level)
{
	(void)irq;
	edges += level && !line;
	line = level;
}

/* A guest whose vCPU takes the interrupt before irq_set() has returned. */
static void read_events_at_once(struct irq *irq, bool level)
{
	(void)irq;
	(void)level;
	events_at_edge |= bus_read(ports, EVENTS, 1);
}

static struct irq irq;

static void setup(void)
{
	const struct acpi_power_config config = {
		.at = PORT,
		.irq = &irq,
		.poweroff = count_poweroff,
		.reset = count_reset,
	};

	poweroffs = resets = edges = 0;
	line = false;
	events_at_edge = 0;
	irq.set = count_edge;
	ports = bus_new();
	power = acpi_power_new(&config);
	ck_assert_int_eq(bus_add(ports, acpi_power_region(power)), 0);
}

static void teardown(void)
{
	bus_remove(ports, acpi_power_region(power));
	power = acpi_power_free(power);
	ports = bus_free(ports);
}

START_TEST(sleep_enable_with_type_s5_powers_off)
{
	bus_write(ports, SLEEP, 1, S5 | ACPI_POWER_SLP_EN);

	ck_assert_int_eq(poweroffs, 1);
	ck_assert_int_eq(resets, 0);
}
END_TEST

START_TEST(type_without_sleep_enable_is_only_kept)
{
	bus_write(ports, SLEEP, 1, S5);

	ck_assert_int_eq(poweroffs, 0);
	ck_assert_uint_eq(bus_read(ports, SLEEP, 1), S5);
}
END_TEST

START_TEST(other_sleep_types_do_nothing)
{
	static const unsigned types[] = { 0, 1, 2, 3, 4, 6, 7 };

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		bus_write(ports, SLEEP, 1,
			  types[i] << ACPI_POWER_SLP_TYP_SHIFT | ACPI_POWER_SLP_EN);

	ck_assert_int_eq(poweroffs, 0);
}
END_TEST

START_TEST(sleep_enable_and_reserved_bits_read_as_zero)
{
	bus_write(ports, SLEEP, 1, 0xff);

	ck_assert_uint_eq(bus_read(ports, SLEEP, 1), ACPI_POWER_SLP_TYP_MASK);
}
END_TEST

START_TEST(wake_status_is_clear_and_clearing_it_does_nothing)
{
	const uint64_t wak_sts = 0x80;

	bus_write(ports, STATUS, 1, wak_sts);

	ck_assert_uint_eq(bus_read(ports, STATUS, 1), 0);
	ck_assert_int_eq(poweroffs + resets, 0);
}
END_TEST

START_TEST(reset_value_resets)
{
	bus_write(ports, RESET, 1, ACPI_POWER_RESET_VALUE);

	ck_assert_int_eq(resets, 1);
	ck_assert_int_eq(poweroffs, 0);
	ck_assert_uint_eq(bus_read(ports, RESET, 1), 0);
}
END_TEST

START_TEST(other_values_do_not_reset)
{
	bus_write(ports, RESET, 1, 0);
	bus_write(ports, RESET, 1, 0xff);

	ck_assert_int_eq(resets, 0);
}
END_TEST

START_TEST(button_is_one_edge_and_an_event_that_reading_clears)
{
	acpi_power_button(power);

	ck_assert_int_eq(edges, 1);
	ck_assert(!line);
	ck_assert_uint_eq(bus_read(ports, EVENTS, 1), ACPI_POWER_EVENT_BUTTON);
	ck_assert_uint_eq(bus_read(ports, EVENTS, 1), 0);
}
END_TEST

START_TEST(every_press_is_an_edge_though_events_are_not_read)
{
	acpi_power_button(power);
	acpi_power_button(power);

	ck_assert_int_eq(edges, 2);
	ck_assert_uint_eq(bus_read(ports, EVENTS, 1), ACPI_POWER_EVENT_BUTTON);
}
END_TEST

START_TEST(event_is_there_before_the_edge)
{
	irq.set = read_events_at_once;

	acpi_power_button(power);

	ck_assert_uint_eq(events_at_edge, ACPI_POWER_EVENT_BUTTON);
}
END_TEST

START_TEST(guest_cannot_write_events)
{
	bus_write(ports, EVENTS, 1, 0xff);

	ck_assert_uint_eq(bus_read(ports, EVENTS, 1), 0);
	ck_assert_int_eq(edges, 0);
}
END_TEST

START_TEST(wide_read_is_the_bytes_in_order)
{
	bus_write(ports, SLEEP, 1, S5);
	acpi_power_button(power);

	ck_assert_uint_eq(bus_read(ports, PORT, 4), UINT32_C(0x01000000) | S5);
	ck_assert_uint_eq(bus_read(ports, EVENTS, 1), 0);
}
END_TEST

START_TEST(wide_write_is_the_bytes_in_order)
{
	bus_write(ports, STATUS, 2, ACPI_POWER_RESET_VALUE << 8);

	ck_assert_int_eq(resets, 1);
}
END_TEST

START_TEST(access_beyond_the_registers_touches_none)
{
	acpi_power_button(power);

	bus_write(ports, RESET, 4, ACPI_POWER_RESET_VALUE);

	ck_assert_int_eq(resets, 0);
	ck_assert_uint_eq(bus_read(ports, EVENTS, 2), 0xffff);
	ck_assert_uint_eq(bus_read(ports, EVENTS, 1), ACPI_POWER_EVENT_BUTTON);
}
END_TEST

START_TEST(button_that_the_guest_has_not_seen_is_kept)
{
	acpi_power_button(power);
	state_round_save(acpi_power_save, power);
	teardown();
	setup();

	ck_assert_int_eq(state_round_load(acpi_power_load, power), 0);

	ck_assert_uint_eq(bus_read(ports, EVENTS, 1), ACPI_POWER_EVENT_BUTTON);
	ck_assert_uint_eq(bus_read(ports, EVENTS, 1), 0);
	state_round_forget();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("acpi_power");
	TCase *tc = tcase_create("on a bus");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sleep_enable_with_type_s5_powers_off);
	tcase_add_test(tc, type_without_sleep_enable_is_only_kept);
	tcase_add_test(tc, other_sleep_types_do_nothing);
	tcase_add_test(tc, sleep_enable_and_reserved_bits_read_as_zero);
	tcase_add_test(tc, wake_status_is_clear_and_clearing_it_does_nothing);
	tcase_add_test(tc, reset_value_resets);
	tcase_add_test(tc, other_values_do_not_reset);
	tcase_add_test(tc, button_is_one_edge_and_an_event_that_reading_clears);
	tcase_add_test(tc, every_press_is_an_edge_though_events_are_not_read);
	tcase_add_test(tc, event_is_there_before_the_edge);
	tcase_add_test(tc, guest_cannot_write_events);
	tcase_add_test(tc, wide_read_is_the_bytes_in_order);
	tcase_add_test(tc, wide_write_is_the_bytes_in_order);
	tcase_add_test(tc, access_beyond_the_registers_touches_none);
	tcase_add_test(tc, button_that_the_guest_has_not_seen_is_kept);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
