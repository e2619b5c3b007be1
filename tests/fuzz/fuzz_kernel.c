// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_kernel.c - any bytes as a kernel file, which is its own initrd too.
 *
 * Whatever they are, what is refused is refused with a reason, what is taken
 * has an entry that was loaded, and the RAM that is nobody's stays untouched.
 */
#include "base/bits.h"
#include "base/err.h"
#include "boot/boot.h"
#include "boot/x86_layout.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOW_LEN		(64 * MiB)
#define HIGH_LEN	(2 * MiB)

static struct guest_mem *mem;
static uint8_t *low, *high;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static uint8_t *map(size_t len)
{
	void *host = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(host != MAP_FAILED);
	return host;
}

static void build(void)
{
	mem = guest_mem_new();
	must(mem);
	low = map(LOW_LEN);
	high = map(HIGH_LEN);
	must(guest_mem_add(mem, 0, low, LOW_LEN) == 0);
	must(guest_mem_add(mem, X86_HIGH_RAM_AT, high, HIGH_LEN) == 0);
}

/* RAM reads as zero again. */
static void forget(void)
{
	must(madvise(low, LOW_LEN, MADV_DONTNEED) == 0);
	must(madvise(high, HIGH_LEN, MADV_DONTNEED) == 0);
}

static void check_loaded(const struct boot_entry *entry)
{
	static const uint8_t zeroes[X86_EBDA_LEN];

	must(entry->mode == BOOT_LINUX64 || entry->mode == BOOT_PVH);
	must(entry->ip >= X86_KERNEL_AT && entry->ip < LOW_LEN);
	must(memcmp(low + X86_EBDA_AT, zeroes, sizeof(zeroes)) == 0);
}

static void load(const char *path)
{
	const struct boot_config config = {
		.kernel = path,
		.initrd = path,
		.cmdline = BOOT_CMDLINE_DEFAULT,
		.nr_cpus = 1,
	};
	struct boot_entry entry;
	struct err err = { 0 };
	int r = boot_load(mem, &config, &entry, &err);

	if (r == 0)
		check_loaded(&entry);
	else
		must(r < 0 && err.code == r && *err.text && !strchr(err.text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char path[32];
	int fd;

	if (!mem)
		build();
	fd = memfd_create("kernel", MFD_CLOEXEC);
	must(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	load(path);
	close(fd);
	forget();
	return 0;
}
