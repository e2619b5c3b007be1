// SPDX-License-Identifier: Apache-2.0
/*
 * rtc.c - MC146818 real-time clock.
 *
 * cmos[] holds what was written.  For the time registers that counts only while
 * the guest holds the clock by SET: then they are read and written as plain
 * bytes, and when SET is released they become the time if one was written.
 * Otherwise they are filled from the clock just before they are looked at.
 *
 * The flags of register C are found when needed, from the guest's time at which
 * they were last looked for until now.  Whatever they depend on (the alarm, the
 * rate, the time itself) changes only after gather_flags() has settled the past.
 */
#include "devices/rtc.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "bus/bus.h"
#include "devices/byte_regs.h"
#include "devices/rtc_regs.h"
#include "state/state.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S	((long)CLOCK_NS_PER_S)
#define S_PER_DAY	86400

/*
 * UIP promises, while clear, that no update comes for 244 us.  That is too short
 * for a guest each of whose reads is an exit, so it is set for as long before an
 * update as the chip takes for it all: a guest that finds it clear has 2 ms.
 */
#define UIP_NS		2228000L

struct rtc {
	struct bus_region region;
	void (*now)(void *ctx, struct timespec *ret_now);
	void *ctx;

	pthread_mutex_t lock;		/* of all below */
	struct timespec offset;		/* guest's time less now() */
	struct timespec flags_until;	/* guest's time up to which flags are found */
	uint8_t index;
	uint8_t flags;			/* RTC_C_*, IRQF apart */
	bool time_written;		/* under SET */
	uint8_t cmos[RTC_BYTES];
};

static void host_now(void *ctx, struct timespec *ret_now)
{
	(void)ctx;
	clock_gettime(CLOCK_REALTIME, ret_now);
}

static struct timespec sum(struct timespec a, struct timespec b)
{
	struct timespec t = { a.tv_sec + b.tv_sec, a.tv_nsec + b.tv_nsec };

	if (t.tv_nsec >= NS_PER_S) {
		t.tv_sec++;
		t.tv_nsec -= NS_PER_S;
	}
	return t;
}

static struct timespec difference(struct timespec a, struct timespec b)
{
	struct timespec t = { a.tv_sec - b.tv_sec, a.tv_nsec - b.tv_nsec };

	if (t.tv_nsec < 0) {
		t.tv_sec--;
		t.tv_nsec += NS_PER_S;
	}
	return t;
}

static struct timespec host_time(const struct rtc *rtc)
{
	struct timespec now;

	rtc->now(rtc->ctx, &now);
	return now;
}

static struct timespec guest_time(const struct rtc *rtc)
{
	return sum(host_time(rtc), rtc->offset);
}

static bool held(const struct rtc *rtc)
{
	return rtc->cmos[RTC_B] & RTC_B_SET;
}

static bool is_time(uint64_t index)
{
	switch (index) {
	case RTC_SECONDS:
	case RTC_MINUTES:
	case RTC_HOURS:
	case RTC_WEEKDAY:
	case RTC_DAY:
	case RTC_MONTH:
	case RTC_YEAR:
	case RTC_CENTURY:
		return true;
	default:
		return false;
	}
}

/* Numbers below 100 as the guest wants them, and back; any byte is taken. */
static uint8_t encode(const struct rtc *rtc, unsigned value)
{
	if (rtc->cmos[RTC_B] & RTC_B_BINARY)
		return (uint8_t)value;
	return (uint8_t)(value / 10 << 4 | value % 10);
}

static int decode(const struct rtc *rtc, uint8_t byte)
{
	if (rtc->cmos[RTC_B] & RTC_B_BINARY)
		return byte;
	return (byte >> 4) * 10 + (byte & 0xf);
}

static uint8_t encode_hours(const struct rtc *rtc, unsigned hours)
{
	uint8_t pm = hours >= 12 ? RTC_HOURS_PM : 0;

	if (rtc->cmos[RTC_B] & RTC_B_24H)
		return encode(rtc, hours);
	return encode(rtc, hours % 12 ? hours % 12 : 12) | pm;
}

static int decode_hours(const struct rtc *rtc, uint8_t byte)
{
	if (rtc->cmos[RTC_B] & RTC_B_24H)
		return decode(rtc, byte);
	return decode(rtc, byte & (uint8_t)~RTC_HOURS_PM) % 12 + (byte & RTC_HOURS_PM ? 12 : 0);
}

