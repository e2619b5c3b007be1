// SPDX-License-Identifier: Apache-2.0
/* Random requests on images of all kinds, beside an array and QEMU's tools. */
#include "block/image.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk_create.h"
#include "block/disk_snapshot.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NR_ROUNDS	2	/* of opening, requests, closing */
#define NR_BATCHES	40
#define BATCH		12
#define NR_CHANGES	12
#define SHOTS_MAX	3

static const struct kind {
	const char *options;	/* of qemu-img create */
	uint64_t size;
	unsigned chain;		/* backing files */
	bool snapshot;
	uint64_t cache_len;
} kinds[] = {
	{ "compat=1.1", 9 * MiB + 512, 0, false, 0 },
	{ "compat=0.10", 9 * MiB, 0, false, 0 },
	{ "compat=0.10,cluster_size=4096", 5 * MiB, 1, false, 1 },
	{ "cluster_size=512", 3 * MiB + 1024, 0, false, 1 },
	{ "cluster_size=512,refcount_bits=64", 3 * MiB, 1, false, 1 },
	{ "cluster_size=1024,refcount_bits=1", 3 * MiB, 1, false, 0 },
	{ "cluster_size=4096,refcount_bits=2", 5 * MiB, 0, false, 0 },
	{ "cluster_size=4096,refcount_bits=8", 5 * MiB + 512, 2, true, 0 },
	{ "cluster_size=2M", 33 * MiB, 1, false, 0 },
	{ "cluster_size=16k,lazy_refcounts=on", 9 * MiB, 1, false, 0 },
	{ "cluster_size=64k,extended_l2=on", 20 * MiB + 512, 0, false, 0 },
	{ "cluster_size=16k,extended_l2=on", 9 * MiB, 2, true, 0 },
	{ "cluster_size=64k,preallocation=metadata", 9 * MiB, 0, false, 0 },
	{ "cluster_size=64k,preallocation=falloc", 9 * MiB, 0, true, 0 },
	{ "cluster_size=64k", 9 * MiB, 5, true, 0 },
	{ "cluster_size=4k,compression_type=zstd", 5 * MiB, 1, true, 1 },
	{ "cluster_size=4k", 5 * MiB, 1, true, 1 },
};

static struct image image;

static void teardown(void)
{
	image_fini(&image);
}

static void write_noise(const char *name, uint64_t size)
{
	char path[160];
	FILE *file;
	uint64_t value = 0;

	snprintf(path, sizeof(path), "%s/%s", image.folder, name);
	file = fopen(path, "wb");
	ck_assert_ptr_nonnull(file);
	/* Every fourth block of 4 KiB is a hole, others compress well. */
	for (uint64_t at = 0; at < size; at += 8) {
		if (!(at % 1024))
			value = image_random(&image, UINT64_MAX);
		if (at / 4096 % 4)
			fwrite(&value, 8, 1, file);
		else
			fseek(file, 8, SEEK_CUR);
	}
	fclose(file);
	ck_assert_int_eq(truncate(path, (off_t)size), 0);
}

/* The first compressed, the others with some data of their own. */
static void make_chain(const struct kind *kind)
{
	write_noise("noise.raw", align_down(kind->size / 2, 65536));
	image_run(&image, "qemu-img convert -c -O qcow2 -o cluster_size=64k noise.raw "
		  "base0.qcow2");
	for (unsigned i = 1; i < kind->chain; i++)
		image_run(&image, "qemu-img create -f qcow2 -b base%u.qcow2 -F qcow2 "
			  "base%u.qcow2 %llu && qemu-io -c 'write -P %u %u 70k' "
			  "-c 'write -z %u 128k' base%u.qcow2", i - 1, i,
			  (unsigned long long)kind->size - i * 512, i, i * 65536,
			  i * 199680, i);
	image_run(&image, "qemu-img create -f qcow2 -o %s -b base%u.qcow2 -F qcow2 top.qcow2 %llu",
		  kind->options, kind->chain - 1, (unsigned long long)kind->size);
}

static void make_image(const struct kind *kind, unsigned seed)
{
	image_init(&image, "top.qcow2", seed);
	image.config.cache_len = kind->cache_len;
	if (kind->chain)
		make_chain(kind);
	else
		image_run(&image, "qemu-img create -f qcow2 -o %s top.qcow2 %llu",
			  kind->options, (unsigned long long)kind->size);
	if (kind->snapshot)
		image_run(&image, "qemu-io -c 'write -P 7 100k 1M' -c 'write -P 9 2M 300k' "
			  "top.qcow2 && qemu-img snapshot -c one top.qcow2");
	image_take_model(&image);
}

static void round_of_requests(void)
{
	image_open(&image);
	for (unsigned i = 0; i < NR_BATCHES; i++)
		ck_assert_uint_eq(image_batch(&image, BATCH), 0);
	image_compare(&image);
	image_close(&image);
	image_check_clean(&image);
}

START_TEST(random_requests_do_what_they_do_to_an_array)
{
	make_image(&kinds[_i], (unsigned)_i);

	for (unsigned i = 0; i < NR_ROUNDS; i++)
		round_of_requests();
}
END_TEST

static const struct kind snapshot_kinds[] = {
	{ "cluster_size=64k", 9 * MiB, 0, true, 0 },
	{ "cluster_size=512", 3 * MiB, 1, true, 1 },
	{ "cluster_size=16k,extended_l2=on", 9 * MiB, 1, true, 0 },
};

