// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_pci.c - what sits on the PCI bus.
 */
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "qmp_build.h"
#include "qmp_tables.h"

#include <stddef.h>

static const struct qmp_member class_members[] = {
	{ .name = "desc", .type = &qmp_type_str, .optional = true },
	{ .name = "class", .type = &qmp_type_int },
};
static const struct qmp_type class_info = { .kind = QMP_OBJECT, QMP_MEMBERS(class_members) };

static const struct qmp_member id_members[] = {
	{ .name = "device", .type = &qmp_type_int },
	{ .name = "vendor", .type = &qmp_type_int },
	{ .name = "subsystem", .type = &qmp_type_int, .optional = true },
	{ .name = "subsystem-vendor", .type = &qmp_type_int, .optional = true },
};
static const struct qmp_type id_info = { .kind = QMP_OBJECT, QMP_MEMBERS(id_members) };

static const struct qmp_member region_members[] = {
	{ .name = "bar", .type = &qmp_type_int },
	{ .name = "type", .type = &qmp_type_str },
	{ .name = "address", .type = &qmp_type_int },
	{ .name = "size", .type = &qmp_type_int },
	{ .name = "prefetch", .type = &qmp_type_bool, .optional = true },
	{ .name = "mem_type_64", .type = &qmp_type_bool, .optional = true },
};
static const struct qmp_type region_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(region_members),
};

static const struct qmp_member function_members[] = {
	{ .name = "bus", .type = &qmp_type_int },
	{ .name = "slot", .type = &qmp_type_int },
	{ .name = "function", .type = &qmp_type_int },
	{ .name = "class_info", .type = &class_info },
	{ .name = "id", .type = &id_info },
	{ .name = "irq_pin", .type = &qmp_type_int },
	{ .name = "qdev_id", .type = &qmp_type_str },
	{ .name = "regions", .type = QMP_ARRAY_OF(&region_info) },
};
static const struct qmp_type function_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(function_members),
};

static const struct qmp_member bus_members[] = {
	{ .name = "bus", .type = &qmp_type_int },
	{ .name = "devices", .type = QMP_ARRAY_OF(&function_info) },
};
static const struct qmp_type bus_info = { .kind = QMP_OBJECT, QMP_MEMBERS(bus_members) };

static json_t *describe_bar(const struct qmp_machine_bar *bar)
{
	json_t *region = json_pack("{s:i, s:s, s:I, s:I}", "bar", (int)bar->bar,
				   "type", bar->io ? "io" : "memory",
				   "address", (json_int_t)bar->at,
				   "size", (json_int_t)bar->size);

	if (!bar->io) {
		qmp_build_member(&region, "prefetch", json_boolean(bar->prefetch));
		qmp_build_member(&region, "mem_type_64", json_boolean(bar->is_64));
	}
	return region;
}

static json_t *describe(const struct qmp_machine_function *f)
{
	json_t *regions = json_array();

	for (unsigned i = 0; i < f->nr_bars; i++)
		qmp_build_item(&regions, describe_bar(&f->bars[i]));
	return json_pack("{s:i, s:i, s:i, s:{s:i}, s:{s:i, s:i, s:i, s:i}, s:i, s:s, s:o}",
			 "bus", (int)f->bus, "slot", (int)f->slot, "function", (int)f->function,
			 "class_info", "class", (int)f->class,
			 "id", "device", (int)f->device, "vendor", (int)f->vendor,
			 "subsystem", (int)f->subsystem,
			 "subsystem-vendor", (int)f->subsystem_vendor,
			 "irq_pin", (int)f->irq_pin, "qdev_id", f->id ? f->id : "",
			 "regions", regions);
}

/* The bus of this number in list, added when it is new; NULL without memory. */
static json_t *devices_of(json_t *list, unsigned number)
{
	json_t *bus;
	size_t i;

	json_array_foreach(list, i, bus) {
		if (json_integer_value(json_object_get(bus, "bus")) == (json_int_t)number)
			return json_object_get(bus, "devices");
	}
	bus = json_pack("{s:i, s:[]}", "bus", (int)number, "devices");
	if (json_array_append_new(list, bus))
		return NULL;
	return json_object_get(bus, "devices");
}

static void run_pci(struct qmp_call *call)
{
	const struct qmp_machine *machine = call->machine;
	json_t *list = json_array();

	for (unsigned i = 0;; i++) {
		struct qmp_machine_function function = { 0 };

		if (!machine->ops->function(machine->ctx, i, &function))
			break;
		if (!json_array_append_new(devices_of(list, function.bus), describe(&function)))
			continue;
		json_decref(list);
		list = NULL;
		break;
	}
	qmp_call_return(call, list);
}

static const struct qmp_command commands[] = {
	{ .name = "query-pci", .returns = QMP_ARRAY_OF(&bus_info), .run = run_pci },
};

const struct qmp_table qmp_tables_pci = { QMP_COMMANDS(commands) };
