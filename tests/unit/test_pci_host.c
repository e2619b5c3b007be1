// SPDX-License-Identifier: Apache-2.0
#include "devices/pci/pci_host.h"

#include "base/err.h"
#include "bus/bus.h"
#include "devices/pci/pci.h"
#include "devices/pci/pci_bus.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

#define ECAM_AT		UINT64_C(0xe0000000)
#define ECAM_LEN	UINT64_C(0x100000)
#define ECAM(slot, reg)	(ECAM_AT + ((slot) << 15) + (reg))

#define ADDRESS		0xcf8
#define RESET_PORT	0xcf9
#define DATA		0xcfc
#define ENABLE		0x80000000u
#define SLOT		5
#define SLOT_ADDRESS	(ENABLE | SLOT << 11)

#define BRIDGE_ID	0x00081b36
#define DEVICE_ID	0x56781234

static struct bus *mmio, *pio;
static struct pci_bus *root;
static struct pci_host *host;
static struct pci_function fn;
static const struct pci_ops no_ops;
static const struct pci_host_config config = { .ecam_at = ECAM_AT, .ports_at = ADDRESS };

static struct pci_host *host_new(struct err *err)
{
	struct pci_host_config c = config;

	c.mmio = mmio;
	c.pio = pio;
	return pci_host_new(root, &c, err);
}

static void setup(void)
{
	static const struct pci_ids ids = { .vendor = 0x1234, .device = 0x5678 };

	mmio = bus_new();
	pio = bus_new();
	root = pci_bus_new(&(struct pci_bus_config){ .mmio = mmio, .pio = pio });
	host = host_new(NULL);
	ck_assert_ptr_nonnull(host);
	pci_init(&fn, &no_ops, &ids);
	ck_assert_int_eq(pci_bus_add(root, &fn, SLOT, NULL), 0);
}

static void teardown(void)
{
	host = pci_host_free(host);
	root = pci_bus_free(root);
	mmio = bus_free(mmio);
	pio = bus_free(pio);
}

START_TEST(slot_0_is_a_host_bridge)
{
	ck_assert_uint_eq(bus_read(mmio, ECAM(0, PCI_VENDOR_ID), 4), BRIDGE_ID);
	ck_assert_uint_eq(bus_read(mmio, ECAM(0, PCI_CLASS_DEVICE), 2), 0x0600);
}
END_TEST

START_TEST(ecam_reads_any_width_within_a_dword)
{
	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, 0), 4), DEVICE_ID);
	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, 2), 2), 0x5678);
	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, 1), 2), 0x7812);
	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, 3), 1), 0x56);
}
END_TEST

START_TEST(ecam_access_across_dwords_is_served_bytewise)
{
	bus_write(mmio, ECAM(SLOT, PCI_COMMAND), 2, PCI_COMMAND_MASTER);

	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, 0), 8), 0x0000000456781234);
	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, 2), 4), 0x00045678);

	bus_write(mmio, ECAM(SLOT, PCI_DEVICE_ID), 4, PCI_COMMAND_IO << 16);
	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, PCI_COMMAND), 2), PCI_COMMAND_IO);
}
END_TEST

START_TEST(ecam_access_across_functions_reaches_both)
{
	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, 0) - 2, 4), 0x1234ffff);
}
END_TEST

START_TEST(ecam_of_absent_functions_reads_as_all_ones)
{
	ck_assert_uint_eq(bus_read(mmio, ECAM(6, 0), 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(mmio, ECAM(6, 0xffc), 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(mmio, ECAM(6, 0), 8), UINT64_MAX);
	ck_assert_uint_eq(bus_read(mmio, ECAM_AT + ECAM_LEN - 1, 1), 0xff);
}
END_TEST

START_TEST(extended_space_of_a_present_function_is_absent)
{
	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, 0x100), 4), UINT32_MAX);
	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, 0xffc), 4), UINT32_MAX);
}
END_TEST

START_TEST(address_port_reads_back_without_reserved_bits)
{
	bus_write(pio, ADDRESS, 4, 0xffffffff);

	ck_assert_uint_eq(bus_read(pio, ADDRESS, 4), 0x80fffffc);
}
END_TEST

START_TEST(address_port_ignores_narrow_accesses)
{
	bus_write(pio, ADDRESS, 4, SLOT_ADDRESS);

	bus_write(pio, ADDRESS, 2, 0);
	bus_write(pio, ADDRESS + 3, 1, 0);
	bus_write(pio, RESET_PORT, 1, 6);

	ck_assert_uint_eq(bus_read(pio, DATA, 4), DEVICE_ID);
	ck_assert_uint_eq(bus_read(pio, ADDRESS, 2), 0xffff);
	ck_assert_uint_eq(bus_read(pio, RESET_PORT, 1), 0xff);
}
END_TEST

