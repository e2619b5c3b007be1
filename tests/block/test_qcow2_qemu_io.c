// SPDX-License-Identifier: Apache-2.0
/*
 * The same requests by our engine and by qemu-io: on two copies of an image, and in
 * turns on one, where each reads what the other has written.
 *
 * Writes have one byte all over, so that qemu-io can be told what a read must give.
 * A discard may leave what was there: until something is written, nobody knows.
 *
 * VMM_TEST_SEED is where seeds begin, VMM_TEST_COUNT how many each kind has.
 */
#include "block/image.h"

#include "base/bits.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR		512
#define NR_STEPS	60	/* of a round */

static const struct kind {
	const char *options;	/* of qemu-img create */
	uint64_t size;
	uint64_t cluster;
	unsigned chain;		/* backing files; the last is compressed */
	bool compressed;	/* itself, to begin with */
	bool is_v2;
} kinds[] = {
	{ "compat=0.10", 9 * MiB, 64 * KiB, 0, false, true },
	{ "compat=0.10,cluster_size=4k", 5 * MiB + 512, 4 * KiB, 2, false, true },
	{ "compat=0.10,cluster_size=8k", 5 * MiB + 512, 8 * KiB, 0, true, true },
	{ "cluster_size=512", 1 * MiB + 1024, 512, 1, false, false },
	{ "cluster_size=1k,refcount_bits=1", 2 * MiB, 1 * KiB, 0, false, false },
	{ "cluster_size=4k,lazy_refcounts=on", 5 * MiB, 4 * KiB, 3, false, false },
	{ "cluster_size=16k,extended_l2=on", 9 * MiB + 512, 16 * KiB, 1, false, false },
	{ "cluster_size=64k", 20 * MiB, 64 * KiB, 5, false, false },
	{ "cluster_size=64k,extended_l2=on,lazy_refcounts=on", 20 * MiB, 64 * KiB, 2, false,
	  false },
	{ "cluster_size=64k,compression_type=zstd", 9 * MiB + 512, 64 * KiB, 0, true, false },
	{ "cluster_size=32k,extended_l2=on", 9 * MiB, 32 * KiB, 0, true, false },
	{ "cluster_size=2M", 33 * MiB, 2 * MiB, 1, false, false },
	{ "cluster_size=2M,extended_l2=on", 33 * MiB, 2 * MiB, 4, false, false },
};

struct step {
	struct disk_request request;
	uint8_t byte;		/* of a write */
};

static struct image image;
static const struct kind *kind;
static bool *unknown;		/* by sector */
static struct step steps[NR_STEPS];

static uint64_t env(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 10) : otherwise;
}

/* What must be there. */

static void set(uint64_t at, uint64_t len, uint8_t byte)
{
	memset(image.model + at, byte, len);
	memset(unknown + at / SECTOR, false, len / SECTOR);
}

/* How many bytes from at on are known, and the same; 0: none. */
static uint64_t same_bytes(uint64_t at, uint64_t max)
{
	uint64_t len = 0;

	while (len < max && !unknown[(at + len) / SECTOR] &&
	       image.model[at + len] == image.model[at])
		len++;
	return align_down(len, SECTOR);
}

/* What a discard has made of the sector: zeros, or nothing; in version 2 what is behind. */
static void learn_sector(uint64_t at, const uint8_t *now)
{
	static const uint8_t zeros[SECTOR];

	if (!memcmp(now, image.model + at, SECTOR))
		return;
	if (memcmp(now, zeros, SECTOR) && !kind->is_v2)
		ck_abort_msg("seed %llu: discard made something new at %#llx",
			     (unsigned long long)image.seed, (unsigned long long)at);
	memcpy(image.model + at, now, SECTOR);
}

static void learn(void)
{
	uint8_t now[SECTOR];

	for (uint64_t at = 0; at < image.size; at += SECTOR) {
		if (!unknown[at / SECTOR])
			continue;
		ck_assert_int_eq(image_request(&image, DISK_READ, at, now, SECTOR), 0);
		learn_sector(at, now);
		unknown[at / SECTOR] = false;
	}
}

/* Requests. */

static enum disk_op random_op(void)
{
	static const enum disk_op ops[] = {
		DISK_READ, DISK_READ, DISK_WRITE, DISK_WRITE, DISK_WRITE, DISK_WRITE,
		DISK_ZERO, DISK_ZERO, DISK_ZERO, DISK_DISCARD, DISK_FLUSH,
	};

