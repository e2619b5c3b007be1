// SPDX-License-Identifier: Apache-2.0
/*
 * machine.c - back ends, and one board after the other.
 *
 * The guest's own doing (power-off, reset, death) is noticed on vCPU threads.
 * The first such event counts: a guest that asked for a reset may well fault
 * before the main thread gets to it.
 */
#include "machine/machine.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "board.h"
#include "board_stats.h"
#include "cpu/vcpu.h"
#include "loop/loop.h"
#include "machine/machine_state.h"
#include "machine/machine_stats.h"
#include "machine/vm_config.h"
#include "machine_parts.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Instead of an enum board_event. */
#define NO_EVENT	(-1)
#define TAKEN		(-2)	/* what comes after it does not count */

static void happened(struct machine *m, enum machine_event event, enum machine_cause cause)
{
	m->config.happened(m->config.ctx, event, cause);
}

/* One that is not running already is not stopped, but is in that state from now on. */
static void stop_in(struct machine *m, enum machine_state state)
{
	bool runs = m->state == MACHINE_RUNNING;

	if (runs)
		board_pause(m->board);
	m->state = state;
	if (runs)
		happened(m, MACHINE_STOP, MACHINE_CAUSE_HOST_UI);
}

/* Disks that fail. */

/* On the disk's loop. */
void machine_parts_disk_failed(void *ctx, const struct disk_failure *failure)
{
	struct machine_part *part = ctx;
	struct disk_failure *untold = &part->failure;

	pthread_mutex_lock(&part->lock);
	if (!untold->error || untold->verdict != DISK_STOP || failure->verdict == DISK_STOP)
		*untold = *failure;
	pthread_mutex_unlock(&part->lock);
	loop_post(part->machine->config.main, &part->tell);
}

static void say_trouble(const struct machine_part *part, const struct disk_failure *failure)
{
	static struct log_limit limit;
	const char *id = part->id;
	const char *what = failure->op == DISK_READ ? "read" : "write";
	const char *why = strerror(-failure->error);

	if (failure->verdict == DISK_STOP)
		log_error("disk '%s': cannot %s: %s; the VM is stopped, and tries again when QMP "
			  "says 'cont'", id, what, why);
	else
		log_limited(&limit, LOG_WARN, "disk '%s': cannot %s: %s", id, what, why);
}

void machine_parts_tell_trouble(struct loop_task *task)
{
	struct machine_part *part = container_of(task, struct machine_part, tell);
	struct machine *m = part->machine;
	struct disk_failure failure;

	pthread_mutex_lock(&part->lock);
	failure = part->failure;
	part->failure = (struct disk_failure){ 0 };
	pthread_mutex_unlock(&part->lock);
	if (m->ended || !failure.error)
		return;
	/* What went with its device is not tried again, so that nothing is to stop for. */
	if (failure.verdict == DISK_STOP && !part->device_id)
		failure.verdict = DISK_REPORT;
	say_trouble(part, &failure);
	m->config.disk_failed(m->config.ctx, machine_part_index(m, part), &failure);
	if (failure.verdict == DISK_STOP) {
		part->stopped_by = failure.error;
		if (m->state == MACHINE_RUNNING)
			stop_in(m, MACHINE_IO_ERROR);
	}
}

/* They are tried again, or nobody asks for what has failed any more. */
static void forget_failures(struct machine *m)
{
	for (struct machine_part *part = m->parts; part; part = part->next)
		part->stopped_by = 0;
}

/* I/O threads. */

static int make_loops(struct machine *m, struct err *err)
{
	m->loops = calloc(m->config.vm->io_threads, sizeof(*m->loops));
	if (!m->loops)
		return err_sys(err, -ENOMEM, "cannot make the I/O threads");
	for (uint32_t i = 0; i < m->config.vm->io_threads; i++) {
		int r = loop_new(&m->loops[i], err);

		if (r < 0)
			return r;
	}
	log_info("disks and cards use %s", loop_engine(m->loops[0]));
	return 0;
}

