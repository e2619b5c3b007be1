/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi_hotplug.h - tells the guest of PCI devices that come and go, by ACPI.
 *
 * Four registers of four bytes, used by methods of the DSDT.  When the interrupt
 * of the generic event device arrives, the guest reads two masks of slots: those
 * whose device has just come, and those whose device it is asked to let go.  It
 * answers by a slot's number: eject means that the device may be taken away,
 * and a status (_OST, ACPI 6.5, 6.3.5) tells how a request went.
 *
 * The interrupt only says that there is something to be read, and may be shared
 * with others that mean no more by it.  It is an edge for each event, and events
 * gather until they are read: an edge lost while no driver listens loses none.
 *
 * The callbacks run on a vCPU thread without a lock held, whenever the guest
 * pleases, for slots that are empty too; they must not block.
 */
#ifndef DEVICES_ACPI_HOTPLUG_H
#define DEVICES_ACPI_HOTPLUG_H

#include <stdint.h>

/* Registers; each is accessed as a whole. */
#define ACPI_HOTPLUG_COME	0x0	/* bit n: slot n; reading returns and clears */
#define ACPI_HOTPLUG_GO		0x4	/* likewise */
#define ACPI_HOTPLUG_EJECT	0x8	/* written: a slot's number */
#define ACPI_HOTPLUG_STATUS	0xc	/* written: see below */
#define ACPI_HOTPLUG_REGS	0x10

/* The status register: slot, the low byte of _OST's event, its status code. */
#define ACPI_HOTPLUG_EVENT_SHIFT	8
#define ACPI_HOTPLUG_STATUS_SHIFT	16

/* Notifications of the guest's kernel, and events of _OST (ACPI 6.5, table 5.168). */
#define ACPI_HOTPLUG_DEVICE_CHECK	1
#define ACPI_HOTPLUG_EJECT_REQUEST	3

/* Status codes of an eject request (ACPI 6.5, table 6.65). */
#define ACPI_HOTPLUG_SUCCESS		0x00
#define ACPI_HOTPLUG_EJECT_PENDING	0x84

#define ACPI_HOTPLUG_SLOTS	32

struct acpi_hotplug;
struct bus_region;
struct err;
struct irq;
struct state_reader;
struct state_writer;

struct acpi_hotplug_config {
	uint64_t at;			/* of the first register */
	struct irq *irq;		/* edge; outlives the device */

	/* The guest has let go of the slot's device, asked or not. */
	void (*ejected)(void *ctx, unsigned slot);

	/* It was asked to and says that it will not. */
	void (*refused)(void *ctx, unsigned slot);
	void *ctx;
};

/* NULL when memory runs out. */
struct acpi_hotplug *acpi_hotplug_new(const struct acpi_hotplug_config *config);
struct acpi_hotplug *acpi_hotplug_free(struct acpi_hotplug *hotplug);	/* -> NULL; off the bus */

/* For bus_add(); belongs to the device. */
struct bus_region *acpi_hotplug_region(struct acpi_hotplug *hotplug);

/* A device has come into the slot.  Who shares the interrupt raises it on the same thread. */
void acpi_hotplug_come(struct acpi_hotplug *hotplug, unsigned slot);

/* The guest should let go of the slot's device.  Likewise. */
void acpi_hotplug_go(struct acpi_hotplug *hotplug, unsigned slot);

/* As a section "acpi-hotplug".  Main, while no vCPU runs. */
void acpi_hotplug_save(const struct acpi_hotplug *hotplug, struct state_writer *writer);
int acpi_hotplug_load(struct acpi_hotplug *hotplug, struct state_reader *reader,
		      struct err *err);

#endif
