// SPDX-License-Identifier: Apache-2.0
/*
 * Power cuts: a run of random requests is recorded, then the power fails at every
 * event of it, with all, and with a random part, of what no sync had secured.
 *
 * Each sector of a request is filled with the request's number, so what a sector
 * may hold afterwards is known: what the last flush secured, or what was written
 * to it since.
 */
#include "block/image.h"
#include "block/recorder.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/qcow2_check.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR		512
#define NR_REQUESTS	120
#define BATCH		6
#define OPS_MAX		1024
#define WHOLE_CHECK	64	/* every so many cuts, QEMU looks as well */

static const struct kind {
	const char *options;
	uint64_t size;
	bool backing, snapshot;
	uint64_t cache_len;
} kinds[] = {
	{ "cluster_size=512", 256 * KiB, false, false, 1 },
	{ "cluster_size=512,refcount_bits=64", 2560 * KiB, false, false, 256 * KiB },
	{ "cluster_size=1k", 512 * KiB, true, true, 64 * KiB },
	{ "cluster_size=4k,compat=0.10", 512 * KiB, false, true, 1 },
	{ "cluster_size=4k,lazy_refcounts=on", 512 * KiB, true, false, 1 },
	{ "cluster_size=16k,extended_l2=on", 1 * MiB, true, true, 1 },
};

struct op {
	struct disk_request request;
	struct iovec seg;
	uint32_t number;	/* what its sectors hold; 0: zeros */
	uint32_t start, end;	/* events */
};

static struct image image;
static struct op ops[OPS_MAX];
static unsigned nr_ops, nr_under_way;
static struct recorder_medium sure, cut;

/* Requests. */

static void op_done(struct disk_request *request, int res)
{
	struct op *op = container_of(request, struct op, request);

	ck_assert_int_eq(res, 0);
	op->end = recorder_now();
	if (!--nr_under_way)
		loop_quit(image.loop);
}

static void fill(struct op *op)
{
	uint32_t *words;

	op->seg.iov_len = op->request.len;
	op->seg.iov_base = words = malloc(op->request.len);
	for (uint64_t i = 0; i < op->request.len / 4; i++)
		words[i] = op->number;
	op->request.segs = &op->seg;
	op->request.nr_segs = 1;
}

static enum disk_op random_op(void)
{
	static const enum disk_op list[] = {
		DISK_WRITE, DISK_WRITE, DISK_WRITE, DISK_WRITE, DISK_WRITE, DISK_WRITE,
		DISK_ZERO, DISK_DISCARD, DISK_FLUSH,
	};

	return list[image_random(&image, ARRAY_LEN(list))];
}

static bool overlaps(unsigned first, const struct disk_request *a)
{
	for (unsigned i = first; i < nr_ops; i++) {
		const struct disk_request *b = &ops[i].request;

		if (a->at < b->at + b->len && b->at < a->at + a->len)
			return true;
	}
	return false;
}

static void submit_random(unsigned first)
{
	struct op *op = &ops[nr_ops];
	struct disk_request *request = &op->request;

	*op = (struct op){ .request = { .op = random_op(), .done = op_done },
			   .start = recorder_now(), .end = UINT32_MAX };
	if (request->op != DISK_FLUSH) {
		uint64_t len = (1 + image_random(&image, 40)) * SECTOR;

		request->at = image_random(&image, image.size / SECTOR) * SECTOR;
		request->len = min_u64(len, image.size - request->at);
		request->unmap = image_random(&image, 2);
		request->durable = request->op != DISK_DISCARD && !image_random(&image, 12);
	}
	if (overlaps(first, request))
		return;
	nr_ops++;
	op->number = request->op == DISK_WRITE ? nr_ops : 0;
	if (request->op == DISK_WRITE)
		fill(op);
	nr_under_way++;
	disk_submit(image.disk, request);
}

static void run_requests(void)
{
	nr_ops = 0;
	while (nr_ops < NR_REQUESTS) {
		unsigned first = nr_ops;

		for (unsigned i = 0; i < BATCH; i++)
			submit_random(first);
		ck_assert_int_eq(loop_run(image.loop), 0);
	}
}

/* What may be in a sector. */

/* The first event that no flush had secured before at. */
static uint32_t flushed_until(uint32_t at)
{
	uint32_t until = 0;

	for (unsigned i = 0; i < nr_ops && ops[i].start < at; i++)
		if (ops[i].request.op == DISK_FLUSH && ops[i].end <= at)
			until = ops[i].start > until ? ops[i].start : until;
	return until;
}

static bool is_secured(const struct op *op, uint32_t until, uint32_t at)
{
	return op->end <= until || (op->request.durable && op->end <= at);
}

static bool sector_may_hold(uint64_t sector, const uint8_t *bytes, uint32_t until, uint32_t at)
{
	static const uint8_t zeros[SECTOR];
	bool may_be_zero = false;

	for (unsigned i = nr_ops; i-- > 0;) {
		const struct op *op = &ops[i];
		const struct disk_request *request = &op->request;
		uint32_t word;

		if (op->start >= at || sector * SECTOR < request->at ||
		    sector * SECTOR >= request->at + request->len)
			continue;
		memcpy(&word, bytes, 4);
		if (request->op == DISK_DISCARD)
			may_be_zero = true;
		else if (word == op->number && !memcmp(bytes, bytes + 4, SECTOR - 4))
			return true;
		else if (is_secured(op, until, at))
			return may_be_zero && !memcmp(bytes, zeros, SECTOR);
	}
	return !memcmp(bytes, image.model + sector * SECTOR, SECTOR) ||
	       (may_be_zero && !memcmp(bytes, zeros, SECTOR));
}

