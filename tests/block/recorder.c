// SPDX-License-Identifier: Apache-2.0
#include "block/recorder.h"

#include "base/bits.h"
#include "loop/loop.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR		512
#define EVENTS_MAX	400000
#define PENDING_MAX	1024
#define LEN_MAX		(64 * MiB)

struct action {
	bool is_sync, is_durable;
	uint64_t at;
	size_t len;
	uint8_t *bytes;			/* NULL: zeros, within the file as it is */
	/* Events; UINT32_MAX until they came.  sure: from then on a cut cannot undo it. */
	uint32_t start, end, sure;
	bool failed;
};

struct pending {
	struct loop_io *io;
	void (*done)(struct loop_io *io, int res);
	uint32_t action;
};

static struct action *actions;
static uint32_t nr_actions, nr_events, first_unsure;
static struct pending pending[PENDING_MAX + 1];
static struct stat file;
static bool recording;
static uint8_t *first_bytes;
static size_t first_len;
static unsigned fault_after, nr_holes;
static bool armed, lasting_fault, only_syncs, has_failed;
static int nowhere = -1;		/* what fails goes there */

void __real_loop_readv(struct loop *loop, struct loop_io *io, int fd,
		       const struct iovec *segs, unsigned nr, off_t at);
void __wrap_loop_readv(struct loop *loop, struct loop_io *io, int fd,
		       const struct iovec *segs, unsigned nr, off_t at);
void __real_loop_writev(struct loop *loop, struct loop_io *io, int fd,
			const struct iovec *segs, unsigned nr, off_t at, int flags);
void __wrap_loop_writev(struct loop *loop, struct loop_io *io, int fd,
			const struct iovec *segs, unsigned nr, off_t at, int flags);
void __real_loop_fdatasync(struct loop *loop, struct loop_io *io, int fd);
void __wrap_loop_fdatasync(struct loop *loop, struct loop_io *io, int fd);
void __real_loop_fallocate(struct loop *loop, struct loop_io *io, int fd, int mode,
			   off_t at, off_t len);
void __wrap_loop_fallocate(struct loop *loop, struct loop_io *io, int fd, int mode,
			   off_t at, off_t len);
ssize_t __real_pwrite64(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t at);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

/* Recording. */

static void read_all(const char *path)
{
	int fd = open(path, O_RDONLY);

	ck_assert_int_eq(fstat(fd, &file), 0);
	first_len = (size_t)file.st_size;
	first_bytes = malloc(first_len);
	ck_assert_int_eq(pread(fd, first_bytes, first_len, 0), first_len);
	close(fd);
}

static void forget(void)
{
	for (uint32_t i = 0; i < nr_actions; i++)
		free(actions[i].bytes);
	free(actions);
	free(first_bytes);
	actions = NULL;
	first_bytes = NULL;
}

void recorder_start(const char *path)
{
	forget();
	read_all(path);
	actions = calloc(EVENTS_MAX, sizeof(*actions));
	nr_actions = nr_events = first_unsure = 0;
	recording = true;
}

void recorder_stop(void)
{
	recording = false;
}

uint32_t recorder_now(void)
{
	return nr_events;
}

unsigned recorder_holes(void)
{
	return nr_holes;
}

static bool is_ours(int fd)
{
	struct stat st;

	return recording && !fstat(fd, &st) && st.st_dev == file.st_dev &&
	       st.st_ino == file.st_ino;
}

static uint32_t add_action(struct action action)
{
	ck_assert_uint_lt(nr_actions, EVENTS_MAX);
	action.start = nr_events++;
	action.end = action.sure = UINT32_MAX;
	actions[nr_actions] = action;
	return nr_actions++;
}

static bool is_settled(const struct action *a)
{
	return a->is_sync || a->failed || a->sure != UINT32_MAX;
}

/* What had ended when the sync began is on the medium. */
static void settle(const struct action *sync)
{
	for (uint32_t i = first_unsure; i < nr_actions; i++)
		if (!is_settled(&actions[i]) && actions[i].end < sync->start)
			actions[i].sure = sync->end;
	while (first_unsure < nr_actions && is_settled(&actions[first_unsure]))
		first_unsure++;
}

