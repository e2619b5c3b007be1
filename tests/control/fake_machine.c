// SPDX-License-Identifier: Apache-2.0
#include "fake_machine.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_event.h"
#include "control/qmp_tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOLD_NS		(50 * CLOCK_NS_PER_MS)

static void tell(struct fake_machine *fake, const struct qmp_event *event, json_t *data)
{
	fake->event(fake->ctx, event, data);
}

static const char *get_name(void *ctx)
{
	(void)ctx;
	return "fake";
}

static const char *get_uuid(void *ctx)
{
	(void)ctx;
	return NULL;
}

static enum qmp_run_state get_status(void *ctx)
{
	struct fake_machine *fake = ctx;

	if (fake->snapshot_done)
		return QMP_SAVE_VM;
	return fake->paused ? QMP_PAUSED : QMP_RUNNING;
}

static void drained(struct loop_timer *timer)
{
	struct fake_machine *fake = container_of(timer, struct fake_machine, timer);
	qmp_machine_done *done = fake->done;

	fake->done = NULL;
	if (!fake->paused)
		tell(fake, &qmp_event_stop, NULL);
	fake->paused = true;
	done(fake->arg, 0, NULL);
}

static void do_pause(void *ctx, qmp_machine_done *done, void *arg)
{
	struct fake_machine *fake = ctx;
	struct err err = { 0 };

	if (fake->done) {
		done(arg, err_set(&err, -EBUSY, "the VM is being paused"), &err);
		return;
	}
	fake->done = done;
	fake->arg = arg;
	if (fake->loop)
		loop_timer_set(fake->loop, &fake->timer, clock_ns() + CLOCK_NS_PER_MS);
	else
		drained(&fake->timer);
}

static void do_resume(void *ctx, qmp_machine_done *done, void *arg)
{
	struct fake_machine *fake = ctx;

	if (fake->paused)
		tell(fake, &qmp_event_resume, NULL);
	fake->paused = false;
	done(arg, 0, NULL);
}

static void do_reset(void *ctx, qmp_machine_done *done, void *arg)
{
	tell(ctx, &qmp_event_reset,
	     json_pack("{s:b, s:s}", "guest", false, "reason", "host-qmp-system-reset"));
	done(arg, 0, NULL);
}

static void do_power_button(void *ctx, qmp_machine_done *done, void *arg)
{
	tell(ctx, &qmp_event_powerdown, NULL);
	done(arg, 0, NULL);
}

static void do_nmi(void *ctx, qmp_machine_done *done, void *arg)
{
	struct fake_machine *fake = ctx;
	struct err err = { 0 };
	int r = 0;

	if (fake->nmi_fails)
		r = err_set(&err, -ENOTSUP, "the guest cannot be interrupted");
	done(arg, r, &err);
}

static void do_quit(void *ctx, qmp_machine_done *done, void *arg)
{
	struct fake_machine *fake = ctx;

	tell(fake, &qmp_event_shutdown,
	     json_pack("{s:b, s:s}", "guest", false, "reason", "host-qmp-quit"));
	fake->has_quit = true;
	if (fake->loop)
		loop_quit(fake->loop);
	done(arg, 0, NULL);
}

static int set_actions(void *ctx, const struct qmp_machine_actions *actions, struct err *err)
{
	struct fake_machine *fake = ctx;

	if (actions->watchdog)
		return err_set(err, -ENOTSUP, "there is no watchdog");
	if (actions->reboot)
		fake->reboot = (int)*actions->reboot;
	return 0;
}

static int resize_disk(void *ctx, unsigned i, uint64_t size, struct err *err)
{
	struct fake_machine *fake = ctx;

	if (size < 1 * GiB)
		return err_set(err, -EINVAL, "shrinking would lose data");
	fake->disk_sizes[i] = size;
	return 0;
}

