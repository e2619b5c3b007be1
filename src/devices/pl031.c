// SPDX-License-Identifier: Apache-2.0
#include "devices/pl031.h"

#include "base/bits.h"
#include "base/clock.h"
#include "bus/bus.h"
#include "devices/primecell.h"
#include "state/state.h"

#include <pthread.h>
#include <stdlib.h>

#define PART	0x31

struct pl031 {
	struct bus_region region;
	struct pl031_config config;
	pthread_mutex_t lock;		/* for all below */
	uint64_t offset_ns;		/* guest's time less host's; wraps */
	uint32_t match, load, mask;
};

static uint64_t host_now(void *ctx)
{
	(void)ctx;
	return clock_wall_ns();
}

static uint64_t guest_ns(const struct pl031 *rtc)
{
	return rtc->config.now(rtc->config.ctx) + rtc->offset_ns;
}

static uint32_t read_reg(struct pl031 *rtc, uint64_t off)
{
	switch (off) {
	case PL031_DATA:
		return (uint32_t)(guest_ns(rtc) / CLOCK_NS_PER_S);
	case PL031_MATCH:
		return rtc->match;
	case PL031_LOAD:
		return rtc->load;
	case PL031_CONTROL:
		return 1;
	case PL031_MASK:
		return rtc->mask;
	default:
		return primecell_id(PART, off);
	}
}

static void write_reg(struct pl031 *rtc, uint64_t off, uint32_t value)
{
	switch (off) {
	case PL031_MATCH:
		rtc->match = value;
		break;
	case PL031_LOAD:
		rtc->load = value;
		rtc->offset_ns += value * CLOCK_NS_PER_S - guest_ns(rtc);
		break;
	case PL031_MASK:
		rtc->mask = value & 1;
		break;
	default:
		break;
	}
}

static uint64_t pl031_read(struct bus_region *region, uint64_t off, unsigned size)
{
	struct pl031 *rtc = container_of(region, struct pl031, region);
	uint32_t value;

	if (size != 4)
		return 0;
	pthread_mutex_lock(&rtc->lock);
	value = read_reg(rtc, off);
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void pl031_write(struct bus_region *region, uint64_t off, unsigned size,
			uint64_t value)
{
	struct pl031 *rtc = container_of(region, struct pl031, region);

	if (size != 4)
		return;
	pthread_mutex_lock(&rtc->lock);
	write_reg(rtc, off, (uint32_t)value);
	pthread_mutex_unlock(&rtc->lock);
}

static const struct bus_ops ops = { .read = pl031_read, .write = pl031_write };

struct pl031 *pl031_new(const struct pl031_config *config)
{
	struct pl031 *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return NULL;
	rtc->config = *config;
	if (!rtc->config.now)
		rtc->config.now = host_now;
	rtc->region = (struct bus_region){
		.at = config->at, .len = PL031_LEN, .ops = &ops, .name = "pl031",
	};
	pthread_mutex_init(&rtc->lock, NULL);
	return rtc;
}

struct pl031 *pl031_free(struct pl031 *rtc)
{
	if (!rtc)
		return NULL;
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
	return NULL;
}

struct bus_region *pl031_region(struct pl031 *rtc)
{
	return &rtc->region;
}

static const struct state_field fields[] = {
	{ STATE_ONE(struct pl031, offset_ns) },
	{ STATE_ONE(struct pl031, match) },
	{ STATE_ONE(struct pl031, load) },
	{ STATE_ONE(struct pl031, mask) },
	STATE_END
};

static const struct state_table table = { .name = "pl031", .version = 1, .fields = fields };

void pl031_save(struct pl031 *rtc, struct state_writer *writer)
{
	pthread_mutex_lock(&rtc->lock);
	state_save(writer, &table, 0, rtc);
	pthread_mutex_unlock(&rtc->lock);
}

int pl031_load(struct pl031 *rtc, struct state_reader *reader, struct err *err)
{
	struct pl031 loaded;
	int r = state_load(reader, &table, 0, &loaded, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&rtc->lock);
	rtc->offset_ns = loaded.offset_ns;
	rtc->match = loaded.match;
	rtc->load = loaded.load;
	rtc->mask = loaded.mask & 1;
	pthread_mutex_unlock(&rtc->lock);
	return 0;
}

void pl031_fall_back(struct pl031 *rtc, uint64_t ns)
{
	pthread_mutex_lock(&rtc->lock);
	rtc->offset_ns -= ns;
	pthread_mutex_unlock(&rtc->lock);
}
