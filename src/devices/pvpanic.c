// SPDX-License-Identifier: Apache-2.0
#include "devices/pvpanic.h"

#include "base/bits.h"
#include "bus/bus.h"
#include "devices/byte_regs.h"

#include <stdlib.h>

#define EVENTS (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED)

struct pvpanic {
	struct bus_region region;
	struct pvpanic_config config;
};

static uint8_t read_reg(struct bus_region *region, uint64_t reg)
{
	(void)region;
	(void)reg;
	return EVENTS;
}

static void write_reg(struct bus_region *region, uint64_t reg, uint8_t value)
{
	struct pvpanic *pvpanic = container_of(region, struct pvpanic, region);

	(void)reg;
	if (value & EVENTS)
		pvpanic->config.told(pvpanic->config.ctx, value & EVENTS);
}

static uint64_t pvpanic_read(struct bus_region *region, uint64_t off, unsigned size)
{
	return byte_regs_read(region, off, size, read_reg);
}

static void pvpanic_write(struct bus_region *region, uint64_t off, unsigned size,
			  uint64_t value)
{
	byte_regs_write(region, off, size, value, write_reg);
}

static const struct bus_ops pvpanic_ops = {
	.read = pvpanic_read,
	.write = pvpanic_write,
};

struct pvpanic *pvpanic_new(const struct pvpanic_config *config)
{
	struct pvpanic *pvpanic = calloc(1, sizeof(*pvpanic));

	if (!pvpanic)
		return NULL;
	pvpanic->config = *config;
	pvpanic->region = (struct bus_region){
		.at = config->at,
		.len = PVPANIC_REGS,
		.ops = &pvpanic_ops,
		.name = "pvpanic",
	};
	return pvpanic;
}

struct pvpanic *pvpanic_free(struct pvpanic *pvpanic)
{
	free(pvpanic);
	return NULL;
}

struct bus_region *pvpanic_region(struct pvpanic *pvpanic)
{
	return &pvpanic->region;
}
