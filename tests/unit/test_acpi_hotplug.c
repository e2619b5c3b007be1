// SPDX-License-Identifier: Apache-2.0
#include "devices/acpi_hotplug.h"

#include "base/bits.h"
#include "bus/bus.h"
#include "bus/irq.h"
#include "state_round.h"

#include <check.h>
#include <stdlib.h>

#define PORT	0x610
#define COME	(PORT + ACPI_HOTPLUG_COME)
#define GO	(PORT + ACPI_HOTPLUG_GO)
#define EJECT	(PORT + ACPI_HOTPLUG_EJECT)
#define STATUS	(PORT + ACPI_HOTPLUG_STATUS)

#define SLOT	7
#define BUSY	0x82

static struct bus *ports;
static struct acpi_hotplug *hotplug;
static int edges;
static bool line;
static uint32_t ejected, refused;
static uint64_t come_at_edge;

static void note_ejected(void *ctx, unsigned slot)
{
	(void)ctx;
	ejected |= BIT32(slot);
}

static void note_refused(void *ctx, unsigned slot)
{
	(void)ctx;
	refused |= BIT32(slot);
}

static void count_edge(struct irq *irq, bool level)
{
	(void)irq;
	edges += level && !line;
	line = level;
}

/* A guest whose vCPU takes the interrupt before irq_set() has returned. */
static void read_at_once(struct irq *irq, bool level)
{
	(void)irq;
	(void)level;
	come_at_edge |= bus_read(ports, COME, 4);
}

static struct irq irq;

static void setup(void)
{
	const struct acpi_hotplug_config config = {
		.at = PORT,
		.irq = &irq,
		.ejected = note_ejected,
		.refused = note_refused,
	};

	edges = 0;
	line = false;
	ejected = refused = 0;
	come_at_edge = 0;
	irq.set = count_edge;
	ports = bus_new();
	hotplug = acpi_hotplug_new(&config);
	ck_assert_int_eq(bus_add(ports, acpi_hotplug_region(hotplug)), 0);
}

static void teardown(void)
{
	bus_remove(ports, acpi_hotplug_region(hotplug));
	hotplug = acpi_hotplug_free(hotplug);
	ports = bus_free(ports);
}

static void report(unsigned slot, unsigned event, unsigned status)
{
	bus_write(ports, STATUS, 4,
		  slot | event << ACPI_HOTPLUG_EVENT_SHIFT |
			  status << ACPI_HOTPLUG_STATUS_SHIFT);
}

START_TEST(nothing_is_pending_at_first)
{
	ck_assert_uint_eq(bus_read(ports, COME, 4), 0);
	ck_assert_uint_eq(bus_read(ports, GO, 4), 0);
	ck_assert_int_eq(edges, 0);
}
END_TEST

START_TEST(device_that_comes_is_one_edge_and_a_bit_that_reading_clears)
{
	acpi_hotplug_come(hotplug, SLOT);

	ck_assert_int_eq(edges, 1);
	ck_assert(!line);
	ck_assert_uint_eq(bus_read(ports, GO, 4), 0);
	ck_assert_uint_eq(bus_read(ports, COME, 4), BIT32(SLOT));
	ck_assert_uint_eq(bus_read(ports, COME, 4), 0);
}
END_TEST

START_TEST(device_that_should_go_is_one_edge_and_a_bit_that_reading_clears)
{
	acpi_hotplug_go(hotplug, 31);

	ck_assert_int_eq(edges, 1);
	ck_assert_uint_eq(bus_read(ports, COME, 4), 0);
	ck_assert_uint_eq(bus_read(ports, GO, 4), BIT32(31));
	ck_assert_uint_eq(bus_read(ports, GO, 4), 0);
}
END_TEST

START_TEST(events_gather_until_they_are_read)
{
	acpi_hotplug_come(hotplug, 0);
	acpi_hotplug_come(hotplug, SLOT);

	ck_assert_int_eq(edges, 2);
	ck_assert_uint_eq(bus_read(ports, COME, 4), BIT32(0) | BIT32(SLOT));
}
END_TEST

START_TEST(bit_is_there_before_the_edge)
{
	irq.set = read_at_once;

	acpi_hotplug_come(hotplug, SLOT);

	ck_assert_uint_eq(come_at_edge, BIT32(SLOT));
}
END_TEST

START_TEST(new_device_is_not_asked_to_go_for_the_one_before_it)
{
	acpi_hotplug_go(hotplug, SLOT);
	acpi_hotplug_come(hotplug, SLOT);

	ck_assert_uint_eq(bus_read(ports, GO, 4), 0);
}
END_TEST