static int start_loops(struct machine *m, struct err *err)
{
	while (m->nr_running < m->config.vm->io_threads) {
		char name[16];
		int r;

		snprintf(name, sizeof(name), "io%u", m->nr_running);
		r = loop_start(m->loops[m->nr_running], name, err);
		if (r < 0)
			return r;
		m->nr_running++;
	}
	return 0;
}

static void free_loops(struct machine *m)
{
	for (uint32_t i = 0; m->loops && i < m->config.vm->io_threads; i++)
		loop_free(m->loops[i]);
	free(m->loops);
}

/* Boards, and their events. */

static void board_event(void *ctx, enum board_event event, struct vcpu *vcpu,
			const char *why)
{
	struct machine *m = ctx;
	int none = NO_EVENT;

	if (event == BOARD_PANICKED)
		atomic_store(&m->panicked, true);
	else if (!atomic_compare_exchange_strong(&m->event, &none, event))
		return;
	if (event == BOARD_DIED) {
		log_error("vCPU %u: %s; its registers:", vcpu_id(vcpu), why);
		vcpu_print(vcpu, stderr);
	}
	loop_post(m->config.main, &m->on_event);
}

int machine_parts_new_board(struct machine *m, struct state_reader *plan, struct err *err)
{
	const struct board_config config = {
		.vm = m->config.vm,
		.devices = machine_parts_devices(m),
		.loaded = m->state == MACHINE_INCOMING,
		.plan = plan,
		.hotplug_slots = m->hotplug_slots,
		.console = m->config.console,
		.opening = m->config.opening,
		.event = board_event,
		.slot_changed = machine_parts_slot_changed,
		.ctx = m,
	};

	m->event = NO_EVENT;
	m->panicked = false;
	return board_new(&m->board, &config, err);
}

bool machine_parts_undecided(const struct machine *m)
{
	return m->event != NO_EVENT || m->panicked || m->ejected || m->refused;
}

/*
 * Pages that are missing come as long as anybody may wait for one: what a device would find
 * there after that might be on a disk.
 */
static void stop_filling(struct machine *m)
{
	if (!m->holder || !m->holder->fill_soon)
		return;
	m->holder->fill_soon(m->holder);
	if (m->state == MACHINE_RUNNING)
		board_pause(m->board);
}

static void end(struct machine *m, enum machine_end end, enum machine_cause cause)
{
	if (m->ended)
		return;
	m->ended = true;
	loop_timer_clear(m->config.main, &m->timeout);
	stop_filling(m);
	machine_parts_let_go(m);
	m->board = board_free(m->board);
	happened(m, MACHINE_SHUTDOWN, cause);
	m->config.ended(m->config.ctx, end);
}

static void reset(struct machine *m, enum machine_cause cause)
{
	struct err err = { 0 };
	bool aside;

	log_info("reset");
	stop_filling(m);
	aside = machine_parts_step_aside(m);
	m->hotplug_slots = aside ? board_hotplug_slots(m->board) : 0;
	m->board = board_free(m->board);
	machine_parts_settle(m);
	forget_failures(m);
	if (machine_parts_new_board(m, NULL, &err) < 0 ||
	    board_start(m->board, m->state != MACHINE_RUNNING, &err) < 0) {
		log_error("cannot start again after a reset: %s", err.text);
		end(m, MACHINE_DIED, MACHINE_CAUSE_HOST_ERROR);
		return;
	}
	if (m->state != MACHINE_RUNNING)
		m->state = MACHINE_PRELAUNCH;
	if (aside)
		machine_parts_come_back(m);
	happened(m, MACHINE_RESET, cause);
}

/* Who was asked to shut down is not kept. */
static void shut_down(struct machine *m, enum machine_end how, enum machine_cause cause)
{
	if (m->actions.shutdown != VM_SHUTDOWN_PAUSE || m->timeout.set) {
		end(m, how, cause);
		return;
	}
	happened(m, MACHINE_SHUTDOWN, cause);
	stop_in(m, MACHINE_SHUT_DOWN);
}

