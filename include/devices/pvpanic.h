/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvpanic.h - how a guest's kernel tells that it has panicked.
 *
 * One register: it reads as the events that can be told, and writing tells one.
 * Linux finds it by the ACPI name QEMU0001, and its driver pvpanic-mmio writes
 * in a panic notifier, before the kernel restarts.  docs/specs/pvpanic.rst of
 * QEMU describes the device.
 *
 * Keeps no state, so its handlers take no lock.
 */
#ifndef DEVICES_PVPANIC_H
#define DEVICES_PVPANIC_H

#include <stdint.h>

#define PVPANIC_REGS		1

/* Events, as bits. */
#define PVPANIC_PANICKED	0x01
#define PVPANIC_CRASH_LOADED	0x02	/* a crash kernel takes over */

struct bus_region;
struct pvpanic;

struct pvpanic_config {
	uint64_t at;			/* port */

	/*
	 * On a vCPU thread; must not block.  events is not 0 and holds no
	 * other bits than the above.
	 */
	void (*told)(void *ctx, uint8_t events);
	void *ctx;
};

/* NULL when memory runs out. */
struct pvpanic *pvpanic_new(const struct pvpanic_config *config);
struct pvpanic *pvpanic_free(struct pvpanic *pvpanic);		/* -> NULL; off the bus */

/* For bus_add(); belongs to the device. */
struct bus_region *pvpanic_region(struct pvpanic *pvpanic);

#endif
