// SPDX-License-Identifier: Apache-2.0
/*
 * pci.c - ECAM and the ports 0xcf8 and 0xcfc show the same functions; each has
 * its BARs assigned, and answers there while decoding is on.
 */
#include "pci.h"
#include "io.h"
#include "payload.h"

#define ADDRESS		0xcf8
#define DATA		0xcfc
#define ENABLE		0x80000000
#define HEADER_LEN	0x40
#define VENDOR_VIRTIO	0x1af4
#define EXTENDED	0x100
#define WINDOW_AT	0xc0000000
#define WINDOW_END	0xe0000000

static uint32_t by_ports(unsigned slot, unsigned reg)
{
	out32(ADDRESS, ENABLE | slot << 11 | reg);
	return in32(DATA);
}

static void check_bar(unsigned slot)
{
	uint32_t bar = read32(pci_at(slot, PCI_BAR0));

	expect(bar >= WINDOW_AT && bar < WINDOW_END, "BAR 0 lies in the window");
	write16(pci_at(slot, PCI_COMMAND), PCI_COMMAND_MEMORY);
	expect(read32(bar) != PCI_ABSENT, "BAR 0 answers while decoding is on");
	write16(pci_at(slot, PCI_COMMAND), 0);
	expect_eq(read32(bar), PCI_ABSENT, "BAR 0 is silent while decoding is off");
}

static void check(unsigned slot)
{
	uint32_t extended = read32(pci_at(slot, EXTENDED));

	for (unsigned reg = 0; reg < HEADER_LEN; reg += 4)
		expect_eq(by_ports(slot, reg), read32(pci_at(slot, reg)), "both ways agree");
	expect_eq(read16(pci_at(slot, 2)), by_ports(slot, 0) >> 16, "half a register");
	expect_eq(in8(DATA + 1), read8(pci_at(slot, 1)), "one byte of a register");
	/* Conventional functions have none of this space, others have nothing in it. */
	expect(!extended || extended == PCI_ABSENT, "no extended capabilities");
	if (read16(pci_at(slot, 0)) == VENDOR_VIRTIO)
		check_bar(slot);
}

void payload(void)
{
	unsigned nr = 0;

	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		uint32_t id = read32(pci_at(slot, 0));

		expect_eq(by_ports(slot, 0), id, "both ways see the same function");
		if (id == PCI_ABSENT)
			continue;
		nr++;
		check(slot);
	}
	out32(ADDRESS, 0);
	expect_eq(in32(DATA), 0xffffffff, "without the enable bit nothing answers");
	print_number(nr);
	print(" functions\n");
}
