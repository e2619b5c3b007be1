/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_disk.h - disk.h in memory, in place of src/block.
 *
 * Requests complete at the end of the loop's turn, the last first, unless they are
 * held.
 */
#ifndef TESTS_DEVICE_FAKE_DISK_H
#define TESTS_DEVICE_FAKE_DISK_H

#include "block/disk.h"

#include <stdbool.h>
#include <stdint.h>

#define FAKE_DISK_LOG_MAX	16

/* What happened to a disk, and what is to happen; the owner's. */
struct fake_disk_log {
	bool hold;			/* complete nothing until fake_disk_release() */
	unsigned nr_turns;		/* of the loop that a request takes besides */
	int result;			/* of every request, if not 0 */
	enum disk_verdict verdict;	/* about requests that fail */
	bool no_cache;			/* writes go through */
	unsigned nr_waiting;		/* submitted, not complete */
	unsigned nr_reads, nr_writes, nr_durable, nr_flushes, nr_discards, nr_zeroes, nr_unmaps;
	unsigned nr_failures;		/* that were judged */
	unsigned nr_submitted, nr_done;
	uint64_t at[FAKE_DISK_LOG_MAX];	/* of the last ones; by number, modulo this */
	uint64_t done_at[FAKE_DISK_LOG_MAX];	/* likewise, as they were done */
};

#define FAKE_DISK_UNIT	4096		/* of a discard */

/* bytes hold the content, outlive the disk, and are len long, a multiple of 512. */
struct disk *fake_disk_new(struct loop *loop, uint8_t *bytes, uint64_t len, bool read_only);
struct disk *fake_disk_free(struct disk *disk);		/* -> NULL */

struct fake_disk_log *fake_disk_log(struct disk *disk);

/* The disk has another size, at most that of bytes.  Owner. */
void fake_disk_shorten(struct disk *disk, uint64_t len);

/* Complete what is held and hold no more.  Owner. */
void fake_disk_release(struct disk *disk);

#endif
