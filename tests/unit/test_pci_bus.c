// SPDX-License-Identifier: Apache-2.0
#include "devices/pci/pci_bus.h"

#include "base/bits.h"
#include "base/err.h"
#include "devices/pci/pci.h"

#include <check.h>
#include <errno.h>
#include <linux/pci.h>
#include <stdint.h>
#include <stdlib.h>

#define MEM32_AT	UINT64_C(0xc0000000)
#define MEM32_LEN	UINT64_C(0x00100000)
#define MEM64_AT	UINT64_C(0x800000000)
#define MEM64_LEN	UINT64_C(0x100000000)
#define IO_AT		UINT64_C(0x1000)
#define IO_LEN		UINT64_C(0x1000)

#define BAR32	PCI_BASE_ADDRESS_0
#define BARIO	PCI_BASE_ADDRESS_1
#define BAR64	PCI_BASE_ADDRESS_2

#define BAR_LEN		0x1000
#define IO_BAR_LEN	0x20
#define DECODE_ALL	(PCI_COMMAND_MEMORY | PCI_COMMAND_IO)
#define ABSENT		UINT32_MAX

struct device {
	struct pci_function fn;
	uint8_t answer;			/* what its BARs read as */
	unsigned nr_mapped, nr_unmapped, nr_written;
	uint64_t mapped_at, unmapped_at;
};

static struct bus *mmio, *pio;
static struct pci_bus *bus;
static struct device a, b;

static uint64_t answer_read(struct bus_region *region, uint64_t off, unsigned size)
{
	struct pci_bar *bar = container_of(region, struct pci_bar, region);

	(void)off, (void)size;
	return container_of(bar->fn, struct device, fn)->answer;
}

static void ignore_write(struct bus_region *region, uint64_t off, unsigned size,
			 uint64_t value)
{
	(void)region, (void)off, (void)size, (void)value;
}

static const struct bus_ops bar_ops = { .read = answer_read, .write = ignore_write };

static void on_mapped(struct pci_function *fn, struct pci_bar *bar, uint64_t at)
{
	struct device *dev = container_of(fn, struct device, fn);

	(void)bar;
	dev->nr_mapped++;
	dev->mapped_at = at;
}

static void on_unmapped(struct pci_function *fn, struct pci_bar *bar)
{
	struct device *dev = container_of(fn, struct device, fn);

	dev->nr_unmapped++;
	dev->unmapped_at = bar->region.at;
}

static void on_write(struct pci_function *fn, unsigned reg, unsigned size)
{
	(void)reg, (void)size;
	container_of(fn, struct device, fn)->nr_written++;
}

static const struct pci_ops device_ops = {
	.write_config = on_write,
	.bar_mapped = on_mapped,
	.bar_unmapped = on_unmapped,
};

static void device_init(struct device *dev, uint8_t answer)
{
	static const struct pci_ids ids = { .vendor = 0x1234, .device = 0x5678 };

	*dev = (struct device){ .answer = answer };
	pci_init(&dev->fn, &device_ops, &ids);
	pci_add_bar(&dev->fn, 0, PCI_BAR_MEM32, BAR_LEN, &bar_ops, "mem32");
	pci_add_bar(&dev->fn, 1, PCI_BAR_IO, IO_BAR_LEN, &bar_ops, "io");
	pci_add_bar(&dev->fn, 2, PCI_BAR_MEM64, BAR_LEN, &bar_ops, "mem64");
}

static void setup(void)
{
	mmio = bus_new();
	pio = bus_new();
	bus = pci_bus_new(&(struct pci_bus_config){
		.mmio = mmio, .pio = pio,
		.mem32 = { MEM32_AT, MEM32_LEN },
		.mem64 = { MEM64_AT, MEM64_LEN },
		.io = { IO_AT, IO_LEN },
	});
	device_init(&a, 0xaa);
	device_init(&b, 0xbb);
	ck_assert_int_eq(pci_bus_add(bus, &a.fn, 1, NULL), 0);
	ck_assert_int_eq(pci_bus_add(bus, &b.fn, 2, NULL), 0);
}

static void teardown(void)
{
	bus = pci_bus_free(bus);
	mmio = bus_free(mmio);
	pio = bus_free(pio);
}

static void config_write(struct device *dev, unsigned reg, unsigned size, uint32_t value)
{
	pci_bus_write(bus, dev->fn.devfn, reg, size, value);
}

static void command(struct device *dev, uint16_t value)
{
	config_write(dev, PCI_COMMAND, 2, value);
}

