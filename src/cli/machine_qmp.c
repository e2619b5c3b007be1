// SPDX-License-Identifier: Apache-2.0
#include "machine_qmp.h"

#include "base/bytes.h"
#include "base/err.h"
#include "block/disk.h"
#include "block/throttle.h"
#include "control/qmp_event.h"
#include "control/qmp_server.h"
#include "devices/pci/pci_bus.h"
#include "hotplug_qmp.h"
#include "kvm/kvm_stats.h"
#include "loop/loop.h"
#include "machine/hotplug.h"
#include "machine/machine_stats.h"
#include "machine/vm_config.h"
#include "memory/ram_use.h"
#include "migrate_qmp.h"
#include "snapshot_qmp.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *name(void *ctx)
{
	const struct machine_qmp *mq = ctx;

	return mq->vm->name;
}

static const char *uuid(void *ctx)
{
	(void)ctx;
	return NULL;
}

static enum qmp_run_state status(void *ctx)
{
	static const enum qmp_run_state states[] = {
		[MACHINE_PRELAUNCH] = QMP_PRELAUNCH,
		[MACHINE_INCOMING] = QMP_INMIGRATE,
		[MACHINE_RUNNING] = QMP_RUNNING,
		[MACHINE_PAUSED] = QMP_PAUSED,
		[MACHINE_IO_ERROR] = QMP_IO_ERROR,
		[MACHINE_SHUT_DOWN] = QMP_SHUTDOWN,
		[MACHINE_CRASHED] = QMP_GUEST_PANICKED,
		[MACHINE_SAVING] = QMP_SAVE_VM,
		[MACHINE_HANDED_OVER] = QMP_FINISH_MIGRATE,
		[MACHINE_MOVED] = QMP_POSTMIGRATE,
	};
	const struct machine_qmp *mq = ctx;

	return states[machine_state(mq->machine)];
}

/* Operations; each is over when it returns. */

static void tell(struct machine_qmp *mq, void (*what)(struct machine *machine),
		 qmp_machine_done *done, void *arg)
{
	struct err err = { 0 };
	int r = machine_check_ours(mq->machine, &err);

	if (!r)
		what(mq->machine);
	done(arg, r, &err);
}

static void pause_machine(void *ctx, qmp_machine_done *done, void *arg)
{
	tell(ctx, machine_pause, done, arg);
}

static void resume(void *ctx, qmp_machine_done *done, void *arg)
{
	struct machine_qmp *mq = ctx;
	struct err err = { 0 };
	int r = machine_resume(mq->machine, &err);

	done(arg, r, &err);
}

static void reset(void *ctx, qmp_machine_done *done, void *arg)
{
	tell(ctx, machine_reset, done, arg);
}

static void power_button(void *ctx, qmp_machine_done *done, void *arg)
{
	tell(ctx, machine_power_button, done, arg);
}

static void nmi(void *ctx, qmp_machine_done *done, void *arg)
{
	struct machine_qmp *mq = ctx;
	struct err err = { 0 };
	int r = machine_check_ours(mq->machine, &err);

	if (!r)
		r = machine_nmi(mq->machine, &err);
	done(arg, r, &err);
}

static void quit(void *ctx, qmp_machine_done *done, void *arg)
{
	struct machine_qmp *mq = ctx;

	machine_force(mq->machine, MACHINE_CAUSE_HOST_QUIT);
	done(arg, 0, NULL);
}

static int set_actions(void *ctx, const struct qmp_machine_actions *actions, struct err *err)
{
	static const enum vm_reboot reboots[] = {
		[QMP_REBOOT_RESET] = VM_REBOOT_RESET,
		[QMP_REBOOT_SHUTDOWN] = VM_REBOOT_SHUTDOWN,
	};
	static const enum vm_shutdown shutdowns[] = {
		[QMP_SHUTDOWN_POWEROFF] = VM_SHUTDOWN_POWEROFF,
		[QMP_SHUTDOWN_PAUSE] = VM_SHUTDOWN_PAUSE,
	};
	static const enum vm_panic panics[] = {
		[QMP_PANIC_PAUSE] = VM_PANIC_PAUSE,
		[QMP_PANIC_SHUTDOWN] = VM_PANIC_SHUTDOWN,
		[QMP_PANIC_EXIT_FAILURE] = VM_PANIC_EXIT_FAILURE,
		[QMP_PANIC_NONE] = VM_PANIC_NONE,
	};
	struct machine_qmp *mq = ctx;
	struct vm_action_config wanted = *machine_actions(mq->machine);

	if (actions->watchdog)
		return err_set(err, -ENOTSUP, "there is no watchdog");
	if (actions->reboot)
		wanted.reboot = reboots[*actions->reboot];
	if (actions->shutdown)
		wanted.shutdown = shutdowns[*actions->shutdown];
	if (actions->panic)
		wanted.panic = panics[*actions->panic];
	machine_set_actions(mq->machine, &wanted);
	return 0;
}

