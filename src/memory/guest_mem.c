// SPDX-License-Identifier: Apache-2.0
#include "memory/guest_mem.h"

#include "base/bits.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct guest_mem {
	_Atomic(uint64_t) *log;		/* NULL: none is kept */
	int nr_regions;
	struct guest_mem_region regions[GUEST_MEM_REGIONS_MAX];	/* ascending */
};

struct guest_mem *guest_mem_new(void)
{
	return calloc(1, sizeof(struct guest_mem));
}

struct guest_mem *guest_mem_free(struct guest_mem *mem)
{
	if (mem)
		guest_mem_log_stop(mem);
	free(mem);
	return NULL;
}

int guest_mem_add(struct guest_mem *mem, gpa_t at, void *host, uint64_t len)
{
	struct guest_mem_region *r = mem->regions;
	int i;

	if (!len || len - 1 > UINT64_MAX - at)
		return -EINVAL;
	if (mem->nr_regions == GUEST_MEM_REGIONS_MAX)
		return -ENOSPC;
	for (i = 0; i < mem->nr_regions && r[i].at < at; i++)
		;
	if (i > 0 && at - r[i - 1].at < r[i - 1].len)
		return -EEXIST;
	if (i < mem->nr_regions && r[i].at - at < len)
		return -EEXIST;
	memmove(&r[i + 1], &r[i], (size_t)(mem->nr_regions - i) * sizeof(*r));
	r[i] = (struct guest_mem_region){ .at = at, .host = host, .len = len };
	mem->nr_regions++;
	return 0;
}

int guest_mem_regions(const struct guest_mem *mem,
		      const struct guest_mem_region **ret_regions)
{
	*ret_regions = mem->regions;
	return mem->nr_regions;
}

static const struct guest_mem_region *find(const struct guest_mem *mem, gpa_t at)
{
	for (int i = 0; i < mem->nr_regions; i++)
		if (at - mem->regions[i].at < mem->regions[i].len)
			return &mem->regions[i];
	return NULL;
}

int guest_mem_map(const struct guest_mem *mem, gpa_t at, size_t len,
		  struct iovec *segs, int max)
{
	int nr = 0;

	if (len && len - 1 > UINT64_MAX - at)
		return -EFAULT;
	while (len) {
		const struct guest_mem_region *r = find(mem, at);
		size_t part;

		if (!r)
			return -EFAULT;
		if (nr == max)
			return -ENOBUFS;
		part = (size_t)min_u64(len, r->len - (at - r->at));
		segs[nr].iov_base = (char *)r->host + (at - r->at);
		segs[nr].iov_len = part;
		nr++;
		at += part;
		len -= part;
	}
	return nr;
}

int guest_mem_read(const struct guest_mem *mem, gpa_t at, void *dst, size_t len)
{
	struct iovec segs[GUEST_MEM_REGIONS_MAX];
	int nr = guest_mem_map(mem, at, len, segs, GUEST_MEM_REGIONS_MAX);

	if (nr < 0)
		return nr;
	for (int i = 0; i < nr; i++) {
		memcpy(dst, segs[i].iov_base, segs[i].iov_len);
		dst = (char *)dst + segs[i].iov_len;
	}
	return 0;
}

int guest_mem_write(struct guest_mem *mem, gpa_t at, const void *src, size_t len)
{
	struct iovec segs[GUEST_MEM_REGIONS_MAX];
	int nr = guest_mem_map(mem, at, len, segs, GUEST_MEM_REGIONS_MAX);

	if (nr < 0)
		return nr;
	for (int i = 0; i < nr; i++) {
		memcpy(segs[i].iov_base, src, segs[i].iov_len);
		guest_mem_dirty(mem, segs[i].iov_base, segs[i].iov_len);
		src = (const char *)src + segs[i].iov_len;
	}
	return 0;
}

static uint64_t nr_pages(const struct guest_mem *mem)
{
	uint64_t nr = 0;

	for (int i = 0; i < mem->nr_regions; i++)
		nr += mem->regions[i].len / GUEST_MEM_PAGE;
	return nr;
}

uint64_t guest_mem_log_words(const struct guest_mem *mem)
{
	return (nr_pages(mem) + 63) / 64;
}

int guest_mem_log_start(struct guest_mem *mem)
{
	if (mem->log)
		return -EALREADY;
	mem->log = calloc(guest_mem_log_words(mem), sizeof(*mem->log));
	return mem->log ? 0 : -ENOMEM;
}

void guest_mem_log_stop(struct guest_mem *mem)
{
	free(mem->log);
	mem->log = NULL;
}

bool guest_mem_logs(const struct guest_mem *mem)
{
	return mem->log;
}

/* Release: whoever takes the bit finds what was written before. */
static void mark(struct guest_mem *mem, uint64_t first, uint64_t last)
{
	for (uint64_t page = first; page <= last; page++)
		atomic_fetch_or_explicit(&mem->log[page / 64], BIT64(page % 64),
					 memory_order_release);
}

void guest_mem_dirty(struct guest_mem *mem, const void *host, size_t len)
{
	uint64_t before = 0;

	if (!mem->log || !len)
		return;
	for (int i = 0; i < mem->nr_regions; i++) {
		const struct guest_mem_region *r = &mem->regions[i];
		uint64_t at = (uint64_t)((const char *)host - (const char *)r->host);

		if (at < r->len) {
			mark(mem, before + at / GUEST_MEM_PAGE,
			     before + (at + len - 1) / GUEST_MEM_PAGE);
			return;
		}
		before += r->len / GUEST_MEM_PAGE;
	}
}

void guest_mem_log_take(struct guest_mem *mem, uint64_t *bitmap)
{
	uint64_t nr = guest_mem_log_words(mem);

	for (uint64_t i = 0; i < nr; i++)
		if (atomic_load_explicit(&mem->log[i], memory_order_relaxed))
			bitmap[i] |= atomic_exchange_explicit(&mem->log[i], 0,
							      memory_order_acquire);
}
