// SPDX-License-Identifier: Apache-2.0
#include "boot/aml.h"

#include "base/bits.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static uint8_t buffer[8192];
static struct aml aml;

static void setup(void)
{
	memset(buffer, 0xee, sizeof(buffer));
	aml_init(&aml, buffer, sizeof(buffer));
}

#define assert_bytes(...)							\
	do {									\
		const uint8_t expected[] = { __VA_ARGS__ };			\
		ck_assert(!aml.full);						\
		ck_assert_uint_eq(aml.len, sizeof(expected));			\
		ck_assert_mem_eq(buffer, expected, sizeof(expected));		\
	} while (0)

START_TEST(short_name_is_padded)
{
	aml_path(&aml, "_SB");

	assert_bytes('_', 'S', 'B', '_');
}
END_TEST

START_TEST(path_of_two_names_has_a_prefix)
{
	aml_path(&aml, "\\_SB.PCI0");

	assert_bytes('\\', 0x2e, '_', 'S', 'B', '_', 'P', 'C', 'I', '0');
}
END_TEST

START_TEST(path_of_three_names_has_a_count)
{
	aml_path(&aml, "A.B.C");

	assert_bytes(0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_');
}
END_TEST

START_TEST(integers_take_the_shortest_form)
{
	aml_integer(&aml, 0);
	aml_integer(&aml, 1);
	aml_integer(&aml, 2);
	aml_integer(&aml, 0xff);
	aml_integer(&aml, 0x100);
	aml_integer(&aml, 0x10000);
	aml_integer(&aml, 0x100000000);

	assert_bytes(0x00, 0x01, 0x0a, 2, 0x0a, 0xff, 0x0b, 0x00, 0x01,
		     0x0c, 0x00, 0x00, 0x01, 0x00,
		     0x0e, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00);
}
END_TEST

START_TEST(string_ends_in_a_zero)
{
	aml_string(&aml, "hi");

	assert_bytes(0x0d, 'h', 'i', 0);
}
END_TEST

/* The example of the ACPI specification for PNP0303 is 0x0303d041. */
START_TEST(eisa_id_is_packed_big_endian)
{
	aml_eisa_id(&aml, "PNP0A3F");

	assert_bytes(0x0c, 0x41, 0xd0, 0x0a, 0x3f);
}
END_TEST

START_TEST(buffer_states_its_length_twice)
{
	aml_buffer(&aml, "abc", 3);

	assert_bytes(0x11, 6, 0x0a, 3, 'a', 'b', 'c');
}
END_TEST

START_TEST(blocks_nest)
{
	size_t scope = aml_scope(&aml, "\\_SB");
	size_t device = aml_device(&aml, "DEV");

	aml_name(&aml, "_UID");
	aml_integer(&aml, 1);
	aml_end(&aml, device);
	aml_end(&aml, scope);

	assert_bytes(0x10, 19, '\\', '_', 'S', 'B', '_',
		     0x5b, 0x82, 11, 'D', 'E', 'V', '_',
		     0x08, '_', 'U', 'I', 'D', 0x01);
}
END_TEST

START_TEST(method_tells_its_arguments_and_is_serialized)
{
	size_t method = aml_method(&aml, "_OSC", 4);

	aml_end(&aml, method);

	assert_bytes(0x14, 6, '_', 'O', 'S', 'C', 0x0c);
}
END_TEST

/* A package of so many zeroes, besides its opcode, length and count. */
static void put_package(size_t nr)
{
	size_t package = aml_package(&aml, 0);

	for (size_t i = 0; i < nr; i++)
		aml_integer(&aml, 0);
	aml_end(&aml, package);
}

START_TEST(package_length_of_63_takes_one_byte)
{
	put_package(61);

	ck_assert_uint_eq(aml.len, 64);
	ck_assert_uint_eq(buffer[1], 63);
}
END_TEST

START_TEST(package_length_beyond_63_takes_two_bytes)
{
	put_package(62);

	ck_assert_uint_eq(aml.len, 66);
	ck_assert_uint_eq(buffer[1], 0x41);
	ck_assert_uint_eq(buffer[2], 65 >> 4);
	ck_assert_uint_eq(buffer[3], 0);
}
END_TEST

START_TEST(package_length_of_4095_takes_two_bytes)
{
	put_package(4092);

	ck_assert_uint_eq(aml.len, 4096);
	ck_assert_uint_eq(buffer[1], 0x4f);
	ck_assert_uint_eq(buffer[2], 0xff);
}
END_TEST

START_TEST(package_length_beyond_4095_takes_three_bytes)
{
	put_package(4093);

	ck_assert_uint_eq(aml.len, 4098);
	ck_assert_uint_eq(buffer[1], 0x81);
	ck_assert_uint_eq(buffer[2], 0x00);
	ck_assert_uint_eq(buffer[3], 0x01);
}
END_TEST

START_TEST(resources_end_in_an_end_tag)
{
	size_t resources = aml_resources(&aml);

	aml_resource_ports(&aml, 0x3f8, 8);
	aml_resources_end(&aml, resources);

	assert_bytes(0x11, 14, 0x0b, 10, 0,
		     0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 1, 8, 0x79, 0);
}
END_TEST

START_TEST(interrupt_is_edge_and_active_high)
{
	aml_resource_interrupt(&aml, 9);

	assert_bytes(0x89, 6, 0, 0x03, 1, 9, 0, 0, 0);
}
END_TEST

START_TEST(memory_window_names_its_last_byte)
{
	aml_resource_memory_window(&aml, 0x100000000, 0x1000);

	assert_bytes(0x8a, 43, 0, 0, 0x0c, 1,
		     0, 0, 0, 0, 0, 0, 0, 0,
		     0, 0, 0, 0, 1, 0, 0, 0,
		     0xff, 0x0f, 0, 0, 1, 0, 0, 0,
		     0, 0, 0, 0, 0, 0, 0, 0,
		     0, 0x10, 0, 0, 0, 0, 0, 0);
}
END_TEST

START_TEST(what_does_not_fit_is_left_out_and_told)
{
	aml_init(&aml, buffer, 3);

	aml_integer(&aml, 0x1234);
	aml_integer(&aml, 0);

	ck_assert(aml.full);
	ck_assert_uint_eq(aml.len, 3);
	ck_assert_uint_eq(buffer[3], 0xee);
}
END_TEST

START_TEST(block_whose_length_does_not_fit_is_told)
{
	size_t package;

	aml_init(&aml, buffer, 2);

	package = aml_package(&aml, 0);
	aml_end(&aml, package);

	ck_assert(aml.full);
	ck_assert_uint_eq(buffer[2], 0xee);
}
END_TEST

START_TEST(resources_that_do_not_fit_are_told)
{
	size_t resources;

	aml_init(&aml, buffer, 5);

	resources = aml_resources(&aml);
	aml_resources_end(&aml, resources);

	ck_assert(aml.full);
	ck_assert_uint_eq(buffer[5], 0xee);
}
END_TEST

START_TEST(nothing_is_added_once_something_was_left_out)
{
	aml_init(&aml, buffer, 2);

	aml_integer(&aml, 0x1234);
	aml_integer(&aml, 0);

	ck_assert(aml.full);
	ck_assert_uint_eq(buffer[1], 0xee);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("aml");
	TCase *tc = tcase_create("writer");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, short_name_is_padded);
	tcase_add_test(tc, path_of_two_names_has_a_prefix);
	tcase_add_test(tc, path_of_three_names_has_a_count);
	tcase_add_test(tc, integers_take_the_shortest_form);
	tcase_add_test(tc, string_ends_in_a_zero);
	tcase_add_test(tc, eisa_id_is_packed_big_endian);
	tcase_add_test(tc, buffer_states_its_length_twice);
	tcase_add_test(tc, blocks_nest);
	tcase_add_test(tc, method_tells_its_arguments_and_is_serialized);
	tcase_add_test(tc, package_length_of_63_takes_one_byte);
	tcase_add_test(tc, package_length_beyond_63_takes_two_bytes);
	tcase_add_test(tc, package_length_of_4095_takes_two_bytes);
	tcase_add_test(tc, package_length_beyond_4095_takes_three_bytes);
	tcase_add_test(tc, resources_end_in_an_end_tag);
	tcase_add_test(tc, interrupt_is_edge_and_active_high);
	tcase_add_test(tc, memory_window_names_its_last_byte);
	tcase_add_test(tc, what_does_not_fit_is_left_out_and_told);
	tcase_add_test(tc, block_whose_length_does_not_fit_is_told);
	tcase_add_test(tc, resources_that_do_not_fit_are_told);
	tcase_add_test(tc, nothing_is_added_once_something_was_left_out);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