static int resize_disk(void *ctx, unsigned i, uint64_t size, struct err *err)
{
	const struct machine_qmp *mq = ctx;

	return machine_resize_disk(mq->machine, i, size, err);
}

static int throttle_disk(void *ctx, unsigned i, const struct throttle_limits *limits,
			 const char *group, struct err *err)
{
	const struct machine_qmp *mq = ctx;

	return machine_throttle_disk(mq->machine, i, limits, group, err);
}

/* Parts. */

static uint64_t memory(void *ctx)
{
	const struct machine_qmp *mq = ctx;

	return mq->vm->memory;
}

static bool cpu(void *ctx, unsigned i, struct qmp_machine_cpu *ret_cpu)
{
	const struct machine_qmp *mq = ctx;
	struct vcpu_exits exits;

	if (i >= mq->vm->cpus)
		return false;
	exits = machine_stats_exits(mq->machine, i);
	ret_cpu->exits = (struct qmp_machine_exits){
		exits.pio, exits.mmio, exits.signal, exits.other,
	};
	ret_cpu->thread_id = machine_vcpu_thread(mq->machine, i);
	ret_cpu->core_id = i;
	return true;
}

static unsigned registers(void *ctx, struct qmp_machine_register
			  ret_registers[QMP_MACHINE_REGISTERS_MAX])
{
	const struct machine_qmp *mq = ctx;
	struct vcpu_register regs[VCPU_REGISTERS_MAX];
	unsigned nr = machine_stats_registers(mq->machine, regs);

	static_assert(VCPU_REGISTERS_MAX <= QMP_MACHINE_REGISTERS_MAX, "room for all");
	for (unsigned i = 0; i < nr; i++)
		ret_registers[i] = (struct qmp_machine_register){ regs[i].name, regs[i].value };
	return nr;
}

static bool iothread(void *ctx, unsigned i, struct qmp_machine_iothread *ret_thread)
{
	static char id[16];
	const struct machine_qmp *mq = ctx;

	snprintf(id, sizeof(id), "io%u", i);
	ret_thread->id = id;
	ret_thread->thread_id = machine_io_thread(mq->machine, i);
	return ret_thread->thread_id != 0;
}

static bool chardev(void *ctx, unsigned i, struct qmp_machine_chardev *ret_chardev)
{
	const struct machine_qmp *mq = ctx;

	ret_chardev->label = "serial0";
	ret_chardev->filename = mq->serial;
	ret_chardev->open = true;
	return i == 0;
}

static struct qmp_machine_io count(const struct disk *disk, enum disk_op op)
{
	struct disk_counter c = disk_counter(disk, op);

	return (struct qmp_machine_io){ c.nr, c.bytes, c.ns, c.nr_failed };
}

static bool disk(void *ctx, unsigned i, struct qmp_machine_disk *ret_disk)
{
	const struct machine_qmp *mq = ctx;
	const struct throttle_group *group;
	struct machine_disk disk;

	if (!hotplug_disk(mq->machine, i, &disk))
		return false;
	group = disk_throttle(disk.disk);
	ret_disk->limits = group ? throttle_group_limits(group) : NULL;
	ret_disk->group = group ? throttle_group_name(group) : NULL;
	ret_disk->id = disk.id;
	ret_disk->device = disk.device;
	ret_disk->path = disk.config->path;
	ret_disk->format = disk_format_name(disk.disk);
	ret_disk->engine = loop_engine(disk_loop(disk.disk));
	ret_disk->size = disk_size(disk.disk);
	ret_disk->allocated = disk_allocated(disk.disk);
	ret_disk->read_only = disk.config->readonly;
	ret_disk->writeback = disk_write_cache(disk.disk);
	ret_disk->direct = disk.config->cache == DISK_DIRECT;
	ret_disk->no_flush = disk.config->cache == DISK_UNSAFE;
	ret_disk->stopped_by = machine_disk_error(mq->machine, i);
	ret_disk->read = count(disk.disk, DISK_READ);
	ret_disk->write = count(disk.disk, DISK_WRITE);
	ret_disk->flush = count(disk.disk, DISK_FLUSH);
	ret_disk->unmap = count(disk.disk, DISK_DISCARD);
	return true;
}

static void describe_bars(struct pci_bus *bus, unsigned slot,
			  struct qmp_machine_function *function)
{
	struct pci_bus_bar bar;

