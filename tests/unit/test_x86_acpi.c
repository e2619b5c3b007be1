// SPDX-License-Identifier: Apache-2.0
#include "boot/x86_acpi.h"

#include "base/err.h"
#include "boot/boot.h"
#include "boot/x86_layout.h"
#include "kernel_files.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define RAM_LEN (2 * MiB)

static struct guest_mem *mem;
static uint8_t *ram;
static struct boot_config config;
static struct err err;

static void setup(void)
{
	mem = fresh_ram(0, RAM_LEN, &ram);
	config = (struct boot_config){ .nr_cpus = 1 };
}

static void teardown(void)
{
	mem = guest_mem_free(mem);
	munmap(ram, RAM_LEN);
}

static unsigned sum(const uint8_t *bytes, size_t len)
{
	unsigned total = 0;

	for (size_t i = 0; i < len; i++)
		total += bytes[i];
	return total & 0xff;
}

/* The table at an address, once its header is found to be right. */
static const uint8_t *table_at(uint64_t at, const char *signature)
{
	const uint8_t *table = ram + at;

	ck_assert(range_within(at - X86_ACPI_AT, 36, X86_ACPI_LEN));
	ck_assert_mem_eq(table, signature, 4);
	ck_assert_uint_eq(sum(table, get_le32(table + 4)), 0);
	return table;
}

static const uint8_t *xsdt(void)
{
	ck_assert_int_eq(x86_acpi_write(mem, &config, &err), 0);
	return table_at(get_le64(ram + X86_ACPI_AT + 24), "XSDT");
}

static const uint8_t *fadt(void)
{
	return table_at(get_le64(xsdt() + 36), "FACP");
}

static const uint8_t *madt(void)
{
	return table_at(get_le64(xsdt() + 44), "APIC");
}

static const uint8_t *mcfg(void)
{
	return table_at(get_le64(xsdt() + 52), "MCFG");
}

static const uint8_t *dsdt(void)
{
	return table_at(get_le64(fadt() + 140), "DSDT");
}

START_TEST(rsdp_is_where_scans_look)
{
	const uint8_t *rsdp = ram + X86_ACPI_AT;

	xsdt();

	ck_assert_mem_eq(rsdp, "RSD PTR ", 8);
	ck_assert_uint_eq(rsdp[15], 2);
	ck_assert_uint_eq(get_le32(rsdp + 20), 36);
	ck_assert_uint_eq(sum(rsdp, 20), 0);
	ck_assert_uint_eq(sum(rsdp, 36), 0);
}
END_TEST

START_TEST(fadt_is_hardware_reduced)
{
	const uint8_t *table = fadt();

	ck_assert_uint_eq(table[8], 6);
	ck_assert_uint_eq(get_le32(table + 112) & BIT32(20), BIT32(20));
}
END_TEST

START_TEST(fadt_has_the_registers_of_the_layout)
{
	const uint8_t *table = fadt();

	ck_assert_uint_eq(get_le32(table + 112) & BIT32(10), BIT32(10));
	ck_assert_mem_eq(table + 116, ((uint8_t[]){ 1, 8, 0, 1 }), 4);
	ck_assert_uint_eq(get_le64(table + 120), X86_PORT_ACPI + X86_ACPI_RESET);
	ck_assert_uint_eq(table[128], X86_ACPI_RESET_VALUE);
	ck_assert_uint_eq(get_le64(table + 248), X86_PORT_ACPI + X86_ACPI_SLEEP_CONTROL);
	ck_assert_uint_eq(get_le64(table + 260), X86_PORT_ACPI + X86_ACPI_SLEEP_STATUS);
}
END_TEST

START_TEST(fadt_denies_keyboard_controller_and_vga)
{
	uint16_t boot_arch = get_le16(fadt() + 109);

	ck_assert_uint_eq(boot_arch & BIT32(1), 0);
	ck_assert_uint_eq(boot_arch & BIT32(2), BIT32(2));
}
END_TEST