static int throttle_disk(void *ctx, unsigned i, const struct throttle_limits *limits,
			 const char *group, struct err *err)
{
	struct fake_machine *fake = ctx;

	if (i)
		return err_set(err, -EBUSY, "the disk is elsewhere");
	fake->limits = *limits;
	if (!throttle_any(limits))
		*fake->group = '\0';
	else if (group || !*fake->group)
		snprintf(fake->group, sizeof(fake->group), "%s", group ? group : "disk0");
	return 0;
}

/* Hot plug.  A guest that is asked lets go at once, but for the device "stubborn". */

static struct fake_part *find_part(struct fake_machine *fake, bool net, const char *id)
{
	for (unsigned i = 0; i < FAKE_PARTS_MAX; i++) {
		struct fake_part *part = &fake->parts[i];

		if (part->there && part->net == net && !strcmp(part->id, id))
			return part;
	}
	return NULL;
}

static struct fake_part *find_device(struct fake_machine *fake, const char *device)
{
	for (unsigned i = 0; i < FAKE_PARTS_MAX; i++)
		if (fake->parts[i].there && !strcmp(fake->parts[i].device, device))
			return &fake->parts[i];
	return NULL;
}

static int add_part(struct fake_machine *fake, bool net, const char *id, struct err *err)
{
	if (find_part(fake, net, id))
		return err_set(err, -EEXIST, "there is '%s' already", id);
	for (unsigned i = 0; i < FAKE_PARTS_MAX; i++) {
		struct fake_part *part = &fake->parts[i];

		if (part->there)
			continue;
		*part = (struct fake_part){ .there = true, .net = net };
		snprintf(part->id, sizeof(part->id), "%s", id);
		return 0;
	}
	return err_set(err, -ENOSPC, "the machine is full");
}

static int remove_part(struct fake_machine *fake, bool net, const char *id, struct err *err)
{
	struct fake_part *part = find_part(fake, net, id);

	if (!part)
		return err_set(err, -ENOENT, "there is no '%s'", id);
	if (*part->device)
		return err_set(err, -EBUSY, "'%s' is in use", id);
	part->there = false;
	return 0;
}

static int add_disk(void *ctx, const struct qmp_machine_new_disk *disk, struct err *err)
{
	if (access(disk->path, R_OK))
		return err_sys(err, -errno, "cannot open '%s'", disk->path);
	return add_part(ctx, false, disk->id, err);
}

static int remove_disk(void *ctx, const char *id, struct err *err)
{
	return remove_part(ctx, false, id, err);
}

static int add_net(void *ctx, const struct qmp_machine_new_net *net, struct err *err)
{
	if (net->nr_fds)
		return err_set(err, -ENOTSUP, "a made-up tap has no descriptor");
	return add_part(ctx, true, net->id, err);
}

static int remove_net(void *ctx, const char *id, struct err *err)
{
	return remove_part(ctx, true, id, err);
}

static int plug(void *ctx, const struct qmp_machine_new_device *device, struct err *err)
{
	struct fake_part *part = find_part(ctx, device->net, device->back_end);

	if (find_device(ctx, device->id))
		return err_set(err, -EEXIST, "there is '%s' already", device->id);
	if (!part)
		return err_set(err, -ENOENT, "there is no '%s'", device->back_end);
	if (*part->device)
		return err_set(err, -EBUSY, "'%s' is in use", part->id);
	snprintf(part->device, sizeof(part->device), "%s", device->id);
	return 0;
}

static int unplug(void *ctx, const char *id, struct err *err)
{
	struct fake_part *part = *id ? find_device(ctx, id) : NULL;
	bool gone = strcmp(id, "stubborn");

	if (!part)
		return err_set(err, -ENOENT, "there is no '%s'", id);
	tell(ctx, gone ? &qmp_event_device_deleted : &qmp_event_device_unplug_guest_error,
	     json_pack("{s:s, s:o}", "device", id, "path",
		       json_sprintf("/machine/peripheral/%s", id)));
	if (gone)
		*part->device = '\0';
	return 0;
}