	for (unsigned i = 0; i < PCI_STD_NUM_BARS; i++) {
		if (!pci_bus_bar(bus, slot, i, &bar))
			continue;
		function->bars[function->nr_bars++] = (struct qmp_machine_bar){
			.bar = i,
			.io = bar.kind == PCI_BAR_IO,
			.is_64 = bar.kind == PCI_BAR_MEM64,
			.at = bar.decodes ? bar.at : UINT64_MAX,
			.size = bar.len,
		};
	}
}

static bool function(void *ctx, unsigned i, struct qmp_machine_function *ret_function)
{
	const struct machine_qmp *mq = ctx;
	struct pci_bus *bus = machine_pci(mq->machine);

	for (unsigned slot = 0; bus && slot < PCI_BUS_SLOTS; slot++) {
		uint8_t header[PCI_STD_HEADER_SIZEOF];

		if (!pci_bus_header(bus, slot, header) || i-- > 0)
			continue;
		ret_function->slot = slot;
		ret_function->id = hotplug_device_id(mq->machine, slot);
		ret_function->vendor = get_le16(header + PCI_VENDOR_ID);
		ret_function->device = get_le16(header + PCI_DEVICE_ID);
		ret_function->subsystem_vendor = get_le16(header + PCI_SUBSYSTEM_VENDOR_ID);
		ret_function->subsystem = get_le16(header + PCI_SUBSYSTEM_ID);
		ret_function->class = get_le16(header + PCI_CLASS_DEVICE);
		describe_bars(bus, slot, ret_function);
		return true;
	}
	return false;
}

/* What is counted. */

static bool queue(void *ctx, unsigned i, struct qmp_machine_queue *ret_queue)
{
	const struct machine_qmp *mq = ctx;
	struct machine_queue q;

	if (!machine_stats_queue(mq->machine, i, &q))
		return false;
	*ret_queue = (struct qmp_machine_queue){
		.slot = q.slot,
		.driver = q.driver,
		.device = hotplug_device_id(mq->machine, q.slot),
		.back_end = hotplug_back_end_id(mq->machine, q.slot),
		.queue = q.queue,
		.kicks = q.counts.kicks,
		.interrupts = q.counts.interrupts,
		.requests = q.counts.requests,
		.has_packets = !strcmp(q.driver, "virtio-net"),
		.packets = q.counts.packets,
		.bytes = q.counts.bytes,
		.drops = q.counts.drops,
		.vhost = q.counts.lent,
	};
	return true;
}

static int memory_use(void *ctx, struct qmp_machine_memory *ret_use, struct err *err)
{
	const struct machine_qmp *mq = ctx;
	struct ram_use guest, rest;
	int r = machine_stats_ram(mq->machine, &guest, &rest, err);

	if (!r)
		*ret_use = (struct qmp_machine_memory){
			.guest_rss = guest.resident,
			.guest_pss = guest.proportional,
			.monitor_rss = rest.resident,
			.monitor_pss = rest.proportional,
		};
	return r;
}

static int read_stats(void *ctx, int vcpu, struct err *err)
{
	struct machine_qmp *mq = ctx;
	int r = machine_stats_kvm(mq->machine, vcpu, &mq->stats, err);

	return r < 0 ? r : (int)kvm_stats_nr(mq->stats);
}

static void stat(void *ctx, unsigned i, struct qmp_machine_stat *ret_stat)
{
	static const char *const types[] = {
		[KVM_STAT_CUMULATIVE] = "cumulative",
		[KVM_STAT_INSTANT] = "instant",
		[KVM_STAT_PEAK] = "peak",
		[KVM_STAT_LINEAR_HISTOGRAM] = "linear-histogram",
		[KVM_STAT_LOG_HISTOGRAM] = "log2-histogram",
	};
	static const char *const units[] = {
		[KVM_STAT_NO_UNIT] = NULL,
		[KVM_STAT_BYTES] = "bytes",
		[KVM_STAT_SECONDS] = "seconds",
		[KVM_STAT_CYCLES] = "cycles",
		[KVM_STAT_BOOLEAN] = "boolean",
	};
	const struct machine_qmp *mq = ctx;
	const struct kvm_stat *s = kvm_stats_get(mq->stats, i);

	*ret_stat = (struct qmp_machine_stat){
		.name = s->name,
		.type = types[s->type],
		.unit = units[s->unit],
		.base = s->base,
		.exponent = s->exponent,
		.bucket_size = s->bucket_size,
		.nr_values = s->nr_values,
		.values = s->values,
	};
}