/* As firmware does, and then the drivers of all functions. */
static int assign(struct pci_bus *to)
{
	int r = pci_bus_assign(to, NULL);

	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++)
		pci_bus_write(to, (uint8_t)(slot << 3), PCI_COMMAND, 2, DECODE_ALL);
	return r;
}

START_TEST(absent_function_reads_as_all_ones_and_drops_writes)
{
	uint8_t absent = PCI_DEVFN(9, 0), no_such_function = PCI_DEVFN(1, 1);

	pci_bus_write(bus, absent, PCI_COMMAND, 2, DECODE_ALL);

	ck_assert_uint_eq(pci_bus_read(bus, absent, PCI_VENDOR_ID, 4), 0xffffffff);
	ck_assert_uint_eq(pci_bus_read(bus, absent, PCI_VENDOR_ID, 2), 0xffff);
	ck_assert_uint_eq(pci_bus_read(bus, absent, 0x100, 1), 0xff);
	ck_assert_uint_eq(pci_bus_read(bus, no_such_function, PCI_VENDOR_ID, 4), 0xffffffff);
}
END_TEST

START_TEST(present_function_reads_its_registers)
{
	ck_assert_uint_eq(pci_bus_read(bus, a.fn.devfn, PCI_VENDOR_ID, 4), 0x56781234);
	ck_assert_uint_eq(pci_bus_read(bus, a.fn.devfn, PCI_DEVICE_ID + 1, 1), 0x56);
	ck_assert_uint_eq(pci_bus_read(bus, a.fn.devfn, 0x100, 4), UINT32_MAX);
}
END_TEST

START_TEST(taken_slot_is_refused)
{
	struct device c;
	struct err err;

	device_init(&c, 0xcc);

	ck_assert_int_eq(pci_bus_add(bus, &c.fn, 2, &err), -EEXIST);
	ck_assert_str_eq(err.text, "PCI slot 2 is taken");
}
END_TEST

START_TEST(slot_that_does_not_exist_is_refused)
{
	struct device c;

	device_init(&c, 0xcc);

	ck_assert_int_eq(pci_bus_add(bus, &c.fn, 32, NULL), -EINVAL);
	ck_assert_int_eq(pci_bus_add(bus, &c.fn, -2, NULL), -EINVAL);
}
END_TEST

START_TEST(any_slot_is_the_first_free_one)
{
	struct device c, d;

	device_init(&c, 0xcc);
	device_init(&d, 0xdd);

	ck_assert_int_eq(pci_bus_add(bus, &c.fn, PCI_BUS_ANY_SLOT, NULL), 0);
	ck_assert_int_eq(pci_bus_add(bus, &d.fn, PCI_BUS_ANY_SLOT, NULL), 0);

	ck_assert_uint_eq(c.fn.devfn, PCI_DEVFN(0, 0));
	ck_assert_uint_eq(d.fn.devfn, PCI_DEVFN(3, 0));
	pci_bus_remove(bus, &c.fn);
	pci_bus_remove(bus, &d.fn);
}
END_TEST

START_TEST(full_bus_refuses_one_more)
{
	static struct device rest[PCI_BUS_SLOTS - 2], last;

	for (unsigned i = 0; i < ARRAY_LEN(rest); i++) {
		device_init(&rest[i], 0);
		ck_assert_int_eq(pci_bus_add(bus, &rest[i].fn, PCI_BUS_ANY_SLOT, NULL), 0);
	}
	device_init(&last, 0);

	ck_assert_int_eq(pci_bus_add(bus, &last.fn, PCI_BUS_ANY_SLOT, NULL), -ENOSPC);
}
END_TEST

START_TEST(enabling_memory_decoding_maps_memory_only)
{
	config_write(&a, BAR32, 4, MEM32_AT);
	config_write(&a, BARIO, 4, IO_AT);
	ck_assert_uint_eq(bus_read(mmio, MEM32_AT, 4), ABSENT);

	command(&a, PCI_COMMAND_MEMORY);

	ck_assert_uint_eq(bus_read(mmio, MEM32_AT, 1), 0xaa);
	ck_assert_uint_eq(bus_read(mmio, MEM32_AT + BAR_LEN, 1), 0xff);
	ck_assert_uint_eq(bus_read(pio, IO_AT, 1), 0xff);
	ck_assert_uint_eq(a.nr_mapped, 1);
	ck_assert_uint_eq(a.mapped_at, MEM32_AT);
}
END_TEST

