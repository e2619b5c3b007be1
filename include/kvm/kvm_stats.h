/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_stats.h - what KVM counts of a VM or a vCPU.
 *
 * The kernel describes its counters itself: names, units and where each lies.
 * Descriptions are read once, all values by one read each time.  What it says is
 * judged like any file; a counter of a kind that is unknown here is left out.
 * "Binary stats" in Documentation/virt/kvm/api.rst.
 *
 * Main.
 */
#ifndef KVM_KVM_STATS_H
#define KVM_KVM_STATS_H

#include <stdint.h>

struct err;
struct kvm_stats;

enum kvm_stat_type {
	KVM_STAT_CUMULATIVE,
	KVM_STAT_INSTANT,
	KVM_STAT_PEAK,
	KVM_STAT_LINEAR_HISTOGRAM,
	KVM_STAT_LOG_HISTOGRAM,
};

enum kvm_stat_unit {
	KVM_STAT_NO_UNIT,
	KVM_STAT_BYTES,
	KVM_STAT_SECONDS,
	KVM_STAT_CYCLES,
	KVM_STAT_BOOLEAN,
};

struct kvm_stat {
	const char *name;
	enum kvm_stat_type type;
	enum kvm_stat_unit unit;
	unsigned base;			/* 10 or 2: a value counts base^exponent units */
	int exponent;
	uint32_t bucket_size;		/* of a linear histogram */
	unsigned nr_values;		/* at least 1 */
	const uint64_t *values;		/* of the last kvm_stats_read() */
};

/* The fd is one of KVM_GET_STATS_FD; taken, also on failure. */
int kvm_stats_new(struct kvm_stats **ret_stats, int fd, struct err *err);
struct kvm_stats *kvm_stats_free(struct kvm_stats *stats);	/* -> NULL */

int kvm_stats_read(struct kvm_stats *stats, struct err *err);

unsigned kvm_stats_nr(const struct kvm_stats *stats);
const struct kvm_stat *kvm_stats_get(const struct kvm_stats *stats, unsigned i);

#endif