static int limit_net(void *ctx, const char *name, const struct netdev_limits *limits,
		     struct err *err)
{
	(void)ctx, (void)limits;
	return err_set(err, -ENOENT, "there is no net '%s'", name);
}

static void announce(void *ctx, const struct qmp_machine_announcement *announcement)
{
	(void)ctx, (void)announcement;
}

static int set_link(void *ctx, const char *name, bool up, struct err *err)
{
	struct fake_part *part = find_part(ctx, true, name);

	if (!part)
		return err_set(err, -ENOENT, "there is no '%s'", name);
	part->link_down = !up;
	return 0;
}

static uint64_t get_memory(void *ctx)
{
	(void)ctx;
	return 128 * MiB;
}

static bool get_cpu(void *ctx, unsigned i, struct qmp_machine_cpu *ret_cpu)
{
	(void)ctx;
	ret_cpu->thread_id = getpid();
	ret_cpu->core_id = i;
	return i < 2;
}

static unsigned get_registers(void *ctx, struct qmp_machine_register
			      ret_registers[QMP_MACHINE_REGISTERS_MAX])
{
	(void)ctx;
	ret_registers[0] = (struct qmp_machine_register){ "MIDR_EL1", 0x413fd0c1 };
	ret_registers[1] = (struct qmp_machine_register){ "ID_AA64ISAR0_EL1", UINT64_MAX };
	return 2;
}

static bool get_iothread(void *ctx, unsigned i, struct qmp_machine_iothread *ret_thread)
{
	(void)ctx;
	ret_thread->id = "io0";
	ret_thread->thread_id = getpid();
	return i < 1;
}

static bool get_chardev(void *ctx, unsigned i, struct qmp_machine_chardev *ret_chardev)
{
	(void)ctx;
	ret_chardev->label = "serial0";
	ret_chardev->filename = "stdio";
	ret_chardev->open = true;
	return i < 1;
}

static bool get_disk(void *ctx, unsigned i, struct qmp_machine_disk *ret_disk)
{
	const struct fake_machine *fake = ctx;

	*ret_disk = (struct qmp_machine_disk){
		.id = i ? "disk1" : "disk0", .device = i ? NULL : "/machine/disk0",
		.path = "disk.img", .format = "raw", .size = fake->disk_sizes[i & 1],
		.allocated = 1 * MiB, .writeback = true, .direct = true,
		.limits = *fake->group ? &fake->limits : NULL,
		.group = *fake->group ? fake->group : NULL,
		.stopped_by = i ? -ENOSPC : 0,
		.read = { .nr = 3, .bytes = 1536, .ns = 70000, .nr_failed = 1 },
	};
	return i < 2;
}

static bool get_function(void *ctx, unsigned i, struct qmp_machine_function *ret_function)
{
	(void)ctx;
	*ret_function = (struct qmp_machine_function){
		.slot = i, .class = 0x100, .vendor = 0x1af4, .device = 0x1042, .irq_pin = 1,
		.id = i ? "disk0" : NULL, .nr_bars = 2,
		.bars = {
			{ .bar = 0, .is_64 = true, .at = 0xe0000000, .size = 0x4000 },
			{ .bar = 2, .io = true, .at = UINT64_MAX, .size = 0x20 },
		},
	};
	return i < 2;
}

static bool get_queue(void *ctx, unsigned i, struct qmp_machine_queue *ret_queue)
{
	(void)ctx;
	*ret_queue = (struct qmp_machine_queue){
		.slot = 1 + i, .driver = i ? "virtio-net" : "virtio-blk", .kicks = 7,
		.interrupts = 6, .requests = 5, .has_packets = i, .packets = 4, .bytes = 400,
		.drops = 1, .vhost = i == 2,
	};
	return i < 3;
}

static int get_memory_use(void *ctx, struct qmp_machine_memory *ret_use, struct err *err)
{
	struct fake_machine *fake = ctx;

	if (fake->stats_error)
		return err_set(err, fake->stats_error, "nothing is counted");
	*ret_use = (struct qmp_machine_memory){ 40 * MiB, 30 * MiB, 3 * MiB, 2 * MiB };
	return 0;
}

