/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_mem.h - the guest's RAM as the rest of the monitor may see it.
 *
 * RAM is a few regions of guest-physical address space, each one host mapping.
 * The set is fixed before the first vCPU runs, so look-ups take no lock.
 *
 * Nobody outside src/memory holds a bare pointer into guest RAM without the
 * length that was checked with it.  There are two ways in:
 *
 *   copy   guest_mem_read(), guest_mem_write(): for anything that is decided
 *          upon.  A vCPU may rewrite RAM at any moment, so a value is copied
 *          once and only the copy is looked at.
 *   map    guest_mem_map(): for payload that the monitor moves and never
 *          interprets (disk blocks, packets).
 *
 * A log may be kept of what is written, for snapshots and migration.  KVM knows what
 * vCPUs write, and only that.  guest_mem_write() logs itself; whoever writes through a
 * map calls guest_mem_dirty() after the last byte has landed, never before.
 *
 * Any thread, except where a line says otherwise.
 */
#ifndef MEMORY_GUEST_MEM_H
#define MEMORY_GUEST_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define GUEST_MEM_REGIONS_MAX 8
#define GUEST_MEM_PAGE	UINT64_C(4096)		/* what the log knows apart */

typedef uint64_t gpa_t;

struct guest_mem;

/* One contiguous piece of RAM. */
struct guest_mem_region {
	gpa_t at;
	void *host;
	uint64_t len;			/* bytes */
};

/* NULL when memory runs out. */
struct guest_mem *guest_mem_new(void);
struct guest_mem *guest_mem_free(struct guest_mem *mem);	/* -> NULL */

/*
 * Add a region over host memory that outlives mem; before start.  -EEXIST on
 * overlap, -EINVAL when empty or wrapping, -ENOSPC beyond
 * GUEST_MEM_REGIONS_MAX.
 */
int guest_mem_add(struct guest_mem *mem, gpa_t at, void *host, uint64_t len);

/* The regions in ascending order; returns how many. */
int guest_mem_regions(const struct guest_mem *mem,
		      const struct guest_mem_region **ret_regions);

/* All or nothing: -EFAULT leaves dst, or the guest, untouched. */
int guest_mem_read(const struct guest_mem *mem, gpa_t at, void *dst, size_t len);
int guest_mem_write(struct guest_mem *mem, gpa_t at, const void *src, size_t len);

/*
 * Describe [at, at+len) as at most max segments, more than one only where the
 * range crosses regions.  Returns the number of segments (0 when len is 0),
 * -EFAULT when any byte lies outside RAM, -ENOBUFS when max is too small.
 */
int guest_mem_map(const struct guest_mem *mem, gpa_t at, size_t len,
		  struct iovec *segs, int max);

/*
 * The log: a bit for each page, in the order of the regions as if they followed each
 * other.  All regions but the last are whole multiples of 64 pages.  Started and stopped
 * while nobody writes.  -ENOMEM; -EALREADY.
 */
int guest_mem_log_start(struct guest_mem *mem);
void guest_mem_log_stop(struct guest_mem *mem);
bool guest_mem_logs(const struct guest_mem *mem);

uint64_t guest_mem_log_words(const struct guest_mem *mem);	/* of 64 bits */

/* Written to, at this address of a map; nothing is done unless a log is kept. */
void guest_mem_dirty(struct guest_mem *mem, const void *host, size_t len);

/* Add what was written since the last time to the bitmap. */
void guest_mem_log_take(struct guest_mem *mem, uint64_t *bitmap);

#endif
