// SPDX-License-Identifier: Apache-2.0
#include "base/iov.h"

#include "base/bits.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

const struct iovec *iov_seek(const struct iov *iov, uint64_t *off)
{
	const struct iovec *seg = iov->segs;

	for (; *off >= seg->iov_len; seg++)
		*off -= seg->iov_len;
	return seg;
}

/* Calls move for each contiguous part of [off, off+len); done bytes are behind it. */
static int each_part(const struct iov *iov, uint64_t off, uint64_t len, char *buf,
		     void (*move)(char *seg, char *buf, uint64_t done, size_t len))
{
	const struct iovec *seg;
	size_t part;

	if (!range_within(off, len, iov->len))
		return -ERANGE;
	if (!len)
		return 0;
	seg = iov_seek(iov, &off);
	for (uint64_t done = 0; done < len; done += part, seg++, off = 0) {
		part = (size_t)min_u64(seg->iov_len - off, len - done);
		move((char *)seg->iov_base + off, buf, done, part);
	}
	return 0;
}

static void copy_out(char *seg, char *buf, uint64_t done, size_t len)
{
	memcpy(buf + done, seg, len);
}

static void copy_in(char *seg, char *buf, uint64_t done, size_t len)
{
	memcpy(seg, buf + done, len);
}

static void clear(char *seg, char *buf, uint64_t done, size_t len)
{
	(void)buf;
	(void)done;
	memset(seg, 0, len);
}

int iov_read(const struct iov *iov, uint64_t off, void *dst, size_t len)
{
	return each_part(iov, off, len, dst, copy_out);
}

int iov_write(const struct iov *iov, uint64_t off, const void *src, size_t len)
{
	return each_part(iov, off, len, (char *)(uintptr_t)src, copy_in);
}

int iov_zero(const struct iov *iov, uint64_t off, uint64_t len)
{
	return each_part(iov, off, len, NULL, clear);
}

struct iov iov_cut(const struct iov *iov, uint64_t off, uint64_t len, struct iovec *segs,
		   unsigned max)
{
	struct iov part = { .segs = segs };
	const struct iovec *seg;

	assert(range_within(off, len, iov->len));
	if (!len)
		return part;
	seg = iov_seek(iov, &off);
	for (; part.len < len && part.nr < max; seg++, off = 0) {
		struct iovec *to = &segs[part.nr++];

		to->iov_base = (char *)seg->iov_base + off;
		to->iov_len = (size_t)min_u64(seg->iov_len - off, len - part.len);
		part.len += to->iov_len;
	}
	return part;
}

void iov_drop_front(struct iov *iov, uint64_t len)
{
	assert(len <= iov->len);
	iov->len -= len;
	while (len && iov->segs->iov_len <= len) {
		len -= iov->segs->iov_len;
		iov->segs++;
		iov->nr--;
	}
	if (len) {
		iov->segs->iov_base = (char *)iov->segs->iov_base + len;
		iov->segs->iov_len -= len;
	}
}

void iov_drop_back(struct iov *iov, uint64_t len)
{
	assert(len <= iov->len);
	iov->len -= len;
	while (len && iov->segs[iov->nr - 1].iov_len <= len)
		len -= iov->segs[--iov->nr].iov_len;
	if (len)
		iov->segs[iov->nr - 1].iov_len -= len;
}
