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

/* All of segs, len bytes.  They may be constant: then nothing of this is to be dropped. */
static inline struct iov iov_of(const struct iovec *segs, unsigned nr, uint64_t len)
{
	return (struct iov){ (struct iovec *)(uintptr_t)segs, nr, len };
}

/* Copy len bytes at off; -ERANGE, and nothing done, when they are not all there. */
int iov_read(const struct iov *iov, uint64_t off, void *dst, size_t len);
int iov_write(const struct iov *iov, uint64_t off, const void *src, size_t len);

/* The same with zeros. */
int iov_zero(const struct iov *iov, uint64_t off, uint64_t len);

/* The segment of the byte at *off, which is within iov; where in it goes to *off. */
const struct iovec *iov_seek(const struct iov *iov, uint64_t *off);

/*
 * Describe [off, off+len), which is within iov, in segs: as much of it from off on as max
 * segments can.
 */
struct iov iov_cut(const struct iov *iov, uint64_t off, uint64_t len, struct iovec *segs,
		   unsigned max);

/* Drop len bytes at the front or at the end; len is at most iov->len. */
void iov_drop_front(struct iov *iov, uint64_t len);
void iov_drop_back(struct iov *iov, uint64_t len);

#endif
