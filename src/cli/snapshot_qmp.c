// SPDX-License-Identifier: Apache-2.0
#include "snapshot_qmp.h"

#include "base/err.h"
#include "machine_qmp.h"
#include "migrate/snapshot_save.h"

#include <errno.h>
#include <stdlib.h>

struct take {
	qmp_machine_snapshot_done *done;
	void *arg;
};

static void taken(void *ctx, const struct snapshot_result *result, int r,
		  const struct err *err)
{
	const struct qmp_machine_snapshot_result told = {
		result->pages, result->paused_ns, result->done, result->total,
	};
	struct take *take = ctx;

	take->done(take->arg, &told, r, err);
	free(take);
}

void snapshot_qmp_take(void *ctx, const struct qmp_machine_snapshot *snapshot,
		       qmp_machine_snapshot_done *done, void *arg)
{
	const struct snapshot_request request = {
		.path = snapshot->path,
		.replace = snapshot->replace,
		.diff = snapshot->diff,
		.track = snapshot->track,
		.keep_paused = snapshot->keep_paused,
	};
	struct machine_qmp *mq = ctx;
	struct take *take = malloc(sizeof(*take));
	struct err err = { 0 };

	if (!take) {
		done(arg, NULL, err_sys(&err, -ENOMEM, "cannot take a snapshot"), &err);
		return;
	}
	*take = (struct take){ done, arg };
	snapshotter_take(mq->snapshotter, &request, taken, take);
}

void snapshot_qmp_call_off(void *ctx)
{
	struct machine_qmp *mq = ctx;

	snapshotter_call_off(mq->snapshotter);
}

void snapshot_qmp_progress(void *ctx, uint64_t *ret_done, uint64_t *ret_total)
{
	const struct machine_qmp *mq = ctx;

	snapshotter_progress(mq->snapshotter, ret_done, ret_total);
}
