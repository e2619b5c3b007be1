// SPDX-License-Identifier: Apache-2.0
#include "kvm/kvm_stats.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Many times what any kernel has. */
#define STATS_MAX	4096
#define NAME_BYTES_MAX	256
#define VALUES_MAX	65536

#define VALUE_BYTES	sizeof(uint64_t)

struct kvm_stats {
	int fd;
	uint32_t data_at;
	size_t nr_values;		/* of all that can be reached by stats */
	uint64_t *values;
	char *descs;			/* as read, names ended */
	unsigned nr;
	struct kvm_stat *stats;
};

static int read_at(int fd, void *to, size_t len, uint64_t at, struct err *err)
{
	ssize_t got = pread(fd, to, len, (off_t)at);

	if (got < 0)
		return err_sys(err, -errno, "cannot read KVM's statistics");
	if ((size_t)got != len)
		return err_set(err, -EPROTO, "KVM's statistics end early");
	return 0;
}

static bool known(const struct kvm_stats_desc *desc)
{
	uint32_t unit = desc->flags & KVM_STATS_UNIT_MASK;
	uint32_t base = desc->flags & KVM_STATS_BASE_MASK;

	return (desc->flags & KVM_STATS_TYPE_MASK) <= KVM_STATS_TYPE_LOG_HIST &&
	       unit <= KVM_STATS_UNIT_BOOLEAN &&
	       (base == KVM_STATS_BASE_POW10 || base == KVM_STATS_BASE_POW2) && desc->size;
}

static int add(struct kvm_stats *stats, const struct kvm_stats_desc *desc, struct err *err)
{
	size_t first = desc->offset / VALUE_BYTES;

	if (!known(desc))
		return 0;
	if (desc->offset % VALUE_BYTES || first > VALUES_MAX ||
	    desc->size > VALUES_MAX - first)
		return err_set(err, -EPROTO, "KVM's statistic '%s' lies out of reach",
			       desc->name);
	stats->stats[stats->nr++] = (struct kvm_stat){
		.name = desc->name,
		.type = (enum kvm_stat_type)((desc->flags & KVM_STATS_TYPE_MASK) >>
					     KVM_STATS_TYPE_SHIFT),
		.unit = (enum kvm_stat_unit)((desc->flags & KVM_STATS_UNIT_MASK) >>
					     KVM_STATS_UNIT_SHIFT),
		.base = (desc->flags & KVM_STATS_BASE_MASK) == KVM_STATS_BASE_POW2 ? 2 : 10,
		.exponent = desc->exponent,
		.bucket_size = desc->bucket_size,
		.nr_values = desc->size,
	};
	if (stats->nr_values < first + desc->size)
		stats->nr_values = first + desc->size;
	return 0;
}

static int add_all(struct kvm_stats *stats, const struct kvm_stats_header *header,
		   struct err *err)
{
	size_t len = sizeof(struct kvm_stats_desc) + header->name_size;
	size_t *offsets;
	int r = read_at(stats->fd, stats->descs, len * header->num_desc, header->desc_offset,
			err);

	offsets = r ? NULL : calloc(header->num_desc, sizeof(*offsets));
	if (!r && !offsets)
		r = err_sys(err, -ENOMEM, "cannot read KVM's statistics");
	for (uint32_t i = 0; i < header->num_desc && !r; i++) {
		struct kvm_stats_desc *desc = (void *)(stats->descs + i * len);

		desc->name[header->name_size - 1] = '\0';
		offsets[stats->nr] = desc->offset / VALUE_BYTES;
		r = add(stats, desc, err);
	}
	if (!r)
		stats->values = calloc(stats->nr_values, sizeof(*stats->values));
	if (!r && !stats->values && stats->nr_values)
		r = err_sys(err, -ENOMEM, "cannot read KVM's statistics");
	for (unsigned i = 0; i < stats->nr && !r; i++)
		stats->stats[i].values = stats->values + offsets[i];
	free(offsets);
	return r;
}

/* Descriptions follow each other, so their size has to keep them aligned. */
static int check(const struct kvm_stats_header *header, struct err *err)
{
	if (!header->num_desc || header->num_desc > STATS_MAX || !header->name_size ||
	    header->name_size > NAME_BYTES_MAX ||
	    header->name_size % _Alignof(struct kvm_stats_desc))
		return err_set(err, -EPROTO, "KVM has %u statistics with names of %u bytes, "
			       "which cannot be", header->num_desc, header->name_size);
	return 0;
}

static int open_all(struct kvm_stats *stats, struct err *err)
{
	struct kvm_stats_header header;
	int r = read_at(stats->fd, &header, sizeof(header), 0, err);

	if (!r)
		r = check(&header, err);
	if (r < 0)
		return r;
	stats->data_at = header.data_offset;
	stats->descs = malloc((sizeof(struct kvm_stats_desc) + header.name_size) *
			      header.num_desc);
	stats->stats = calloc(header.num_desc, sizeof(*stats->stats));
	if (!stats->descs || !stats->stats)
		return err_sys(err, -ENOMEM, "cannot read KVM's statistics");
	return add_all(stats, &header, err);
}

int kvm_stats_new(struct kvm_stats **ret_stats, int fd, struct err *err)
{
	struct kvm_stats *stats = calloc(1, sizeof(*stats));
	int r;

	if (!stats) {
		close(fd);
		return err_sys(err, -ENOMEM, "cannot read KVM's statistics");
	}
	stats->fd = fd;
	r = open_all(stats, err);
	if (r < 0) {
		kvm_stats_free(stats);
		return r;
	}
	*ret_stats = stats;
	return 0;
}

struct kvm_stats *kvm_stats_free(struct kvm_stats *stats)
{
	if (!stats)
		return NULL;
	close(stats->fd);
	free(stats->values);
	free(stats->stats);
	free(stats->descs);
	free(stats);
	return NULL;
}

int kvm_stats_read(struct kvm_stats *stats, struct err *err)
{
	return read_at(stats->fd, stats->values, stats->nr_values * VALUE_BYTES,
		       stats->data_at, err);
}

unsigned kvm_stats_nr(const struct kvm_stats *stats)
{
	return stats->nr;
}

const struct kvm_stat *kvm_stats_get(const struct kvm_stats *stats, unsigned i)
{
	return &stats->stats[i];
}
