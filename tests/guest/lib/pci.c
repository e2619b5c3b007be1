// SPDX-License-Identifier: Apache-2.0
#include "pci.h"

#include "interrupt.h"
#include "payload.h"

#define MSIX_CONTROL	2
#define MSIX_ENABLE	0x8000
#define MSIX_TABLE	4

unsigned pci_next_capability(unsigned place, unsigned at, uint8_t id)
{
	do
		at = read8(pci_at(place, at ? at + 1 : PCI_CAPABILITIES));
	while (at && read8(pci_at(place, at)) != id);
	return at;
}

uint64_t pci_bar(unsigned place, unsigned index)
{
	return read32(pci_at(place, PCI_BAR0 + 4 * index)) & ~UINT32_C(0xf);
}

void pci_enable_message(unsigned place, unsigned vector)
{
	unsigned cap = pci_next_capability(place, 0, PCI_CAP_MSIX);
	uint32_t table = read32(pci_at(place, cap + MSIX_TABLE)), data;
	uint64_t entry = pci_bar(place, table & 7) + (table & ~UINT32_C(7)), at;

	expect(cap, "the function has MSI-X");
	interrupt_message(place, vector, &at, &data);
	write32(entry, (uint32_t)at);
	write32(entry + 4, (uint32_t)(at >> 32));
	write32(entry + 8, data);
	write32(entry + 12, 0);
	write16(pci_at(place, cap + MSIX_CONTROL), MSIX_ENABLE);
}