static const struct qmp_machine_stat vm_stats[] = {
	{ .name = "pages_4k", .type = "instant", .base = 10, .nr_values = 1,
	  .values = (const uint64_t[]){ 12 } },
};

static const struct qmp_machine_stat vcpu_stats[] = {
	{ .name = "exits", .type = "cumulative", .base = 10, .nr_values = 1,
	  .values = (const uint64_t[]){ 1000 } },
	{ .name = "blocking", .type = "instant", .unit = "boolean", .base = 10, .nr_values = 1,
	  .values = (const uint64_t[]){ 1 } },
	{ .name = "halt_wait_hist", .type = "log2-histogram", .unit = "seconds", .base = 10,
	  .exponent = -9, .nr_values = 3, .values = (const uint64_t[]){ 1, 2, 3 } },
	{ .name = "sizes", .type = "linear-histogram", .unit = "bytes", .base = 2,
	  .exponent = 10, .bucket_size = 4, .nr_values = 2,
	  .values = (const uint64_t[]){ 8, 9 } },
};

static int read_stats(void *ctx, int vcpu, struct err *err)
{
	struct fake_machine *fake = ctx;

	if (fake->stats_error)
		return err_set(err, fake->stats_error, "nothing is counted");
	fake->stats = vcpu < 0 ? vm_stats : vcpu_stats;
	return vcpu < 0 ? ARRAY_LEN(vm_stats) : ARRAY_LEN(vcpu_stats);
}

static void get_stat(void *ctx, unsigned i, struct qmp_machine_stat *ret_stat)
{
	struct fake_machine *fake = ctx;

	*ret_stat = fake->stats[i];
}

/* Nothing moves, but how that would be said. */

static int migrate(void *ctx, const char *uri, bool resume, struct err *err)
{
	struct fake_machine *fake = ctx;

	if (resume || fake->migration.status == MIGRATION_ACTIVE)
		return err_set(err, -EBUSY, "'%s' is not the place", uri);
	fake->migration = (struct migration_info){
		.status = MIGRATION_ACTIVE, .memory = 1 * GiB, .remaining = 1 * GiB,
	};
	return 0;
}

static int migrate_cancel(void *ctx, struct err *err)
{
	struct fake_machine *fake = ctx;

	(void)err;
	if (fake->migration.status == MIGRATION_ACTIVE)
		fake->migration.status = MIGRATION_CANCELLED;
	return 0;
}

static int no_migration(void *ctx, struct err *err)
{
	(void)ctx;
	return err_set(err, -EPERM, "there is no migration");
}

static int migrate_incoming(void *ctx, const char *uri, struct err *err)
{
	(void)uri;
	return no_migration(ctx, err);
}

static const struct migration_parameters *migration_parameters(void *ctx)
{
	const struct fake_machine *fake = ctx;

	return &fake->parameters;
}

static int set_migration_parameters(void *ctx, const struct migration_parameters *parameters,
				    struct err *err)
{
	struct fake_machine *fake = ctx;

	if (parameters->tls)
		return err_set(err, -ENOENT, "there are no certificates");
	fake->parameters = *parameters;
	return 0;
}

static struct migration_info migration(void *ctx)
{
	const struct fake_machine *fake = ctx;

	return fake->migration;
}

static const char *migration_address(void *ctx)
{
	const struct fake_machine *fake = ctx;

	return fake->address;
}

static int check_movable(void *ctx, struct err *err)
{
	const struct fake_machine *fake = ctx;

	return fake->blocked ? err_set(err, -EPERM, "%s", fake->blocked) : 0;
}

