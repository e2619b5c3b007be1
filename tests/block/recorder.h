/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.h - notes what reaches a file and when, and says what a power cut leaves.
 *
 * The linker puts the functions here in the place of those that write (meson.build).
 * Events are numbered: each start and each end of a write or sync is one.  A write
 * is on the medium for sure when a sync that began after the write's end has ended;
 * until then any sector of it may be there or not.
 *
 * One file at a time, one thread.
 */
#ifndef TESTS_BLOCK_RECORDER_H
#define TESTS_BLOCK_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Note what happens to the file that is open by this path, until stopped; the notes
 * are kept until the next start.
 */
void recorder_start(const char *path);
void recorder_stop(void);

/* Number of the next event. */
uint32_t recorder_now(void);

/* How many holes have been asked for so far, in any file. */
unsigned recorder_holes(void);

/* Without notes, for faults only. */
void recorder_watch(const char *path);

/*
 * Let nr more operations on the file succeed and fail the one after with -EIO, each
 * following one too if lasting.  True from recorder_end_fault(): one has failed.
 */
void recorder_fail(unsigned nr, bool lasting);

void recorder_fail_sync(unsigned nr);	/* the same of syncs alone */
void recorder_fail_space(void);		/* the next write fails with -ENOSPC */
bool recorder_end_fault(void);

/* A file that lost power before event number at; begins as it was at the start. */
struct recorder_medium {
	uint8_t *bytes;
	size_t len, max;
	uint32_t at;
	uint32_t first;			/* action that is not on it for sure */
};

void recorder_medium_init(struct recorder_medium *medium);
void recorder_medium_fini(struct recorder_medium *medium);

/* Everything that is on it for sure at a later event. */
void recorder_advance(struct recorder_medium *medium, uint32_t at);

/*
 * A copy with, of what is not sure: all (choose NULL), or each sector for which
 * choose() is not 0.
 */
void recorder_cut(struct recorder_medium *to, const struct recorder_medium *medium,
		  uint64_t (*choose)(void *ctx), void *ctx);

#endif
