// SPDX-License-Identifier: Apache-2.0
#include "block/qcow2_map.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "block/qcow2_spec.h"

#include <errno.h>

uint64_t qcow2_map_l1_index(const struct qcow2_geometry *geo, uint64_t guest)
{
	return guest >> geo->cluster_bits >> geo->l2_bits;
}

size_t qcow2_map_entry_len(const struct qcow2_geometry *geo)
{
	return geo->extended ? 16 : 8;
}

size_t qcow2_map_slice_len(const struct qcow2_geometry *geo)
{
	return qcow2_map_entry_len(geo) << geo->slice_bits;
}

size_t qcow2_map_slice(const struct qcow2_geometry *geo, uint64_t guest)
{
	uint64_t index = guest >> geo->cluster_bits & (BIT64(geo->l2_bits) - 1);

	return (index >> geo->slice_bits) * qcow2_map_slice_len(geo);
}

unsigned qcow2_map_index(const struct qcow2_geometry *geo, uint64_t guest)
{
	return (unsigned)(guest >> geo->cluster_bits & (BIT64(geo->slice_bits) - 1));
}

uint64_t qcow2_map_slice_rest(const struct qcow2_geometry *geo, uint64_t guest)
{
	uint64_t covered = BIT64(geo->cluster_bits + geo->slice_bits);

	return covered - (guest & (covered - 1));
}

uint64_t qcow2_map_entry(const struct qcow2_geometry *geo, const uint8_t *slice,
			 unsigned index)
{
	return get_be64(slice + index * qcow2_map_entry_len(geo));
}

uint64_t qcow2_map_bitmap(const struct qcow2_geometry *geo, const uint8_t *slice,
			  unsigned index)
{
	return geo->extended ? get_be64(slice + index * 16 + 8) : 0;
}

void qcow2_map_set(const struct qcow2_geometry *geo, uint8_t *slice, unsigned index,
		   uint64_t entry, uint64_t bitmap)
{
	uint8_t *at = slice + index * qcow2_map_entry_len(geo);

	put_be64(at, entry);
	if (geo->extended)
		put_be64(at + 8, bitmap);
}

uint64_t qcow2_map_host(uint64_t entry)
{
	return entry & QCOW2_COMPRESSED ? 0 : entry & QCOW2_OFFSET;
}

bool qcow2_map_is_own(uint64_t entry)
{
	return qcow2_map_host(entry) && entry & QCOW2_COPIED;
}

void qcow2_map_compressed(const struct qcow2_geometry *geo, uint64_t entry,
			  uint64_t *ret_at, uint64_t *ret_len)
{
	unsigned bits = 62 - (geo->cluster_bits - 8);
	uint64_t sectors = (entry & (QCOW2_COMPRESSED - 1)) >> bits;

	*ret_at = entry & (BIT64(bits) - 1) & (QCOW2_HOST_MAX - 1);
	*ret_len = (sectors + 1) * QCOW2_SECTOR - (*ret_at & (QCOW2_SECTOR - 1));
}

/* One cluster or subcluster, whose host cluster begins at host. */
static int type_of(const struct qcow2_geometry *geo, uint64_t entry, uint64_t bitmap,
		   unsigned sub, enum qcow2_type *ret_type)
{
	uint64_t host = qcow2_map_host(entry);
	bool is_data, is_zero;

	if (entry & QCOW2_COMPRESSED) {
		*ret_type = QCOW2_TYPE_COMPRESSED;
		return 0;
	}
	if (host & (BIT64(geo->cluster_bits) - 1))
		return -EIO;
	if (geo->extended) {
		is_data = bitmap >> sub & 1;
		is_zero = bitmap >> (QCOW2_SUBCLUSTERS + sub) & 1;
		if (is_data && (is_zero || !host))
			return -EIO;
	} else {
		is_zero = entry & QCOW2_ZERO;
		is_data = host && !is_zero;
		if (is_zero && !geo->zero_flag)
			return -EIO;
	}
	*ret_type = is_data ? QCOW2_TYPE_DATA : is_zero ? QCOW2_TYPE_ZERO : QCOW2_TYPE_NONE;
	return 0;
}

struct unit {
	enum qcow2_type type;
	bool copied;
	uint64_t host;			/* of its first byte, or 0 */
};

static int read_unit(const struct qcow2_geometry *geo, const uint8_t *slice,
		     unsigned index, unsigned sub, struct unit *unit)
{
	uint64_t entry = qcow2_map_entry(geo, slice, index);
	uint64_t host = qcow2_map_host(entry);

	unit->host = host ? host + ((uint64_t)sub << geo->unit_bits) : 0;
	unit->copied = qcow2_map_is_own(entry);
	return type_of(geo, entry, qcow2_map_bitmap(geo, slice, index), sub, &unit->type);
}

static bool continues(const struct qcow2_geometry *geo, const struct unit *first,
		      const struct unit *unit, uint64_t nr)
{
	if (unit->type != first->type)
		return false;
	return unit->type != QCOW2_TYPE_DATA ||
	       (unit->copied == first->copied &&
		unit->host == first->host + (nr << geo->unit_bits));
}

int qcow2_map_extent(const struct qcow2_geometry *geo, const uint8_t *slice,
		     uint64_t guest, uint64_t len, struct qcow2_extent *ret_extent)
{
	unsigned per_cluster = 1U << (geo->cluster_bits - geo->unit_bits);
	unsigned index = qcow2_map_index(geo, guest);
	unsigned sub = (unsigned)(guest >> geo->unit_bits & (per_cluster - 1));
	uint64_t skipped = guest & (BIT64(geo->unit_bits) - 1);
	uint64_t nr = 1, max = min_u64(len, qcow2_map_slice_rest(geo, guest));
	struct unit first, unit;
	int r = read_unit(geo, slice, index, sub, &first);

	if (r < 0)
		return r;
	*ret_extent = (struct qcow2_extent){ .type = first.type, .copied = first.copied };
	if (first.type == QCOW2_TYPE_COMPRESSED) {
		qcow2_map_compressed(geo, qcow2_map_entry(geo, slice, index),
				     &ret_extent->host, &ret_extent->compressed_len);
		ret_extent->len = min_u64(max, BIT64(geo->cluster_bits) -
					  (guest & (BIT64(geo->cluster_bits) - 1)));
		return 0;
	}
	for (; (nr << geo->unit_bits) - skipped < max; nr++) {
		sub = (sub + 1) & (per_cluster - 1);
		index += !sub;
		/* A bad entry ends the run; it is reported when it comes first. */
		if (read_unit(geo, slice, index, sub, &unit) < 0 ||
		    !continues(geo, &first, &unit, nr))
			break;
	}
	ret_extent->host = first.host ? first.host + skipped : 0;
	ret_extent->len = min_u64(max, (nr << geo->unit_bits) - skipped);
	return 0;
}
