// SPDX-License-Identifier: Apache-2.0
#include "slots.h"

#include "interrupt.h"
#include "io.h"

#define PIN		9
#define COME		0x610
#define GO		0x614
#define EJECT		0x618
#define STATUS		0x61c

#define EJECT_REQUEST	3
#define DEVICE_BUSY	0x82

void slots_open(void)
{
	interrupt_route_pin(PIN, SLOTS_VECTOR);
}

uint32_t slots_come(void)
{
	return in32(COME);
}

uint32_t slots_wanted(void)
{
	return in32(GO);
}

unsigned slots_place(unsigned slot)
{
	return slot;
}

void slots_let_go(unsigned slot)
{
	out32(EJECT, slot);
}

void slots_refuse(unsigned slot)
{
	out32(STATUS, slot | EJECT_REQUEST << 8 | DEVICE_BUSY << 16);
}
