// SPDX-License-Identifier: Apache-2.0
/*
 * hotplug.c - says which devices come and are to go, lets go of them, and checks
 * that they answer in between and no longer.
 *
 * With refuse=1 on the command line it refuses first; with slots=MASK those have
 * a device at the start.  It never ends by itself.
 */
#include "interrupt.h"
#include "machine.h"
#include "payload.h"
#include "pci.h"
#include "slots.h"

#define BAR_ROOM	UINT64_C(0x10000)
#define NUM_QUEUES	0x12		/* in the BAR's common configuration */

static bool refuses;

static uint64_t bar_of(unsigned slot)
{
	return MACHINE_BARS_AT + slot * BAR_ROOM;
}

static bool there(unsigned slot)
{
	return read32(pci_at(slots_place(slot), 0)) != PCI_ABSENT;
}

static void say(const char *what, unsigned slot)
{
	print(what);
	print_number(slot);
	print("\n");
}

static void come(unsigned slot)
{
	unsigned place = slots_place(slot);

	expect(there(slot), "a device that has come is there");
	write32(pci_at(place, PCI_BAR0), (uint32_t)bar_of(slot));
	write16(pci_at(place, PCI_COMMAND), PCI_COMMAND_MEMORY);
	expect(read16(bar_of(slot) + NUM_QUEUES) - 1U < 8, "its registers answer");
	say("COME ", slot);
}

static void go(unsigned slot)
{
	expect(there(slot), "a device that should go is there until it is let go");
	if (refuses) {
		refuses = false;
		slots_refuse(slot);
		say("REFUSED ", slot);
		return;
	}
	slots_let_go(slot);
	while (there(slot))
		;
	expect_eq(read16(bar_of(slot) + NUM_QUEUES), 0xffff, "its registers are gone");
	say("GONE ", slot);
}

static void each(uint32_t slots, void (*handle)(unsigned slot))
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
		if (slots & UINT32_C(1) << slot)
			handle(slot);
}

void payload(void)
{
	refuses = cmdline_number("refuse");
	slots_open();
	print("READY\n");
	each((uint32_t)cmdline_number("slots"), come);
	for (;;) {
		each(slots_come(), come);
		each(slots_wanted(), go);
		interrupt_wait(SLOTS_VECTOR, interrupt_count(SLOTS_VECTOR) + 1);
	}
}