static void fill_time(struct rtc *rtc, time_t seconds)
{
	struct tm tm;
	unsigned year;

	gmtime_r(&seconds, &tm);
	/* A guest can set more than four digits hold; they wrap. */
	year = (unsigned)(tm.tm_year + 1900) % 10000;

	rtc->cmos[RTC_SECONDS] = encode(rtc, (unsigned)tm.tm_sec);
	rtc->cmos[RTC_MINUTES] = encode(rtc, (unsigned)tm.tm_min);
	rtc->cmos[RTC_HOURS] = encode_hours(rtc, (unsigned)tm.tm_hour);
	rtc->cmos[RTC_WEEKDAY] = encode(rtc, (unsigned)tm.tm_wday + 1);
	rtc->cmos[RTC_DAY] = encode(rtc, (unsigned)tm.tm_mday);
	rtc->cmos[RTC_MONTH] = encode(rtc, (unsigned)tm.tm_mon + 1);
	rtc->cmos[RTC_YEAR] = encode(rtc, year % 100);
	rtc->cmos[RTC_CENTURY] = encode(rtc, year / 100);
}

/* Values out of range carry over, as timegm() does it: any bytes are a time. */
static time_t time_filled(const struct rtc *rtc)
{
	int year = decode(rtc, rtc->cmos[RTC_CENTURY]) * 100 +
		   decode(rtc, rtc->cmos[RTC_YEAR]);
	struct tm tm = {
		.tm_sec = decode(rtc, rtc->cmos[RTC_SECONDS]),
		.tm_min = decode(rtc, rtc->cmos[RTC_MINUTES]),
		.tm_hour = decode_hours(rtc, rtc->cmos[RTC_HOURS]),
		.tm_mday = decode(rtc, rtc->cmos[RTC_DAY]),
		.tm_mon = decode(rtc, rtc->cmos[RTC_MONTH]) - 1,
		.tm_year = year - 1900,
	};

	return timegm(&tm);
}

static void set_time(struct rtc *rtc, long ns)
{
	struct timespec to = { .tv_sec = time_filled(rtc), .tv_nsec = ns };

	rtc->offset = difference(to, host_time(rtc));
	rtc->flags_until = to;
}

/* Which value an alarm register waits for; -1 is any. */
static int wanted(const struct rtc *rtc, uint8_t index)
{
	uint8_t byte = rtc->cmos[index];

	if ((byte & RTC_ALARM_ANY) == RTC_ALARM_ANY)
		return -1;
	return index == RTC_HOURS_ALARM ? decode_hours(rtc, byte) : decode(rtc, byte);
}

/* Does a second of [first, last] match the alarm?  At most a day is tried. */
static bool alarm_within(const struct rtc *rtc, time_t first, time_t last)
{
	int hours = wanted(rtc, RTC_HOURS_ALARM);
	int minutes = wanted(rtc, RTC_MINUTES_ALARM);
	int seconds = wanted(rtc, RTC_SECONDS_ALARM);

	if (last - first >= S_PER_DAY)
		first = last - S_PER_DAY + 1;
	for (time_t t = first; t <= last; t++) {
		time_t of_day = (t % S_PER_DAY + S_PER_DAY) % S_PER_DAY;

		if ((hours < 0 || of_day / 3600 == hours) &&
		    (minutes < 0 || of_day / 60 % 60 == minutes) &&
		    (seconds < 0 || of_day % 60 == seconds))
			return true;
	}
	return false;
}

/* Periods since 1970 at the rate of register A, with its 32 kHz time base. */
static int64_t periods(unsigned rate, struct timespec t)
{
	/* Rates 1 and 2 repeat 8 and 9; all others halve from 8192 Hz at 3. */
	int64_t hz = 32768 >> ((rate <= 2 ? rate + 7 : rate) - 1);

	return t.tv_sec * hz + t.tv_nsec * hz / NS_PER_S;
}

static void gather_flags(struct rtc *rtc)
{
	struct timespec from = rtc->flags_until, to = guest_time(rtc);
	unsigned rate = rtc->cmos[RTC_A] & RTC_A_RATE;

	rtc->flags_until = to;
	if (rate && periods(rate, to) > periods(rate, from))
		rtc->flags |= RTC_C_PF;
	if (held(rtc) || to.tv_sec <= from.tv_sec)
		return;
	rtc->flags |= RTC_C_UF;
	if (alarm_within(rtc, from.tv_sec + 1, to.tv_sec))
		rtc->flags |= RTC_C_AF;
}

