// SPDX-License-Identifier: Apache-2.0
/*
 * disk.c - checks each request of a disk once, for all formats.
 */
#include "block/disk.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/format.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* 0, or why the request cannot be. */
static int check(const struct disk *disk, const struct disk_request *request)
{
	if (disk->how.asleep)
		return -EBUSY;
	if (!range_within(request->at, request->len, disk->size) ||
	    (request->at | request->len) & (disk->block_size - 1))
		return -EINVAL;
	if (request->op != DISK_READ && request->op != DISK_FLUSH && disk->read_only)
		return -EROFS;
	return 0;
}

/* Right, but nothing is to be done for it. */
static bool is_void(const struct disk *disk, const struct disk_request *request)
{
	if (request->op == DISK_FLUSH)
		return disk->cache == DISK_UNSAFE;
	if (request->op == DISK_DISCARD && !disk->discard_unit)
		return true;
	return !request->len;
}

static bool is_durable(const struct disk *disk, const struct disk_request *request)
{
	if (request->op != DISK_WRITE && request->op != DISK_ZERO)
		return false;
	return disk->cache == DISK_WRITETHROUGH ||
	       (request->durable && disk->cache != DISK_UNSAFE);
}

/* One writer, so that no addition has to be atomic. */
static void add(_Atomic(uint64_t) *count, uint64_t more)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more,
			      memory_order_relaxed);
}

static void note_change(const struct disk *disk, const struct disk_request *request)
{
	uint64_t end = request->at + request->len;

	if (request->op == DISK_READ || request->op == DISK_FLUSH)
		return;
	for (uint64_t n = request->at / DISK_LOG_BLOCK; n * DISK_LOG_BLOCK < end; n++)
		disk->log[n / 64] |= BIT64(n % 64);
}

static void end(struct disk_request *request, int res)
{
	struct disk_count *count = &request->disk->counts[request->op];

	/* A file system of anybody's may say so; only disk_withdraw() can. */
	if (res == -ECANCELED)
		res = -EIO;
	if (res < 0 && !request->aside) {
		add(&count->nr_failed, 1);
	} else if (!request->aside) {
		add(&count->nr, 1);
		add(&count->bytes, request->len);
		add(&count->ns, loop_now(request->disk->loop) - request->started);
	}
	request->done(request, res);
}

void disk_format_done(struct disk_request *request, int res)
{
	if (request->disk->log)
		note_change(request->disk, request);
	end(request, res);
}

static void refused(struct file_io *io, int res)
{
	end(container_of(io, struct disk_request, io), res);
}

void disk_submit(struct disk *disk, struct disk_request *request)
{
	int r = check(disk, request);

	assert(loop_here(disk->loop));
	request->disk = disk;
	request->started = loop_now(disk->loop);
	request->durable = is_durable(disk, request);
	disk->written |= request->op != DISK_READ && request->op != DISK_FLUSH;
	if (r < 0 || is_void(disk, request)) {
		request->io.done = refused;
		file_refuse(disk->loop, &request->io, r);
		return;
	}
	if (disk->throttle.group && request->op != DISK_FLUSH && !request->aside)
		throttle_group_submit(&disk->throttle, request);
	else
		disk->format->submit(disk, request);
}

/* Limits. */

void disk_set_throttle(struct disk *disk, struct throttle_group *group)
{
	assert(!group || throttle_group_loop(group) == disk->loop);
	throttle_group_join(group, &disk->throttle);
}

struct throttle_group *disk_throttle(const struct disk *disk)
{
	return disk->throttle.group;
}

void disk_withdraw(struct disk *disk)
{
	struct disk_request *request;

	while ((request = throttle_group_withdraw(&disk->throttle)))
		request->done(request, -ECANCELED);
}

/* The log. */

void disk_set_log(struct disk *disk, uint64_t *log)
{
	assert(loop_here(disk->loop));
	disk->log = log;
}

uint64_t disk_log_words(const struct disk *disk)
{
	return align_up(disk->size, 64 * DISK_LOG_BLOCK) / (64 * DISK_LOG_BLOCK);
}

