// SPDX-License-Identifier: Apache-2.0
#include "migration_plan.h"

#include "base/err.h"
#include "state/state.h"

#include <errno.h>

static const struct state_field fields[] = {
	{ STATE_ARRAY(struct migration_plan, session) },
	{ STATE_ONE(struct migration_plan, streams) },
	{ STATE_ONE(struct migration_plan, postcopy) },
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
	return r;
}