static uint8_t read_a(const struct rtc *rtc)
{
	uint8_t a = rtc->cmos[RTC_A];

	if (!held(rtc) && guest_time(rtc).tv_nsec >= NS_PER_S - UIP_NS)
		a |= RTC_A_UIP;
	return a;
}

static uint8_t read_c(struct rtc *rtc)
{
	uint8_t c;

	gather_flags(rtc);
	c = rtc->flags;
	rtc->flags = 0;
	/* PF, AF and UF lie in C where PIE, AIE and UIE lie in B. */
	if (c & rtc->cmos[RTC_B] & (RTC_B_PIE | RTC_B_AIE | RTC_B_UIE))
		c |= RTC_C_IRQF;
	return c;
}

static void write_b(struct rtc *rtc, uint8_t value)
{
	bool was_held = held(rtc);

	gather_flags(rtc);
	/* Held bytes stay in the format of this moment, as on the chip. */
	if (!was_held && value & RTC_B_SET)
		fill_time(rtc, guest_time(rtc).tv_sec);
	/* SET also disables the interrupt of the update that it prevents. */
	if (value & RTC_B_SET)
		value &= (uint8_t)~RTC_B_UIE;
	rtc->cmos[RTC_B] = value;

	if (was_held && !held(rtc) && rtc->time_written) {
		/*
		 * The chip's first update comes half a second after a guest
		 * starts its divider; Linux sets the time in accord with that.
		 */
		set_time(rtc, NS_PER_S / 2);
		rtc->time_written = false;
	}
}

static void write_time(struct rtc *rtc, uint8_t value)
{
	struct timespec t;

	if (held(rtc)) {
		rtc->cmos[rtc->index] = value;
		rtc->time_written = true;
		return;
	}
	gather_flags(rtc);
	t = guest_time(rtc);
	fill_time(rtc, t.tv_sec);
	rtc->cmos[rtc->index] = value;
	set_time(rtc, t.tv_nsec);
}

static uint8_t read_data(struct rtc *rtc)
{
	switch (rtc->index) {
	case RTC_A:
		return read_a(rtc);
	case RTC_C:
		return read_c(rtc);
	case RTC_D:
		return RTC_D_VRT;
	default:
		if (is_time(rtc->index) && !held(rtc))
			fill_time(rtc, guest_time(rtc).tv_sec);
		return rtc->cmos[rtc->index];
	}
}

static void write_data(struct rtc *rtc, uint8_t value)
{
	switch (rtc->index) {
	case RTC_A:
		gather_flags(rtc);
		rtc->cmos[RTC_A] = value & (uint8_t)~RTC_A_UIP;
		break;
	case RTC_B:
		write_b(rtc, value);
		break;
	case RTC_C:
	case RTC_D:
		break;			/* read-only */
	case RTC_SECONDS_ALARM:
	case RTC_MINUTES_ALARM:
	case RTC_HOURS_ALARM:
		gather_flags(rtc);
		rtc->cmos[rtc->index] = value;
		break;
	default:
		if (is_time(rtc->index))
			write_time(rtc, value);
		else
			rtc->cmos[rtc->index] = value;
		break;
	}
}

static uint8_t read_port(struct bus_region *region, uint64_t port)
{
	struct rtc *rtc = container_of(region, struct rtc, region);
	uint8_t value;

	if (port == RTC_PORT_INDEX)
		return 0xff;
	pthread_mutex_lock(&rtc->lock);
	value = read_data(rtc);
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void write_port(struct bus_region *region, uint64_t port, uint8_t value)
{
	struct rtc *rtc = container_of(region, struct rtc, region);

	pthread_mutex_lock(&rtc->lock);
	if (port == RTC_PORT_INDEX)
		rtc->index = value & RTC_INDEX_MASK;
	else
		write_data(rtc, value);
	pthread_mutex_unlock(&rtc->lock);
}

static uint64_t rtc_read(struct bus_region *region, uint64_t off, unsigned size)
{
	return byte_regs_read(region, off, size, read_port);
}

static void rtc_write(struct bus_region *region, uint64_t off, unsigned size, uint64_t value)
{
	byte_regs_write(region, off, size, value, write_port);
}

static const struct bus_ops rtc_ops = {
	.read = rtc_read,
	.write = rtc_write,
};

struct rtc *rtc_new(const struct rtc_config *config)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return NULL;
	rtc->now = config->now ? config->now : host_now;
	rtc->ctx = config->ctx;
	rtc->region = (struct bus_region){
		.at = config->at,
		.len = RTC_PORTS,
		.ops = &rtc_ops,
		.name = "rtc",
	};
	pthread_mutex_init(&rtc->lock, NULL);
	/* As firmware leaves it: 32 kHz time base, 1024 Hz, BCD, 24 hours. */
	rtc->cmos[RTC_A] = 0x26;
	rtc->cmos[RTC_B] = RTC_B_24H;
	rtc->flags_until = guest_time(rtc);
	return rtc;
}

