// SPDX-License-Identifier: Apache-2.0
/*
 * machine_disks.c - all disks of a paused machine: flushed, let go of and taken back.
 */
#include "machine/machine_state.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk.h"
#include "loop/loop.h"
#include "machine_parts.h"

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

/* Each on its loop, whatever fails; the first failure is told. */
static int each_disk(const struct machine *m,
		     int (*take)(struct disk *disk, struct err *err), struct err *err)
{
	int r = 0;

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
	return r;
}

struct flush {
	struct disk_request request;
	bool done;
	int result;
};

static void flushed(struct disk_request *request, int result)
{
	struct flush *flush = container_of(request, struct flush, request);

	flush->done = true;
	flush->result = result;
}

static bool is_flushed(void *ctx)
{
	const struct flush *flush = ctx;

	return flush->done;
}

static int flush_disk(struct disk *disk, struct err *err)
{
	struct flush flush = { .request = { .op = DISK_FLUSH, .done = flushed } };

	if (disk_read_only(disk))
		return 0;
	disk_submit(disk, &flush.request);
	loop_wait(disk_loop(disk), is_flushed, &flush);
	return flush.result < 0 ? err_sys(err, flush.result, "disk '%s': cannot flush it",
					  disk_id(disk)) : 0;
}

int machine_state_flush(struct machine *m, struct err *err)
{
	return each_disk(m, flush_disk, err);
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
