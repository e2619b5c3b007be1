// SPDX-License-Identifier: Apache-2.0
/*
 * Power cuts and failures while an image is emptied in favour of its backing file, or
 * gets another one: what a guest would read is the same at each event, with all, and with
 * a random part, of what no sync had secured; and whichever operation on the file fails.
 */
#include "block/disk_chain.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/image.h"
#include "block/qcow2_check.h"
#include "block/recorder.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CUTS		4	/* at each event */
#define FAULTS_MAX	1000

static const struct kind {
	const char *options;
	bool snapshot;
} kinds[] = {
	{ "cluster_size=512", false },
	{ "cluster_size=512,compat=0.10", true },
	{ "cluster_size=4k", true },
	{ "cluster_size=64k,extended_l2=on", false },
};

/* A name of six hundred bytes, for a file in the same folder. */
#define DOTS		"./././././././././././././././././././././././././././././././"
#define FAR(name)	DOTS DOTS DOTS DOTS DOTS DOTS DOTS DOTS DOTS DOTS name

static struct image image;

/*
 * base.qcow2 and same.qcow2 hold what top.qcow2 shows, most of which it holds itself; it
 * has base.qcow2 behind it.
 */
static void make_images(const struct kind *kind)
{
	image_init(&image, "top.qcow2", 99);
	image_run(&image, "qemu-img create -f qcow2 base.qcow2 1M && "
		  "qemu-io -c 'write -P 5 3k 200k' base.qcow2 && "
		  "qemu-img create -f qcow2 -o %s -b base.qcow2 -F qcow2 top.qcow2",
		  kind->options);
	if (kind->snapshot)
		image_run(&image, "qemu-io -c 'write -P 7 10k 100k' top.qcow2 && "
			  "qemu-img snapshot -c one top.qcow2");
	image_run(&image, "qemu-io -c 'write -P 9 150k 300k' -c 'write -P 8 800k 1k' "
		  "-c 'write -z 64k 64k' top.qcow2");
	image_take_model(&image);
	image_run(&image, "qemu-img commit -d top.qcow2 && cp base.qcow2 same.qcow2");
}

static uint64_t toss(void *ctx)
{
	return image_random(ctx, 2);
}

static uint64_t rarely(void *ctx)
{
	return !image_random(ctx, 8);
}

static uint64_t mostly(void *ctx)
{
	return image_random(ctx, 8);
}

/* Space may be lost, nothing else. */
static void must_show_the_same(void)
{
	struct qcow2_check check;
	int fd = open(image.path, O_RDONLY);

	ck_assert_int_eq(qcow2_check(&check, fd, image.path, QCOW2_CHECK_FIX_NONE, NULL, NULL), 0);
	ck_assert_uint_eq(check.nr_corruptions, 0);
	close(fd);
	image_open(&image);
	image_compare(&image);
	image_close(&image);
}

static void check_cut(const struct recorder_medium *cut)
{
	int fd = open(image.path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	ck_assert_int_eq(write(fd, cut->bytes, cut->len), cut->len);
	close(fd);
	must_show_the_same();
}

static void cut_everywhere(uint32_t nr_events)
{
	static uint64_t (*const choices[CUTS])(void *ctx) = { NULL, toss, rarely, mostly };
	struct recorder_medium sure, cut;

	snprintf(image.path, sizeof(image.path), "%s/cut.qcow2", image.folder);
	recorder_medium_init(&sure);
	recorder_medium_init(&cut);
	for (uint32_t at = 1; at <= nr_events; at++) {
		recorder_advance(&sure, at);
		for (unsigned i = 0; i < CUTS; i++) {
			recorder_cut(&cut, &sure, choices[i], &image);
			check_cut(&cut);
		}
	}
	recorder_medium_fini(&sure);
	recorder_medium_fini(&cut);
}

static uint32_t empty(void)
{
	struct err err = { 0 };

	image_open(&image);
	recorder_start(image.path);
	ck_assert_msg(!disk_chain_empty(image.disk, &err), "%s", err.text);
	image_close(&image);
	recorder_stop();
	return recorder_now();
}

static uint32_t set_backing(const char *name)
{
	struct err err = { 0 };

	image_open(&image);
	recorder_start(image.path);
	ck_assert_msg(!disk_chain_set_backing(image.disk, name, NULL, &err), "%s", err.text);
	image_close(&image);
	recorder_stop();
	return recorder_now();
}

START_TEST(image_that_is_emptied_shows_the_same_at_any_moment)
{
	uint32_t nr_events;

	make_images(&kinds[_i]);

	nr_events = empty();

	ck_assert_uint_gt(nr_events, 4);
	image_check_clean(&image);
	cut_everywhere(nr_events);
	image_fini(&image);
}
END_TEST

START_TEST(image_whose_backing_file_changes_shows_the_same_at_any_moment)
{
	uint32_t nr_events;

	make_images(&kinds[_i]);

	nr_events = set_backing("same.qcow2");

	ck_assert_uint_gt(nr_events, 2);
	image_check_clean(&image);
	cut_everywhere(nr_events);
	image_fini(&image);
}
END_TEST

/* Neither the first nor the second fits into the header's sector. */
START_TEST(long_name_that_follows_a_long_name_is_as_safe)
{
	static const char first[] = FAR("base.qcow2"), second[] = FAR("same.qcow2");
	uint32_t nr_events;

	make_images(&kinds[2]);
	set_backing(first);

	nr_events = set_backing(second);

	ck_assert_uint_gt(nr_events, 4);
	image_check_clean(&image);
	cut_everywhere(nr_events);
	image_fini(&image);
}
END_TEST

static int empty_disk(void)
{
	return disk_chain_empty(image.disk, NULL);
}

static int name_far(void)
{
	return disk_chain_set_backing(image.disk, FAR("same.qcow2"), NULL, NULL);
}

/* False when it has fewer operations. */
static bool fails_cleanly(int (*change)(void), unsigned nr, bool lasting)
{
	bool has_failed;
	int r;

	image_run(&image, "cp master.qcow2 top.qcow2");
	recorder_watch(image.path);
	image_open(&image);
	recorder_fail(nr, lasting);
	r = change();
	image.disk = disk_close(image.disk, NULL);
	has_failed = recorder_end_fault();
	ck_assert_int_eq(r, has_failed ? -EIO : 0);
	must_show_the_same();
	return has_failed;
}

START_TEST(each_operation_may_fail)
{
	static int (*const changes[])(void) = { empty_disk, name_far };
	unsigned nr = 0;

	make_images(&kinds[2]);
	image_run(&image, "cp top.qcow2 master.qcow2");

	while (nr < FAULTS_MAX && fails_cleanly(changes[_i / 2], nr, _i % 2))
		nr++;

	ck_assert_uint_ge(nr, 4);
	ck_assert_uint_lt(nr, FAULTS_MAX);
	image_fini(&image);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qcow2 chain");
	TCase *tc = tcase_create("kinds");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, image_that_is_emptied_shows_the_same_at_any_moment, 0,
			    ARRAY_LEN(kinds));
	tcase_add_loop_test(tc, image_whose_backing_file_changes_shows_the_same_at_any_moment,
			    0, ARRAY_LEN(kinds));
	tcase_add_loop_test(tc, each_operation_may_fail, 0, 4);
	tcase_add_test(tc, long_name_that_follows_a_long_name_is_as_safe);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
