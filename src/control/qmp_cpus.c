// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_cpus.c - the vCPUs.
 */
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "qmp_build.h"
#include "qmp_cpus.h"
#include "qmp_tables.h"
#include "qmp_target.h"

#include <inttypes.h>
#include <stdio.h>

static const struct qmp_member place_members[] = {
	{ .name = "socket-id", .type = &qmp_type_int, .optional = true },
	{ .name = "core-id", .type = &qmp_type_int, .optional = true },
	{ .name = "thread-id", .type = &qmp_type_int, .optional = true },
};
static const struct qmp_type place = { .kind = QMP_OBJECT, QMP_MEMBERS(place_members) };

static const struct qmp_member cpu_members[] = {
	{ .name = "cpu-index", .type = &qmp_type_int },
	{ .name = "qom-path", .type = &qmp_type_str },
	{ .name = "thread-id", .type = &qmp_type_int },
	{ .name = "props", .type = &place, .optional = true },
	{ .name = "target", .type = &qmp_target_type },
};
static const struct qmp_type cpu_info = { .kind = QMP_OBJECT, QMP_MEMBERS(cpu_members) };

void qmp_cpus_path(char *path, unsigned i)
{
	snprintf(path, QMP_CPUS_PATH_BYTES, "/machine/cpu[%u]", i);
}

static json_t *describe(unsigned i, const struct qmp_machine_cpu *cpu)
{
	char path[QMP_CPUS_PATH_BYTES];

	qmp_cpus_path(path, i);
	return json_pack("{s:i, s:s, s:i, s:{s:I, s:I, s:I}, s:s}", "cpu-index", (int)i,
			 "qom-path", path, "thread-id", cpu->thread_id, "props",
			 "socket-id", (json_int_t)cpu->socket_id,
			 "core-id", (json_int_t)cpu->core_id,
			 "thread-id", (json_int_t)cpu->smt_id, "target", qmp_target);
}

static void list_cpus(struct qmp_call *call,
		      json_t *describe_one(unsigned i, const struct qmp_machine_cpu *cpu))
{
	const struct qmp_machine *machine = call->machine;
	json_t *list = json_array();

	for (unsigned i = 0;; i++) {
		struct qmp_machine_cpu cpu = { 0 };

		if (!machine->ops->cpu(machine->ctx, i, &cpu))
			break;
		qmp_build_item(&list, describe_one(i, &cpu));
	}
	qmp_call_return(call, list);
}

static void run_cpus(struct qmp_call *call)
{
	list_cpus(call, describe);
}

static const struct qmp_member slot_members[] = {
	{ .name = "type", .type = &qmp_type_str },
	{ .name = "vcpus-count", .type = &qmp_type_int },
	{ .name = "props", .type = &place },
	{ .name = "qom-path", .type = &qmp_type_str, .optional = true },
};
static const struct qmp_type slot_info = { .kind = QMP_OBJECT, QMP_MEMBERS(slot_members) };

/* A vCPU is there from the start to the end: no slot is empty. */
static json_t *describe_slot(unsigned i, const struct qmp_machine_cpu *cpu)
{
	json_t *whole = describe(i, cpu);
	json_t *slot = json_pack("{s:s++, s:i, s:O, s:O}", "type", "host-", qmp_target, "-cpu",
				 "vcpus-count", 1,
				 "props", json_object_get(whole, "props"),
				 "qom-path", json_object_get(whole, "qom-path"));

	json_decref(whole);
	return slot;
}

static void run_hotpluggable(struct qmp_call *call)
{
	list_cpus(call, describe_slot);
}

static const struct qmp_member register_members[] = {
	{ .name = "name", .type = &qmp_type_str },
	{ .name = "value", .type = &qmp_type_str },
};
static const struct qmp_type one_register = {
	.kind = QMP_OBJECT, QMP_MEMBERS(register_members),
};

/* As text: a number of JSON has a sign, and others are used to read them so. */
static void run_registers(struct qmp_call *call)
{
	struct qmp_machine_register registers[QMP_MACHINE_REGISTERS_MAX];
	unsigned nr = call->machine->ops->registers(call->machine->ctx, registers);
	json_t *list = json_array();

	for (unsigned i = 0; i < nr; i++) {
		char value[sizeof("0x0123456789abcdef")];

		snprintf(value, sizeof(value), "0x%016" PRIx64, registers[i].value);
		qmp_build_item(&list, json_pack("{s:s, s:s}", "name", registers[i].name, "value",
						value));
	}
	qmp_call_return(call, list);
}

static const struct qmp_command commands[] = {
	{ .name = "query-cpus-fast", .returns = QMP_ARRAY_OF(&cpu_info), .run = run_cpus },
	{ .name = "query-hotpluggable-cpus", .returns = QMP_ARRAY_OF(&slot_info),
	  .run = run_hotpluggable },
	{ .name = "x-vmm-query-cpu-registers", .returns = QMP_ARRAY_OF(&one_register),
	  .run = run_registers },
};

const struct qmp_table qmp_tables_cpus = { QMP_COMMANDS(commands) };
