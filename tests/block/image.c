// SPDX-License-Identifier: Apache-2.0
#include "block/image.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/qcow2_check.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR		512
#define NR_SEGS		3	/* of a random request, where its length allows it */

struct pending {
	struct disk_request request;
	struct image *image;
	struct iovec segs[NR_SEGS];
	uint8_t *bytes;
	bool failed;
};

static unsigned nr_pending, nr_half;

uint64_t image_random(struct image *image, uint64_t n)
{
	uint64_t x = image->seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (x ^ x >> 31) % n;
}

void image_init(struct image *image, const char *name, uint64_t seed)
{
	*image = (struct image){ .seed = seed, .len_max = 256 * KiB };
	/* In memory: what a sync costs is not of interest here. */
	snprintf(image->folder, sizeof(image->folder), "/dev/shm/vmm-test-block-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(image->folder));
	snprintf(image->path, sizeof(image->path), "%s/%s", image->folder, name);
	image->config = (struct disk_config){ .id = "test", .path = image->path };
	ck_assert_int_eq(loop_new(&image->loop, NULL), 0);
}

void image_fini(struct image *image)
{
	char command[128];

	if (image->disk)
		disk_close(image->disk, NULL);
	loop_free(image->loop);
	free(image->model);
	snprintf(command, sizeof(command), "rm -r %s", image->folder);
	ck_assert_int_eq(system(command), 0);
}

void image_run(struct image *image, const char *fmt, ...)
{
	char command[1024];
	int len = snprintf(command, sizeof(command), "cd %s && ( ", image->folder);
	va_list args;
	int r;

	va_start(args, fmt);
	len += vsnprintf(command + len, sizeof(command) - (size_t)len, fmt, args);
	va_end(args);
	snprintf(command + len, sizeof(command) - (size_t)len, " ) > out.txt 2>&1");
	r = system(command);
	if (r) {
		snprintf(command + len, sizeof(command) - (size_t)len, " ); cat %s/out.txt",
			 image->folder);
		fprintf(stderr, "seed %llu: %s\n", (unsigned long long)image->seed, command);
		r |= system(command);
	}
	ck_assert_int_eq(r, 0);
}

void image_take_model(struct image *image)
{
	char path[160];
	int fd;

	image_run(image, "qemu-img convert -O raw %s model.raw", image->path);
	snprintf(path, sizeof(path), "%s/model.raw", image->folder);
	fd = open(path, O_RDONLY);
	image->size = (uint64_t)lseek(fd, 0, SEEK_END);
	free(image->model);
	image->model = malloc(image->size);
	ck_assert_int_eq(pread(fd, image->model, image->size, 0), image->size);
	close(fd);
}

void image_open(struct image *image)
{
	struct err err = { 0 };

	ck_assert_msg(!disk_open(&image->disk, &image->config, image->loop, &err), "%s",
		      err.text);
	ck_assert_uint_eq(disk_size(image->disk), image->size);
}

void image_close(struct image *image)
{
	struct err err = { 0 };

	image->disk = disk_close(image->disk, &err);
	ck_assert_str_eq(err.text, "");
}

/* Requests. */

static bool has_data(enum disk_op op)
{
	return op == DISK_READ || op == DISK_WRITE;
}

static void must_be(const struct image *image, const uint8_t *bytes, uint64_t at,
		    uint64_t len)
{
	const uint8_t *model = image->model + at;
	uint64_t i = 0;

	if (!memcmp(bytes, model, len))
		return;
	while (bytes[i] == model[i])
		i++;
	ck_abort_msg("seed %llu: what was read at %#llx+%#llx differs at %#llx: %02x, not %02x",
		     (unsigned long long)image->seed, (unsigned long long)at,
		     (unsigned long long)len, (unsigned long long)(at + i), bytes[i], model[i]);
}

static void apply(struct pending *p)
{
	struct disk_request *request = &p->request;
	struct image *image = p->image;
	uint8_t *model = image->model + request->at;

	if (request->op == DISK_READ)
		must_be(image, p->bytes, request->at, request->len);
	if (request->op == DISK_WRITE)
		memcpy(model, p->bytes, request->len);
	if (request->op == DISK_ZERO)
		memset(model, 0, request->len);
}

static void request_done(struct disk_request *request, int res)
{
	struct pending *p = container_of(request, struct pending, request);

	p->failed = res < 0;
	if (!p->failed)
		apply(p);
	if (!--nr_pending)
		loop_quit(p->image->loop);
	if (nr_pending == nr_half && p->image->midway)
		p->image->midway(p->image);
}

/* Cut the bytes into segments, in whole sectors. */
static void make_segs(struct pending *p)
{
	struct disk_request *request = &p->request;
	uint64_t off = 0, part = align_down(request->len / NR_SEGS, SECTOR);

	request->segs = p->segs;
	while (off < request->len) {
		struct iovec *seg = &p->segs[request->nr_segs++];

		seg->iov_base = p->bytes + off;
		seg->iov_len = part && request->nr_segs < NR_SEGS ? part : request->len - off;
		off += seg->iov_len;
	}
}

static void submit(struct pending *p)
{
	if (has_data(p->request.op))
		make_segs(p);
	p->request.done = request_done;
	disk_submit(p->image->disk, &p->request);
}

static void wait_all(struct image *image)
{
	if (nr_pending)
		ck_assert_int_eq(loop_run(image->loop), 0);
}

struct single {
	struct disk_request request;
	struct iovec seg;
	struct loop *loop;
	int res;
};

static void single_done(struct disk_request *request, int res)
{
	struct single *single = container_of(request, struct single, request);

	single->res = res;
	loop_quit(single->loop);
}

int image_do(struct image *image, const struct disk_request *request, void *bytes)
{
	struct single single = {
		.request = *request, .seg = { bytes, request->len }, .loop = image->loop,
	};

	single.request.done = single_done;
	if (bytes) {
		single.request.segs = &single.seg;
		single.request.nr_segs = 1;
	}
	disk_submit(image->disk, &single.request);
	ck_assert_int_eq(loop_run(image->loop), 0);
	return single.res;
}

int image_request(struct image *image, enum disk_op op, uint64_t at, void *bytes,
		  uint64_t len)
{
	const struct disk_request request = { .op = op, .at = at, .len = len };

	return image_do(image, &request, bytes);
}

static enum disk_op random_op(struct image *image)
{
	static const enum disk_op ops[] = {
		DISK_READ, DISK_READ, DISK_READ, DISK_READ, DISK_WRITE, DISK_WRITE, DISK_WRITE,
		DISK_WRITE, DISK_WRITE, DISK_WRITE, DISK_DISCARD, DISK_ZERO, DISK_FLUSH,
	};

	return ops[image_random(image, ARRAY_LEN(ops))];
}

static void make_random(struct image *image, struct pending *p)
{
	uint64_t nr_sectors = image->size / SECTOR;
	uint64_t len_max = image->len_max / SECTOR / (image_random(image, 3) ? 8 : 1);
	struct disk_request *request = &p->request;

	*p = (struct pending){ .image = image };
	request->op = random_op(image);
	if (request->op == DISK_FLUSH)
		return;
	request->at = image_random(image, nr_sectors) * SECTOR;
	request->len = min_u64((image_random(image, len_max) + 1) * SECTOR,
			       image->size - request->at);
	if (image_random(image, 2)) {	/* whole clusters of 4 KiB are common */
		request->at = align_down(request->at, 4096);
		request->len = max_u64(align_down(request->len, 4096), SECTOR);
	}
	request->durable = request->op != DISK_READ && !image_random(image, 16);
	request->unmap = image_random(image, 2);
	if (!has_data(request->op))
		return;
	p->bytes = malloc(request->len);
	if (request->op == DISK_WRITE)
		for (uint64_t i = 0; i < request->len; i += 8) {
			uint64_t value = image_random(image, UINT64_MAX);

			memcpy(p->bytes + i, &value, 8);
		}
}

static bool overlaps(const struct pending *list, unsigned nr, const struct pending *p)
{
	const struct disk_request *a = &p->request;

	for (unsigned i = 0; i < nr; i++) {
		const struct disk_request *b = &list[i].request;

		if (a->len && b->len && a->at < b->at + b->len && b->at < a->at + a->len)
			return true;
	}
	return false;
}

/* A discard may leave what was there, so the model asks. */
static void learn_discard(struct image *image, const struct pending *p)
{
	const struct disk_request *request = &p->request;
	uint8_t *now, *model = image->model + request->at;

	if (request->op != DISK_DISCARD || p->failed)
		return;
	now = malloc(request->len);
	ck_assert_int_eq(image_request(image, DISK_READ, request->at, now, request->len), 0);
	for (uint64_t i = 0; i < request->len; i++)
		if (now[i] != model[i] && now[i])
			ck_abort_msg("discard made %02x of %02x", model[i], now[i]);
	memcpy(model, now, request->len);
	free(now);
}

unsigned image_batch(struct image *image, unsigned nr)
{
	static struct pending list[IMAGE_BATCH_MAX];
	unsigned nr_made = 0, nr_failed = 0;

	for (unsigned i = 0; i < nr; i++) {
		make_random(image, &list[nr_made]);
		if (overlaps(list, nr_made, &list[nr_made]))
			free(list[nr_made].bytes);
		else
			nr_made++;
	}
	nr_pending = nr_made;
	nr_half = nr_made / 2;
	for (unsigned i = 0; i < nr_made; i++)
		submit(&list[i]);
	wait_all(image);
	for (unsigned i = 0; i < nr_made; i++) {
		nr_failed += list[i].failed;
		learn_discard(image, &list[i]);
		free(list[i].bytes);
	}
	return nr_failed;
}

void image_compare(struct image *image)
{
	uint64_t step = MiB;
	uint8_t *bytes = malloc(step);

	for (uint64_t at = 0; at < image->size; at += step) {
		uint64_t len = min_u64(step, image->size - at);

		ck_assert_int_eq(image_request(image, DISK_READ, at, bytes, len), 0);
		must_be(image, bytes, at, len);
	}
	free(bytes);
}

void image_check_own(struct image *image)
{
	struct qcow2_check check;
	struct err err = { 0 };
	int fd = open(image->path, O_RDONLY);

	ck_assert_msg(!qcow2_check(&check, fd, image->path, QCOW2_CHECK_FIX_NONE, NULL, &err), "%s",
		      err.text);
	close(fd);
	ck_assert_uint_eq(check.nr_corruptions, 0);
	ck_assert_uint_eq(check.nr_leaks, 0);
}

void image_check_clean(struct image *image)
{
	char path[160];
	int fd;

	image_run(image, "qemu-img check -f qcow2 %s", image->path);
	image_check_own(image);
	snprintf(path, sizeof(path), "%s/model.raw", image->folder);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	ck_assert_int_eq(write(fd, image->model, image->size), image->size);
	close(fd);
	image_run(image, "qemu-img compare -f qcow2 -F raw %s model.raw", image->path);
}
