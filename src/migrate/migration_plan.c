// SPDX-License-Identifier: Apache-2.0
#include "migration_plan.h"

#include "base/err.h"
#include "state/state.h"

#include <errno.h>

static const struct state_field disk_fields[] = {
	{ STATE_ARRAY(struct migration_plan_disk, id) },
	{ STATE_ONE(struct migration_plan_disk, size) },
	STATE_END
};

static const struct state_field fields[] = {
	{ STATE_ARRAY(struct migration_plan, session) },
	{ STATE_ONE(struct migration_plan, streams) },
	{ STATE_ONE(struct migration_plan, postcopy) },
	{ STATE_STRUCT_LIST(struct migration_plan, disks, nr_disks, disk_fields), .added = true },
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
	return r;
}
