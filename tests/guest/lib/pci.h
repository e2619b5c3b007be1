/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci.h - configuration space, by ECAM.
 *
 * A place is a slot of bus 0; of other buses, whose number is added 32 times.
 */
#ifndef TESTS_GUEST_LIB_PCI_H
#define TESTS_GUEST_LIB_PCI_H

#include "machine.h"

#include <stdint.h>

#define PCI_SLOTS		32
#define PCI_ABSENT		0xffffffff

#define PCI_COMMAND		0x04
#define PCI_COMMAND_MEMORY	0x2
#define PCI_COMMAND_MASTER	0x4
#define PCI_BAR0		0x10
#define PCI_CAPABILITIES	0x34

#define PCI_CAP_VENDOR		0x09
#define PCI_CAP_MSIX		0x11

/* The i-th place where there may be a function: behind ports it is the first of a bus. */
#define PCI_PLACES		(PCI_SLOTS + MACHINE_BUSES_BEHIND)

static inline unsigned pci_place(unsigned i)
{
	return i < PCI_SLOTS ? i : (i - PCI_SLOTS + 1) * 32;
}

/* The address of a function's register. */
static inline uint64_t pci_at(unsigned place, unsigned reg)
{
	return MACHINE_ECAM + place * 0x8000 + reg;
}

/*
 * The capability of this kind after the one at, or the first for 0; returns its
 * offset, 0 when there is none.
 */
unsigned pci_next_capability(unsigned place, unsigned at, uint8_t id);

/* The address in a BAR of 32 bits. */
uint64_t pci_bar(unsigned place, unsigned index);

/* Switch MSI-X on, with entry 0 of the table raising the vector of this processor. */
void pci_enable_message(unsigned place, unsigned vector);

#endif
