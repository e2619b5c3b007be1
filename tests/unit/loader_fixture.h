/* SPDX-License-Identifier: Apache-2.0 */
/* loader_fixture.h - a file and RAM for one loader of kernels, which the test names. */
#ifndef TESTS_UNIT_LOADER_FIXTURE_H
#define TESTS_UNIT_LOADER_FIXTURE_H

#include "base/err.h"
#include "boot/boot_file.h"
#include "kernel_files.h"

#define RAM_LEN (16 * MiB)

static struct image image;
static struct guest_mem *mem;
static uint8_t *ram;
static struct err err;

static int (*load_file)(const struct boot_file *file);	/* the test says */

static inline void teardown(void)
{
	mem = guest_mem_free(mem);
	munmap(ram, RAM_LEN);
}

static inline int load(void)
{
	struct boot_file file;
	int r;

	ck_assert_int_eq(boot_file_open(&file, "kernel", image_write(&image), &err), 0);
	r = load_file(&file);
	boot_file_close(&file);
	close(image.fd);
	return r;
}

static inline void assert_loads(void)
{
	ck_assert_msg(load() == 0, "%s", err.text);
}

/* The message names the file and has the reason in it. */
static inline void assert_refused(int code, const char *reason)
{
	ck_assert_int_eq(load(), code);
	ck_assert_int_eq(strncmp(err.text, "kernel '/proc/self/fd/", 22), 0);
	ck_assert_msg(strstr(err.text, reason), "'%s' is not in '%s'", reason, err.text);
}

#endif
