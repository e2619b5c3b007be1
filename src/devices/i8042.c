// SPDX-License-Identifier: Apache-2.0
#include "devices/i8042.h"

#include "base/bits.h"
#include "bus/bus.h"
#include "devices/byte_regs.h"

#include <stdlib.h>

struct i8042 {
	struct bus_region region;
	struct i8042_config config;
};

static uint8_t read_reg(struct bus_region *region, uint64_t reg)
{
	(void)region;
	(void)reg;
	return I8042_STATUS_SYSTEM;
}

static void write_reg(struct bus_region *region, uint64_t reg, uint8_t value)
{
	struct i8042 *i8042 = container_of(region, struct i8042, region);

	(void)reg;
	if (value == I8042_CMD_RESET)
		i8042->config.reset(i8042->config.ctx);
}

static uint64_t i8042_read(struct bus_region *region, uint64_t off, unsigned size)
{
	return byte_regs_read(region, off, size, read_reg);
}

static void i8042_write(struct bus_region *region, uint64_t off, unsigned size,
			uint64_t value)
{
	byte_regs_write(region, off, size, value, write_reg);
}

static const struct bus_ops i8042_ops = {
	.read = i8042_read,
	.write = i8042_write,
};

struct i8042 *i8042_new(const struct i8042_config *config)
{
	struct i8042 *i8042 = calloc(1, sizeof(*i8042));

	if (!i8042)
		return NULL;
	i8042->config = *config;
	i8042->region = (struct bus_region){
		.at = config->at,
		.len = I8042_REGS,
		.ops = &i8042_ops,
		.name = "i8042",
	};
	return i8042;
}

struct i8042 *i8042_free(struct i8042 *i8042)
{
	free(i8042);
	return NULL;
}

struct bus_region *i8042_region(struct i8042 *i8042)
{
	return &i8042->region;
}
