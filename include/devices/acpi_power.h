/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi_power.h - off, reset, the power button, and news of the guest's generation, of a
 * machine with hardware-reduced ACPI.
 *
 * Four registers of one byte.  The FADT points the guest's kernel at the first
 * three; the fourth is ours and is read by the event method of the generic
 * event device (ACPI 6.5, 5.6.9) when its interrupt arrives.  The interrupt is
 * an edge for each event, and events gather until they are read: an edge lost
 * while no driver listens loses no event.
 *
 * The callbacks run on a vCPU thread without a lock held.  They must not block,
 * and may be called again before their effect has happened.
 */
#ifndef DEVICES_ACPI_POWER_H
#define DEVICES_ACPI_POWER_H

#include <stdint.h>

/* Registers. */
#define ACPI_POWER_SLEEP_CONTROL	0	/* ACPI 6.5, 4.8.3.7 */
#define ACPI_POWER_SLEEP_STATUS		1	/* ACPI 6.5, 4.8.3.7 */
#define ACPI_POWER_RESET		2	/* ACPI 6.5, 4.8.3.6 */
#define ACPI_POWER_EVENTS		3	/* reading returns and clears */
#define ACPI_POWER_REGS			4

/* Sleep control.  Other types than S5 are ignored. */
#define ACPI_POWER_SLP_TYP_SHIFT	2
#define ACPI_POWER_SLP_TYP_MASK		(7 << ACPI_POWER_SLP_TYP_SHIFT)
#define ACPI_POWER_SLP_EN		(1 << 5)	/* reads as 0 */
#define ACPI_POWER_S5_TYPE		5	/* what the _S5 package must say */

/* Sleep status: bit 7, WAK_STS, is never set, since nothing wakes from S5. */

/* Written to the reset register. */
#define ACPI_POWER_RESET_VALUE		1

/* Events. */
#define ACPI_POWER_EVENT_BUTTON		0x01
#define ACPI_POWER_EVENT_GENERATION	0x02
#define ACPI_POWER_EVENTS_ALL		0x03

struct acpi_power;
struct bus_region;
struct err;
struct irq;
struct state_reader;
struct state_writer;

struct acpi_power_config {
	uint64_t at;			/* of the first register */
	struct irq *irq;		/* edge; outlives the device */
	void (*poweroff)(void *ctx);
	void (*reset)(void *ctx);
	void *ctx;
};

/* NULL when memory runs out. */
struct acpi_power *acpi_power_new(const struct acpi_power_config *config);
struct acpi_power *acpi_power_free(struct acpi_power *power);	/* -> NULL; off the bus */

/* For bus_add(); belongs to the device. */
struct bus_region *acpi_power_region(struct acpi_power *power);

/* Press the power button: the guest is asked, not forced, to shut down.  Any thread. */
void acpi_power_button(struct acpi_power *power);

/* The guest has another generation id than before.  Any thread. */
void acpi_power_generation(struct acpi_power *power);

/* As a section "acpi-power".  Main, while no vCPU runs. */
void acpi_power_save(const struct acpi_power *power, struct state_writer *writer);
int acpi_power_load(struct acpi_power *power, struct state_reader *reader, struct err *err);

#endif
