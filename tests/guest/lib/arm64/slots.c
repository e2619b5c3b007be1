// SPDX-License-Identifier: Apache-2.0
/*
 * slots.c - root ports with native hot plug (PCI Express Base Specification 6.7).
 */
#include "slots.h"

#include "pci.h"

#include <stdbool.h>

#define ID_PORT		0x000c1b36	/* a generic root port */
#define SECONDARY_BUS	0x19
#define CAP_EXPRESS	0x10

#define CONTROL		0x18		/* of the capability */
#define BUTTON		0x0001		/* events to be told of, and they have come */
#define PRESENCE	0x0008
#define INTERRUPT	0x0020		/* tell of them */
#define IS_ON		0x0100		/* an indicator for power */
#define IS_OFF		0x0300
#define POWER_OFF	0x0400

#define STATUS		0x1a
#define OCCUPIED	0x0040

static bool is_port(unsigned slot)
{
	return read32(pci_at(slot, 0)) == ID_PORT;
}

static uint64_t at(unsigned slot, unsigned reg)
{
	return pci_at(slot, pci_next_capability(slot, 0, CAP_EXPRESS) + reg);
}

static void set_control(unsigned slot, uint16_t power)
{
	write16(at(slot, CONTROL), BUTTON | PRESENCE | INTERRUPT | power);
}

static bool has_power(unsigned slot)
{
	return !(read16(at(slot, CONTROL)) & POWER_OFF);
}

void slots_open(void)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		if (!is_port(slot))
			continue;
		write16(pci_at(slot, PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		pci_enable_message(slot, SLOTS_VECTOR);
		set_control(slot, has_power(slot) ? IS_ON : IS_OFF | POWER_OFF);
	}
}

/* Was the event there?  It is taken note of, so that the next one is told. */
static bool take(unsigned slot, uint16_t event)
{
	if (!(read16(at(slot, STATUS)) & event))
		return false;
	write16(at(slot, STATUS), event);
	return true;
}

static bool has_come(unsigned slot)
{
	if (!is_port(slot) || !take(slot, PRESENCE) || has_power(slot) ||
	    !(read16(at(slot, STATUS)) & OCCUPIED))
		return false;
	set_control(slot, IS_ON);
	return true;
}

uint32_t slots_come(void)
{
	uint32_t slots = 0;

	for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
		slots |= (uint32_t)has_come(slot) << slot;
	return slots;
}

uint32_t slots_wanted(void)
{
	uint32_t slots = 0;

	for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
		slots |= (uint32_t)(is_port(slot) && take(slot, BUTTON)) << slot;
	return slots;
}

unsigned slots_place(unsigned slot)
{
	return is_port(slot) ? read8(pci_at(slot, SECONDARY_BUS)) * PCI_SLOTS : slot;
}

void slots_let_go(unsigned slot)
{
	set_control(slot, IS_OFF | POWER_OFF);
}

/* Whoever does not let go says nothing. */
void slots_refuse(unsigned slot)
{
	(void)slot;
}
