// SPDX-License-Identifier: Apache-2.0
#include "devices/pci/pci.h"

#include "base/bytes.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MEM32_LEN 0x2000
#define MEM64_LEN UINT64_C(0x400000000)
#define IO_LEN 0x20

static const struct pci_ids ids = {
	.vendor = 0x1af4, .device = 0x1042, .subsystem_vendor = 0x1af4,
	.subsystem = 0x1100, .class_code = 0x010802, .revision = 1,
};

static struct pci_function fn;
static const struct pci_ops no_ops;
static const struct bus_ops no_bus_ops;

static void setup(void)
{
	pci_init(&fn, &no_ops, &ids);
	pci_add_bar(&fn, 0, PCI_BAR_MEM32, MEM32_LEN, &no_bus_ops, "mem32");
	pci_add_bar(&fn, 1, PCI_BAR_IO, IO_LEN, &no_bus_ops, "io");
	pci_add_bar(&fn, 2, PCI_BAR_MEM64, MEM64_LEN, &no_bus_ops, "mem64");
}

START_TEST(header_tells_who_the_function_is)
{
	ck_assert_uint_eq(pci_config_read(&fn, PCI_VENDOR_ID, 4), 0x10421af4);
	ck_assert_uint_eq(pci_config_read(&fn, PCI_CLASS_REVISION, 4), 0x01080201);
	ck_assert_uint_eq(pci_config_read(&fn, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x11001af4);
	ck_assert_uint_eq(pci_config_read(&fn, PCI_HEADER_TYPE, 1), 0);
}
END_TEST

START_TEST(read_only_bits_survive_a_write_of_ones_to_everything)
{
	for (unsigned reg = 0; reg < PCI_CFG_SPACE_SIZE; reg += 4)
		pci_config_write(&fn, reg, 4, 0xffffffff);

	ck_assert_uint_eq(pci_config_read(&fn, PCI_VENDOR_ID, 4), 0x10421af4);
	ck_assert_uint_eq(pci_config_read(&fn, PCI_COMMAND, 4), 0x00000007);
	ck_assert_uint_eq(pci_config_read(&fn, PCI_ROM_ADDRESS, 4), 0);
	ck_assert_uint_eq(pci_config_read(&fn, PCI_INTERRUPT_LINE, 2), 0x00ff);
}
END_TEST

START_TEST(sizing_a_32_bit_bar_reads_back_its_length)
{
	pci_config_write(&fn, PCI_BASE_ADDRESS_0, 4, 0xffffffff);

	ck_assert_uint_eq(pci_config_read(&fn, PCI_BASE_ADDRESS_0, 4), 0xffffe000);
}
END_TEST

START_TEST(sizing_an_io_bar_reads_back_its_length_and_kind)
{
	pci_config_write(&fn, PCI_BASE_ADDRESS_1, 4, 0xffffffff);

	ck_assert_uint_eq(pci_config_read(&fn, PCI_BASE_ADDRESS_1, 4), 0xffffffe1);
}
END_TEST

START_TEST(sizing_a_64_bit_bar_above_4_gib_needs_its_upper_half)
{
	pci_config_write(&fn, PCI_BASE_ADDRESS_2, 4, 0xffffffff);
	pci_config_write(&fn, PCI_BASE_ADDRESS_3, 4, 0xffffffff);

	ck_assert_uint_eq(pci_config_read(&fn, PCI_BASE_ADDRESS_2, 4), 0x00000004);
	ck_assert_uint_eq(pci_config_read(&fn, PCI_BASE_ADDRESS_3, 4), 0xfffffffc);
}
END_TEST

START_TEST(bar_that_does_not_exist_reads_as_zero)
{
	pci_config_write(&fn, PCI_BASE_ADDRESS_5, 4, 0xffffffff);

	ck_assert_uint_eq(pci_config_read(&fn, PCI_BASE_ADDRESS_5, 4), 0);
}
END_TEST

START_TEST(byte_and_word_writes_change_only_their_bytes)
{
	pci_config_write(&fn, PCI_BASE_ADDRESS_0, 4, 0x12344000);

	pci_config_write(&fn, PCI_BASE_ADDRESS_0 + 3, 1, 0xab);
	pci_config_write(&fn, PCI_BASE_ADDRESS_0, 2, 0x6000);

	ck_assert_uint_eq(pci_config_read(&fn, PCI_BASE_ADDRESS_0, 4), 0xab346000);
}
END_TEST

START_TEST(bar_decodes_only_while_its_kind_is_enabled)
{
	uint64_t at;

	pci_config_write(&fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ck_assert(pci_bar_decodes(&fn.bars[0], &at));
	ck_assert(!pci_bar_decodes(&fn.bars[1], &at));

	pci_config_write(&fn, PCI_COMMAND, 2, PCI_COMMAND_IO);
	ck_assert(!pci_bar_decodes(&fn.bars[0], &at));
	ck_assert(pci_bar_decodes(&fn.bars[1], &at));
	ck_assert(!pci_bar_decodes(&fn.bars[5], &at));
}
END_TEST

START_TEST(address_set_by_firmware_is_the_one_that_decodes)
{
	uint64_t at;

	pci_config_write(&fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	pci_bar_set_address(&fn.bars[2], 5 * MEM64_LEN);

	ck_assert(pci_bar_decodes(&fn.bars[2], &at));
	ck_assert_uint_eq(at, 5 * MEM64_LEN);
}
END_TEST

START_TEST(function_without_capabilities_says_so)
{
	ck_assert_uint_eq(pci_config_read(&fn, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, 0);
	ck_assert_uint_eq(pci_config_read(&fn, PCI_CAPABILITY_LIST, 1), 0);
}
END_TEST

START_TEST(capabilities_are_chained_in_the_order_they_were_added)
{
	uint8_t first = pci_add_capability(&fn, PCI_CAP_ID_VNDR, 17);
	uint8_t second = pci_add_capability(&fn, PCI_CAP_ID_MSIX, 12);

	ck_assert_uint_eq(pci_config_read(&fn, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST,
			  PCI_STATUS_CAP_LIST);
	ck_assert_uint_eq(pci_config_read(&fn, PCI_CAPABILITY_LIST, 1), first);
	ck_assert_uint_eq(pci_config_read(&fn, first, 1), PCI_CAP_ID_VNDR);
	ck_assert_uint_eq(pci_config_read(&fn, first + 1u, 1), second);
	ck_assert_uint_eq(pci_config_read(&fn, second, 1), PCI_CAP_ID_MSIX);
	ck_assert_uint_eq(pci_config_read(&fn, second + 1u, 1), 0);
}
END_TEST

START_TEST(capabilities_begin_at_dwords_and_do_not_overlap)
{
	uint8_t first = pci_add_capability(&fn, PCI_CAP_ID_VNDR, 17);
	uint8_t second = pci_add_capability(&fn, PCI_CAP_ID_VNDR, 12);

	ck_assert_uint_eq(first, PCI_STD_HEADER_SIZEOF);
	ck_assert_uint_eq(second, first + 20u);
}
END_TEST

START_TEST(capabilities_may_fill_the_space_to_its_last_byte)
{
	ck_assert_uint_eq(pci_add_capability(&fn, PCI_CAP_ID_VNDR, 188), 0x40);
	ck_assert_uint_eq(pci_add_capability(&fn, PCI_CAP_ID_VNDR, 4), 0xfc);
}
END_TEST

START_TEST(extended_space_is_absent)
{
	pci_config_write(&fn, 0x100, 4, 0xffffffff);
	pci_config_write(&fn, 0xffc, 4, 0xffffffff);

	ck_assert_uint_eq(pci_config_read(&fn, 0x100, 4), UINT32_MAX);
	ck_assert_uint_eq(pci_config_read(&fn, 0xffc, 4), UINT32_MAX);
}
END_TEST

static void count_reads(struct pci_function *f, unsigned reg, unsigned size)
{
	(void)reg, (void)size;
	f->config[0x40]++;
}

START_TEST(read_hook_brings_registers_up_to_date_first)
{
	static const struct pci_ops ops = { .read_config = count_reads };

	fn.ops = &ops;

	ck_assert_uint_eq(pci_config_read(&fn, 0x40, 1), 1);
	ck_assert_uint_eq(pci_config_read(&fn, 0x40, 1), 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pci");
	TCase *tc = tcase_create("a function with three BARs");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, header_tells_who_the_function_is);
	tcase_add_test(tc, read_only_bits_survive_a_write_of_ones_to_everything);
	tcase_add_test(tc, sizing_a_32_bit_bar_reads_back_its_length);
	tcase_add_test(tc, sizing_an_io_bar_reads_back_its_length_and_kind);
	tcase_add_test(tc, sizing_a_64_bit_bar_above_4_gib_needs_its_upper_half);
	tcase_add_test(tc, bar_that_does_not_exist_reads_as_zero);
	tcase_add_test(tc, byte_and_word_writes_change_only_their_bytes);
	tcase_add_test(tc, bar_decodes_only_while_its_kind_is_enabled);
	tcase_add_test(tc, address_set_by_firmware_is_the_one_that_decodes);
	tcase_add_test(tc, function_without_capabilities_says_so);
	tcase_add_test(tc, capabilities_are_chained_in_the_order_they_were_added);
	tcase_add_test(tc, capabilities_begin_at_dwords_and_do_not_overlap);
	tcase_add_test(tc, capabilities_may_fill_the_space_to_its_last_byte);
	tcase_add_test(tc, extended_space_is_absent);
	tcase_add_test(tc, read_hook_brings_registers_up_to_date_first);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
