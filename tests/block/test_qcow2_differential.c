// SPDX-License-Identifier: Apache-2.0
/* Random requests on images of all kinds, beside an array and QEMU's tools. */
#include "block/image.h"

#include "base/bits.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NR_ROUNDS	2	/* of opening, requests, closing */
#define NR_BATCHES	40
#define BATCH		12

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
	tcase_add_loop_test(tc, snapshot_keeps_what_it_held, 0, ARRAY_LEN(snapshot_kinds));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
