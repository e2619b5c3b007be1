/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram.h - host memory that serves as guest RAM.
 *
 * Mapped at 2 MiB alignment and advised to be backed by huge pages, so that a
 * guest's first touch costs one nested page fault per 2 MiB.  Pages come when
 * they are first touched and read as zero.
 *
 * Main thread.
 */
#ifndef MEMORY_RAM_H
#define MEMORY_RAM_H

#include <stdint.h>

struct err;

struct ram {
	void *host;		/* NULL while closed */
	uint64_t len;		/* bytes, a multiple of 4 KiB */
};

int ram_open(struct ram *ram, uint64_t len, struct err *err);
void ram_close(struct ram *ram);

#endif