static void restart(struct machine *m, enum machine_cause cause)
{
	if (m->actions.reboot == VM_REBOOT_SHUTDOWN)
		shut_down(m, MACHINE_POWEROFF, cause);
	else
		reset(m, cause);
}

static void panicked(struct machine *m)
{
	static struct log_limit limit;
	enum vm_panic action = m->actions.panic;

	log_limited(&limit, LOG_ERROR, "the guest's kernel has panicked");
	/* A shutdown that is a pause keeps the panic in sight. */
	if (action == VM_PANIC_SHUTDOWN && m->actions.shutdown == VM_SHUTDOWN_PAUSE)
		action = VM_PANIC_PAUSE;
	if (action == VM_PANIC_NONE) {
		happened(m, MACHINE_PANIC_IGNORED, MACHINE_CAUSE_GUEST_PANIC);
	} else if (action == VM_PANIC_PAUSE) {
		happened(m, MACHINE_PANIC_STOPS, MACHINE_CAUSE_GUEST_PANIC);
		stop_in(m, MACHINE_CRASHED);
	} else {
		happened(m, MACHINE_PANICKED, MACHINE_CAUSE_GUEST_PANIC);
		shut_down(m, action == VM_PANIC_SHUTDOWN ? MACHINE_POWEROFF : MACHINE_DIED,
			  MACHINE_CAUSE_GUEST_PANIC);
	}
}

static void on_event(struct loop_task *task)
{
	struct machine *m = container_of(task, struct machine, on_event);

	if (!m->ended && atomic_exchange(&m->panicked, false))
		panicked(m);
	if (m->ended || atomic_load(&m->event) == NO_EVENT)
		return;
	switch (atomic_exchange(&m->event, TAKEN)) {
	case BOARD_POWEROFF:
		shut_down(m, MACHINE_POWEROFF, MACHINE_CAUSE_GUEST_SHUTDOWN);
		break;
	case BOARD_RESET:
		/* Who was asked to shut down is not started again to be killed. */
		if (m->timeout.set)
			end(m, MACHINE_POWEROFF, MACHINE_CAUSE_GUEST_RESET);
		else
			restart(m, MACHINE_CAUSE_GUEST_RESET);
		break;
	case BOARD_DIED:
		end(m, MACHINE_DIED, MACHINE_CAUSE_HOST_ERROR);
		break;
	}
}

/* From outside. */

void machine_force(struct machine *m, enum machine_cause cause)
{
	end(m, m->state == MACHINE_MOVED ? MACHINE_POWEROFF : MACHINE_FORCED, cause);
}

static void timed_out(struct loop_timer *timer)
{
	struct machine *m = container_of(timer, struct machine, timeout);

	log_warn("the guest has not shut down within %u s: ending it",
		 m->config.vm->shutdown_timeout);
	machine_force(m, MACHINE_CAUSE_HOST_SIGNAL);
}

void machine_power_button(struct machine *m)
{
	if (m->ended || !m->board)
		return;
	log_info("pressing the power button");
	board_power_button(m->board);
	happened(m, MACHINE_POWERDOWN, MACHINE_CAUSE_HOST_UI);
}

static bool nobody_to_ask(const struct machine *m)
{
	return m->state == MACHINE_SHUT_DOWN || m->state == MACHINE_CRASHED ||
	       m->state == MACHINE_INCOMING || m->state == MACHINE_MOVED;
}

static enum machine_end end_without_guest(const struct machine *m)
{
	if (m->state == MACHINE_INCOMING)
		return MACHINE_ABSENT;
	return m->state == MACHINE_CRASHED ? MACHINE_DIED : MACHINE_POWEROFF;
}

