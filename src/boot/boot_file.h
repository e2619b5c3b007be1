/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_file.h - a file that is loaded into the guest, and never believed.
 *
 * Every message starts with what the file is for and its path.  A read that is
 * not wholly inside the file is refused as a truncated file, so a loader may
 * pass on offsets and lengths just as the file states them.
 */
#ifndef BOOT_BOOT_FILE_H
#define BOOT_BOOT_FILE_H

#include "memory/guest_mem.h"

#include <stddef.h>
#include <stdint.h>

struct err;

struct boot_file {
	const char *what;	/* "kernel" */
	const char *path;
	int fd;
	uint64_t len;		/* at least 1 */
};

/* what and path must outlive the file. */
int boot_file_open(struct boot_file *file, const char *what, const char *path,
		   struct err *err);
void boot_file_close(struct boot_file *file);

/* The len bytes at from, copied to dst. */
int boot_file_read(const struct boot_file *file, uint64_t from, void *dst, size_t len,
		   struct err *err);

/* The len bytes at from, straight into guest memory; -EFAULT where that is not RAM. */
int boot_file_load(const struct boot_file *file, uint64_t from, uint64_t len,
		   struct guest_mem *mem, gpa_t at, struct err *err);

/* Record "what 'path': ..." and return code. */
int boot_file_refuse(const struct boot_file *file, int code, struct err *err,
		     const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
