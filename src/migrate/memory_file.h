/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_file.h - a VM's RAM in a file that can be mapped again.
 *
 * Each page lies in the file where it lies in RAM, so that restoring is one mmap(2),
 * however large the VM.  Pages of zeroes are holes.
 *
 * Of a snapshot with a parent, the file has only the pages that a bitmap names; the
 * others are those of the parent.
 *
 * Any thread.
 */
#ifndef MIGRATE_MEMORY_FILE_H
#define MIGRATE_MEMORY_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct ram;

/* How far it is; false breaks it off with -ECANCELED. */
typedef bool memory_file_progress(void *ctx, uint64_t bytes);

/*
 * Write what of ram the bitmap names, or with NULL all of it but pages of zeroes: then
 * the file has to be new.  progress may be NULL.
 */
int memory_file_write(int fd, const struct ram *ram, const uint64_t *bitmap,
		      memory_file_progress *progress, void *ctx, struct err *err);

/* Have ram read as the file, privately: neither its pages nor its length may change. */
int memory_file_map(int fd, const struct ram *ram, struct err *err);

/* Lay the pages that the bitmap names over what ram has. */
int memory_file_lay_over(int fd, const struct ram *ram, const uint64_t *bitmap,
			 struct err *err);

/* Have the host read what the bitmap names into its cache. */
int memory_file_read_ahead(int fd, uint64_t len, const uint64_t *bitmap,
			   memory_file_progress *progress, void *ctx, struct err *err);

/*
 * The CRC-32 of the pages that the bitmap names, or with NULL of all, each behind its
 * number, and how many these are; a page of zeroes counts no more than a hole.  progress
 * may be NULL.
 */
int memory_file_sum(int fd, uint64_t len, const uint64_t *bitmap, uint32_t *ret_crc,
		    uint64_t *ret_nr, memory_file_progress *progress, void *ctx,
		    struct err *err);

#endif
