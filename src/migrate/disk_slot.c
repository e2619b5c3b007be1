// SPDX-License-Identifier: Apache-2.0
#include "disk_slot.h"

#include "base/bits.h"
#include "base/err.h"
#include "message.h"

#include <errno.h>
#include <stdlib.h>

#define ALIGNMENT	4096	/* of memory that direct I/O takes as it is */

static void submit(struct loop_task *task)
{
	struct disk_slot *slot = container_of(task, struct disk_slot, submit);

	disk_submit(slot->disk, &slot->request);
}

static void done(struct disk_request *request, int result)
{
	struct disk_slot *slot = container_of(request, struct disk_slot, request);

	slot->result = result;
	sem_post(&slot->done);
}

int disk_slot_init_all(struct disk_slot *slots)
{
	int r = 0;

	for (unsigned i = 0; i < DISK_SLOTS; i++) {
		slots[i] = (struct disk_slot){
			.bytes = aligned_alloc(ALIGNMENT, MESSAGE_DISK_PIECE),
			.submit.run = submit,
		};
		sem_init(&slots[i].done, 0, 0);
		if (!slots[i].bytes)
			r = -ENOMEM;
	}
	return r;
}

void disk_slot_fini_all(struct disk_slot *slots)
{
	for (unsigned i = 0; i < DISK_SLOTS; i++) {
		free(slots[i].bytes);
		sem_destroy(&slots[i].done);
	}
}

void disk_slot_begin(struct disk_slot *slot, struct disk *disk, enum disk_op op, uint64_t at,
		     uint64_t len)
{
	slot->disk = disk;
	slot->seg = (struct iovec){ slot->bytes, len };
	slot->request = (struct disk_request){
		.op = op,
		.unmap = op == DISK_ZERO,
		.aside = true,
		.at = at,
		.len = len,
		.segs = &slot->seg,
		.nr_segs = op == DISK_READ || op == DISK_WRITE,
		.done = done,
	};
	slot->busy = true;
	loop_post(disk_loop(disk), &slot->submit);
}

int disk_slot_await(struct disk_slot *slot, struct err *err)
{
	if (!slot->busy)
		return 0;
	while (sem_wait(&slot->done))
		;
	slot->busy = false;
	return slot->result < 0 ? err_sys(err, slot->result, "disk '%s': cannot %s it",
					  disk_id(slot->disk),
					  slot->request.op == DISK_READ ? "read" : "write") : 0;
}
