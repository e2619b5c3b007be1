/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pl031.h - real-time clock of arm64 machines: ARM PrimeCell PL031 (DDI 0224).
 *
 * It counts seconds.  The clock is the host's, in UTC, plus an offset that changes when
 * the guest sets the time.  There is no interrupt: the device has no line, so its alarm
 * never comes.
 *
 * The handlers run on vCPU threads; one mutex guards the registers.
 */
#ifndef DEVICES_PL031_H
#define DEVICES_PL031_H

#include <stdint.h>

#define PL031_LEN	0x1000

/* Registers, of four bytes each. */
#define PL031_DATA	0x00		/* seconds since 1970 */
#define PL031_MATCH	0x04		/* when the alarm were */
#define PL031_LOAD	0x08		/* writing sets the time */
#define PL031_CONTROL	0x0c		/* 1: it runs, and cannot be stopped */
#define PL031_MASK	0x10
#define PL031_ID	0xfe0		/* 8 registers of one byte, 4 apart */

struct bus_region;
struct err;
struct pl031;
struct state_reader;
struct state_writer;

struct pl031_config {
	uint64_t at;

	/* Nanoseconds since 1970; any thread.  NULL: clock_wall_ns(). */
	uint64_t (*now)(void *ctx);
	void *ctx;
};

/* NULL when memory runs out. */
struct pl031 *pl031_new(const struct pl031_config *config);
struct pl031 *pl031_free(struct pl031 *rtc);		/* -> NULL; off the bus */

/* For bus_add(); belongs to the device. */
struct bus_region *pl031_region(struct pl031 *rtc);

/* As a section "pl031".  While no vCPU runs; main. */
void pl031_save(struct pl031 *rtc, struct state_writer *writer);
int pl031_load(struct pl031 *rtc, struct state_reader *reader, struct err *err);

/* The guest's time falls back by so much. */
void pl031_fall_back(struct pl031 *rtc, uint64_t ns);

#endif
