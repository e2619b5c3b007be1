/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc.h - MC146818 real-time clock with 128 bytes of CMOS memory.
 *
 * Nothing ticks here.  The clock is the host's, in UTC, plus an offset that
 * changes when the guest sets the time; every register is worked out at the
 * moment it is read, in the format (BCD or binary, 12 or 24 hours) that the
 * guest chose.  Bytes that are no registers are plain memory, zero at start.
 *
 * No interrupt is ever delivered: the device has no line.  The periodic, alarm
 * and update-ended flags of register C are right whenever it is read, so a
 * guest can poll them, but a guest that sleeps until an RTC alarm sleeps on.
 *
 * A guest sets the time under the SET bit of register B, as the data sheet
 * asks; the parts of a time are then judged together.  Without SET each write
 * takes effect alone, and a day that the month does not have carries over.
 *
 * The handlers run on vCPU threads; one mutex guards the registers.
 */
#ifndef DEVICES_RTC_H
#define DEVICES_RTC_H

#include <stdint.h>
#include <time.h>

#define RTC_CENTURY	0x32		/* index of the century byte, for the FADT */

struct bus_region;
struct err;
struct rtc;
struct state_reader;
struct state_writer;

struct rtc_config {
	uint64_t at;			/* index port; the data port follows */

	/* The time of day in UTC; any thread.  NULL: the host's CLOCK_REALTIME. */
	void (*now)(void *ctx, struct timespec *ret_now);
	void *ctx;
};

/* NULL when memory runs out. */
struct rtc *rtc_new(const struct rtc_config *config);
struct rtc *rtc_free(struct rtc *rtc);		/* -> NULL; off the bus */

/* For bus_add(); belongs to the device. */
struct bus_region *rtc_region(struct rtc *rtc);

/*
 * Registers, and how far the guest's time is from the host's, as a section "rtc".  Main,
 * while no vCPU runs.
 */
void rtc_save(struct rtc *rtc, struct state_writer *writer);
int rtc_load(struct rtc *rtc, struct state_reader *reader, struct err *err);

/* The guest's time falls back by so much. */
void rtc_fall_back(struct rtc *rtc, uint64_t ns);

#endif