START_TEST(data_port_selects_bytes_of_the_dword)
{
	bus_write(pio, ADDRESS, 4, SLOT_ADDRESS);

	ck_assert_uint_eq(bus_read(pio, DATA, 4), DEVICE_ID);
	ck_assert_uint_eq(bus_read(pio, DATA + 2, 2), 0x5678);
	ck_assert_uint_eq(bus_read(pio, DATA + 3, 1), 0x56);
}
END_TEST

START_TEST(data_port_writes_reach_ecam)
{
	bus_write(pio, ADDRESS, 4, SLOT_ADDRESS | PCI_INTERRUPT_LINE);

	bus_write(pio, DATA, 1, 0x0b);

	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, PCI_INTERRUPT_LINE), 1), 0x0b);
}
END_TEST

START_TEST(data_port_is_dead_while_not_enabled)
{
	bus_write(pio, ADDRESS, 4, (SLOT_ADDRESS & ~ENABLE) | PCI_INTERRUPT_LINE);

	bus_write(pio, DATA, 1, 0x0b);

	ck_assert_uint_eq(bus_read(pio, DATA, 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, PCI_INTERRUPT_LINE), 1), 0);
}
END_TEST

START_TEST(buses_other_than_0_do_not_exist)
{
	bus_write(pio, ADDRESS, 4, SLOT_ADDRESS | 1 << 16 | PCI_INTERRUPT_LINE);

	bus_write(pio, DATA, 1, 0x0b);

	ck_assert_uint_eq(bus_read(pio, DATA, 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, PCI_INTERRUPT_LINE), 1), 0);
}
END_TEST

START_TEST(access_across_both_ports_does_nothing)
{
	bus_write(pio, ADDRESS, 4, SLOT_ADDRESS);

	bus_write(pio, ADDRESS, 8, 0);

	ck_assert_uint_eq(bus_read(pio, ADDRESS, 8), UINT64_MAX);
	ck_assert_uint_eq(bus_read(pio, DATA, 4), DEVICE_ID);
}
END_TEST

START_TEST(second_host_is_refused_its_slot)
{
	struct err err;

	ck_assert_ptr_null(host_new(&err));
	ck_assert_str_eq(err.text, "PCI slot 0 is taken");
}
END_TEST

START_TEST(host_whose_ports_are_taken_leaves_nothing_behind)
{
	static struct bus_region taken = { .at = DATA, .len = 1 };
	struct err err;

	host = pci_host_free(host);
	ck_assert_int_eq(bus_add(pio, &taken), 0);

	ck_assert_ptr_null(host_new(&err));

	ck_assert_str_eq(err.text, "PCI host: cannot place its ports at 0xcf8: File exists");
	bus_remove(pio, &taken);
	host = host_new(NULL);
	ck_assert_ptr_nonnull(host);
}
END_TEST

START_TEST(host_whose_ecam_is_taken_leaves_nothing_behind)
{
	static struct bus_region taken = { .at = ECAM_AT, .len = 1 };
	struct err err;

	host = pci_host_free(host);
	ck_assert_int_eq(bus_add(mmio, &taken), 0);

	ck_assert_ptr_null(host_new(&err));

	ck_assert_str_eq(err.text, "PCI host: cannot place ECAM at 0xe0000000: File exists");
	bus_remove(mmio, &taken);
	host = host_new(NULL);
	ck_assert_ptr_nonnull(host);
}
END_TEST

START_TEST(machine_without_ports_has_ecam_only)
{
	struct pci_host_config c = config;

	host = pci_host_free(host);
	c.mmio = mmio;
	host = pci_host_new(root, &c, NULL);

	ck_assert_uint_eq(bus_read(mmio, ECAM(SLOT, 0), 4), DEVICE_ID);
	ck_assert_uint_eq(bus_read(pio, ADDRESS, 4), 0xffffffff);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pci_host");
	TCase *tc = tcase_create("a function in slot 5");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, slot_0_is_a_host_bridge);
	tcase_add_test(tc, ecam_reads_any_width_within_a_dword);
	tcase_add_test(tc, ecam_access_across_dwords_is_served_bytewise);
	tcase_add_test(tc, ecam_access_across_functions_reaches_both);
	tcase_add_test(tc, ecam_of_absent_functions_reads_as_all_ones);
	tcase_add_test(tc, extended_space_of_a_present_function_is_absent);
	tcase_add_test(tc, address_port_reads_back_without_reserved_bits);
	tcase_add_test(tc, address_port_ignores_narrow_accesses);
	tcase_add_test(tc, data_port_selects_bytes_of_the_dword);
	tcase_add_test(tc, data_port_writes_reach_ecam);
	tcase_add_test(tc, data_port_is_dead_while_not_enabled);
	tcase_add_test(tc, buses_other_than_0_do_not_exist);
	tcase_add_test(tc, access_across_both_ports_does_nothing);
	tcase_add_test(tc, second_host_is_refused_its_slot);
	tcase_add_test(tc, host_whose_ports_are_taken_leaves_nothing_behind);
	tcase_add_test(tc, host_whose_ecam_is_taken_leaves_nothing_behind);
	tcase_add_test(tc, machine_without_ports_has_ecam_only);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