	return ops[image_random(&image, ARRAY_LEN(ops))];
}

/* Up to three clusters, with edges on clusters or parts of one, or anywhere. */
static void choose_range(struct disk_request *request)
{
	static const uint64_t parts[] = { 1, 1, 2, 32, UINT64_MAX };
	uint64_t part = kind->cluster / parts[image_random(&image, ARRAY_LEN(parts))];
	uint64_t unit = max_u64(part, SECTOR);

	request->at = align_down(image_random(&image, image.size), unit);
	request->len = unit * (1 + image_random(&image, min_u64(3 * kind->cluster / unit, 64)));
	request->len = min_u64(request->len, image.size - request->at);
}

static void make_step(struct step *step)
{
	struct disk_request *request = &step->request;

	*step = (struct step){ .request.op = random_op(),
			       .byte = (uint8_t)(1 + image_random(&image, 255)) };
	if (request->op == DISK_FLUSH)
		return;
	choose_range(request);
	request->unmap = request->op == DISK_ZERO && image_random(&image, 2);
	request->durable = request->op == DISK_WRITE && !image_random(&image, 8);
}

static void note(const struct step *step)
{
	const struct disk_request *request = &step->request;

	if (request->op == DISK_WRITE)
		set(request->at, request->len, step->byte);
	if (request->op == DISK_ZERO)
		set(request->at, request->len, 0);
	if (request->op == DISK_DISCARD)
		memset(unknown + request->at / SECTOR, true, request->len / SECTOR);
}

static void check_read(const struct disk_request *request, const uint8_t *bytes)
{
	for (uint64_t off = 0; off < request->len; off += SECTOR)
		if (!unknown[(request->at + off) / SECTOR] &&
		    memcmp(bytes + off, image.model + request->at + off, SECTOR))
			ck_abort_msg("seed %llu: wrong bytes at %#llx",
				     (unsigned long long)image.seed,
				     (unsigned long long)(request->at + off));
}

static void do_ours(const struct step *step)
{
	const struct disk_request *request = &step->request;
	uint8_t *bytes = NULL;

	if (request->op == DISK_READ || request->op == DISK_WRITE)
		bytes = malloc(request->len);
	if (request->op == DISK_WRITE)
		memset(bytes, step->byte, request->len);
	ck_assert_int_eq(image_do(&image, request, bytes), 0);
	if (request->op == DISK_READ)
		check_read(request, bytes);
	free(bytes);
}

/* A line of qemu-io's that does the step, or checks as much of it as is the same. */
static void tell_theirs(FILE *file, const struct step *step)
{
	const struct disk_request *request = &step->request;
	unsigned long long at = request->at, len = request->len;

	switch (request->op) {
	case DISK_READ:
		len = same_bytes(at, len);
		if (len)
			fprintf(file, "read -P %u %llu %llu\n", image.model[at], at, len);
		break;
	case DISK_WRITE:
		fprintf(file, "write %s-P %u %llu %llu\n", request->durable ? "-f " : "",
			step->byte, at, len);
		break;
	case DISK_ZERO:
		fprintf(file, "write -z %s%llu %llu\n", request->unmap ? "-u " : "", at, len);
		break;
	case DISK_DISCARD:
		fprintf(file, "discard %llu %llu\n", at, len);
		break;
	default:
		fprintf(file, "flush\n");
	}
}

/* Rounds. */

static FILE *lines_open(void)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/lines", image.folder);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	return file;
}

static void lines_run(FILE *file, const char *name)
{
	ck_assert_int_eq(fclose(file), 0);
	image_run(&image, "qemu-io -f qcow2 %s < lines", name);
	image_run(&image, "qemu-img check -f qcow2 %s", name);
}

/* What is not known is overwritten, by both. */
static void settle(FILE *file)
{
	for (uint64_t at = 0; at < image.size; at += SECTOR) {
		struct step step = { .request = { .op = DISK_ZERO, .at = at } };
		uint64_t end = at;

		while (end < image.size && unknown[end / SECTOR])
			end += SECTOR;
		if (end == at)
			continue;
		step.request.len = end - at;
		do_ours(&step);
		tell_theirs(file, &step);
		note(&step);
	}
}

