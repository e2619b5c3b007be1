/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram_use.h - how much memory of the host the guest's RAM takes, and the rest of
 * the monitor.
 *
 * From /proc/self/smaps, for which the kernel walks page tables: of a large guest
 * in small pages it takes milliseconds.  Any thread.
 */
#ifndef MEMORY_RAM_USE_H
#define MEMORY_RAM_USE_H

#include <stdint.h>
#include <stdio.h>

struct err;
struct ram;

/* Bytes; proportional: what others map too counts in part. */
struct ram_use {
	uint64_t resident, proportional;
};

int ram_use_ask(const struct ram *ram, struct ram_use *ret_guest, struct ram_use *ret_rest,
		struct err *err);

/* The same from a file that is laid out like smaps. */
void ram_use_read(FILE *smaps, const struct ram *ram, struct ram_use *ret_guest,
		  struct ram_use *ret_rest);

#endif
