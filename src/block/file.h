/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - an image file or block device: opened, locked, and read and written
 * asynchronously.  Formats sit above it and do no I/O of their own.
 */
#ifndef BLOCK_FILE_H
#define BLOCK_FILE_H

#include "block/disk.h"

struct file {
	int fd;
	uint64_t size;			/* bytes, a multiple of block_size */
	uint32_t block_size;		/* what at and len must be multiples of */
	uint32_t mem_align;		/* what buffers must be aligned to; 1: nothing */
	bool read_only;
};

/*
 * Main.  Refuses what is no image: directories, pipes, odd sizes; and what
 * another process, or another disk of this one, is using.
 */
int file_open(struct file *file, const struct disk_config *config, struct err *err);
void file_close(struct file *file);

/* The first len bytes, zero beyond the end; for judging what it is.  Main. */
int file_peek(const struct file *file, void *bytes, size_t len);

/* Carry out a request that lies within the file; owner. */
void file_submit(const struct file *file, struct loop *loop,
		 struct disk_request *request);

#endif