struct rtc *rtc_free(struct rtc *rtc)
{
	if (!rtc)
		return NULL;
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
	return NULL;
}

struct bus_region *rtc_region(struct rtc *rtc)
{
	return &rtc->region;
}

/* Times as two's complement; nanoseconds are below a second. */
struct rtc_state {
	uint64_t offset_s, flags_until_s;
	uint32_t offset_ns, flags_until_ns;
	uint8_t index;
	uint8_t flags;
	bool time_written;
	uint8_t cmos[RTC_BYTES];
};

static const struct state_field state_fields[] = {
	{ STATE_ONE(struct rtc_state, offset_s) },
	{ STATE_ONE(struct rtc_state, offset_ns) },
	{ STATE_ONE(struct rtc_state, flags_until_s) },
	{ STATE_ONE(struct rtc_state, flags_until_ns) },
	{ STATE_ONE(struct rtc_state, index) },
	{ STATE_ONE(struct rtc_state, flags) },
	{ STATE_ONE(struct rtc_state, time_written) },
	{ STATE_ARRAY(struct rtc_state, cmos) },
	STATE_END
};

static const struct state_table state_table = {
	.name = "rtc", .version = 1, .fields = state_fields,
};

void rtc_save(struct rtc *rtc, struct state_writer *writer)
{
	struct rtc_state state;

	pthread_mutex_lock(&rtc->lock);
	state = (struct rtc_state){
		.offset_s = (uint64_t)rtc->offset.tv_sec,
		.offset_ns = (uint32_t)rtc->offset.tv_nsec,
		.flags_until_s = (uint64_t)rtc->flags_until.tv_sec,
		.flags_until_ns = (uint32_t)rtc->flags_until.tv_nsec,
		.index = rtc->index,
		.flags = rtc->flags,
		.time_written = rtc->time_written,
	};
	memcpy(state.cmos, rtc->cmos, sizeof(state.cmos));
	pthread_mutex_unlock(&rtc->lock);
	state_save(writer, &state_table, 0, &state);
}

/* What a guest can bring about by setting the time, give or take; sums must not wrap. */
static bool is_time_of_day(uint64_t s, uint32_t ns)
{
	return s + INT64_C(1) * 10000 * 366 * S_PER_DAY < INT64_C(2) * 10000 * 366 * S_PER_DAY &&
	       ns < NS_PER_S;
}

int rtc_load(struct rtc *rtc, struct state_reader *reader, struct err *err)
{
	struct rtc_state state;
	int r = state_load(reader, &state_table, 0, &state, err);

	if (r < 0)
		return r;
	if (!is_time_of_day(state.offset_s, state.offset_ns) ||
	    !is_time_of_day(state.flags_until_s, state.flags_until_ns) ||
	    state.index > RTC_INDEX_MASK)
		return err_set(err, -EINVAL, "state: the clock has a time that cannot be");
	pthread_mutex_lock(&rtc->lock);
	rtc->offset = (struct timespec){ (time_t)state.offset_s, (long)state.offset_ns };
	rtc->flags_until = (struct timespec){ (time_t)state.flags_until_s,
					      (long)state.flags_until_ns };
	rtc->index = state.index;
	rtc->flags = state.flags;
	rtc->time_written = state.time_written;
	memcpy(rtc->cmos, state.cmos, sizeof(rtc->cmos));
	pthread_mutex_unlock(&rtc->lock);
	return 0;
}

void rtc_fall_back(struct rtc *rtc, uint64_t ns)
{
	const struct timespec by = { (time_t)(ns / CLOCK_NS_PER_S), (long)(ns % CLOCK_NS_PER_S) };

	pthread_mutex_lock(&rtc->lock);
	rtc->offset = difference(rtc->offset, by);
	pthread_mutex_unlock(&rtc->lock);
}
