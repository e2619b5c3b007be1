// SPDX-License-Identifier: Apache-2.0
/*
 * machine_limits.c - disks get limits, each for itself or several together.
 *
 * Who shares limits is found by the name of the group, which is a disk's id where
 * nobody has said another.  Only the main thread changes anything here, by having
 * the disk's loop do it; so it may look without asking that loop.
 */
#include "base/err.h"
#include "block/disk.h"
#include "block/throttle.h"
#include "machine_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct throttle_group *find_group(const struct machine *m, const char *name)
{
	for (const struct machine_part *part = m->parts; part; part = part->next) {
		struct throttle_group *group = part->device.disk ?
					       disk_throttle(part->device.disk) : NULL;

		if (group && !strcmp(throttle_group_name(group), name))
			return group;
	}
	return NULL;
}

struct loop *machine_part_group_loop(const struct machine *m, const char *name)
{
	const struct throttle_group *group = find_group(m, name);

	return group ? throttle_group_loop(group) : NULL;
}

struct change {
	struct disk *disk;
	struct throttle_group *group;
	const struct throttle_limits *limits;	/* NULL: as they are */
};

static void call_change(void *ctx)
{
	const struct change *change = ctx;

	/* Limits first: by a group that has none all that waits would go through. */
	if (change->group && change->limits)
		throttle_group_set(change->group, change->limits);
	disk_set_throttle(change->disk, change->group);
}

static int change_limits(struct machine_part *part, struct throttle_group *group,
			 const char *name, const struct throttle_limits *limits,
			 struct err *err)
{
	struct change change = { part->device.disk, group, limits };

	if (!group)
		change.group = throttle_group_new(part->device.loop, name);
	if (!change.group)
		return err_sys(err, -ENOMEM, "disk '%s'", part->id);
	if (throttle_group_loop(change.group) != part->device.loop)
		return err_set(err, -EBUSY, "disk '%s' is on another I/O thread than those of "
			       "group '%s': name the group when the VM is started", part->id,
			       name);
	loop_call(part->device.loop, call_change, &change);
	return 0;
}

int machine_part_limit(struct machine_part *part, const struct vm_disk_config *config,
		       struct err *err)
{
	const char *name = config->group ? config->group : part->id;
	struct throttle_group *group = find_group(part->machine, name);
	bool any = throttle_any(&config->limits);

	if (!any && !config->group)
		return 0;
	if (any && group && throttle_any(throttle_group_limits(group)) &&
	    !throttle_equal(throttle_group_limits(group), &config->limits))
		return err_set(err, -EINVAL, "disk '%s': another disk gives group '%s' other "
			       "limits: give them once", part->id, name);
	return change_limits(part, group, name, any ? &config->limits : NULL, err);
}

/* A length says something beside what it is a length of only. */
static struct bucket_limit in_short(struct bucket_limit limit)
{
	if (!limit.max)
		limit.length = 0;
	return limit;
}

int machine_part_describe_limits(const struct machine_part *part, struct vm_disk_config *config)
{
	const struct throttle_group *group = disk_throttle(part->device.disk);

	free(config->group);
	config->group = NULL;
	config->limits = (struct throttle_limits){ 0 };
	if (!group)
		return 0;
	config->limits = *throttle_group_limits(group);
	for (unsigned i = 0; i < THROTTLE_NR_KINDS; i++)
		config->limits.of[i] = in_short(config->limits.of[i]);
	config->group = strdup(throttle_group_name(group));
	return config->group ? 0 : -ENOMEM;
}

static void leave(struct machine_part *part)
{
	struct change change = { .disk = part->device.disk };

	loop_call(part->device.loop, call_change, &change);
}

void machine_part_unlimit(struct machine_part *part)
{
	if (part->device.disk && disk_throttle(part->device.disk))
		leave(part);
}

int machine_throttle_disk(struct machine *m, uint32_t i, const struct throttle_limits *limits,
			  const char *name, struct err *err)
{
	struct machine_part *part = machine_part_disk(m, i);
	struct throttle_group *group = disk_throttle(part->device.disk);

	if (!throttle_any(limits)) {
		leave(part);
		return 0;
	}
	if (!name)
		name = group ? throttle_group_name(group) : part->id;
	return change_limits(part, find_group(m, name), name, limits, err);
}
