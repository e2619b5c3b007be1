// SPDX-License-Identifier: Apache-2.0
/*
 * machine_disks.c - all disks of a paused machine: flushed, let go of and taken back, here
 * or by the machine that loads its state.
 */
#include "machine/machine_state.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk.h"
#include "block/disk_arrival.h"
#include "devices/pci/pci_bus.h"
#include "loop/loop.h"
#include "machine/vm_config.h"
#include "machine_parts.h"
#include "state/state.h"

#include <errno.h>
#include <string.h>

struct step {
	struct disk *disk;
	int (*take)(struct disk *disk, struct err *err);
	struct err *err;
	int result;
};

static void call_step(void *ctx)
{
	struct step *step = ctx;

	step->result = step->take(step->disk, step->err);
}

/* Each on its loop, whatever fails; the first failure is told.  None goes meanwhile. */
static int each_disk(struct machine *m,
		     int (*take)(struct disk *disk, struct err *err), struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&m->parts_lock);
	for (const struct machine_part *part = m->parts; part; part = part->next) {
		struct step step = {
			.disk = part->device.disk, .take = take, .err = r < 0 ? NULL : err,
		};

		if (part->device.kind != BOARD_DISK)
			continue;
		loop_call(disk_loop(step.disk), call_step, &step);
		if (!r)
			r = step.result;
	}
	pthread_mutex_unlock(&m->parts_lock);
	return r;
}

struct disk *machine_state_disk(const struct machine *m, uint32_t i, const char **ret_id)
{
	for (const struct machine_part *part = m->parts; part; part = part->next) {
		if (part->device.kind != BOARD_DISK || !part->device_id ||
		    disk_read_only(part->device.disk) || i--)
			continue;
		*ret_id = part->device_id;
		return part->device.disk;
	}
	return NULL;
}

int machine_state_flush(struct machine *m, struct err *err)
{
	return each_disk(m, disk_flush, err);
}

int machine_state_sleep_disks(struct machine *m, struct err *err)
{
	int r = each_disk(m, disk_sleep, err);

	if (r < 0)
		(void)each_disk(m, disk_wake, NULL);
	return r;
}

int machine_state_wake_disks(struct machine *m, struct err *err)
{
	int r = each_disk(m, disk_wake, err);

	if (r < 0)
		(void)each_disk(m, disk_sleep, NULL);
	return r;
}

/* Disks that come with their content. */

int machine_state_make_disk(struct machine *m, const char *id, uint64_t size, struct err *err)
{
	struct machine_part *part = machine_part_of_device(m, id);

	return part && part->device.kind == BOARD_DISK ?
	       disk_arrival_make(part->device.disk, size, err) : 0;
}

int machine_parts_check_disks(const struct machine *m, struct err *err)
{
	for (const struct machine_part *part = m->parts; part; part = part->next)
		if (part->device.kind == BOARD_DISK && disk_arrival_is_due(part->device.disk))
			return err_set(err, -ENOENT, "disk '%s': there is no '%s': it is made "
				       "only when the VM comes by 'vmm migrate --with-disks'",
				       part->id, part->disk.path);
	return 0;
}

int machine_state_name_disks(struct machine *m, struct err *err)
{
	return each_disk(m, disk_arrival_name, err);
}

void machine_state_keep_disks(struct machine *m)
{
	for (const struct machine_part *part = m->parts; part; part = part->next)
		if (part->device.kind == BOARD_DISK)
			disk_arrival_keep(part->device.disk);
}

/* Marks, in the state. */

struct left_disk {
	uint8_t id[VM_CONFIG_NAME_MAX + 1];	/* text */
	uint64_t size, mtime;			/* as of struct disk_mark */
};

static const struct state_field left_disk_fields[] = {
	{ STATE_ARRAY(struct left_disk, id) },
	{ STATE_ONE(struct left_disk, size) },
	{ STATE_ONE(struct left_disk, mtime) },
	STATE_END
};

struct left_disks {
	uint32_t nr;
	struct left_disk disks[PCI_BUS_SLOTS];
};

static const struct state_field left_disks_fields[] = {
	{ STATE_STRUCT_LIST(struct left_disks, disks, nr, left_disk_fields) },
	STATE_END
};

static const struct state_table left_disks_table = {
	.name = "disks", .version = 1, .fields = left_disks_fields,
};

/* What no device is made of the other machine has not. */
static bool is_shown(const struct machine_part *part)
{
	return part->device.kind == BOARD_DISK && part->device_id;
}

void machine_parts_save_marks(const struct machine *m, struct state_writer *writer)
{
	struct left_disks left = { 0 };

	for (const struct machine_part *part = m->parts; part; part = part->next) {
		struct left_disk *disk = &left.disks[left.nr];
		struct disk_mark mark;

		if (!is_shown(part))
			continue;
		mark = disk_mark(part->device.disk);
		if (!mark.known)
			continue;
		memcpy(disk->id, part->device_id, strnlen(part->device_id, VM_CONFIG_NAME_MAX));
		disk->size = mark.size;
		disk->mtime = mark.mtime;
		left.nr++;
	}
	if (left.nr)
		state_save(writer, &left_disks_table, 0, &left);
}

struct expectation {
	struct disk *disk;
	struct disk_mark mark;
};

static void call_expect(void *ctx)
{
	const struct expectation *expectation = ctx;

	disk_expect(expectation->disk, &expectation->mark);
}

static int expect(const struct machine *m, struct left_disk *left, struct err *err)
{
	const struct machine_part *part = m->parts;
	struct expectation expectation = {
		.mark = { .size = left->size, .mtime = left->mtime, .known = true },
	};

	left->id[VM_CONFIG_NAME_MAX] = 0;
	while (part && !(is_shown(part) && !strcmp(part->device_id, (const char *)left->id)))
		part = part->next;
	if (!part)
		return err_set(err, -EINVAL, "state: there is no disk '%s'", left->id);
	expectation.disk = part->device.disk;
	loop_call(disk_loop(expectation.disk), call_expect, &expectation);
	return 0;
}

int machine_parts_load_marks(struct machine *m, struct state_reader *reader, struct err *err)
{
	struct left_disks left = { 0 };
	int r = 0;

	if (state_has(reader, &left_disks_table, 0))
		r = state_load(reader, &left_disks_table, 0, &left, err);
	for (uint32_t i = 0; i < left.nr && !r; i++)
		r = expect(m, &left.disks[i], err);
	return r;
}