void machine_shut_down(struct machine *m)
{
	if (m->ended)
		return;
	if (m->timeout.set) {
		machine_force(m, MACHINE_CAUSE_HOST_SIGNAL);
		return;
	}
	if (nobody_to_ask(m)) {
		end(m, end_without_guest(m), MACHINE_CAUSE_HOST_SIGNAL);
		return;
	}
	loop_timer_set(m->config.main, &m->timeout,
		       clock_ns() + m->config.vm->shutdown_timeout * CLOCK_NS_PER_S);
	machine_power_button(m);
}

int machine_check_ours(const struct machine *m, struct err *err)
{
	if (m->state == MACHINE_HANDED_OVER)
		return err_set(err, -EPERM, "the VM is being handed over, and may run elsewhere: "
			       "if you know that it does not, take it back");
	if (m->state == MACHINE_MOVED)
		return err_set(err, -EPERM, "the VM has moved, and runs elsewhere");
	return 0;
}

void machine_pause(struct machine *m)
{
	if (!m->ended && m->state == MACHINE_RUNNING)
		stop_in(m, MACHINE_PAUSED);
	else if (m->state == MACHINE_SAVING && m->before == MACHINE_RUNNING)
		m->before = MACHINE_PAUSED;
	else if (m->state == MACHINE_INCOMING)
		m->config.paused = true;
}

int machine_resume(struct machine *m, struct err *err)
{
	int r;

	if (m->state == MACHINE_SHUT_DOWN)
		return err_set(err, -EPERM, "the VM is in state 'shutdown': reset "
			       "(system_reset) and then cont make it run again");
	r = machine_check_ours(m, err);
	if (r < 0)
		return r;
	if (m->ended || m->state == MACHINE_RUNNING)
		return 0;
	if (m->state == MACHINE_SAVING) {
		m->before = MACHINE_RUNNING;
		return 0;
	}
	if (m->state == MACHINE_INCOMING) {
		m->config.paused = false;
		return 0;
	}
	forget_failures(m);
	board_resume(m->board);
	m->state = MACHINE_RUNNING;
	happened(m, MACHINE_RESUME, MACHINE_CAUSE_HOST_UI);
	return 0;
}

enum machine_state machine_state(const struct machine *m)
{
	return m->state;
}

const struct vm_action_config *machine_actions(const struct machine *m)
{
	return &m->actions;
}

void machine_set_actions(struct machine *m, const struct vm_action_config *actions)
{
	m->actions = *actions;
}

/* One that is, or may be, another's is left alone. */
void machine_reset(struct machine *m)
{
	if (!m->ended && m->state != MACHINE_INCOMING && m->state != MACHINE_HANDED_OVER &&
	    m->state != MACHINE_MOVED)
		restart(m, MACHINE_CAUSE_HOST_RESET);
}

int machine_dump_tree(struct machine *m, const char *path, struct err *err)
{
	return board_dump_tree(m->board, path, err);
}

int machine_nmi(struct machine *m, struct err *err)
{
	return !m->ended && m->board ? board_nmi(m->board, err) : 0;
}

int machine_vcpu_thread(const struct machine *m, uint32_t i)
{
	return m->board ? board_vcpu_thread(m->board, i) : 0;
}

int machine_io_thread(const struct machine *m, uint32_t i)
{
	return i < m->nr_running ? loop_thread_id(m->loops[i]) : 0;
}

struct uart *machine_console(struct machine *m)
{
	return m->board ? board_console(m->board) : NULL;
}

struct pci_bus *machine_pci(struct machine *m)
{
	return m->board ? board_pci(m->board) : NULL;
}

/* A machine without a board has nothing to count. */
static int gone(struct err *err)
{
	return err_set(err, -ESHUTDOWN, "the VM has ended, or has not come yet");
}

int machine_stats_kvm(struct machine *m, int vcpu, struct kvm_stats **ret_stats,
		      struct err *err)
{
	return m->board ? board_stats_kvm(m->board, vcpu, ret_stats, err) : gone(err);
}