START_TEST(fadt_has_an_rtc_with_a_century)
{
	const uint8_t *table = fadt();

	ck_assert_uint_eq(get_le16(table + 109) & BIT32(5), 0);
	ck_assert_uint_eq(table[108], X86_RTC_CENTURY);
}
END_TEST

START_TEST(both_dsdt_pointers_agree)
{
	const uint8_t *table = fadt();

	ck_assert_uint_eq(get_le32(table + 40), get_le64(table + 140));
}
END_TEST

START_TEST(mcfg_has_the_ecam_of_the_layout)
{
	const uint8_t *table = mcfg();

	ck_assert_uint_eq(get_le64(table + 44), X86_ECAM_AT);
	ck_assert_uint_eq(table[54], 0);
	ck_assert_uint_eq(table[55], X86_PCI_BUSES - 1);
}
END_TEST

/* How many entries of a type the MADT has. */
static unsigned count_entries(const uint8_t *table, uint8_t type)
{
	const uint8_t *end = table + get_le32(table + 4);
	const uint8_t *entry = table + 44;
	unsigned nr = 0;

	for (; entry < end; entry += entry[1])
		nr += entry[0] == type;
	ck_assert_ptr_eq(entry, end);
	return nr;
}

START_TEST(madt_has_an_entry_a_cpu)
{
	const uint8_t *table;

	config.nr_cpus = 4;

	table = madt();

	ck_assert_uint_eq(get_le32(table + 36), X86_LAPIC_AT);
	ck_assert_uint_eq(count_entries(table, 0), 4);
	ck_assert_uint_eq(count_entries(table, 9), 0);
	ck_assert_uint_eq(count_entries(table, 10), 0);
	ck_assert_mem_eq(table + 44 + 3 * 8, ((uint8_t[]){ 0, 8, 3, 3, 1, 0, 0, 0 }), 8);
}
END_TEST

START_TEST(madt_has_one_ioapic_from_interrupt_0_on)
{
	const uint8_t *table = madt();
	const uint8_t *ioapic = table + 44 + 8;

	ck_assert_uint_eq(count_entries(table, 1), 1);
	ck_assert_uint_eq(ioapic[0], 1);
	ck_assert_uint_eq(get_le32(ioapic + 4), X86_IOAPIC_AT);
	ck_assert_uint_eq(get_le32(ioapic + 8), 0);
}
END_TEST

START_TEST(madt_has_no_overrides)
{
	ck_assert_uint_eq(count_entries(madt(), 2), 0);
}
END_TEST

START_TEST(cpus_from_255_on_are_x2apics)
{
	const uint8_t *table, *first;

	config.nr_cpus = 300;

	table = madt();

	first = table + 44 + 255 * 8;
	ck_assert_uint_eq(count_entries(table, 0), 255);
	ck_assert_uint_eq(count_entries(table, 9), 45);
	ck_assert_uint_eq(count_entries(table, 10), 1);
	ck_assert_uint_eq(first[0], 9);
	ck_assert_uint_eq(get_le32(first + 4), 255);
	ck_assert_uint_eq(get_le32(first + 12), 255);
}
END_TEST

static bool dsdt_has(const void *bytes, size_t len)
{
	const uint8_t *table = dsdt();

	ck_assert_ptr_nonnull(table);
	return memmem(table, get_le32(table + 4), bytes, len) != NULL;
}

START_TEST(each_cpu_is_a_device)
{
	config.nr_cpus = 3;

	ck_assert(dsdt_has("C000", 4));
	ck_assert(dsdt_has("C002", 4));
	ck_assert(!dsdt_has("C003", 4));
}
END_TEST

START_TEST(each_slot_for_hot_plug_is_a_device)
{
	config.hotplug_slots = BIT32(0) | BIT32(31);

	ck_assert(dsdt_has("S000", 4));
	ck_assert(dsdt_has("S01F", 4));
	ck_assert(!dsdt_has("S001", 4));
}
END_TEST

