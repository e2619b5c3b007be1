// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_kernel.c - any bytes as a kernel file, which is its own initrd too.
 *
 * Whatever they are, what is refused is refused with a reason, what is taken
 * has an entry that was loaded, and the RAM that is nobody's stays untouched.
 */
#include "fuzz_kernel.h"

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct guest_mem *mem;
static uint8_t *ram[FUZZ_KERNEL_PARTS];

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
	for (size_t i = 0; i < FUZZ_KERNEL_PARTS; i++) {
		const struct fuzz_kernel_part *part = &fuzz_kernel_ram[i];

		ram[i] = map(part->len);
		must(guest_mem_add(mem, part->at, ram[i], part->len) == 0);
	}
}

/* RAM reads as zero again. */
static void forget(void)
{
	for (size_t i = 0; i < FUZZ_KERNEL_PARTS; i++)
		must(madvise(ram[i], fuzz_kernel_ram[i].len, MADV_DONTNEED) == 0);
}

static void load(const char *path)
{
	const struct boot_config config = {
		.kernel = path,
		.initrd = path,
		.cmdline = BOOT_CMDLINE_DEFAULT,
		.nr_cpus = 1,
		.arm64 = fuzz_kernel_arm64,
	};
	struct boot_entry entry;
	struct err err = { 0 };
	int r = boot_load(mem, &config, &entry, &err);

	if (r == 0)
		must(fuzz_kernel_is_loaded(&entry, ram[0]));
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
