// SPDX-License-Identifier: Apache-2.0
#include "pci.h"

unsigned pci_next_capability(unsigned place, unsigned at, uint8_t id)
{
	do
		at = read8(pci_at(place, at ? at + 1 : PCI_CAPABILITIES));
	while (at && read8(pci_at(place, at)) != id);
	return at;
}
