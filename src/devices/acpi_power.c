// SPDX-License-Identifier: Apache-2.0
#include "devices/acpi_power.h"

#include "base/bits.h"
#include "bus/bus.h"
#include "bus/irq.h"
#include "devices/byte_regs.h"
#include "state/state.h"

#include <stdatomic.h>
#include <stdlib.h>

struct acpi_power {
	struct bus_region region;
	struct acpi_power_config config;
	_Atomic(uint8_t) sleep_control;
	_Atomic(uint8_t) events;
};

static uint8_t read_reg(struct bus_region *region, uint64_t reg)
{
	struct acpi_power *power = container_of(region, struct acpi_power, region);

	switch (reg) {
	case ACPI_POWER_SLEEP_CONTROL:
		return atomic_load(&power->sleep_control);
	case ACPI_POWER_EVENTS:
		return atomic_exchange(&power->events, 0);
	default:
		return 0;
	}
}

static void control_sleep(struct acpi_power *power, uint8_t value)
{
	uint8_t type = value & ACPI_POWER_SLP_TYP_MASK;

	atomic_store(&power->sleep_control, type);
	if (value & ACPI_POWER_SLP_EN &&
	    type == ACPI_POWER_S5_TYPE << ACPI_POWER_SLP_TYP_SHIFT)
		power->config.poweroff(power->config.ctx);
}

static void write_reg(struct bus_region *region, uint64_t reg, uint8_t value)
{
	struct acpi_power *power = container_of(region, struct acpi_power, region);

	switch (reg) {
	case ACPI_POWER_SLEEP_CONTROL:
		control_sleep(power, value);
		break;
	case ACPI_POWER_RESET:
		if (value == ACPI_POWER_RESET_VALUE)
			power->config.reset(power->config.ctx);
		break;
	default:
		break;
	}
}

static uint64_t power_read(struct bus_region *region, uint64_t off, unsigned size)
{
	return byte_regs_read(region, off, size, read_reg);
}

static void power_write(struct bus_region *region, uint64_t off, unsigned size,
			uint64_t value)
{
	byte_regs_write(region, off, size, value, write_reg);
}

static const struct bus_ops power_ops = {
	.read = power_read,
	.write = power_write,
};

struct acpi_power *acpi_power_new(const struct acpi_power_config *config)
{
	struct acpi_power *power = calloc(1, sizeof(*power));

	if (!power)
		return NULL;
	power->config = *config;
	power->region = (struct bus_region){
		.at = config->at,
		.len = ACPI_POWER_REGS,
		.ops = &power_ops,
		.name = "acpi-power",
	};
	return power;
}

struct acpi_power *acpi_power_free(struct acpi_power *power)
{
	free(power);
	return NULL;
}

struct bus_region *acpi_power_region(struct acpi_power *power)
{
	return &power->region;
}

/* The bit before the edge: the guest may read at once. */
static void tell(struct acpi_power *power, uint8_t event)
{
	atomic_fetch_or(&power->events, event);
	irq_pulse(power->config.irq);
}

void acpi_power_button(struct acpi_power *power)
{
	tell(power, ACPI_POWER_EVENT_BUTTON);
}

void acpi_power_generation(struct acpi_power *power)
{
	tell(power, ACPI_POWER_EVENT_GENERATION);
}

struct power_state {
	uint8_t sleep_control, events;
};

static const struct state_field state_fields[] = {
	{ STATE_ONE(struct power_state, sleep_control) },
	{ STATE_ONE(struct power_state, events) },
	STATE_END
};

static const struct state_table state_table = {
	.name = "acpi-power", .version = 1, .fields = state_fields,
};

void acpi_power_save(const struct acpi_power *power, struct state_writer *writer)
{
	const struct power_state state = { power->sleep_control, power->events };

	state_save(writer, &state_table, 0, &state);
}

/* The edge that told of the events lies with the interrupt controller. */
int acpi_power_load(struct acpi_power *power, struct state_reader *reader, struct err *err)
{
	struct power_state state;
	int r = state_load(reader, &state_table, 0, &state, err);

	if (r < 0)
		return r;
	power->sleep_control = state.sleep_control & ACPI_POWER_SLP_TYP_MASK;
	power->events = state.events & ACPI_POWER_EVENTS_ALL;
	return 0;
}
