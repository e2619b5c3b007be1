// SPDX-License-Identifier: Apache-2.0
#include "base/iov.h"

#include "base/bits.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Calls copy for each contiguous part of [off, off+len). */
static int each_part(const struct iov *iov, uint64_t off, size_t len, char *buf,
		     void (*copy)(char *seg, char *buf, size_t len))
{
	if (!range_within(off, len, iov->len))
		return -ERANGE;
	for (const struct iovec *seg = iov->segs; len; seg++) {
		size_t part;

		if (off >= seg->iov_len) {
			off -= seg->iov_len;
			continue;
		}
		part = seg->iov_len - off;
		if (part > len)
			part = len;
		copy((char *)seg->iov_base + off, buf, part);
		buf += part;
		len -= part;
		off = 0;
	}
	return 0;
}

static void copy_out(char *seg, char *buf, size_t len)
{
	memcpy(buf, seg, len);
}

static void copy_in(char *seg, char *buf, size_t len)
{
	memcpy(seg, buf, len);
}

int iov_read(const struct iov *iov, uint64_t off, void *dst, size_t len)
{
	return each_part(iov, off, len, dst, copy_out);
}

int iov_write(const struct iov *iov, uint64_t off, const void *src, size_t len)
{
	return each_part(iov, off, len, (char *)(uintptr_t)src, copy_in);
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
