/* SPDX-License-Identifier: Apache-2.0 */
/* lost_memory_fixture.h - memory of a guest that is lost, as base/lost_memory.h has it. */
#ifndef TESTS_UNIT_LOST_MEMORY_FIXTURE_H
#define TESTS_UNIT_LOST_MEMORY_FIXTURE_H

#include "base/bits.h"
#include "base/lost_memory.h"

#include <check.h>
#include <signal.h>
#include <sys/mman.h>

/* As whoever has lost it does (migrate/lazy_ram.h). */
static inline void touched(int number, siginfo_t *info, void *context)
{
	void *page = (void *)align_down((uintptr_t)info->si_addr, 4096);

	(void)number, (void)context;
	(void)mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	lost_memory_touched();
}

static inline uint8_t *lose_memory(size_t len)
{
	const struct sigaction action = { .sa_sigaction = touched, .sa_flags = SA_SIGINFO };
	int nothing = memfd_create("nothing", MFD_CLOEXEC);
	void *lost = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, nothing, 0);

	ck_assert_ptr_ne(lost, MAP_FAILED);
	sigaction(SIGBUS, &action, NULL);
	return lost;
}

#endif