static void play_on_copies(void)
{
	FILE *file;

	image_run(&image, "cp top.qcow2 copy.qcow2");
	file = lines_open();
	image_open(&image);
	for (unsigned i = 0; i < NR_STEPS; i++) {
		make_step(&steps[i]);
		do_ours(&steps[i]);
		tell_theirs(file, &steps[i]);
		note(&steps[i]);
	}
	settle(file);
	image_compare(&image);
	image_close(&image);
	lines_run(file, "copy.qcow2");
	image_run(&image, "qemu-img compare -f qcow2 -F qcow2 top.qcow2 copy.qcow2");
	image_check_clean(&image);
}

/* All of it, as far as it comes in runs of one byte. */
static void tell_to_read_all(FILE *file)
{
	uint64_t len;

	for (uint64_t at = 0; at < image.size; at += max_u64(len, SECTOR)) {
		len = same_bytes(at, image.size - at);
		if (len)
			fprintf(file, "read -P %u %llu %llu\n", image.model[at],
				(unsigned long long)at, (unsigned long long)len);
	}
}

static void turn_of_ours(void)
{
	FILE *file = lines_open();

	image_open(&image);
	for (unsigned i = 0; i < NR_STEPS; i++) {
		make_step(&steps[i]);
		do_ours(&steps[i]);
		note(&steps[i]);
	}
	learn();
	image_close(&image);
	tell_to_read_all(file);
	lines_run(file, "top.qcow2");
}

static void turn_of_theirs(void)
{
	FILE *file = lines_open();

	for (unsigned i = 0; i < NR_STEPS; i++) {
		make_step(&steps[i]);
		tell_theirs(file, &steps[i]);
		note(&steps[i]);
	}
	lines_run(file, "top.qcow2");
	image_open(&image);
	learn();
	image_compare(&image);
	image_close(&image);
}

/* Images. */

static void make_compressed(const char *name, const char *options, unsigned long long size)
{
	/* Data, but for two eighths. */
	image_run(&image, "qemu-img create -f raw base.raw %llu && qemu-io -f raw "
		  "-c 'write -P 201 0 %llu' -c 'write -P 202 %llu %llu' base.raw && "
		  "qemu-img convert -c -O qcow2 -o %s base.raw %s", size, size / 2,
		  size / 8 * 5, size / 4, options, name);
}

/* The last compressed, the others with some data of their own. */
static void make_chain(void)
{
	unsigned long long size = kind->size;

	make_compressed("base0.qcow2", "compat=1.1", align_down(kind->size * 2 / 3, SECTOR));
	for (unsigned i = 1; i < kind->chain; i++)
		image_run(&image, "qemu-img create -f qcow2 -b base%u.qcow2 -F qcow2 "
			  "base%u.qcow2 %llu && qemu-io -c 'write -P %u %u 70k' "
			  "-c 'write -z %u 128k' base%u.qcow2", i - 1, i, size - i * SECTOR, i,
			  i * 65536, i * 99840, i);
}

static void make_image(uint64_t seed)
{
	char behind[64] = "";

	image_init(&image, "top.qcow2", seed);
	if (kind->chain) {
		make_chain();
		snprintf(behind, sizeof(behind), "-b base%u.qcow2 -F qcow2", kind->chain - 1);
	}
	if (kind->compressed)
		make_compressed("top.qcow2", kind->options, kind->size);
	else
		image_run(&image, "qemu-img create -f qcow2 -o %s %s top.qcow2 %llu",
			  kind->options, behind, (unsigned long long)kind->size);
	image_take_model(&image);
	unknown = calloc(image.size / SECTOR, sizeof(*unknown));
}

static void teardown(void)
{
	image_fini(&image);
	free(unknown);
	unknown = NULL;
}

static void play(uint64_t seed)
{
	make_image(seed);
	turn_of_ours();
	turn_of_theirs();
	play_on_copies();
	teardown();
}

START_TEST(both_make_the_same_of_the_same_requests)
{
	uint64_t seed = env("VMM_TEST_SEED", 1), end = seed + env("VMM_TEST_COUNT", 1);

	kind = &kinds[_i];

	for (; seed < end; seed++)
		play(seed);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qcow2 and qemu-io");
	TCase *tc = tcase_create("kinds");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 0);
	tcase_add_loop_test(tc, both_make_the_same_of_the_same_requests, 0, ARRAY_LEN(kinds));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
