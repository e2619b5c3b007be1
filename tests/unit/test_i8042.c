// SPDX-License-Identifier: Apache-2.0
#include "devices/i8042.h"

#include "bus/bus.h"

#include <check.h>
#include <stdlib.h>

#define PORT 0x64

static struct bus *ports;
static struct i8042 *i8042;
static int resets;

static void count_reset(void *ctx)
{
	++*(int *)ctx;
}

static void setup(void)
{
	const struct i8042_config config = {
		.at = PORT,
		.reset = count_reset,
		.ctx = &resets,
	};

	resets = 0;
	ports = bus_new();
	i8042 = i8042_new(&config);
	ck_assert_int_eq(bus_add(ports, i8042_region(i8042)), 0);
}

static void teardown(void)
{
	bus_remove(ports, i8042_region(i8042));
	i8042 = i8042_free(i8042);
	ports = bus_free(ports);
}

START_TEST(status_says_that_both_buffers_are_empty)
{
	const uint64_t output_full = 0x01, input_full = 0x02;

	ck_assert_uint_eq(bus_read(ports, PORT, 1) & (output_full | input_full), 0);
}
END_TEST

START_TEST(command_fe_resets)
{
	bus_write(ports, PORT, 1, 0xfe);

	ck_assert_int_eq(resets, 1);
}
END_TEST

START_TEST(other_commands_do_nothing)
{
	for (unsigned command = 0; command < 0xfe; command++)
		bus_write(ports, PORT, 1, command);
	bus_write(ports, PORT, 1, 0xff);

	ck_assert_int_eq(resets, 0);
}
END_TEST

START_TEST(wide_accesses_and_the_data_port_find_nothing)
{
	bus_write(ports, PORT, 2, 0xfefe);
	bus_write(ports, PORT - 4, 8, UINT64_C(0xfefefefefefefefe));

	ck_assert_int_eq(resets, 0);
	ck_assert_uint_eq(bus_read(ports, PORT, 2), 0xffff);
	ck_assert_uint_eq(bus_read(ports, 0x60, 1), 0xff);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("i8042");
	TCase *tc = tcase_create("on a bus");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, status_says_that_both_buffers_are_empty);
	tcase_add_test(tc, command_fe_resets);
	tcase_add_test(tc, other_commands_do_nothing);
	tcase_add_test(tc, wide_accesses_and_the_data_port_find_nothing);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