bool disk_is_logged(const struct disk *disk)
{
	return disk->log;
}

/* Failure. */

static bool is_no_space(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
}

static bool is_lost(const struct disk *disk, enum disk_op op)
{
	if (op == DISK_FLUSH && disk->file.flush_error)
		return true;
	return op != DISK_READ && !disk->how.asleep && disk->format->is_lost &&
	       disk->format->is_lost(disk);
}

/* To try again what cannot be had any more would only stop the VM again. */
static enum disk_verdict judge(const struct disk *disk, enum disk_op op, int error)
{
	enum disk_on_error on = op == DISK_READ ? disk->read_error : disk->write_error;

	if (on == DISK_ON_ERROR_ENOSPC)
		on = is_no_space(error) ? DISK_ON_ERROR_STOP : DISK_ON_ERROR_REPORT;
	if (on == DISK_ON_ERROR_STOP && is_lost(disk, op))
		return DISK_REPORT;
	return on == DISK_ON_ERROR_STOP ? DISK_STOP :
	       on == DISK_ON_ERROR_IGNORE ? DISK_IGNORE : DISK_REPORT;
}

enum disk_verdict disk_judge_failure(struct disk *disk, enum disk_op op, int error)
{
	const struct disk_failure failure = {
		.op = op, .error = error, .verdict = judge(disk, op, error),
	};

	if (disk->failed)
		disk->failed(disk->ctx, &failure);
	return failure.verdict;
}

/* Size. */

void disk_set_user(struct disk *disk, struct disk_user *user)
{
	disk->user = user;
}

int disk_resize(struct disk *disk, uint64_t size, struct err *err)
{
	int r;

	assert(loop_here(disk->loop));
	if (disk->how.asleep)
		r = err_set(err, -EBUSY, "it is in the hands of another VM or process");
	else if (disk->log)
		r = err_set(err, -EBUSY, "it is being copied");
	else if (disk->read_only)
		r = err_set(err, -EROFS, "it is read-only");
	else if (!disk->format->resize)
		r = err_set(err, -ENOTSUP, "a %s image cannot be resized while it is in use",
			    disk->format->name);
	else if (size % disk->block_size)
		r = err_set(err, -EINVAL, "%llu bytes are no multiple of its blocks of %u",
			    (unsigned long long)size, disk->block_size);
	else if (size < disk->size)
		r = err_set(err, -EINVAL, "it has %llu bytes, and shrinking would lose some",
			    (unsigned long long)disk->size);
	else
		r = size == disk->size ? 0 : disk->format->resize(disk, size, err);
	if (r < 0)
		return err_at(err, r, "disk '%s'", disk->id);
	if (disk->user)
		disk->user->resized(disk->user);
	return 0;
}

uint64_t disk_size(const struct disk *disk)
{
	return disk->size;
}

uint32_t disk_block_size(const struct disk *disk)
{
	return disk->block_size;
}

bool disk_read_only(const struct disk *disk)
{
	return disk->read_only;
}

bool disk_write_cache(const struct disk *disk)
{
	return disk->cache != DISK_WRITETHROUGH;
}

const char *disk_id(const struct disk *disk)
{
	return disk->id;
}

struct loop *disk_loop(const struct disk *disk)
{
	return disk->loop;
}

struct disk_topology disk_topology(const struct disk *disk)
{
	return disk->file.topology;
}

const char *disk_format_name(const struct disk *disk)
{
	return disk->format->name;
}

uint32_t disk_discard_unit(const struct disk *disk)
{
	return disk->discard_unit;
}

uint64_t disk_allocated(const struct disk *disk)
{
	struct stat st;

	return fstat(disk->file.fd, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

struct disk_counter disk_counter(const struct disk *disk, enum disk_op op)
{
	const struct disk_count *count = &disk->counts[op];

	return (struct disk_counter){ count->nr, count->bytes, count->ns, count->nr_failed };
}
