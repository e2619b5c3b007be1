/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iov.h - scattered bytes treated as one sequence.
 */
#ifndef BASE_IOV_H
#define BASE_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* A run of segments that can be made shorter; the segments are the caller's. */
struct iov {
	struct iovec *segs;
	unsigned nr;
	uint64_t len;		/* sum of the segments', bytes */
};

/* Copy len bytes at off; -ERANGE, and nothing done, when they are not all there. */
int iov_read(const struct iov *iov, uint64_t off, void *dst, size_t len);
int iov_write(const struct iov *iov, uint64_t off, const void *src, size_t len);

/* Drop len bytes at the front or at the end; len is at most iov->len. */
void iov_drop_front(struct iov *iov, uint64_t len);
void iov_drop_back(struct iov *iov, uint64_t len);

#endif