START_TEST(window_of_64_bits_is_told)
{
	const char window[] = "\0\0\0\0\x04\0\0\0" "\xff\xff\xff\x3f\x04\0\0\0";

	config.pci_mmio64_at = 16 * GiB;
	config.pci_mmio64_len = GiB;

	ck_assert(dsdt_has(window, sizeof(window) - 1));
}
END_TEST

START_TEST(without_a_window_of_64_bits_there_is_none)
{
	uint32_t without, with;

	without = get_le32(dsdt() + 4);
	config.pci_mmio64_len = GiB;
	with = get_le32(dsdt() + 4);

	ck_assert_uint_eq(with, without + 46);	/* one descriptor */
}
END_TEST

START_TEST(a_thousand_cpus_fit)
{
	config.nr_cpus = 1024;

	ck_assert_uint_eq(count_entries(madt(), 9), 1024 - 255);
}
END_TEST

START_TEST(more_cpus_than_have_room_are_refused)
{
	config.nr_cpus = 3000;

	ck_assert_int_eq(x86_acpi_write(mem, &config, &err), -ENOSPC);

	ck_assert_str_eq(err.text,
			 "3000 CPUs are too many: their ACPI tables exceed 124 KiB");
}
END_TEST

/* One table after the other is the first without room. */
START_TEST(no_room_for_a_table_is_told_and_nothing_written_beyond)
{
	static uint8_t bytes[4096];
	size_t whole = x86_acpi_build(bytes, sizeof(bytes), &config);

	ck_assert_uint_gt(whole, 36);
	for (size_t cap = 0; cap < whole; cap++) {
		memset(bytes, 0, cap);
		memset(bytes + cap, 0xee, sizeof(bytes) - cap);

		ck_assert_uint_eq(x86_acpi_build(bytes, cap, &config), 0);

		ck_assert_uint_eq(bytes[cap], 0xee);
		ck_assert_mem_eq(bytes + cap, bytes + cap + 1, sizeof(bytes) - cap - 1);
	}
	memset(bytes, 0, sizeof(bytes));
	ck_assert_uint_eq(x86_acpi_build(bytes, whole, &config), whole);
}
END_TEST

START_TEST(more_cpus_than_have_names_are_refused)
{
	config.nr_cpus = UINT_MAX;

	ck_assert_int_eq(x86_acpi_write(mem, &config, &err), -ENOSPC);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("x86_acpi");
	TCase *tc = tcase_create("tables");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, rsdp_is_where_scans_look);
	tcase_add_test(tc, fadt_is_hardware_reduced);
	tcase_add_test(tc, fadt_has_the_registers_of_the_layout);
	tcase_add_test(tc, fadt_denies_keyboard_controller_and_vga);
	tcase_add_test(tc, fadt_has_an_rtc_with_a_century);
	tcase_add_test(tc, both_dsdt_pointers_agree);
	tcase_add_test(tc, mcfg_has_the_ecam_of_the_layout);
	tcase_add_test(tc, madt_has_an_entry_a_cpu);
	tcase_add_test(tc, madt_has_one_ioapic_from_interrupt_0_on);
	tcase_add_test(tc, madt_has_no_overrides);
	tcase_add_test(tc, cpus_from_255_on_are_x2apics);
	tcase_add_test(tc, each_cpu_is_a_device);
	tcase_add_test(tc, each_slot_for_hot_plug_is_a_device);
	tcase_add_test(tc, window_of_64_bits_is_told);
	tcase_add_test(tc, without_a_window_of_64_bits_there_is_none);
	tcase_add_test(tc, a_thousand_cpus_fit);
	tcase_add_test(tc, more_cpus_than_have_room_are_refused);
	tcase_add_test(tc, no_room_for_a_table_is_told_and_nothing_written_beyond);
	tcase_add_test(tc, more_cpus_than_have_names_are_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