START_TEST(enabling_io_decoding_maps_ports)
{
	config_write(&a, BARIO, 4, IO_AT + 0x40);

	command(&a, PCI_COMMAND_IO);

	ck_assert_uint_eq(bus_read(pio, IO_AT + 0x40, 1), 0xaa);
}
END_TEST

START_TEST(disabling_decoding_unmaps)
{
	config_write(&a, BAR32, 4, MEM32_AT);
	command(&a, DECODE_ALL);
	ck_assert_uint_eq(bus_read(mmio, MEM32_AT, 1), 0xaa);

	command(&a, 0);

	ck_assert_uint_eq(bus_read(mmio, MEM32_AT, 1), 0xff);
	ck_assert_uint_eq(a.nr_unmapped, 1);
	ck_assert_uint_eq(a.unmapped_at, MEM32_AT);
}
END_TEST

START_TEST(writing_the_same_values_again_leaves_the_mapping_alone)
{
	config_write(&a, BAR32, 4, MEM32_AT);
	command(&a, DECODE_ALL);

	config_write(&a, BAR32, 4, MEM32_AT);
	command(&a, DECODE_ALL | PCI_COMMAND_MASTER);

	ck_assert_uint_eq(a.nr_mapped, 1);
	ck_assert_uint_eq(a.nr_unmapped, 0);
}
END_TEST

START_TEST(moving_a_64_bit_bar_moves_its_region)
{
	command(&a, PCI_COMMAND_MEMORY);
	config_write(&a, BAR64, 4, MEM32_AT + 0x8000);
	ck_assert_uint_eq(bus_read(mmio, MEM32_AT + 0x8000, 1), 0xaa);

	config_write(&a, BAR64, 4, 0x7000);
	config_write(&a, BAR64 + 4, 4, MEM64_AT >> 32);

	ck_assert_uint_eq(bus_read(mmio, MEM32_AT + 0x8000, 1), 0xff);
	ck_assert_uint_eq(bus_read(mmio, MEM64_AT + 0x7000, 1), 0xaa);
	ck_assert_uint_eq(a.mapped_at, MEM64_AT + 0x7000);
}
END_TEST

START_TEST(sizing_while_decoding_unmaps_and_maps_again)
{
	config_write(&a, BAR32, 4, MEM32_AT);
	command(&a, PCI_COMMAND_MEMORY);

	config_write(&a, BAR32, 4, 0xffffffff);
	ck_assert_uint_eq(bus_read(mmio, MEM32_AT, 1), 0xff);
	config_write(&a, BAR32, 4, MEM32_AT);

	ck_assert_uint_eq(bus_read(mmio, MEM32_AT, 1), 0xaa);
}
END_TEST

START_TEST(bar_outside_its_windows_is_not_mapped)
{
	command(&a, DECODE_ALL);

	config_write(&a, BAR32, 4, MEM32_AT - BAR_LEN);
	config_write(&a, BAR32, 4, MEM32_AT + MEM32_LEN);
	config_write(&a, BAR64 + 4, 4, (MEM64_AT + MEM64_LEN) >> 32);
	config_write(&a, BAR64 + 4, 4, 0xffffffff);
	config_write(&a, BARIO, 4, IO_AT - IO_BAR_LEN);
	config_write(&a, BARIO, 4, IO_AT + IO_LEN);

	ck_assert_uint_eq(a.nr_mapped, 0);
}
END_TEST

START_TEST(bar_at_the_end_of_its_window_is_mapped)
{
	command(&a, DECODE_ALL);

	config_write(&a, BAR32, 4, MEM32_AT + MEM32_LEN - BAR_LEN);
	config_write(&a, BARIO, 4, IO_AT + IO_LEN - IO_BAR_LEN);

	ck_assert_uint_eq(bus_read(mmio, MEM32_AT + MEM32_LEN - 1, 1), 0xaa);
	ck_assert_uint_eq(bus_read(pio, IO_AT + IO_LEN - 1, 1), 0xaa);
}
END_TEST

START_TEST(second_bar_at_one_address_waits_for_the_first_to_leave)
{
	command(&a, PCI_COMMAND_MEMORY);
	command(&b, PCI_COMMAND_MEMORY);
	config_write(&a, BAR32, 4, MEM32_AT);
	config_write(&b, BAR32, 4, MEM32_AT);
	ck_assert_uint_eq(bus_read(mmio, MEM32_AT, 1), 0xaa);
	ck_assert_uint_eq(b.nr_mapped, 0);

	config_write(&a, BAR32, 4, MEM32_AT + BAR_LEN);

	ck_assert_uint_eq(bus_read(mmio, MEM32_AT, 1), 0xbb);
	ck_assert_uint_eq(bus_read(mmio, MEM32_AT + BAR_LEN, 1), 0xaa);
}
END_TEST

