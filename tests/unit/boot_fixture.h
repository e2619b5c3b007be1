/* SPDX-License-Identifier: Apache-2.0 */
/* boot_fixture.h - files, RAM and a VM for boot_load(), of either architecture. */
#ifndef TESTS_UNIT_BOOT_FIXTURE_H
#define TESTS_UNIT_BOOT_FIXTURE_H

#include "base/err.h"
#include "boot/boot.h"
#include "kernel_files.h"

#define RAM_LEN (16 * MiB)

static struct image kernel, initrd;
static struct guest_mem *mem;
static uint8_t *ram;
static struct boot_config config;
static struct boot_entry entry;
static struct err err;

/* RAM at this address, an initrd of 5000 bytes of 0x99; the kernel is the caller's. */
static inline void set_up(gpa_t ram_at)
{
	mem = fresh_ram(ram_at, RAM_LEN, &ram);
	memset(&initrd, 0, sizeof(initrd));
	initrd.len = 5000;
	memset(initrd.bytes, 0x99, initrd.len);
	config = (struct boot_config){
		.cmdline = "console=ttyS0",
		.nr_cpus = 1,
	};
}

static inline void teardown(void)
{
	mem = guest_mem_free(mem);
	munmap(ram, RAM_LEN);
}

static inline int load(void)
{
	int r;

	config.kernel = image_write(&kernel);
	r = boot_load(mem, &config, &entry, &err);
	close(kernel.fd);
	return r;
}

static inline void assert_loads(void)
{
	ck_assert_msg(load() == 0, "%s", err.text);
}

static inline void assert_refused(int code, const char *reason)
{
	ck_assert_int_eq(load(), code);
	ck_assert_msg(strstr(err.text, reason), "'%s' is not in '%s'", reason, err.text);
}

#endif
