// SPDX-License-Identifier: Apache-2.0
/*
 * working_set.c - what was touched is what the kernel has given this process of the mapped
 * memory, by /proc/self/pagemap.
 *
 * It gives more than was asked for: it reads some pages around one, and maps those around
 * that it has at hand.  So while the working set is recorded nothing is at hand, and
 * nothing is read unasked.
 *
 * Reading ahead only brings pages into the cache that all VMs share.  So it needs nothing
 * of the VM that it is done for, and what it reads is not taken for touched.
 */
#include "migrate/working_set.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "loop/loop.h"
#include "machine/machine_state.h"
#include "memory/ram.h"
#include "memory_file.h"
#include "migrate/snapshot.h"
#include "pages.h"
#include "snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGEMAP "/proc/self/pagemap"

/* Of its entries, Documentation/admin-guide/mm/pagemap.rst: in memory, or swapped out. */
#define TOUCHED (BIT64(63) | BIT64(62))

struct recorder {
	int folder;
	uint64_t seconds;
	struct machine *machine;
	struct machine_holder holder;
	struct loop *loop;
	struct loop_timer timer;
};

/* The pages of one word. */
static int look(int pagemap, const struct ram *ram, uint64_t word, uint64_t *ret_bits)
{
	uint64_t entries[64], bits = 0, first = word * 64;
	uint64_t nr = min_u64(64, ram->len / PAGES_LEN - first);
	uint64_t at = ((uintptr_t)ram->host / PAGES_LEN + first) * sizeof(entries[0]);
	ssize_t len = (ssize_t)(nr * sizeof(entries[0]));

	if (pread(pagemap, entries, (size_t)len, (off_t)at) != len)
		return -EIO;
	for (uint64_t i = 0; i < nr; i++)
		if (entries[i] & TOUCHED)
			bits |= BIT64(i);
	*ret_bits = bits;
	return 0;
}

static int look_at_all(const struct ram *ram, uint64_t *bitmap)
{
	uint64_t words = pages_words(ram->len);
	int r = 0, fd = open(PAGEMAP, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (uint64_t i = 0; i < words && !r; i++)
		r = look(fd, ram, i, &bitmap[i]);
	close(fd);
	return r;
}

static int note(const struct recorder *recorder, struct err *err)
{
	const struct ram *ram = machine_state_ram(recorder->machine);
	uint64_t words = pages_words(ram->len);
	uint64_t *bitmap = calloc(words + 1, sizeof(*bitmap));
	int r = bitmap ? look_at_all(ram, bitmap) : -ENOMEM;

	if (r < 0)
		err_sys(err, r, "cannot tell what memory was used (" PAGEMAP ")");
	else
		r = snapshot_file_write_set(recorder->folder, bitmap, words, err);
	free(bitmap);
	return r;
}

static void finish(struct recorder *recorder)
{
	const struct ram *ram = machine_state_ram(recorder->machine);
	struct err err = { 0 };

	loop_timer_clear(recorder->loop, &recorder->timer);
	(void)madvise(ram->host, ram->len, MADV_NORMAL);
	if (note(recorder, &err) < 0)
		log_warn("no working set is recorded: %s", err.text);
	else
		log_info("the working set is recorded");
}

static void let_go(struct machine_holder *holder)
{
	finish(container_of(holder, struct recorder, holder));
}

static void give_way(struct machine_holder *holder)
{
	struct recorder *recorder = container_of(holder, struct recorder, holder);

	finish(recorder);
	machine_state_release(recorder->machine, holder);
}

static void timed_out(struct loop_timer *timer)
{
	give_way(&container_of(timer, struct recorder, timer)->holder);
}

int recorder_new(struct recorder **ret_recorder, const struct snapshot *snapshot,
		 const struct ram *ram, uint32_t seconds, struct err *err)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));

	if (!recorder)
		return err_sys(err, -ENOMEM, "cannot record the working set");
	*recorder = (struct recorder){
		.folder = snapshot_folder(snapshot),
		.seconds = seconds,
		.holder.let_go = let_go,
		.holder.give_way = give_way,
		.timer.fired = timed_out,
	};
	if (recorder->folder < 0) {
		int r = err_sys(err, recorder->folder, "cannot record the working set");

		free(recorder);
		return r;
	}
	(void)madvise(ram->host, ram->len, MADV_RANDOM);
	snapshot_uncache(snapshot);
	*ret_recorder = recorder;
	return 0;
}

void recorder_start(struct recorder *recorder, struct machine *machine, struct loop *main)
{
	struct err err = { 0 };

	recorder->machine = machine;
	recorder->loop = main;
	if (machine_state_hold(machine, &recorder->holder, &err) < 0)
		log_warn("no working set is recorded: %s", err.text);
	else
		loop_timer_set(main, &recorder->timer,
			       clock_ns() + recorder->seconds * CLOCK_NS_PER_S);
}

struct recorder *recorder_free(struct recorder *recorder)
{
	if (recorder)
		close(recorder->folder);
	free(recorder);
	return NULL;
}

struct prefetch {
	struct snapshot *snapshot;
	pthread_t thread;
	atomic_bool stopped;
};

static bool goes_on(void *ctx, uint64_t bytes)
{
	const struct prefetch *prefetch = ctx;

	(void)bytes;
	return !prefetch->stopped;
}

static void *run(void *arg)
{
	struct prefetch *prefetch = arg;
	struct err err = { 0 };
	int r = snapshot_read_ahead(prefetch->snapshot, goes_on, prefetch, &err);

	if (r < 0 && r != -ECANCELED)
		log_warn("nothing is read ahead: %s", err.text);
	prefetch->snapshot = snapshot_close(prefetch->snapshot);
	return NULL;
}

struct prefetch *prefetch_start(struct snapshot *snapshot)
{
	struct prefetch *prefetch = calloc(1, sizeof(*prefetch));

	if (prefetch) {
		prefetch->snapshot = snapshot;
		if (!thread_start(&prefetch->thread, "prefetch", run, prefetch))
			return prefetch;
	}
	log_warn("nothing is read ahead: no thread can be started");
	snapshot_close(snapshot);
	free(prefetch);
	return NULL;
}

struct prefetch *prefetch_stop(struct prefetch *prefetch)
{
	if (!prefetch)
		return NULL;
	prefetch->stopped = true;
	pthread_join(prefetch->thread, NULL);
	free(prefetch);
	return NULL;
}
