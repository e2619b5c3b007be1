// SPDX-License-Identifier: Apache-2.0
/*
 * Power cuts during changes of an image as a whole: at every event, with all, and with
 * random parts, of what no sync had secured.  The image is then what it was before or
 * what it is afterwards, and nothing between.
 */
#include "block/image.h"
#include "block/recorder.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk_create.h"
#include "block/disk_snapshot.h"
#include "block/qcow2_check.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE		(256 * KiB)
#define NR_TOSSES	5	/* of each event */
#define WHOLE_CHECK	512	/* every so many cuts, QEMU looks as well */

struct state {
	uint8_t *bytes;
	uint64_t size;
	unsigned nr_snapshots;
};

static struct image image;
static struct recorder_medium sure, cut;
static unsigned nr_cuts;

/* Changes. */

static void snapshot(enum disk_snapshot_change change, const char *name)
{
	struct err err = { 0 };

	ck_assert_msg(!disk_snapshot_change(&image.config, change, name, &err), "%s", err.text);
}

static void create(void)
{
	snapshot(DISK_SNAPSHOT_CREATE, "three");
}

static void apply(void)
{
	snapshot(DISK_SNAPSHOT_APPLY, "two");
}

static void delete(void)
{
	snapshot(DISK_SNAPSHOT_DELETE, "two");
}

static void open_image(void)
{
	struct err err = { 0 };

	ck_assert_msg(!disk_open(&image.disk, &image.config, image.loop, &err), "%s", err.text);
}

static void shrink(void)
{
	open_image();
	ck_assert_int_eq(disk_create_resize(image.disk, 150 * KiB + 512, NULL), 0);
	image_close(&image);
}

static void flushed(struct disk_request *request, int res)
{
	(void)request;
	ck_assert_int_eq(res, 0);
	loop_quit(image.loop);
}

/*
 * Beyond what the L1 table has room for, while metadata are written.  What was written
 * are zeros where zeros were, so that the disk has two states all the same.
 */
static void grow(void)
{
	struct disk_request flush = { .op = DISK_FLUSH, .done = flushed };
	static uint8_t zeros[8 * KiB];

	open_image();
	for (uint64_t at = 128 * KiB; at < 200 * KiB; at += 2 * sizeof(zeros))
		ck_assert_int_eq(image_request(&image, DISK_WRITE, at, zeros, sizeof(zeros)), 0);
	disk_submit(image.disk, &flush);
	ck_assert_int_eq(disk_resize(image.disk, 3 * MiB, NULL), 0);
	ck_assert_int_eq(loop_run(image.loop), 0);
	image_close(&image);
}

static const struct {
	void (*change)(void);
	bool may_leak;		/* what is counted before something refers to it */
} changes[] = {
	{ create, false }, { apply, false }, { delete, false }, { shrink, false },
	{ grow, true },
};

static const char *const kinds[] = {
	"cluster_size=512", "cluster_size=4k", "cluster_size=512,refcount_bits=64",
	"cluster_size=16k,extended_l2=on",
};

/* States. */

static void count_one(void *ctx, const struct disk_snapshot *s)
{
	(void)s;
	++*(unsigned *)ctx;
}

static struct state look(void)
{
	struct state state = { 0 };

	open_image();
	state.size = disk_size(image.disk);
	state.bytes = malloc(state.size);
	ck_assert_int_eq(image_request(&image, DISK_READ, 0, state.bytes, state.size), 0);
	image_close(&image);
	ck_assert_int_eq(disk_snapshot_list(&image.config, count_one, &state.nr_snapshots, NULL),
			 0);
	return state;
}

static bool is_same(const struct state *a, const struct state *b)
{
	return a->size == b->size && a->nr_snapshots == b->nr_snapshots &&
	       !memcmp(a->bytes, b->bytes, a->size);
}

/* Cuts. */

static void write_cut(void)
{
	int fd = open(image.path, O_CREAT | O_TRUNC | O_RDWR, 0644);

	ck_assert_int_eq(write(fd, cut.bytes, cut.len), cut.len);
	close(fd);
}

