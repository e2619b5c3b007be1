// SPDX-License-Identifier: Apache-2.0
#include "fake_disk.h"

#include "base/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX	1024
#define BLOCK		512

struct disk {
	struct loop *loop;
	struct loop_task completion;
	uint8_t *bytes;
	uint64_t len;
	bool read_only;
	struct disk_user *user;
	struct fake_disk_log log;
	unsigned turns_left;
	struct disk_request *waiting[WAITING_MAX];
};

static void move(struct disk *disk, const struct disk_request *request)
{
	uint8_t *at = disk->bytes + request->at;
	uint64_t left = request->len;

	if (request->op == DISK_DISCARD || request->op == DISK_ZERO) {
		memset(at, 0, left);
		return;
	}
	for (unsigned i = 0; i < request->nr_segs; i++) {
		const struct iovec *seg = &request->segs[i];

		if (seg->iov_len > left)
			abort();
		if (request->op == DISK_READ)
			memcpy(seg->iov_base, at, seg->iov_len);
		else
			memcpy(at, seg->iov_base, seg->iov_len);
		at += seg->iov_len;
		left -= seg->iov_len;
	}
	if (left)
		abort();
}

static int serve(struct disk *disk, const struct disk_request *request)
{
	if (disk->log.result)
		return disk->log.result;
	if (request->op == DISK_FLUSH)
		return 0;
	if (!range_within(request->at, request->len, disk->len))
		return -EIO;
	if (request->op != DISK_READ && disk->read_only)
		return -EROFS;
	move(disk, request);
	return 0;
}

static void complete_all(struct disk *disk)
{
	struct fake_disk_log *log = &disk->log;

	while (log->nr_waiting) {
		struct disk_request *request = disk->waiting[--log->nr_waiting];

		log->done_at[log->nr_done++ % FAKE_DISK_LOG_MAX] = request->at;
		request->done(request, serve(disk, request));
	}
}

static void completion(struct loop_task *task)
{
	struct disk *disk = container_of(task, struct disk, completion);

	if (disk->turns_left) {
		disk->turns_left--;
		loop_defer(disk->loop, task);
	} else if (!disk->log.hold) {
		complete_all(disk);
	}
}

void fake_disk_release(struct disk *disk)
{
	disk->log.hold = false;
	complete_all(disk);
}

void disk_submit(struct disk *disk, struct disk_request *request)
{
	struct fake_disk_log *log = &disk->log;

	if (!loop_here(disk->loop) || log->nr_waiting == WAITING_MAX)
		abort();
	if (!log->nr_waiting)
		disk->turns_left = log->nr_turns;
	log->at[log->nr_submitted++ % FAKE_DISK_LOG_MAX] = request->at;
	log->nr_reads += request->op == DISK_READ;
	log->nr_writes += request->op == DISK_WRITE;
	log->nr_flushes += request->op == DISK_FLUSH;
	log->nr_discards += request->op == DISK_DISCARD;
	log->nr_zeroes += request->op == DISK_ZERO;
	log->nr_unmaps += request->op == DISK_ZERO && request->unmap;
	log->nr_durable += request->durable;
	disk->waiting[log->nr_waiting++] = request;
	loop_defer(disk->loop, &disk->completion);
}

/* It has no limits. */
void disk_withdraw(struct disk *disk)
{
	(void)disk;
}

struct disk *fake_disk_new(struct loop *loop, uint8_t *bytes, uint64_t len, bool read_only)
{
	struct disk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		abort();
	disk->loop = loop;
	disk->completion.run = completion;
	disk->bytes = bytes;
	disk->len = len;
	disk->read_only = read_only;
	return disk;
}

struct disk *fake_disk_free(struct disk *disk)
{
	free(disk);
	return NULL;
}

struct fake_disk_log *fake_disk_log(struct disk *disk)
{
	return &disk->log;
}

uint64_t disk_size(const struct disk *disk)
{
	return disk->len;
}

uint32_t disk_block_size(const struct disk *disk)
{
	(void)disk;
	return BLOCK;
}

bool disk_read_only(const struct disk *disk)
{
	return disk->read_only;
}

struct loop *disk_loop(const struct disk *disk)
{
	return disk->loop;
}

uint32_t disk_discard_unit(const struct disk *disk)
{
	(void)disk;
	return FAKE_DISK_UNIT;
}

struct disk_topology disk_topology(const struct disk *disk)
{
	(void)disk;
	return (struct disk_topology){
		.physical = 8 * BLOCK, .offset = 3 * BLOCK, .min_io = 16 * BLOCK,
		.opt_io = 64 * BLOCK,
	};
}

bool disk_write_cache(const struct disk *disk)
{
	return !disk->log.no_cache;
}

void disk_set_user(struct disk *disk, struct disk_user *user)
{
	disk->user = user;
}

enum disk_verdict disk_judge_failure(struct disk *disk, enum disk_op op, int error)
{
	(void)op;
	(void)error;
	disk->log.nr_failures++;
	return disk->log.verdict;
}

void fake_disk_shorten(struct disk *disk, uint64_t len)
{
	disk->len = len;
	disk->user->resized(disk->user);
}
