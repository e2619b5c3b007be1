// SPDX-License-Identifier: Apache-2.0
#include "migration_plan.h"

#include "base/err.h"
#include "base/quote.h"
#include "block/disk.h"
#include "machine/hotplug.h"
#include "state/state.h"

#include <errno.h>
#include <string.h>

static const struct state_field disk_fields[] = {
	{ STATE_ARRAY(struct migration_plan_disk, id) },
	{ STATE_ONE(struct migration_plan_disk, size) },
	STATE_END
};

static const struct state_field shown_fields[] = {
	{ STATE_ARRAY(struct migration_plan_shown, id) },
	{ STATE_ARRAY(struct migration_plan_shown, serial) },
	{ STATE_ONE(struct migration_plan_shown, size) },
	{ STATE_ONE(struct migration_plan_shown, file_system) },
	{ STATE_ONE(struct migration_plan_shown, inode) },
	STATE_END
};

/* Who does not know what is shown can take the guest all the same. */
static const struct state_field fields[] = {
	{ STATE_ARRAY(struct migration_plan, session) },
	{ STATE_ONE(struct migration_plan, streams) },
	{ STATE_ONE(struct migration_plan, postcopy) },
	{ STATE_STRUCT_LIST(struct migration_plan, disks, nr_disks, disk_fields), .added = true },
	{ STATE_STRUCT_LIST(struct migration_plan, shown, nr_shown, shown_fields),
	  .added = true, .hint = true },
	STATE_END
};

static const struct state_table table = { .name = "migration", .version = 1, .fields = fields };

void migration_plan_save(struct state_writer *writer, const struct migration_plan *plan)
{
	state_save(writer, &table, 0, plan);
}

int migration_plan_load(struct state_reader *reader, struct migration_plan *ret_plan,
			struct err *err)
{
	int r = state_load(reader, &table, 0, ret_plan, err);

	if (!r && (!ret_plan->streams || ret_plan->streams > MESSAGE_STREAMS_MAX))
		r = err_set(err, -EINVAL, "there cannot be %u channels", ret_plan->streams);
	for (uint32_t i = 0; !r && i < ret_plan->nr_disks; i++)
		ret_plan->disks[i].id[VM_CONFIG_NAME_MAX] = 0;
	for (uint32_t i = 0; !r && i < ret_plan->nr_shown; i++) {
		ret_plan->shown[i].id[VM_CONFIG_NAME_MAX] = 0;
		ret_plan->shown[i].serial[MIGRATION_PLAN_SERIAL_MAX] = 0;
	}
	return r;
}

/*
 * Disks.  A path is none of it, since each host has its own; nor is the file of one that the
 * guest only reads, of which each may have a copy.
 */

static const char *serial_of(const struct machine_disk *disk)
{
	return disk->config->serial ? disk->config->serial : "";
}

void migration_plan_show(struct migration_plan *plan, const struct machine *machine, bool copied)
{
	struct machine_disk disk;

	for (uint32_t i = 0; hotplug_disk(machine, i, &disk); i++) {
		struct migration_plan_shown *shown = &plan->shown[plan->nr_shown];
		bool read_only = disk_read_only(disk.disk);
		struct disk_identity identity = { 0 };
		const char *serial = serial_of(&disk);

		if (!disk.device)
			continue;
		if (!read_only && !copied)
			identity = disk_identity(disk.disk);
		*shown = (struct migration_plan_shown){
			.size = read_only || !copied ? disk_size(disk.disk) : 0,
			.file_system = identity.file_system,
			.inode = identity.inode,
		};
		memcpy(shown->id, disk.device, strnlen(disk.device, VM_CONFIG_NAME_MAX));
		memcpy(shown->serial, serial, strnlen(serial, MIGRATION_PLAN_SERIAL_MAX));
		plan->nr_shown++;
	}
}

static bool find(const struct machine *machine, const char *id, struct machine_disk *ret_disk)
{
	for (uint32_t i = 0; hotplug_disk(machine, i, ret_disk); i++)
		if (ret_disk->device && !strcmp(ret_disk->device, id))
			return true;
	return false;
}

static int check_serial(const struct migration_plan_shown *shown, const char *serial,
			struct err *err)
{
	const char *wanted = (const char *)shown->serial;

	if (!strncmp(wanted, serial, MIGRATION_PLAN_SERIAL_MAX))
		return 0;
	return err_set(err, -EINVAL, "disk '%s': the VM has it with serial '%s', this one with "
		       "'%s': give it the same serial=", shown->id, quote_of(wanted).text, serial);
}

static int check_shown(const struct migration_plan_shown *shown, const struct machine *machine,
		       struct err *err)
{
	const struct disk_identity there = { shown->file_system, shown->inode };
	struct disk_identity here;
	struct machine_disk disk;
	int r;

	if (!find(machine, (const char *)shown->id, &disk))
		return err_set(err, -EINVAL, "disk '%s': this VM has none of that id",
			       quote_of((const char *)shown->id).text);
	r = check_serial(shown, serial_of(&disk), err);
	if (r < 0)
		return r;
	if (shown->size && shown->size != disk_size(disk.disk))
		return err_set(err, -EINVAL, "disk '%s': the VM has it with %llu bytes, this one "
			       "with %llu: give it the same image; if that has grown, tell the VM "
			       "by block_resize, or start this one anew", shown->id,
			       (unsigned long long)shown->size,
			       (unsigned long long)disk_size(disk.disk));
	here = disk_identity(disk.disk);
	if (disk_identity_differs(&there, &here))
		return err_set(err, -EINVAL, "disk '%s': its image here is another file than the "
			       "VM's: give it the same one, or have the VM come by 'vmm migrate "
			       "--with-disks'", shown->id);
	return 0;
}

int migration_plan_check(const struct migration_plan *plan, const struct machine *machine,
			 struct err *err)
{
	int r = 0;

	for (uint32_t i = 0; i < plan->nr_shown && !r; i++)
		r = check_shown(&plan->shown[i], machine, err);
	return r;
}
