// SPDX-License-Identifier: Apache-2.0
#include "fake_vm.h"

#include "base/err.h"
#include "machine/machine.h"
#include "machine/machine_state.h"
#include "machine/vm_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fake_vm fake_vm;

void fake_vm_open(uint64_t len, bool source)
{
	fake_vm = (struct fake_vm){ .running = source, .asleep = !source };
	if (ram_open(&fake_vm.ram, len, NULL))
		abort();
}

void fake_vm_close(void)
{
	ram_close(&fake_vm.ram);
}

void fake_vm_let_go(void)
{
	struct machine_holder *holder = fake_vm.holder;

	fake_vm.holder = NULL;
	if (holder)
		holder->let_go(holder);
}

bool fake_vm_reset(void)
{
	struct machine_holder *holder = fake_vm.holder;

	if (!holder->step_aside(holder)) {
		fake_vm_let_go();
		return false;
	}
	memset(fake_vm.ram.host, 0, fake_vm.ram.len);
	holder->come_back(holder);
	return true;
}

enum machine_state machine_state(const struct machine *m)
{
	(void)m;
	return fake_vm.moved ? MACHINE_MOVED :
	       fake_vm.handed_over ? MACHINE_HANDED_OVER :
	       fake_vm.saving ? MACHINE_SAVING :
	       fake_vm.running ? MACHINE_RUNNING : MACHINE_PAUSED;
}

int machine_resume(struct machine *m, struct err *err)
{
	(void)m, (void)err;
	fake_vm.running = true;
	return 0;
}

int machine_start(struct machine *m, struct err *err)
{
	(void)m, (void)err;
	fake_vm.running = true;
	return 0;
}

void machine_announce(struct machine *m, const struct machine_announcement *announcement)
{
	(void)m, (void)announcement;
}

int machine_state_save_plan(struct machine *m, struct state_writer *writer, struct err *err)
{
	(void)m, (void)writer, (void)err;
	return 0;
}

int machine_state_save(struct machine *m, struct state_writer *writer, struct err *err)
{
	(void)m, (void)writer, (void)err;
	return 0;
}

int machine_state_prepare(struct machine *m, struct state_reader *reader, struct err *err)
{
	(void)m, (void)reader, (void)err;
	return 0;
}

int machine_state_load(struct machine *m, struct state_reader *reader,
		       const struct machine_change *change, struct err *err)
{
	(void)m, (void)reader, (void)change;
	return fake_vm.load_fails ? err_set(err, fake_vm.load_fails, "it cannot be loaded") : 0;
}

int machine_state_begin_save(struct machine *m, struct err *err)
{
	(void)m, (void)err;
	fake_vm.saving = true;
	fake_vm.running = false;
	return 0;
}

bool machine_state_end_save(struct machine *m, bool paused)
{
	bool goes_on = fake_vm.saving && !fake_vm.stopped;

	(void)m;
	fake_vm.running |= goes_on && !paused;
	fake_vm.saving = false;
	return goes_on && paused;
}

int machine_state_describe(const struct machine *m, struct vm_config *ret_config, struct err *err)
{
	(void)m, (void)err;
	if (option_defaults(&vm_config_options, ret_config))
		abort();
	free(ret_config->name);
	ret_config->name = strdup("fake");
	return 0;
}

int machine_state_hold(struct machine *m, struct machine_holder *holder, struct err *err)
{
	(void)m;
	if (fake_vm.holder)
		return err_set(err, -EBUSY, "it is held");
	fake_vm.holder = holder;
	return 0;
}

void machine_state_release(struct machine *m, struct machine_holder *holder)
{
	(void)m;
	if (fake_vm.holder == holder)
		fake_vm.holder = NULL;
}

struct ram *machine_state_ram(struct machine *m)
{
	(void)m;
	return &fake_vm.ram;
}

int machine_state_log(struct machine *m, bool on, struct err *err)
{
	(void)m, (void)on, (void)err;
	return 0;
}

int machine_state_settle(struct machine *m, struct err *err)
{
	(void)m, (void)err;
	return 0;
}

int machine_state_log_take(struct machine *m, uint64_t *bitmap, struct err *err)
{
	(void)m, (void)bitmap, (void)err;
	return 0;
}

void machine_state_throttle(struct machine *m, unsigned percent)
{
	(void)m, (void)percent;
}

int machine_state_hand_over(struct machine *m, struct err *err)
{
	(void)m;
	if (fake_vm.waits) {
		fake_vm.waits--;
		return err_set(err, -EAGAIN, "not yet");
	}
	fake_vm.running = false;
	fake_vm.handed_over = true;
	return 0;
}

int machine_state_take_back(struct machine *m, struct err *err)
{
	int r = machine_state_wake_disks(m, err);

	if (!r && fake_vm.handed_over) {
		fake_vm.handed_over = false;
		fake_vm.running = true;
	}
	return r;
}

void machine_state_moved(struct machine *m)
{
	(void)m;
	fake_vm.moved = true;
}

bool machine_state_runs(const struct machine *m)
{
	(void)m;
	return true;
}

void machine_state_set_away(struct machine *m, uint64_t ns)
{
	(void)m, (void)ns;
}

void machine_state_set_paused(struct machine *m, bool paused)
{
	(void)m, (void)paused;
}

struct disk *machine_state_disk(const struct machine *m, uint32_t i, const char **ret_id)
{
	(void)m, (void)i, (void)ret_id;
	return NULL;
}

bool hotplug_disk(const struct machine *m, uint32_t i, struct machine_disk *ret_disk)
{
	(void)m;
	if (i >= fake_vm.nr_shown)
		return false;
	*ret_disk = fake_vm.shown[i];
	return true;
}

int machine_state_flush(struct machine *m, struct err *err)
{
	(void)m;
	if (fake_vm.at_disks)
		fake_vm.at_disks();
	return fake_vm.flush_fails ? err_set(err, fake_vm.flush_fails, "it cannot be flushed") : 0;
}

int machine_state_sleep_disks(struct machine *m, struct err *err)
{
	(void)m, (void)err;
	if (fake_vm.at_disks)
		fake_vm.at_disks();
	fake_vm.asleep = true;
	return 0;
}

int machine_state_wake_disks(struct machine *m, struct err *err)
{
	(void)m;
	if (fake_vm.wake_fails)
		return err_set(err, fake_vm.wake_fails, "its disks are in use");
	fake_vm.asleep = false;
	return 0;
}

int machine_state_make_disk(struct machine *m, const char *id, uint64_t size, struct err *err)
{
	(void)m, (void)id, (void)size, (void)err;
	return 0;
}

int machine_state_name_disks(struct machine *m, struct err *err)
{
	(void)m;
	if (fake_vm.name_fails)
		return err_set(err, fake_vm.name_fails, "its disks have no place");
	fake_vm.named = true;
	return 0;
}

void machine_state_keep_disks(struct machine *m)
{
	(void)m;
	fake_vm.kept = fake_vm.named;
}