START_TEST(guest_ejects_by_number)
{
	bus_write(ports, EJECT, 4, SLOT);

	ck_assert_uint_eq(ejected, BIT32(SLOT));
	ck_assert_uint_eq(refused, 0);
	ck_assert_uint_eq(bus_read(ports, EJECT, 4), 0);
}
END_TEST

START_TEST(slots_that_do_not_exist_are_ignored)
{
	bus_write(ports, EJECT, 4, 32);
	bus_write(ports, EJECT, 4, UINT32_MAX);
	report(32, ACPI_HOTPLUG_EJECT_REQUEST, BUSY);

	ck_assert_uint_eq(ejected, 0);
	ck_assert_uint_eq(refused, 0);
}
END_TEST

START_TEST(status_of_failure_is_a_refusal)
{
	report(SLOT, ACPI_HOTPLUG_EJECT_REQUEST, BUSY);
	report(0, ACPI_HOTPLUG_EJECT_REQUEST, 1);

	ck_assert_uint_eq(refused, BIT32(SLOT) | BIT32(0));
	ck_assert_uint_eq(ejected, 0);
}
END_TEST

START_TEST(success_and_pending_are_no_refusal)
{
	report(SLOT, ACPI_HOTPLUG_EJECT_REQUEST, ACPI_HOTPLUG_SUCCESS);
	report(SLOT, ACPI_HOTPLUG_EJECT_REQUEST, ACPI_HOTPLUG_EJECT_PENDING);

	ck_assert_uint_eq(refused, 0);
}
END_TEST

START_TEST(status_of_other_events_is_no_refusal)
{
	report(SLOT, ACPI_HOTPLUG_DEVICE_CHECK, 1);
	report(SLOT, 0, 1);

	ck_assert_uint_eq(refused, 0);
}
END_TEST

START_TEST(guest_cannot_write_the_masks)
{
	bus_write(ports, COME, 4, UINT32_MAX);
	bus_write(ports, GO, 4, UINT32_MAX);

	ck_assert_uint_eq(bus_read(ports, COME, 4), 0);
	ck_assert_uint_eq(bus_read(ports, GO, 4), 0);
	ck_assert_uint_eq(ejected, 0);
}
END_TEST

START_TEST(parts_of_registers_are_not_accessible)
{
	acpi_hotplug_come(hotplug, 0);

	bus_write(ports, EJECT, 1, SLOT);
	bus_write(ports, STATUS, 2, ACPI_HOTPLUG_EJECT_REQUEST << ACPI_HOTPLUG_EVENT_SHIFT);

	ck_assert_uint_eq(ejected, 0);
	ck_assert_uint_eq(bus_read(ports, COME, 1), 0);
	ck_assert_uint_eq(bus_read(ports, COME, 8), 0);
	ck_assert_uint_eq(bus_read(ports, COME, 4), BIT32(0));
}
END_TEST

START_TEST(what_the_guest_has_not_read_is_kept)
{
	acpi_hotplug_come(hotplug, SLOT);
	acpi_hotplug_go(hotplug, SLOT + 1);
	state_round_save(acpi_hotplug_save, hotplug);
	teardown();
	setup();

	ck_assert_int_eq(state_round_load(acpi_hotplug_load, hotplug), 0);

	ck_assert_uint_eq(bus_read(ports, COME, 4), BIT32(SLOT));
	ck_assert_uint_eq(bus_read(ports, GO, 4), BIT32(SLOT + 1));
	state_round_forget();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("acpi_hotplug");
	TCase *tc = tcase_create("on a bus");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing_is_pending_at_first);
	tcase_add_test(tc, device_that_comes_is_one_edge_and_a_bit_that_reading_clears);
	tcase_add_test(tc, device_that_should_go_is_one_edge_and_a_bit_that_reading_clears);
	tcase_add_test(tc, events_gather_until_they_are_read);
	tcase_add_test(tc, bit_is_there_before_the_edge);
	tcase_add_test(tc, new_device_is_not_asked_to_go_for_the_one_before_it);
	tcase_add_test(tc, guest_ejects_by_number);
	tcase_add_test(tc, slots_that_do_not_exist_are_ignored);
	tcase_add_test(tc, status_of_failure_is_a_refusal);
	tcase_add_test(tc, success_and_pending_are_no_refusal);
	tcase_add_test(tc, status_of_other_events_is_no_refusal);
	tcase_add_test(tc, guest_cannot_write_the_masks);
	tcase_add_test(tc, parts_of_registers_are_not_accessible);
	tcase_add_test(tc, what_the_guest_has_not_read_is_kept);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
