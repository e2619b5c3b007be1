/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8042.h - what is left of the keyboard controller: its reset line.
 *
 * Linux with reboot=k waits until the controller takes a command and then tells
 * it to pulse the reset line of the processor.  So this is the command and
 * status port alone, idle at any time.  There is no data port (0x60) and no
 * keyboard; the ACPI tables should say that there is no 8042 to be driven.
 *
 * Keeps no state, so its handlers take no lock.
 */
#ifndef DEVICES_I8042_H
#define DEVICES_I8042_H

#include <stdint.h>

#define I8042_REGS		1

#define I8042_STATUS_SYSTEM	0x04	/* self-test passed; both buffers are empty */
#define I8042_CMD_RESET		0xfe	/* pulse output line 0 */

struct bus_region;
struct i8042;

struct i8042_config {
	uint64_t at;			/* port of the command and status register */

	/*
	 * The guest asked for a reset.  On a vCPU thread; must not block, and
	 * may be called again before the reset has happened.
	 */
	void (*reset)(void *ctx);
	void *ctx;
};

/* NULL when memory runs out. */
struct i8042 *i8042_new(const struct i8042_config *config);
struct i8042 *i8042_free(struct i8042 *i8042);		/* -> NULL; off the bus */

/* For bus_add(); belongs to the device. */
struct bus_region *i8042_region(struct i8042 *i8042);

#endif