START_TEST(bar_over_a_fixed_region_is_not_mapped)
{
	struct bus_region fixed = { .at = MEM32_AT, .len = 16, .ops = &bar_ops };

	ck_assert_int_eq(bus_add(mmio, &fixed), 0);
	command(&a, PCI_COMMAND_MEMORY);

	config_write(&a, BAR32, 4, MEM32_AT);

	ck_assert_uint_eq(a.nr_mapped, 0);
	bus_remove(mmio, &fixed);
}
END_TEST

START_TEST(removing_a_function_frees_its_place_for_the_one_that_waits)
{
	command(&a, PCI_COMMAND_MEMORY);
	command(&b, PCI_COMMAND_MEMORY);
	config_write(&a, BAR32, 4, MEM32_AT);
	config_write(&b, BAR32, 4, MEM32_AT);

	pci_bus_remove(bus, &a.fn);

	ck_assert_uint_eq(a.nr_unmapped, 1);
	ck_assert_uint_eq(bus_read(mmio, MEM32_AT, 1), 0xbb);
	ck_assert_uint_eq(pci_bus_read(bus, a.fn.devfn, PCI_VENDOR_ID, 4), 0xffffffff);
}
END_TEST

START_TEST(write_hook_runs_for_its_function_and_first_256_bytes_only)
{
	config_write(&a, PCI_INTERRUPT_LINE, 1, 5);
	config_write(&a, 0x100, 4, 0);

	ck_assert_uint_eq(a.nr_written, 1);
	ck_assert_uint_eq(b.nr_written, 0);
}
END_TEST

START_TEST(assign_places_every_bar_aligned_within_its_window)
{
	uint64_t at;

	ck_assert_int_eq(assign(bus), 0);

	ck_assert_uint_eq(a.nr_mapped, 3);
	ck_assert_uint_eq(b.nr_mapped, 3);
	ck_assert(pci_bar_decodes(&a.fn.bars[0], &at));
	ck_assert_uint_eq(at, MEM32_AT);
	ck_assert(pci_bar_decodes(&b.fn.bars[1], &at));
	ck_assert_uint_eq(at, IO_AT + IO_BAR_LEN);
	ck_assert(pci_bar_decodes(&b.fn.bars[2], &at));
	ck_assert_uint_eq(at, MEM64_AT + BAR_LEN);
}
END_TEST

START_TEST(assign_leaves_decoding_to_the_driver)
{
	ck_assert_int_eq(pci_bus_assign(bus, NULL), 0);

	ck_assert_uint_eq(pci_bus_read(bus, a.fn.devfn, PCI_COMMAND, 2), 0);
	ck_assert_uint_eq(a.nr_mapped, 0);
}
END_TEST

START_TEST(assign_serves_large_bars_first_so_that_all_are_aligned)
{
	static const struct pci_ids ids = { .vendor = 1 };
	struct device big = { .answer = 0xcc };
	uint64_t at;

	pci_init(&big.fn, &device_ops, &ids);
	pci_add_bar(&big.fn, 0, PCI_BAR_MEM32, MEM32_LEN / 2, &bar_ops, "big");
	ck_assert_int_eq(pci_bus_add(bus, &big.fn, PCI_BUS_ANY_SLOT, NULL), 0);

	ck_assert_int_eq(assign(bus), 0);

	ck_assert(pci_bar_decodes(&big.fn.bars[0], &at));
	ck_assert_uint_eq(at, MEM32_AT);
	ck_assert_uint_eq(bus_read(mmio, MEM32_AT + MEM32_LEN / 2, 1), 0xaa);
	pci_bus_remove(bus, &big.fn);
}
END_TEST

START_TEST(assign_without_room_names_the_bar)
{
	static const struct pci_ids ids = { .vendor = 1 };
	struct device big = { .answer = 0xcc };
	struct err err;

	pci_init(&big.fn, &device_ops, &ids);
	pci_add_bar(&big.fn, 0, PCI_BAR_MEM32, 2 * MEM32_LEN, &bar_ops, "big");
	ck_assert_int_eq(pci_bus_add(bus, &big.fn, 7, NULL), 0);

	ck_assert_int_eq(pci_bus_assign(bus, &err), -ENOSPC);

	ck_assert_str_eq(err.text, "PCI slot 7: no room for BAR 0 (big, 2097152 bytes)");
	pci_bus_remove(bus, &big.fn);
}
END_TEST

