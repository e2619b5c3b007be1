// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_use.c - what the VM costs its host and what it does, beyond what QEMU has
 * commands for.
 */
#include "base/clock.h"
#include "base/err.h"
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "qmp_build.h"
#include "qmp_tables.h"

#include <unistd.h>

#define INT(name_)	{ .name = (name_), .type = &qmp_type_int }
#define MAYBE(name_)	{ .name = (name_), .type = &qmp_type_int, .optional = true }

static const struct qmp_member exit_members[] = {
	INT("pio"), INT("mmio"), INT("signal"), INT("other"),
};
static const struct qmp_type exits = { .kind = QMP_OBJECT, QMP_MEMBERS(exit_members) };

static const struct qmp_member vcpu_members[] = {
	INT("cpu-index"), INT("thread-id"), INT("cpu-time-ns"),
	{ .name = "exits", .type = &exits },
};
static const struct qmp_type vcpu = { .kind = QMP_OBJECT, QMP_MEMBERS(vcpu_members) };

static const struct qmp_member iothread_members[] = {
	{ .name = "id", .type = &qmp_type_str },
	INT("thread-id"), INT("cpu-time-ns"),
};
static const struct qmp_type iothread = { .kind = QMP_OBJECT, QMP_MEMBERS(iothread_members) };

static const struct qmp_member monitor_members[] = {
	INT("thread-id"), INT("cpu-time-ns"),
};
static const struct qmp_type monitor = { .kind = QMP_OBJECT, QMP_MEMBERS(monitor_members) };

static const struct qmp_member queue_members[] = {
	INT("slot"),
	{ .name = "driver", .type = &qmp_type_str },
	{ .name = "device", .type = &qmp_type_str, .optional = true },
	{ .name = "back-end", .type = &qmp_type_str, .optional = true },
	INT("queue"),
	{ .name = "vhost", .type = &qmp_type_bool },
	MAYBE("kicks"), MAYBE("interrupts"), MAYBE("requests"),
	MAYBE("packets"), MAYBE("bytes"), MAYBE("drops"),
};
static const struct qmp_type queue = { .kind = QMP_OBJECT, QMP_MEMBERS(queue_members) };

static const struct qmp_member use_members[] = {
	{ .name = "vcpus", .type = QMP_ARRAY_OF(&vcpu) },
	{ .name = "iothreads", .type = QMP_ARRAY_OF(&iothread) },
	{ .name = "monitor", .type = &monitor },
	{ .name = "queues", .type = QMP_ARRAY_OF(&queue) },
};
static const struct qmp_type use = { .kind = QMP_OBJECT, QMP_MEMBERS(use_members) };

static json_t *vcpus_of(const struct qmp_machine *machine)
{
	json_t *list = json_array();

	for (unsigned i = 0;; i++) {
		struct qmp_machine_cpu cpu = { 0 };

		if (!machine->ops->cpu(machine->ctx, i, &cpu))
			return list;
		qmp_build_item(&list, json_pack(
			"{s:i, s:i, s:I, s:{s:I, s:I, s:I, s:I}}", "cpu-index", (int)i,
			"thread-id", cpu.thread_id,
			"cpu-time-ns", (json_int_t)clock_thread_ns(cpu.thread_id),
			"exits", "pio", (json_int_t)cpu.exits.pio,
			"mmio", (json_int_t)cpu.exits.mmio,
			"signal", (json_int_t)cpu.exits.signal,
			"other", (json_int_t)cpu.exits.other));
	}
}

static json_t *iothreads_of(const struct qmp_machine *machine)
{
	json_t *list = json_array();

	for (unsigned i = 0;; i++) {
		struct qmp_machine_iothread thread = { 0 };

		if (!machine->ops->iothread(machine->ctx, i, &thread))
			return list;
		qmp_build_item(&list, json_pack(
			"{s:s, s:i, s:I}", "id", thread.id, "thread-id", thread.thread_id,
			"cpu-time-ns", (json_int_t)clock_thread_ns(thread.thread_id)));
	}
}

static json_t *describe_queue(const struct qmp_machine_queue *q)
{
	json_t *object = json_pack("{s:i, s:s, s:s*, s:s*, s:i, s:b}", "slot", (int)q->slot,
				   "driver", q->driver, "device", q->device, "back-end",
				   q->back_end, "queue", (int)q->queue, "vhost", q->vhost);

	if (q->vhost)
		return object;
	qmp_build_member(&object, "kicks", json_integer((json_int_t)q->kicks));
	qmp_build_member(&object, "interrupts", json_integer((json_int_t)q->interrupts));
	qmp_build_member(&object, "requests", json_integer((json_int_t)q->requests));
	if (q->has_packets) {
		qmp_build_member(&object, "packets", json_integer((json_int_t)q->packets));
		qmp_build_member(&object, "bytes", json_integer((json_int_t)q->bytes));
		qmp_build_member(&object, "drops", json_integer((json_int_t)q->drops));
	}
	return object;
}

static json_t *queues_of(const struct qmp_machine *machine)
{
	json_t *list = json_array();

	for (unsigned i = 0;; i++) {
		struct qmp_machine_queue q = { 0 };

		if (!machine->ops->queue(machine->ctx, i, &q))
			return list;
		qmp_build_item(&list, describe_queue(&q));
	}
}

static void run_use(struct qmp_call *call)
{
	const struct qmp_machine *machine = call->machine;
	int id = gettid();

	qmp_call_return(call, json_pack("{s:o, s:o, s:{s:i, s:I}, s:o}",
					"vcpus", vcpus_of(machine),
					"iothreads", iothreads_of(machine),
					"monitor", "thread-id", id,
					"cpu-time-ns", (json_int_t)clock_thread_ns(id),
					"queues", queues_of(machine)));
}

static const struct qmp_member memory_members[] = {
	INT("guest-rss"), INT("guest-pss"), INT("monitor-rss"), INT("monitor-pss"),
};
static const struct qmp_type memory = { .kind = QMP_OBJECT, QMP_MEMBERS(memory_members) };

/* A command of its own, since the kernel takes its time over it for a large guest. */
static void run_memory(struct qmp_call *call)
{
	const struct qmp_machine *machine = call->machine;
	struct qmp_machine_memory m;
	struct err err = { 0 };

	if (machine->ops->memory_use(machine->ctx, &m, &err) < 0)
		qmp_call_fail(call, QMP_GENERIC_ERROR, "%s", err.text);
	else
		qmp_call_return(call, json_pack("{s:I, s:I, s:I, s:I}",
						"guest-rss", (json_int_t)m.guest_rss,
						"guest-pss", (json_int_t)m.guest_pss,
						"monitor-rss", (json_int_t)m.monitor_rss,
						"monitor-pss", (json_int_t)m.monitor_pss));
}

static const struct qmp_command commands[] = {
	{ .name = "x-vmm-query-use", .returns = &use, .run = run_use },
	{ .name = "x-vmm-query-memory-use", .returns = &memory, .run = run_memory },
};

const struct qmp_table qmp_tables_use = { QMP_COMMANDS(commands) };
