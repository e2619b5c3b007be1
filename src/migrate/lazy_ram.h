/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lazy_ram.h - memory that comes after the guest has begun to run in it (post-copy).
 *
 * Whoever touches a page that is missing, vCPU or monitor, sleeps until it is there
 * (userfaultfd(2)).  A thread here finds out which page that is and has it asked for.
 */
#ifndef MIGRATE_LAZY_RAM_H
#define MIGRATE_LAZY_RAM_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct lazy_ram;
struct ram;

struct lazy_ram_config {
	const struct ram *ram;

	/* Somebody waits for this page, which is missing.  On a thread of its own. */
	void (*ask)(void *ctx, uint64_t page);
	void *ctx;
};

/* -ENOTSUP, -EPERM: the host does not allow it.  Main. */
int lazy_ram_new(struct lazy_ram **ret_lazy, const struct lazy_ram_config *config,
		 struct err *err);

/* Whoever still sleeps for a page that is missing gets one of zeroes.  Main.  -> NULL */
struct lazy_ram *lazy_ram_free(struct lazy_ram *lazy);

/*
 * These pages are missing, and what they held is gone; or a negative errno, where they are
 * locked in memory.  Before the start; any thread.
 */
int lazy_ram_miss(struct lazy_ram *lazy, uint64_t page, uint64_t nr);

/* From here on whoever touches one of them sleeps. */
int lazy_ram_start(struct lazy_ram *lazy, struct err *err);

/*
 * These pages have come; zeroes if bytes is NULL.  What is there already stays as it is.
 * Any thread.
 */
int lazy_ram_fill(struct lazy_ram *lazy, uint64_t page, uint64_t nr, const void *bytes);

/*
 * From here on whoever waits for a page does so for so long at most.  Then a system call that
 * needs it fails with -EFAULT, KVM_RUN among them, so that no disk and no guest gets what is
 * not there; who touches it himself finds zeroes, and is told (base/lost_memory.h).  Until
 * lazy_ram_free() SIGBUS is taken for this.  Any thread.
 */
void lazy_ram_hurry(struct lazy_ram *lazy, unsigned ms);

/* How many are missing; and the next run of them, from *at on.  Any thread. */
uint64_t lazy_ram_nr_missing(const struct lazy_ram *lazy);
bool lazy_ram_next(const struct lazy_ram *lazy, uint64_t *at, uint64_t *ret_end);

#endif