static void end_action(uint32_t i, long res)
{
	struct action *a = &actions[i];

	a->end = nr_events++;
	a->failed = res < 0;
	if (a->failed)
		return;
	if (a->bytes)
		ck_assert_int_eq(res, a->len);
	if (a->is_durable)
		a->sure = a->end;
	if (a->is_sync)
		settle(a);
}

static void done(struct loop_io *io, int res)
{
	struct pending *p = pending;

	while (p->io != io)
		p++;
	if (recording)
		end_action(p->action, res);
	io->done = p->done;
	p->io = NULL;
	io->done(io, res);
}

static void watch(struct loop_io *io, uint32_t action)
{
	struct pending *p = pending;

	while (p->io)
		p++;
	ck_assert_int_lt(p - pending, PENDING_MAX);
	*p = (struct pending){ io, io->done, action };
	io->done = done;
}

static uint8_t *copy(const struct iovec *segs, unsigned nr, size_t *ret_len)
{
	uint8_t *bytes;
	size_t len = 0, at = 0;

	for (unsigned i = 0; i < nr; i++)
		len += segs[i].iov_len;
	bytes = malloc(len);
	for (unsigned i = 0; i < nr; i++) {
		memcpy(bytes + at, segs[i].iov_base, segs[i].iov_len);
		at += segs[i].iov_len;
	}
	*ret_len = len;
	return bytes;
}

/* Faults: the operation is sent to where it fails. */

void recorder_watch(const char *path)
{
	ck_assert_int_eq(stat(path, &file), 0);
}

void recorder_fail(unsigned nr, bool lasting)
{
	fault_after = nr;
	lasting_fault = lasting;
	only_syncs = false;
	nowhere = -1;
	armed = true;
	has_failed = false;
}

void recorder_fail_sync(unsigned nr)
{
	recorder_fail(nr, false);
	only_syncs = true;
}

bool recorder_end_fault(void)
{
	armed = false;
	return has_failed;
}

void recorder_fail_space(void)
{
	static int full = -1;

	if (full < 0)
		full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	recorder_fail(0, false);
	nowhere = full;
}

static bool fails(int fd, bool is_sync)
{
	struct stat st;

	if (!armed || (only_syncs && !is_sync) || fstat(fd, &st) ||
	    st.st_dev != file.st_dev || st.st_ino != file.st_ino)
		return false;
	if (fault_after) {
		fault_after--;
		return false;
	}
	has_failed = true;
	armed = lasting_fault;
	return true;
}

static int bad_fd(int fd)
{
	return fails(fd, false) ? nowhere : fd;
}

static int bad_sync_fd(int fd)
{
	return fails(fd, true) ? -1 : fd;
}

/*
 * While nothing is recorded, I/O is done at once and ends at the end of the turn:
 * a cut is looked at thousands of times, and files in memory are slow by io_uring.
 */
struct at_once {
	struct loop_task task;
	struct loop_io *io;
	int res;
};

static void run_at_once(struct loop_task *task)
{
	struct at_once *once = container_of(task, struct at_once, task);
	struct loop_io *io = once->io;
	int res = once->res;

	free(once);
	io->done(io, res);
}

static void end_at_once(struct loop *loop, struct loop_io *io, ssize_t res)
{
	struct at_once *once = calloc(1, sizeof(*once));

	once->io = io;
	once->res = res < 0 ? -errno : (int)res;
	once->task.run = run_at_once;
	loop_defer(loop, &once->task);
}

void __wrap_loop_readv(struct loop *loop, struct loop_io *io, int fd,
		       const struct iovec *segs, unsigned nr, off_t at)
{
	if (!recording) {
		end_at_once(loop, io, preadv(bad_fd(fd), segs, (int)nr, at));
		return;
	}
	__real_loop_readv(loop, io, bad_fd(fd), segs, nr, at);
}

void __wrap_loop_writev(struct loop *loop, struct loop_io *io, int fd,
			const struct iovec *segs, unsigned nr, off_t at, int flags)
{
	if (!recording) {
		end_at_once(loop, io, pwritev(bad_fd(fd), segs, (int)nr, at));
		return;
	}
	if (is_ours(fd)) {
		struct action action = { .at = (uint64_t)at, .is_durable = flags };

		action.bytes = copy(segs, nr, &action.len);
		watch(io, add_action(action));
	}
	__real_loop_writev(loop, io, bad_fd(fd), segs, nr, at, flags);
}

