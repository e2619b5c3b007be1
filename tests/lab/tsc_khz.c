// SPDX-License-Identifier: Apache-2.0
/*
 * tsc_khz - prints the frequency of this machine's time-stamp counter in kHz.
 *
 * The processor that QEMU emulates counts with the TSC of the real one.  A kernel
 * in there that has to measure it goes wrong on a busy machine, by up to a factor,
 * because it is stopped at any moment; here a disturbed reading can be told and
 * taken again.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define WINDOW_NS	(30 * 1000 * 1000LL)
#define NR_TRIES	50

struct moment {
	int64_t ns;
	uint64_t tsc;
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Both clocks at once: of several readings the one that took the least time. */
static struct moment now(void)
{
	struct moment best = { 0 };
	uint64_t shortest = UINT64_MAX;

	for (int i = 0; i < NR_TRIES; i++) {
		uint64_t before = __rdtsc();
		int64_t ns = now_ns();
		uint64_t took = __rdtsc() - before;

		if (took < shortest) {
			shortest = took;
			best = (struct moment){ .ns = ns, .tsc = before + took / 2 };
		}
	}
	return best;
}

int main(void)
{
	const struct timespec window = { .tv_nsec = WINDOW_NS };
	struct moment from = now(), to;

	nanosleep(&window, NULL);
	to = now();
	printf("%llu\n", (unsigned long long)((to.tsc - from.tsc) * 1000000 /
					      (uint64_t)(to.ns - from.ns)));
	return 0;
}