START_TEST(snapshot_keeps_what_it_held)
{
	make_image(&snapshot_kinds[_i], 77);
	image_run(&image, "qemu-img convert -l one -O raw top.qcow2 before.raw");

	round_of_requests();

	image_run(&image, "qemu-img convert -l one -O raw top.qcow2 after.raw && "
		  "cmp before.raw after.raw && qemu-img snapshot -d one top.qcow2");
	round_of_requests();
}
END_TEST

/* Changes of the image as a whole. */

static struct shot {
	char name[16];
	uint8_t *model;
	uint64_t size;
} shots[SHOTS_MAX];
static unsigned nr_shots;
static uint64_t backing_size;		/* of the first in the chain */

static uint8_t *copy_model(const uint8_t *model, uint64_t size)
{
	return memcpy(malloc(size), model, size);
}

static void set_model(uint8_t *model, uint64_t size)
{
	free(image.model);
	image.model = model;
	image.size = size;
}

/* While requests are in flight. */
static void resize(struct image *i)
{
	uint64_t size = i->size + (image_random(i, 4096) + 1) * 512;
	int r = disk_resize(i->disk, size, NULL);
	uint8_t *model;

	/* It may be extended just now, and an old version may have snapshots. */
	ck_assert(i->size < backing_size ? r == -ENOTSUP :
		  !r || r == -EBUSY || r == -ENOTSUP);
	if (r < 0)
		return;
	model = calloc(1, size);
	memcpy(model, i->model, i->size);
	set_model(model, size);
}

static void grow(void)
{
	image_open(&image);
	image.midway = resize;
	ck_assert_uint_eq(image_batch(&image, BATCH), 0);
	image.midway = NULL;
	image_close(&image);
}

static void shrink(void)
{
	uint64_t size = image.size - image_random(&image, image.size / 3072) * 512;
	int r;

	image_open(&image);
	r = disk_create_resize(image.disk, size, NULL);
	image_close(&image);
	if (!r)
		set_model(copy_model(image.model, size), size);
}

/* What narrow counts or an old version cannot have must change nothing. */
static bool change(enum disk_snapshot_change what, const char *name)
{
	struct err err = { 0 };
	int r = disk_snapshot_change(&image.config, what, name, &err);

	ck_assert_msg(!r || r == -ERANGE || r == -ENOTSUP, "%s", err.text);
	return !r;
}

static void take_shot(void)
{
	struct shot *shot = &shots[nr_shots];
	static unsigned nr_taken;

	if (nr_shots == SHOTS_MAX)
		return;
	snprintf(shot->name, sizeof(shot->name), "s%u", nr_taken++);
	if (!change(DISK_SNAPSHOT_CREATE, shot->name))
		return;
	shot->size = image.size;
	shot->model = copy_model(image.model, image.size);
	nr_shots++;
}

static void apply_shot(void)
{
	const struct shot *shot = &shots[image_random(&image, SHOTS_MAX)];

	if (shot < shots + nr_shots && change(DISK_SNAPSHOT_APPLY, shot->name))
		set_model(copy_model(shot->model, shot->size), shot->size);
}

static void delete_shot(void)
{
	struct shot *shot = &shots[image_random(&image, SHOTS_MAX)];

	if (shot >= shots + nr_shots || !change(DISK_SNAPSHOT_DELETE, shot->name))
		return;
	free(shot->model);
	*shot = shots[--nr_shots];
}

static void (*const changes[])(void) = { grow, shrink, take_shot, apply_shot, delete_shot };

static void compare_shots(void)
{
	for (unsigned i = 0; i < nr_shots; i++) {
		char path[160];
		FILE *file;

		snprintf(path, sizeof(path), "%s/shot.raw", image.folder);
		file = fopen(path, "wb");
		ck_assert_uint_eq(fwrite(shots[i].model, 1, shots[i].size, file), shots[i].size);
		fclose(file);
		/* It writes as much as the disk has now. */
		image_run(&image, "qemu-img convert -l %s -O raw top.qcow2 now.raw && "
			  "cmp -n %llu now.raw shot.raw", shots[i].name,
			  (unsigned long long)min_u64(image.size, shots[i].size));
		free(shots[i].model);
	}
	nr_shots = 0;
}

START_TEST(image_of_many_lives_holds_what_arrays_do)
{
	const struct kind *kind = &kinds[_i];

	make_image(kind, (unsigned)_i + 100);
	backing_size = kind->chain == 1 ? align_down(kind->size / 2, 65536) :
		       kind->chain ? kind->size - (kind->chain - 1) * 512 : 0;

	for (unsigned i = 0; i < NR_CHANGES; i++) {
		changes[image_random(&image, ARRAY_LEN(changes))]();
		image_open(&image);
		ck_assert_uint_eq(image_batch(&image, BATCH), 0);
		image_compare(&image);
		image_close(&image);
		image_check_own(&image);
	}
	image_check_clean(&image);
	compare_shots();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qcow2 differential");
	TCase *tc = tcase_create("kinds");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, random_requests_do_what_they_do_to_an_array, 0,
			    ARRAY_LEN(kinds));
	tcase_add_loop_test(tc, image_of_many_lives_holds_what_arrays_do, 0,
			    ARRAY_LEN(kinds));
	tcase_add_loop_test(tc, snapshot_keeps_what_it_held, 0, ARRAY_LEN(snapshot_kinds));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