/* Taken for ever, or at once. */
static void take_snapshot(void *ctx, const struct qmp_machine_snapshot *snapshot,
			  qmp_machine_snapshot_done *done, void *arg)
{
	struct fake_machine *fake = ctx;
	struct err err = { 0 };

	const struct qmp_machine_snapshot_result result = { .done = 4, .total = 4 };

	if (!strcmp(snapshot->path, "/at-once")) {
		done(arg, &result, 0, NULL);
		return;
	}
	if (!fake->loop || fake->snapshot_done) {
		done(arg, NULL, err_set(&err, -EBUSY, "'%s' has to wait", snapshot->path), &err);
		return;
	}
	fake->snapshot_done = done;
	fake->snapshot_arg = arg;
}

static void call_off_snapshot(void *ctx)
{
	struct fake_machine *fake = ctx;
	qmp_machine_snapshot_done *done = fake->snapshot_done;
	struct err err = { 0 };
	int r = err_set(&err, -ECANCELED, "called off");

	fake->snapshot_done = NULL;
	if (done)
		done(fake->snapshot_arg, NULL, r, &err);
}

static void snapshot_progress(void *ctx, uint64_t *ret_done, uint64_t *ret_total)
{
	(void)ctx;
	*ret_done = 1;
	*ret_total = 4;
}

static const struct qmp_machine_ops ops = {
	.name = get_name,
	.uuid = get_uuid,
	.status = get_status,
	.pause = do_pause,
	.resume = do_resume,
	.reset = do_reset,
	.power_button = do_power_button,
	.nmi = do_nmi,
	.quit = do_quit,
	.migrate = migrate,
	.migrate_cancel = migrate_cancel,
	.migrate_postcopy = no_migration,
	.migrate_take_back = no_migration,
	.migrate_incoming = migrate_incoming,
	.migration_parameters = migration_parameters,
	.set_migration_parameters = set_migration_parameters,
	.migration = migration,
	.migration_address = migration_address,
	.check_movable = check_movable,
	.snapshot = take_snapshot,
	.call_off_snapshot = call_off_snapshot,
	.snapshot_progress = snapshot_progress,
	.set_actions = set_actions,
	.resize_disk = resize_disk,
	.throttle_disk = throttle_disk,
	.add_disk = add_disk,
	.remove_disk = remove_disk,
	.add_net = add_net,
	.remove_net = remove_net,
	.plug = plug,
	.unplug = unplug,
	.set_link = set_link,
	.limit_net = limit_net,
	.announce = announce,
	.memory = get_memory,
	.cpu = get_cpu,
	.registers = get_registers,
	.iothread = get_iothread,
	.chardev = get_chardev,
	.disk = get_disk,
	.function = get_function,
	.queue = get_queue,
	.memory_use = get_memory_use,
	.read_stats = read_stats,
	.stat = get_stat,
};

static void tell_of_job(void *ctx, const struct qmp_event *event, json_t *data)
{
	tell(ctx, event, data);
}

void fake_machine_init(struct fake_machine *fake)
{
	*fake = (struct fake_machine){
		.machine = { .ops = &ops, .ctx = fake, .jobs = &fake->jobs },
		.jobs = { .event = tell_of_job, .ctx = fake },
		.reboot = -1,
		.parameters = migration_defaults,
		.disk_sizes = { 1 * GiB, 1 * GiB },
		.timer.fired = drained,
	};
}

/* Commands for tests. */

