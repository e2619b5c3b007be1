// SPDX-License-Identifier: Apache-2.0
/*
 * proof_qcow2_map.c - whatever an L2 table says, what becomes of it is in bounds.
 *
 * For every geometry that qcow2_header.c lets pass, every guest offset, every length
 * of the file and every content of a slice: indices lie in their tables, nothing
 * overflows, an extent is neither empty nor longer than was asked for, and its bytes
 * lie in the file.  A slice has one or two entries here, and an extent at most 32
 * units: what more entries add is more rounds of the same loop.
 */
#include "block/qcow2_map.c"
#include "block/qcow2_read.c"

#include "proof.h"

int qcow2_meta_corrupt(struct qcow2_op *op, const char *what, uint64_t at)
{
	(void)op, (void)what, (void)at;
	return -EIO;
}

static struct qcow2_geometry any_geometry(void)
{
	struct qcow2_geometry geo = {
		.cluster_bits = nondet_unsigned(),
		.slice_bits = nondet_unsigned(),
		.extended = nondet_bool(),
		.zero_flag = nondet_bool(),
	};

	assume(geo.cluster_bits >= QCOW2_CLUSTER_BITS_MIN);
	assume(geo.cluster_bits <= QCOW2_CLUSTER_BITS_MAX);
	assume(!geo.extended || geo.cluster_bits >= QCOW2_CLUSTER_BITS_EXTENDED);
	geo.unit_bits = geo.cluster_bits - (geo.extended ? 5 : 0);
	geo.l2_bits = geo.cluster_bits - (geo.extended ? 4 : 3);
	assume(geo.slice_bits <= (geo.extended ? 0 : 1));
	return geo;
}

int main(void)
{
	uint8_t bytes[16];		/* any */
	struct qcow2_slice slice = { .bytes = bytes };
	struct qcow2 q = { .geo = any_geometry(), .end = nondet_u64() };
	struct qcow2_op op = { .q = &q };
	uint64_t guest = nondet_u64(), len = nondet_u64();
	uint64_t cluster = q.cluster = BIT64(q.geo.cluster_bits);
	struct qcow2_extent extent;

	assume(q.end <= INT64_MAX && guest <= INT64_MAX);
	assume(len && len <= INT64_MAX - guest);

	assert(qcow2_map_slice(&q.geo, guest) <= cluster - qcow2_map_slice_len(&q.geo));
	assert(qcow2_map_index(&q.geo, guest) < 1U << q.geo.slice_bits);
	if (qcow2_read_extent(&op, &slice, guest, len, &extent) < 0)
		return 0;

	assert(extent.len && extent.len <= len);
	assert(extent.len <= qcow2_map_slice_rest(&q.geo, guest));
	if (extent.type == QCOW2_TYPE_DATA) {
		assert(extent.host);
		assert(range_within(extent.host, extent.len, align_up(q.end, cluster)));
		assert((extent.host ^ guest) % BIT64(q.geo.unit_bits) == 0);
	}
	if (extent.type == QCOW2_TYPE_COMPRESSED) {
		assert(extent.host < align_up(q.end, cluster));
		assert(extent.compressed_len && extent.compressed_len <= 2 * cluster);
		assert(extent.len <= cluster - guest % cluster);
	}
	return 0;
}
