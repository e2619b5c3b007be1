// SPDX-License-Identifier: Apache-2.0
/*
 * proof_guest_mem_map.c - a range of the guest's memory becomes just that memory.
 *
 * For two regions of any place and length and any range: what is mapped lies within
 * them, one segment after the other without a gap, and makes up the whole range.
 */
/* An address below a region is, by subtraction, one far above. */
#pragma CPROVER check push
#pragma CPROVER check disable "unsigned-overflow"
#include "memory/guest_mem.c"
#pragma CPROVER check pop

#include "proof.h"

#define SEGS_MAX	2

static struct guest_mem mem;

static void make_region(int i)
{
	struct guest_mem_region *region = &mem.regions[i];

	region->at = nondet_u64();
	region->len = nondet_u64();
	assume(region->len && region->len < BIT64(48));
	assume(region->len - 1 <= UINT64_MAX - region->at);
	region->host = malloc(region->len);
	assume(region->host);
	mem.nr_regions = i + 1;
}

/* Is it the memory of the region that has the guest's address? */
static bool is_memory(const struct iovec *seg, uint64_t at)
{
	const struct guest_mem_region *region = &mem.regions[0];

	if (at < region->at || at - region->at >= region->len)
		region = &mem.regions[1];
	return at >= region->at && at - region->at < region->len &&
	       seg->iov_len && seg->iov_len <= region->len - (at - region->at) &&
	       __CPROVER_same_object(seg->iov_base, region->host) &&
	       __CPROVER_POINTER_OFFSET(seg->iov_base) == at - region->at;
}

int main(void)
{
	struct iovec segs[SEGS_MAX];
	uint64_t at = nondet_u64(), len = nondet_u64(), done = 0;
	int max = nondet_int(), nr;

	make_region(0);
	make_region(1);
	assume(mem.regions[0].at < mem.regions[1].at);
	assume(mem.regions[0].len <= mem.regions[1].at - mem.regions[0].at);
	assume(max >= 0 && max <= SEGS_MAX);

	nr = guest_mem_map(&mem, at, len, segs, max);

	assert(nr <= max);
	for (int i = 0; i < nr; i++) {
		assert(is_memory(&segs[i], at + done));
		done += segs[i].iov_len;
	}
	assert(nr < 0 || done == len);
	return 0;
}