START_TEST(assign_falls_back_to_the_32_bit_window)
{
	struct pci_bus *narrow = pci_bus_new(&(struct pci_bus_config){
		.mmio = mmio, .pio = pio,
		.mem32 = { MEM32_AT, MEM32_LEN }, .io = { IO_AT, IO_LEN },
	});
	struct device c;
	uint64_t at;

	device_init(&c, 0xcc);
	ck_assert_int_eq(pci_bus_add(narrow, &c.fn, 0, NULL), 0);

	ck_assert_int_eq(assign(narrow), 0);

	ck_assert(pci_bar_decodes(&c.fn.bars[2], &at));
	ck_assert_uint_eq(at, MEM32_AT + BAR_LEN);
	narrow = pci_bus_free(narrow);
}
END_TEST

START_TEST(assign_skips_to_an_aligned_address_in_a_crooked_window)
{
	struct pci_bus *crooked = pci_bus_new(&(struct pci_bus_config){
		.mmio = mmio, .pio = pio,
		.mem32 = { MEM32_AT + 0x800, MEM32_LEN }, .io = { IO_AT + 4, IO_LEN },
	});
	struct device c;
	uint64_t at;

	device_init(&c, 0xcc);
	ck_assert_int_eq(pci_bus_add(crooked, &c.fn, 0, NULL), 0);

	ck_assert_int_eq(assign(crooked), 0);

	ck_assert(pci_bar_decodes(&c.fn.bars[0], &at));
	ck_assert_uint_eq(at, MEM32_AT + BAR_LEN);
	ck_assert(pci_bar_decodes(&c.fn.bars[1], &at));
	ck_assert_uint_eq(at, IO_AT + IO_BAR_LEN);
	ck_assert_uint_eq(c.nr_mapped, 3);
	crooked = pci_bus_free(crooked);
}
END_TEST

START_TEST(freeing_the_bus_takes_all_regions_with_it)
{
	ck_assert_int_eq(assign(bus), 0);

	bus = pci_bus_free(bus);

	ck_assert_uint_eq(a.nr_unmapped, 3);
	ck_assert_uint_eq(bus_read(mmio, MEM32_AT, 1), 0xff);
	ck_assert_uint_eq(bus_read(pio, IO_AT, 1), 0xff);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pci_bus");
	TCase *tc = tcase_create("two functions with three BARs each");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, absent_function_reads_as_all_ones_and_drops_writes);
	tcase_add_test(tc, present_function_reads_its_registers);
	tcase_add_test(tc, taken_slot_is_refused);
	tcase_add_test(tc, slot_that_does_not_exist_is_refused);
	tcase_add_test(tc, any_slot_is_the_first_free_one);
	tcase_add_test(tc, full_bus_refuses_one_more);
	tcase_add_test(tc, enabling_memory_decoding_maps_memory_only);
	tcase_add_test(tc, enabling_io_decoding_maps_ports);
	tcase_add_test(tc, disabling_decoding_unmaps);
	tcase_add_test(tc, writing_the_same_values_again_leaves_the_mapping_alone);
	tcase_add_test(tc, moving_a_64_bit_bar_moves_its_region);
	tcase_add_test(tc, sizing_while_decoding_unmaps_and_maps_again);
	tcase_add_test(tc, bar_outside_its_windows_is_not_mapped);
	tcase_add_test(tc, bar_at_the_end_of_its_window_is_mapped);
	tcase_add_test(tc, second_bar_at_one_address_waits_for_the_first_to_leave);
	tcase_add_test(tc, bar_over_a_fixed_region_is_not_mapped);
	tcase_add_test(tc, removing_a_function_frees_its_place_for_the_one_that_waits);
	tcase_add_test(tc, write_hook_runs_for_its_function_and_first_256_bytes_only);
	tcase_add_test(tc, assign_places_every_bar_aligned_within_its_window);
	tcase_add_test(tc, assign_leaves_decoding_to_the_driver);
	tcase_add_test(tc, assign_serves_large_bars_first_so_that_all_are_aligned);
	tcase_add_test(tc, assign_without_room_names_the_bar);
	tcase_add_test(tc, assign_falls_back_to_the_32_bit_window);
	tcase_add_test(tc, assign_skips_to_an_aligned_address_in_a_crooked_window);
	tcase_add_test(tc, freeing_the_bus_takes_all_regions_with_it);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
