/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_create.h - writes a new, empty qcow2 image.
 */
#ifndef BLOCK_QCOW2_CREATE_H
#define BLOCK_QCOW2_CREATE_H

#include <stdbool.h>
#include <stdint.h>

struct err;

struct qcow2_create {
	uint64_t size;			/* bytes of the disk; a multiple of 512 */
	unsigned cluster_bits;		/* 9 to 21; 0: 64 KiB */
	const char *backing;		/* name as it is recorded, or NULL */
	const char *backing_format;	/* with a backing file */
	unsigned compression;		/* QCOW2_COMPRESSION_ZLIB or _ZSTD */
	bool lazy_refcounts;
	bool extended;			/* subclusters; 16 KiB clusters at least */
	bool preallocate;		/* all tables, so that a write changes none */
};

/*
 * fd is an empty file, open for writing; path is for messages.  The image is durable
 * when this returns 0.  Version 3.  Main.
 */
int qcow2_create(int fd, const char *path, const struct qcow2_create *create,
		 struct err *err);

#endif
