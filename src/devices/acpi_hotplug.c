// SPDX-License-Identifier: Apache-2.0
#include "devices/acpi_hotplug.h"

#include "base/bits.h"
#include "bus/bus.h"
#include "bus/irq.h"
#include "state/state.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

struct acpi_hotplug {
	struct bus_region region;
	struct acpi_hotplug_config config;
	_Atomic(uint32_t) come, go;
};

static uint64_t hotplug_read(struct bus_region *region, uint64_t off, unsigned size)
{
	struct acpi_hotplug *hotplug = container_of(region, struct acpi_hotplug, region);

	if (size != 4)
		return 0;
	switch (off) {
	case ACPI_HOTPLUG_COME:
		return atomic_exchange(&hotplug->come, 0);
	case ACPI_HOTPLUG_GO:
		return atomic_exchange(&hotplug->go, 0);
	default:
		return 0;
	}
}

/* Pending is said before success or failure; what does not speak of ejecting is not for us. */
static void judge_status(struct acpi_hotplug *hotplug, uint32_t value)
{
	unsigned slot = value & 0xff, event = value >> ACPI_HOTPLUG_EVENT_SHIFT & 0xff;
	unsigned status = value >> ACPI_HOTPLUG_STATUS_SHIFT;

	if (slot < ACPI_HOTPLUG_SLOTS && event == ACPI_HOTPLUG_EJECT_REQUEST &&
	    status != ACPI_HOTPLUG_SUCCESS && status != ACPI_HOTPLUG_EJECT_PENDING)
		hotplug->config.refused(hotplug->config.ctx, slot);
}

static void hotplug_write(struct bus_region *region, uint64_t off, unsigned size,
			  uint64_t value)
{
	struct acpi_hotplug *hotplug = container_of(region, struct acpi_hotplug, region);

	if (size != 4)
		return;
	if (off == ACPI_HOTPLUG_EJECT && value < ACPI_HOTPLUG_SLOTS)
		hotplug->config.ejected(hotplug->config.ctx, (unsigned)value);
	if (off == ACPI_HOTPLUG_STATUS)
		judge_status(hotplug, (uint32_t)value);
}

static const struct bus_ops hotplug_ops = {
	.read = hotplug_read,
	.write = hotplug_write,
};

struct acpi_hotplug *acpi_hotplug_new(const struct acpi_hotplug_config *config)
{
	struct acpi_hotplug *hotplug = calloc(1, sizeof(*hotplug));

	if (!hotplug)
		return NULL;
	hotplug->config = *config;
	hotplug->region = (struct bus_region){
		.at = config->at,
		.len = ACPI_HOTPLUG_REGS,
		.ops = &hotplug_ops,
		.name = "acpi-hotplug",
	};
	return hotplug;
}

struct acpi_hotplug *acpi_hotplug_free(struct acpi_hotplug *hotplug)
{
	free(hotplug);
	return NULL;
}

struct bus_region *acpi_hotplug_region(struct acpi_hotplug *hotplug)
{
	return &hotplug->region;
}

/* The bit before the edge: the guest may read at once. */
static void tell(struct acpi_hotplug *hotplug, _Atomic(uint32_t) *mask, unsigned slot)
{
	assert(slot < ACPI_HOTPLUG_SLOTS);
	atomic_fetch_or(mask, BIT32(slot));
	irq_pulse(hotplug->config.irq);
}

/* A request that the guest has not seen was for the device before this one. */
void acpi_hotplug_come(struct acpi_hotplug *hotplug, unsigned slot)
{
	atomic_fetch_and(&hotplug->go, ~BIT32(slot));
	tell(hotplug, &hotplug->come, slot);
}

void acpi_hotplug_go(struct acpi_hotplug *hotplug, unsigned slot)
{
	tell(hotplug, &hotplug->go, slot);
}

struct hotplug_state {
	uint32_t come, go;
};

static const struct state_field state_fields[] = {
	{ STATE_ONE(struct hotplug_state, come) },
	{ STATE_ONE(struct hotplug_state, go) },
	STATE_END
};

static const struct state_table state_table = {
	.name = "acpi-hotplug", .version = 1, .fields = state_fields,
};

void acpi_hotplug_save(const struct acpi_hotplug *hotplug, struct state_writer *writer)
{
	const struct hotplug_state state = { hotplug->come, hotplug->go };

	state_save(writer, &state_table, 0, &state);
}

/* The edge that told of the events lies with the interrupt controller. */
int acpi_hotplug_load(struct acpi_hotplug *hotplug, struct state_reader *reader,
		      struct err *err)
{
	struct hotplug_state state;
	int r = state_load(reader, &state_table, 0, &state, err);

	if (r < 0)
		return r;
	hotplug->come = state.come;
	hotplug->go = state.go;
	return 0;
}
