/* SPDX-License-Identifier: Apache-2.0 */
/*
 * initrd.h - the initial RAM disk: any file, placed as high as it may lie.
 */
#ifndef BOOT_INITRD_H
#define BOOT_INITRD_H

#include "memory/guest_mem.h"

#include <stdint.h>

struct err;

/* Where an initrd may lie; why_to ends the message when it does not fit. */
struct initrd_room {
	gpa_t from, to;
	const char *why_to;
};

struct initrd {
	gpa_t at;		/* page-aligned */
	uint64_t len;		/* bytes; 0: none */
};

int initrd_load(struct guest_mem *mem, const char *path,
		const struct initrd_room *room, struct initrd *ret_initrd, struct err *err);

#endif
