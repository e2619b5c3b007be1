// SPDX-License-Identifier: Apache-2.0
#include "boot/x86_e820.h"

#include "base/bits.h"
#include "boot/x86_layout.h"

#include <check.h>
#include <stdlib.h>

static struct guest_mem *mem;
static struct x86_e820 map;

/* Never touched: only its address counts. */
static uint8_t host[1];

static void setup(void)
{
	mem = guest_mem_new();
}

static void teardown(void)
{
	mem = guest_mem_free(mem);
}

static void assert_entry(unsigned i, gpa_t at, gpa_t end, enum x86_e820_type type)
{
	ck_assert_uint_lt(i, map.nr);
	ck_assert_uint_eq(map.entries[i].at, at);
	ck_assert_uint_eq(map.entries[i].len, end - at);
	ck_assert_int_eq(map.entries[i].type, type);
}

START_TEST(low_ram_has_a_hole_below_one_mib)
{
	ck_assert_int_eq(guest_mem_add(mem, 0, host, 512 * MiB), 0);

	x86_e820_init(&map, mem);

	ck_assert_uint_eq(map.nr, 7);
	assert_entry(0, 0, 0x9fc00, X86_E820_RAM);
	assert_entry(1, 0x9fc00, 0xa0000, X86_E820_RESERVED);
	assert_entry(2, 0xe0000, 0xff000, X86_E820_ACPI);
	assert_entry(3, 0xff000, 0x100000, X86_E820_RESERVED);
	assert_entry(4, 0x100000, 512 * MiB, X86_E820_RAM);
	assert_entry(5, X86_ECAM_AT, X86_ECAM_AT + X86_PCI_BUSES * MiB, X86_E820_RESERVED);
	assert_entry(6, X86_KVM_IDENTITY_AT, 0xff000000, X86_E820_RESERVED);
}
END_TEST

START_TEST(high_ram_comes_last)
{
	ck_assert_int_eq(guest_mem_add(mem, 0, host, X86_LOW_RAM_END), 0);
	ck_assert_int_eq(guest_mem_add(mem, X86_HIGH_RAM_AT, host, 5 * GiB), 0);

	x86_e820_init(&map, mem);

	ck_assert_uint_eq(map.nr, 8);
	assert_entry(4, 0x100000, X86_LOW_RAM_END, X86_E820_RAM);
	assert_entry(7, 4 * GiB, 9 * GiB, X86_E820_RAM);
}
END_TEST

START_TEST(each_region_of_ram_is_an_entry)
{
	ck_assert_int_eq(guest_mem_add(mem, 0, host, 64 * MiB), 0);
	ck_assert_int_eq(guest_mem_add(mem, 64 * MiB, host, 64 * MiB), 0);

	x86_e820_init(&map, mem);

	ck_assert_uint_eq(map.nr, 8);
	assert_entry(4, 0x100000, 64 * MiB, X86_E820_RAM);
	assert_entry(5, 64 * MiB, 128 * MiB, X86_E820_RAM);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("x86_e820");
	TCase *tc = tcase_create("maps");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, low_ram_has_a_hole_below_one_mib);
	tcase_add_test(tc, high_ram_comes_last);
	tcase_add_test(tc, each_region_of_ram_is_an_entry);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