/* Cuts. */

static void write_cut(const char *path)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0644);

	ck_assert_int_eq(write(fd, cut.bytes, cut.len), cut.len);
	close(fd);
}

static void check_cut(const char *path, enum qcow2_check_fix fix, bool leaks)
{
	struct qcow2_check check;
	struct err err = { 0 };
	int fd = open(path, O_RDWR);

	if (qcow2_check(&check, fd, path, fix, NULL, &err))
		ck_abort_msg("event %u: %s", cut.at, err.text);
	close(fd);
	if (check.nr_corruptions)
		ck_abort_msg("event %u: %llu corruptions", cut.at,
			     (unsigned long long)check.nr_corruptions);
	if (!leaks && check.nr_leaks)
		ck_abort_msg("event %u: leaks are left", cut.at);
}

/* Everything that was flushed is there, and it can be written. */
static void use_cut(void)
{
	uint8_t *bytes = malloc(image.size), one[SECTOR] = { 1 };
	uint32_t until = flushed_until(cut.at);

	image_open(&image);
	ck_assert_int_eq(image_request(&image, DISK_READ, 0, bytes, image.size), 0);
	for (uint64_t i = 0; i < image.size / SECTOR; i++)
		if (!sector_may_hold(i, bytes + i * SECTOR, until, cut.at))
			ck_abort_msg("event %u: sector %u holds %u", cut.at, (unsigned)i,
				     *(uint32_t *)(void *)(bytes + i * SECTOR));
	ck_assert_int_eq(image_request(&image, DISK_WRITE, image_random(&image,
				image.size / SECTOR) * SECTOR, one, SECTOR), 0);
	image_close(&image);
	free(bytes);
}

static void try_cut(unsigned nr, uint64_t (*choose)(void *ctx))
{
	recorder_cut(&cut, &sure, choose, &image);
	write_cut(image.path);
	check_cut(image.path, QCOW2_CHECK_FIX_NONE, true);
	if (nr % 4)	/* reading all of it takes longest */
		return;
	use_cut();
	check_cut(image.path, QCOW2_CHECK_FIX_NONE, true);
	check_cut(image.path, QCOW2_CHECK_FIX_LEAKS, false);
	if (!(nr % WHOLE_CHECK))
		image_run(&image, "qemu-img check -f qcow2 %s", image.path);
}

static uint64_t toss(void *ctx)
{
	return image_random(ctx, 2);
}

static uint64_t rarely(void *ctx)
{
	return !image_random(ctx, 8);
}

static void cut_everywhere(uint32_t nr_events)
{
	char cut_path[sizeof(image.path)];

	snprintf(cut_path, sizeof(cut_path), "%s/cut.qcow2", image.folder);
	memcpy(image.path, cut_path, sizeof(cut_path));
	recorder_medium_init(&sure);
	recorder_medium_init(&cut);
	for (uint32_t at = 1; at <= nr_events; at++) {
		recorder_advance(&sure, at);
		try_cut(3 * at, NULL);
		try_cut(3 * at + 1, toss);
		try_cut(3 * at + 2, rarely);
	}
	recorder_medium_fini(&sure);
	recorder_medium_fini(&cut);
}

static void make_image(const struct kind *kind)
{
	image_init(&image, "top.qcow2", 4711);
	image.config.cache_len = kind->cache_len;
	if (kind->backing)
		image_run(&image, "qemu-img create -f qcow2 base.qcow2 %llu && "
			  "qemu-io -c 'write -P 5 3k 200k' base.qcow2",
			  (unsigned long long)kind->size);
	image_run(&image, "qemu-img create -f qcow2 -o %s %s top.qcow2 %llu", kind->options,
		  kind->backing ? "-b base.qcow2 -F qcow2" : "",
		  (unsigned long long)kind->size);
	if (kind->snapshot)
		image_run(&image, "qemu-io -c 'write -P 7 10k 100k' top.qcow2 && "
			  "qemu-img snapshot -c one top.qcow2");
	image_take_model(&image);
}

START_TEST(cut_at_any_moment_loses_nothing_that_was_flushed)
{
	uint32_t nr_events;

	make_image(&kinds[_i]);
	image_open(&image);
	recorder_start(image.path);
	run_requests();
	image_close(&image);
	recorder_stop();
	nr_events = recorder_now();

	cut_everywhere(nr_events);

	printf("%s: %u cuts\n", kinds[_i].options, 3 * nr_events);
	for (unsigned i = 0; i < nr_ops; i++)
		free(ops[i].seg.iov_base);
	image_fini(&image);
}
END_TEST

/* With an argument, that row of kinds only. */
int main(int argc, char **argv)
{
	int first = argc > 1 ? atoi(argv[1]) : 0;
	int end = argc > 1 ? first + 1 : (int)ARRAY_LEN(kinds);
	Suite *s = suite_create("qcow2 power cuts");
	TCase *tc = tcase_create("kinds");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, cut_at_any_moment_loses_nothing_that_was_flushed,
			    first, end);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
