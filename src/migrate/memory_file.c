// SPDX-License-Identifier: Apache-2.0
#include "memory_file.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "memory/ram.h"
#include "pages.h"
#include "snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#define PIECE (4 * MiB)

/* A device may do no more at once, whatever it is asked for. */
#define READ_AHEAD (128 * KiB)

/* Shorter runs are copied: a process may have 65530 mappings only. */
#define RUN_TO_MAP (256 * KiB)

static int write_all(int fd, const char *from, uint64_t len, uint64_t at)
{
	while (len) {
		ssize_t put = pwrite(fd, from, len, (off_t)at);

		if (put < 0)
			return -errno;
		from += put;
		at += (uint64_t)put;
		len -= (uint64_t)put;
	}
	return 0;
}

/* What is under way, for whoever watches. */
struct work {
	int fd;
	memory_file_progress *progress;	/* or NULL */
	void *ctx;
};

static int tell(const struct work *work, uint64_t at)
{
	return !work->progress || work->progress(work->ctx, at) ? 0 : -ECANCELED;
}

static int write_range(const struct work *work, const struct ram *ram, uint64_t at,
		       uint64_t end)
{
	int r = 0;

	for (; at < end && !r; at += PIECE) {
		r = tell(work, at);
		if (!r)
			r = write_all(work->fd, (const char *)ram->host + at,
				      min_u64(end - at, PIECE), at);
	}
	return r;
}

/* Of a piece, the runs of pages that are not zero. */
static int write_what_is_set(const struct work *work, const struct ram *ram, uint64_t at,
			     uint64_t end)
{
	const char *host = ram->host;
	int r = tell(work, at);

	while (at < end && !r) {
		uint64_t from;

		while (at < end && pages_zero(host + at))
			at += PAGES_LEN;
		for (from = at; at < end && !pages_zero(host + at);)
			at += PAGES_LEN;
		r = write_all(work->fd, host + from, at - from, from);
	}
	return r;
}

static int write_all_that_is_set(const struct work *work, const struct ram *ram)
{
	int r = 0;

	for (uint64_t at = 0; at < ram->len && !r; at += PIECE)
		r = write_what_is_set(work, ram, at, min_u64(at + PIECE, ram->len));
	return r;
}

static int write_what_is_named(const struct work *work, const struct ram *ram,
			       const uint64_t *bitmap)
{
	uint64_t at = 0, end;
	int r = 0;

	while (!r && pages_next_run(bitmap, ram->len / PAGES_LEN, &at, &end)) {
		r = write_range(work, ram, at * PAGES_LEN, end * PAGES_LEN);
		at = end;
	}
	return r;
}

int memory_file_write(int fd, const struct ram *ram, const uint64_t *bitmap,
		      memory_file_progress *progress, void *ctx, struct err *err)
{
	const struct work work = { fd, progress, ctx };
	int r = ftruncate(fd, (off_t)ram->len) ? -errno : 0;

	if (!r)
		r = bitmap ? write_what_is_named(&work, ram, bitmap) :
			     write_all_that_is_set(&work, ram);
	return r < 0 ? err_sys(err, r, "cannot write the guest's memory") : 0;
}

/* A shorter file would end the process with SIGBUS when the guest gets there. */
static int check_len(int fd, uint64_t len, struct err *err)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		return err_sys(err, -errno, "the guest's memory");
	if ((uint64_t)size != len)
		return err_set(err, -EINVAL,
			       "the guest's memory has %llu bytes instead of %llu: "
			       "it is cut off, or of another snapshot",
			       (unsigned long long)size, (unsigned long long)len);
	return 0;
}

static int map(int fd, const struct ram *ram, uint64_t at, uint64_t len)
{
	void *host = (char *)ram->host + at;

	if (mmap(host, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
		 (off_t)at) == MAP_FAILED)
		return -errno;
	(void)madvise(host, len, MADV_DONTDUMP);
	return 0;
}

int memory_file_map(int fd, const struct ram *ram, struct err *err)
{
	int r = check_len(fd, ram->len, err);

	if (r < 0)
		return r;
	r = map(fd, ram, 0, ram->len);
	return r < 0 ? err_sys(err, r, "cannot map the guest's memory") : 0;
}