struct vcpu_exits machine_stats_exits(const struct machine *m, uint32_t vcpu)
{
	return m->board ? board_stats_exits(m->board, vcpu) : (struct vcpu_exits){ 0 };
}

unsigned machine_stats_registers(const struct machine *m,
				 struct vcpu_register ret_registers[VCPU_REGISTERS_MAX])
{
	return m->board ? board_stats_registers(m->board, ret_registers) : 0;
}

bool machine_stats_queue(const struct machine *m, unsigned i,
			 struct machine_queue *ret_queue)
{
	return m->board && board_stats_queue(m->board, i, ret_queue);
}

int machine_stats_ram(const struct machine *m, struct ram_use *ret_guest,
		      struct ram_use *ret_rest, struct err *err)
{
	return m->board ? board_stats_ram(m->board, ret_guest, ret_rest, err) : gone(err);
}

int machine_disk_error(const struct machine *m, uint32_t i)
{
	return machine_part_disk(m, i)->stopped_by;
}

struct resize {
	struct disk *disk;
	uint64_t size;
	struct err *err;
	int result;
};

static void call_resize(void *ctx)
{
	struct resize *resize = ctx;

	resize->result = disk_resize(resize->disk, resize->size, resize->err);
}

int machine_resize_disk(struct machine *m, uint32_t i, uint64_t size, struct err *err)
{
	struct machine_part *part = machine_part_disk(m, i);
	struct resize resize = { .disk = part->device.disk, .size = size, .err = err };

	loop_call(disk_loop(resize.disk), call_resize, &resize);
	return resize.result;
}

int machine_start(struct machine *m, struct err *err)
{
	bool loaded = m->state == MACHINE_INCOMING;
	int r;

	if (loaded)
		m->state = m->config.paused ? MACHINE_PAUSED : MACHINE_RUNNING;
	r = board_start(m->board, m->state != MACHINE_RUNNING, err);
	if (!r && loaded && m->state == MACHINE_RUNNING)
		happened(m, MACHINE_RESUME, MACHINE_CAUSE_HOST_UI);
	return r;
}

/* Life. */

int machine_new(struct machine **ret_machine, const struct machine_config *config,
		struct err *err)
{
	struct machine *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_sys(err, -ENOMEM, "cannot make a machine");
	m->config = *config;
	pthread_mutex_init(&m->parts_lock, NULL);
	m->on_event.run = on_event;
	m->on_slots.run = machine_parts_look_at_slots;
	m->timeout.fired = timed_out;
	m->announce_timer.fired = machine_parts_announce;
	m->throttle_timer.fired = machine_parts_throttle;
	m->actions = config->vm->action;
	if (config->incoming)
		m->state = MACHINE_INCOMING;
	else
		m->state = config->paused ? MACHINE_PRELAUNCH : MACHINE_RUNNING;
	r = make_loops(m, err);
	if (!r)
		r = machine_parts_open(m, err);
	if (!r)
		r = start_loops(m, err);
	if (!r && !config->incoming)
		r = machine_parts_new_board(m, NULL, err);
	if (!r)
		r = machine_parts_begin(m, err);
	if (r < 0) {
		machine_parts_undo(m);
		machine_free(m);
		return r;
	}
	*ret_machine = m;
	return 0;
}

void machine_undo(struct machine *m)
{
	machine_parts_undo(m);
}

struct machine *machine_free(struct machine *m)
{
	if (!m)
		return NULL;
	machine_parts_let_go(m);
	board_free(m->board);
	loop_cancel(m->config.main, &m->on_event);
	loop_cancel(m->config.main, &m->on_slots);
	loop_timer_clear(m->config.main, &m->timeout);
	loop_timer_clear(m->config.main, &m->announce_timer);
	for (uint32_t i = 0; i < m->nr_running; i++)
		loop_stop(m->loops[i]);
	machine_parts_close(m);
	free_loops(m);
	pthread_mutex_destroy(&m->parts_lock);
	free(m);
	return NULL;
}