static void run_events(struct qmp_call *call)
{
	struct fake_machine *fake = call->machine->ctx;
	json_t *path = json_pack("{s:s, s:s}", "device", "disk0", "path", "/machine/disk0");

	tell(fake, &qmp_event_stop, NULL);
	tell(fake, &qmp_event_resume, NULL);
	tell(fake, &qmp_event_powerdown, NULL);
	tell(fake, &qmp_event_shutdown,
	     json_pack("{s:b, s:s}", "guest", true, "reason", "guest-shutdown"));
	tell(fake, &qmp_event_reset,
	     json_pack("{s:b, s:s}", "guest", true, "reason", "guest-reset"));
	tell(fake, &qmp_event_device_deleted, json_incref(path));
	tell(fake, &qmp_event_device_unplug_guest_error, path);
	tell(fake, &qmp_event_guest_panicked, json_pack("{s:s}", "action", "pause"));
	for (unsigned i = 0; i < 3; i++)
		tell(fake, &qmp_event_guest_panicked, json_pack("{s:s}", "action", "run"));
	tell(fake, &qmp_event_block_io_error,
	     json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "device", "disk0", "qom-path",
		       "/machine/disk0", "operation", "write", "action", "report", "nospace",
		       true, "reason", "No space left on device"));
	tell(fake, &qmp_event_migration, json_pack("{s:s}", "status", "setup"));
	tell(fake, &qmp_event_migration_pass, json_pack("{s:i}", "pass", 1));
	tell(fake, &qmp_event_job_status_change,
	     json_pack("{s:s, s:s}", "id", "it", "status", "running"));
	qmp_call_done(call);
}

struct held {
	struct loop_timer timer;
	struct fake_machine *fake;
	struct qmp_call *call;
	struct held *next;
};

static void let_go(struct held *held)
{
	struct held **p = &held->fake->held;

	while (*p != held)
		p = &(*p)->next;
	*p = held->next;
	loop_timer_clear(held->fake->loop, &held->timer);
	qmp_call_done(held->call);
	free(held);
}

static void hold_over(struct loop_timer *timer)
{
	let_go(container_of(timer, struct held, timer));
}

static void run_hold(struct qmp_call *call)
{
	struct fake_machine *fake = call->machine->ctx;
	struct held *held = calloc(1, sizeof(*held));

	if (!held || !fake->loop) {
		free(held);
		qmp_call_fail(call, QMP_GENERIC_ERROR, "cannot hold");
		return;
	}
	held->timer.fired = hold_over;
	held->fake = fake;
	held->call = call;
	held->next = fake->held;
	fake->held = held;
	loop_timer_set(fake->loop, &held->timer, clock_ns() + HOLD_NS);
}

void fake_machine_fini(struct fake_machine *fake)
{
	while (fake->held)
		let_go(fake->held);
	call_off_snapshot(fake);
	qmp_jobs_fini(&fake->jobs);
	if (fake->done) {
		loop_timer_clear(fake->loop, &fake->timer);
		drained(&fake->timer);
	}
}

struct fill_arguments {
	struct option_given given;
	uint32_t len;
};

static const struct option fill_rows[] = {
	{ .key = "len", OPTION(struct fill_arguments, len), .required = true,
	  .max = 512 * KiB },
};

static const struct option_object fill_options = {
	.name = "fill", OPTION_OBJECT(struct fill_arguments, fill_rows),
};

static void run_fill(struct qmp_call *call)
{
	const struct fill_arguments *arguments = call->arguments;
	char *text = malloc(arguments->len + 1);

	if (text)
		memset(text, 'x', arguments->len);
	qmp_call_return(call, text ? json_stringn(text, arguments->len) : NULL);
	free(text);
}

static const struct qmp_command commands[] = {
	{ .name = "x-events", .run = run_events },
	{ .name = "x-hold", .run = run_hold },
	{ .name = "x-fill", .arguments = &fill_options, .returns = &qmp_type_str,
	  .run = run_fill },
};

static const struct qmp_table table = { QMP_COMMANDS(commands) };

const struct qmp_table *const fake_machine_tables[] = {
	&qmp_tables_basic, &qmp_tables_fds, &qmp_tables_status, &qmp_tables_power,
	&qmp_tables_cpus, &qmp_tables_parts, &qmp_tables_block, &qmp_tables_block_change,
	&qmp_tables_blockdev, &qmp_tables_netdev, &qmp_tables_device, &qmp_tables_migrate,
	&qmp_tables_pci, &qmp_tables_snapshot, &qmp_tables_jobs, &qmp_tables_stats,
	&qmp_tables_use,
	&qmp_tables_events, &table, NULL,
};