int memory_file_lay_over(int fd, const struct ram *ram, const uint64_t *bitmap, struct err *err)
{
	uint64_t at = 0, end;
	int r = check_len(fd, ram->len, err);

	if (r < 0)
		return r;
	while (!r && pages_next_run(bitmap, ram->len / PAGES_LEN, &at, &end)) {
		uint64_t from = at * PAGES_LEN, len = (end - at) * PAGES_LEN;

		r = len >= RUN_TO_MAP ? map(fd, ram, from, len)
				      : snapshot_file_read_at(fd, (char *)ram->host + from, len,
							      from);
		at = end;
	}
	return r < 0 ? err_sys(err, r, "cannot map the guest's memory") : 0;
}

int memory_file_read_ahead(int fd, uint64_t len, const uint64_t *bitmap,
			   memory_file_progress *progress, void *ctx, struct err *err)
{
	const struct work work = { fd, progress, ctx };
	uint64_t at = 0, end;
	int r = 0;

	while (!r && pages_next_run(bitmap, len / PAGES_LEN, &at, &end)) {
		uint64_t part = min_u64((end - at) * PAGES_LEN, READ_AHEAD);

		r = tell(&work, at * PAGES_LEN);
		if (!r && readahead(fd, (off_t)(at * PAGES_LEN), part))
			r = -errno;
		at += part / PAGES_LEN;
	}
	return r < 0 ? err_sys(err, r, "cannot read ahead in the guest's memory") : 0;
}

struct sum {
	struct work work;
	uint32_t crc;
	uint64_t nr;
	char *piece;			/* PIECE bytes */
};

static int sum_range(struct sum *sum, uint64_t at, uint64_t end)
{
	while (at < end) {
		uint64_t len = min_u64(end - at, PIECE);
		int r = tell(&sum->work, at);

		if (!r)
			r = snapshot_file_read_at(sum->work.fd, sum->piece, len, at);
		if (r < 0)
			return r;
		for (uint64_t off = 0; off < len; off += PAGES_LEN) {
			const char *page = sum->piece + off;
			uint8_t number[8];

			if (pages_zero(page))
				continue;
			put_le64(number, (at + off) / PAGES_LEN);
			sum->crc = (uint32_t)crc32(sum->crc, number, sizeof(number));
			sum->crc = (uint32_t)crc32(sum->crc, (const Bytef *)page, PAGES_LEN);
			sum->nr++;
		}
		at += len;
	}
	return 0;
}

/* A copy of the file may have lost its holes. */
static int sum_data(struct sum *sum, uint64_t len)
{
	off_t at = 0, end;
	int r = 0;

	while (!r && (uint64_t)at < len) {
		at = lseek(sum->work.fd, at, SEEK_DATA);
		if (at < 0)
			return errno == ENXIO ? 0 : -errno;
		end = lseek(sum->work.fd, at, SEEK_HOLE);
		if (end < 0)
			return -errno;
		r = sum_range(sum, align_down((uint64_t)at, PAGES_LEN),
			      min_u64(align_up((uint64_t)end, PAGES_LEN), len));
		at = (off_t)align_up((uint64_t)end, PAGES_LEN);
	}
	return r;
}

static int sum_named(struct sum *sum, uint64_t len, const uint64_t *bitmap)
{
	uint64_t at = 0, end;
	int r = 0;

	while (!r && pages_next_run(bitmap, len / PAGES_LEN, &at, &end)) {
		r = sum_range(sum, at * PAGES_LEN, end * PAGES_LEN);
		at = end;
	}
	return r;
}

int memory_file_sum(int fd, uint64_t len, const uint64_t *bitmap, uint32_t *ret_crc,
		    uint64_t *ret_nr, memory_file_progress *progress, void *ctx,
		    struct err *err)
{
	struct sum sum = { .work = { fd, progress, ctx } };
	int r = check_len(fd, len, err);

	if (r < 0)
		return r;
	sum.piece = malloc(PIECE);
	if (!sum.piece)
		return err_sys(err, -ENOMEM, "the guest's memory");
	r = bitmap ? sum_named(&sum, len, bitmap) : sum_data(&sum, len);
	free(sum.piece);
	if (r < 0)
		return err_sys(err, r, "cannot read the guest's memory");
	*ret_crc = sum.crc;
	*ret_nr = sum.nr;
	return 0;
}
