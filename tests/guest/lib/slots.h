/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h - where devices come and go: by ACPI's registers on x86, by the slots of PCI
 * Express root ports on arm64.
 *
 * Slots are those of bus 0, and a mask has a bit for each.
 */
#ifndef TESTS_GUEST_LIB_SLOTS_H
#define TESTS_GUEST_LIB_SLOTS_H

#include <stdint.h>

/* From now on what is new in a slot raises the vector. */
void slots_open(void);

#define SLOTS_VECTOR	0x29

/* In which of them a device has come, and in which it is asked for; told once each. */
uint32_t slots_come(void);
uint32_t slots_wanted(void);

/* The place, as pci.h has it, of what is in the slot. */
unsigned slots_place(unsigned slot);

/* What the guest answers to who wants the device. */
void slots_let_go(unsigned slot);
void slots_refuse(unsigned slot);

#endif