const struct qmp_machine_ops machine_qmp_ops = {
	.name		= name,
	.uuid		= uuid,
	.status		= status,
	.pause		= pause_machine,
	.resume		= resume,
	.reset		= reset,
	.power_button	= power_button,
	.nmi		= nmi,
	.quit		= quit,
	.set_actions	= set_actions,
	.snapshot	= snapshot_qmp_take,
	.call_off_snapshot = snapshot_qmp_call_off,
	.snapshot_progress = snapshot_qmp_progress,
	.migrate	= migrate_qmp_start,
	.migrate_cancel	= migrate_qmp_cancel,
	.migrate_postcopy = migrate_qmp_postcopy,
	.migrate_take_back = migrate_qmp_take_back,
	.migrate_incoming = migrate_qmp_incoming,
	.migration_parameters = migrate_qmp_parameters,
	.set_migration_parameters = migrate_qmp_set_parameters,
	.migration	= migrate_qmp_info,
	.migration_address = migrate_qmp_address,
	.check_movable	= migrate_qmp_check,
	.resize_disk	= resize_disk,
	.throttle_disk	= throttle_disk,
	.add_disk	= hotplug_qmp_add_disk,
	.remove_disk	= hotplug_qmp_remove_disk,
	.add_net	= hotplug_qmp_add_net,
	.remove_net	= hotplug_qmp_remove_net,
	.plug		= hotplug_qmp_plug,
	.unplug		= hotplug_qmp_unplug,
	.set_link	= hotplug_qmp_set_link,
	.limit_net	= hotplug_qmp_limit_net,
	.announce	= hotplug_qmp_announce,
	.memory		= memory,
	.cpu		= cpu,
	.registers	= registers,
	.iothread	= iothread,
	.chardev	= chardev,
	.disk		= disk,
	.function	= function,
	.queue		= queue,
	.memory_use	= memory_use,
	.read_stats	= read_stats,
	.stat		= stat,
};

/* Events. */

static json_t *because(enum machine_cause cause)
{
	static const struct {
		bool guest;
		const char *reason;
	} causes[] = {
		[MACHINE_CAUSE_GUEST_SHUTDOWN] = { true, "guest-shutdown" },
		[MACHINE_CAUSE_GUEST_RESET] = { true, "guest-reset" },
		[MACHINE_CAUSE_GUEST_PANIC] = { true, "guest-panic" },
		[MACHINE_CAUSE_HOST_ERROR] = { false, "host-error" },
		[MACHINE_CAUSE_HOST_SIGNAL] = { false, "host-signal" },
		[MACHINE_CAUSE_HOST_UI] = { false, "host-ui" },
		[MACHINE_CAUSE_HOST_QUIT] = { false, "host-qmp-quit" },
		[MACHINE_CAUSE_HOST_RESET] = { false, "host-qmp-system-reset" },
	};

	return json_pack("{s:b, s:s}", "guest", causes[cause].guest, "reason",
			 causes[cause].reason);
}

static void tell_panic(struct machine_qmp *mq, const char *action)
{
	qmp_server_event(mq->server, &qmp_event_guest_panicked,
			 json_pack("{s:s}", "action", action));
}

void machine_qmp_event(struct machine_qmp *mq, enum machine_event event,
		       enum machine_cause cause)
{
	if (!mq->server)
		return;
	switch (event) {
	case MACHINE_STOP:
		qmp_server_event(mq->server, &qmp_event_stop, NULL);
		break;
	case MACHINE_RESUME:
		qmp_server_event(mq->server, &qmp_event_resume, NULL);
		break;
	case MACHINE_POWERDOWN:
		qmp_server_event(mq->server, &qmp_event_powerdown, NULL);
		break;
	case MACHINE_RESET:
		qmp_server_event(mq->server, &qmp_event_reset, because(cause));
		break;
	case MACHINE_PANICKED:
		tell_panic(mq, "poweroff");
		break;
	case MACHINE_PANIC_STOPS:
		tell_panic(mq, "pause");
		break;
	case MACHINE_PANIC_IGNORED:
		tell_panic(mq, "run");
		break;
	case MACHINE_SHUTDOWN:
		qmp_server_event(mq->server, &qmp_event_shutdown, because(cause));
		break;
	}
}

void machine_qmp_disk_failed(struct machine_qmp *mq, uint32_t i,
			     const struct disk_failure *failure)
{
	static const char *const actions[] = {
		[DISK_REPORT] = "report", [DISK_STOP] = "stop", [DISK_IGNORE] = "ignore",
	};
	struct machine_disk disk;
	const char *id;

	if (!mq->server || !hotplug_disk(mq->machine, i, &disk))
		return;
	id = disk.id;
	qmp_server_event(mq->server, &qmp_event_block_io_error,
			 json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "device", id,
				   "qom-path", id, "node-name", id, "operation",
				   failure->op == DISK_READ ? "read" : "write", "action",
				   actions[failure->verdict], "nospace",
				   failure->error == -ENOSPC, "reason",
				   strerror(-failure->error)));
}

void machine_qmp_job_event(void *ctx, const struct qmp_event *event, json_t *data)
{
	const struct machine_qmp *mq = ctx;

	qmp_server_event(mq->server, event, data);
}
