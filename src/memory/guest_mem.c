// SPDX-License-Identifier: Apache-2.0
#include "memory/guest_mem.h"

#include "base/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct guest_mem {
	int nr_regions;
	struct guest_mem_region regions[GUEST_MEM_REGIONS_MAX];	/* ascending */
};

struct guest_mem *guest_mem_new(void)
{
	return calloc(1, sizeof(struct guest_mem));
}

struct guest_mem *guest_mem_free(struct guest_mem *mem)
{
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

int guest_mem_write(const struct guest_mem *mem, gpa_t at, const void *src, size_t len)
{
	struct iovec segs[GUEST_MEM_REGIONS_MAX];
	int nr = guest_mem_map(mem, at, len, segs, GUEST_MEM_REGIONS_MAX);

	if (nr < 0)
		return nr;
	for (int i = 0; i < nr; i++) {
		memcpy(segs[i].iov_base, src, segs[i].iov_len);
		src = (const char *)src + segs[i].iov_len;
	}
	return 0;
}