static void check_cut(bool may_leak)
{
	struct qcow2_check check;
	struct err err = { 0 };
	int fd = open(image.path, O_RDONLY);

	if (qcow2_check(&check, fd, image.path, QCOW2_CHECK_FIX_NONE, NULL, &err))
		ck_abort_msg("event %u: %s", cut.at, err.text);
	close(fd);
	if (check.nr_corruptions || (check.nr_leaks && !may_leak))
		ck_abort_msg("event %u: %llu corruptions, %llu leaks", cut.at,
			     (unsigned long long)check.nr_corruptions,
			     (unsigned long long)check.nr_leaks);
}

static void try_cut(const struct state *before, const struct state *after,
		    const struct state *one, bool may_leak)
{
	struct state now;

	write_cut();
	check_cut(may_leak);
	now = look();
	if (!is_same(&now, before) && !is_same(&now, after))
		ck_abort_msg("event %u: it is neither what it was nor what it should be", cut.at);
	free(now.bytes);
	if (!(nr_cuts % WHOLE_CHECK))
		image_run(&image, may_leak ? "qemu-img check -r leaks %s" : "qemu-img check %s",
			  image.path);
	if (++nr_cuts % 8)
		return;
	snapshot(DISK_SNAPSHOT_APPLY, "one");
	check_cut(false);
	now = look();
	if (now.size != one->size || memcmp(now.bytes, one->bytes, now.size))
		ck_abort_msg("event %u: a snapshot holds something else", cut.at);
	free(now.bytes);
}

static uint64_t toss(void *ctx)
{
	return image_random(ctx, 2);
}

static void make_image(const char *options, struct state *ret_one)
{
	image_init(&image, "top.qcow2", 4711);
	image.config.cache_len = 1;
	image_run(&image, "qemu-img create -f qcow2 -o %s top.qcow2 %llu && "
		  "qemu-io -c 'write -P 1 0 100k' -c 'write -P 2 200k 30k' top.qcow2 && "
		  "qemu-img snapshot -c one top.qcow2 && cp top.qcow2 one.qcow2 && "
		  "qemu-io -c 'write -P 3 20k 100k' top.qcow2 && "
		  "qemu-img snapshot -c two top.qcow2 && "
		  "qemu-io -c 'write -P 4 30k 9k' -c 'discard 48k 64k' top.qcow2", options,
		  (unsigned long long)SIZE);
	memcpy(strrchr(image.path, '/'), "/one", 4);
	*ret_one = look();
	memcpy(strrchr(image.path, '/'), "/top", 4);
}

START_TEST(cut_during_a_change_leaves_one_state_or_the_other)
{
	struct state one, before, after;

	make_image(kinds[_i % (int)ARRAY_LEN(kinds)], &one);
	before = look();
	recorder_start(image.path);
	changes[_i / (int)ARRAY_LEN(kinds)].change();
	recorder_stop();
	after = look();
	ck_assert(!is_same(&before, &after));

	memcpy(strrchr(image.path, '/'), "/cut", 4);
	recorder_medium_init(&sure);
	recorder_medium_init(&cut);
	for (uint32_t at = 1; at <= recorder_now(); at++) {
		recorder_advance(&sure, at);
		for (unsigned i = 0; i <= NR_TOSSES; i++) {
			recorder_cut(&cut, &sure, i ? toss : NULL, &image);
			try_cut(&before, &after, &one,
				changes[_i / (int)ARRAY_LEN(kinds)].may_leak);
		}
	}

	printf("%s, change %d: %u cuts\n", kinds[_i % (int)ARRAY_LEN(kinds)],
	       _i / (int)ARRAY_LEN(kinds), nr_cuts);
	recorder_medium_fini(&sure);
	recorder_medium_fini(&cut);
	free(one.bytes);
	free(before.bytes);
	free(after.bytes);
	image_fini(&image);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qcow2 power cuts during changes");
	TCase *tc = tcase_create("kinds");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, cut_during_a_change_leaves_one_state_or_the_other, 0,
			    (int)(ARRAY_LEN(changes) * ARRAY_LEN(kinds)));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