void __wrap_loop_fdatasync(struct loop *loop, struct loop_io *io, int fd)
{
	if (!recording) {
		end_at_once(loop, io, bad_sync_fd(fd) < 0 ? (errno = EIO, -1) : 0);
		return;
	}
	if (is_ours(fd))
		watch(io, add_action((struct action){ .is_sync = true }));
	__real_loop_fdatasync(loop, io, bad_sync_fd(fd));
}

void __wrap_loop_fallocate(struct loop *loop, struct loop_io *io, int fd, int mode,
			   off_t at, off_t len)
{
	ck_assert(mode & FALLOC_FL_KEEP_SIZE);
	nr_holes += !!(mode & FALLOC_FL_PUNCH_HOLE);
	if (!recording) {
		end_at_once(loop, io, fallocate(bad_fd(fd), mode, at, len));
		return;
	}
	if (is_ours(fd))
		watch(io, add_action((struct action){ .at = (uint64_t)at, .len = (size_t)len }));
	__real_loop_fallocate(loop, io, bad_fd(fd), mode, at, len);
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
	struct iovec seg = { (void *)(uintptr_t)bytes, len };
	struct action action = { .at = (uint64_t)at };
	ssize_t res;
	uint32_t i;

	if (fails(fd, false)) {
		errno = EIO;
		return -1;
	}
	if (!is_ours(fd))
		return __real_pwrite64(fd, bytes, len, at);
	action.bytes = copy(&seg, 1, &action.len);
	i = add_action(action);
	res = __real_pwrite64(fd, bytes, len, at);
	end_action(i, res);
	return res;
}

int __wrap_fdatasync(int fd)
{
	uint32_t i;

	if (fails(fd, true)) {
		errno = EIO;
		return -1;
	}
	if (!is_ours(fd))
		return __real_fdatasync(fd);
	i = add_action((struct action){ .is_sync = true });
	end_action(i, 0);
	return 0;
}

/* Media. */

void recorder_medium_init(struct recorder_medium *medium)
{
	*medium = (struct recorder_medium){ .max = LEN_MAX };
	medium->bytes = calloc(1, medium->max);
	medium->len = first_len;
	memcpy(medium->bytes, first_bytes, first_len);
}

void recorder_medium_fini(struct recorder_medium *medium)
{
	free(medium->bytes);
}

static void put(struct recorder_medium *medium, const struct action *a, uint64_t off,
		uint64_t len)
{
	uint64_t at = a->at + off;

	ck_assert_uint_le(at + len, medium->max);
	if (a->bytes) {
		memcpy(medium->bytes + at, a->bytes + off, len);
		medium->len = max_u64(medium->len, at + len);
	} else {
		memset(medium->bytes + at, 0, len);
	}
}

void recorder_advance(struct recorder_medium *medium, uint32_t at)
{
	for (uint32_t i = medium->first; i < nr_actions && actions[i].start < at; i++) {
		const struct action *a = &actions[i];

		if (!a->is_sync && a->sure >= medium->at && a->sure < at)
			put(medium, a, 0, a->len);
	}
	medium->at = at;
	while (medium->first < nr_actions && is_settled(&actions[medium->first]) &&
	       (actions[medium->first].is_sync || actions[medium->first].failed ||
		actions[medium->first].sure < at))
		medium->first++;
}

void recorder_cut(struct recorder_medium *to, const struct recorder_medium *medium,
		  uint64_t (*choose)(void *ctx), void *ctx)
{
	memset(to->bytes, 0, to->len);
	to->len = medium->len;
	memcpy(to->bytes, medium->bytes, medium->len);
	for (uint32_t i = medium->first; i < nr_actions; i++) {
		const struct action *a = &actions[i];

		if (a->start >= medium->at)
			break;
		if (a->is_sync || a->failed || a->sure < medium->at)
			continue;
		for (uint64_t off = 0; off < a->len; off += SECTOR)
			if (!choose || choose(ctx))
				put(to, a, off, min_u64(SECTOR, a->len - off));
	}
	to->at = medium->at;
}
