// SPDX-License-Identifier: Apache-2.0
#include "memory/ram.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <sys/mman.h>

#define HUGE_PAGE (2 * MiB)

int ram_open(struct ram *ram, uint64_t len, struct err *err)
{
	uintptr_t at, aligned;
	void *whole;

	if (len > SIZE_MAX - HUGE_PAGE)
		return err_set(err, -ENOMEM, "cannot map %llu MiB of memory: more than an "
			       "address space holds", (unsigned long long)(len / MiB));

	/* More than asked for; what lies before and behind the alignment goes back. */
	whole = mmap(NULL, len + HUGE_PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (whole == MAP_FAILED)
		return err_sys(err, -errno, "cannot map %llu MiB of memory for the guest",
			       (unsigned long long)(len / MiB));
	at = (uintptr_t)whole;
	aligned = align_up(at, HUGE_PAGE);
	if (aligned > at)
		munmap(whole, aligned - at);
	munmap((void *)(aligned + len), at + HUGE_PAGE - aligned);

	ram->host = (void *)aligned;
	ram->len = len;
	/* Advice only: a kernel without huge pages runs the guest all the same. */
	(void)madvise(ram->host, len, MADV_HUGEPAGE);
	(void)madvise(ram->host, len, MADV_DONTDUMP);
	return 0;
}

void ram_close(struct ram *ram)
{
	if (ram->host)
		munmap(ram->host, ram->len);
	*ram = (struct ram){ 0 };
}
