// SPDX-License-Identifier: Apache-2.0
/* What of qcow2 images is accepted, refused, repaired; the images are QEMU's. */
#include "block/qcow2.h"

#include "base/bytes.h"
#include "block/qcow2_check.h"
#include "block/qcow2_create.h"
#include "disk_fixture.h"
#include "loop/loop.h"

#include <stdarg.h>

/* In the folder; must succeed. */
static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *fmt, ...)
{
	char command[1024];
	int len = snprintf(command, sizeof(command), "cd %s && ( ", folder);
	va_list args;

	va_start(args, fmt);
	len += vsnprintf(command + len, sizeof(command) - (size_t)len, fmt, args);
	va_end(args);
	snprintf(command + len, sizeof(command) - (size_t)len, " ) > /dev/null");
	ck_assert_int_eq(system(command), 0);
}

static void make_qcow2(const char *name, const char *options)
{
	run("qemu-img create -f qcow2 %s %s 1M", options, name);
}

static void patch(const char *name, off_t at, uint64_t value, unsigned width)
{
	uint8_t bytes[8];

	put_be64(bytes, width == 8 ? value : value << 32);
	write_file(name, at, bytes, width);
}

static uint64_t look(const char *name, off_t at)
{
	uint8_t bytes[8];

	read_file(name, at, bytes, sizeof(bytes));
	return get_be64(bytes);
}

/* Requests. */

static int result;

static void request_done(struct disk_request *request, int res)
{
	(void)request;
	result = res;
	loop_quit(loop);
}

static int transfer(enum disk_op op, uint64_t at, void *bytes, uint64_t len)
{
	struct iovec seg = { bytes, len };
	struct disk_request request = {
		.op = op, .at = at, .len = len, .segs = &seg, .nr_segs = 1,
		.done = request_done,
	};

	disk_submit(disk, &request);
	ck_assert_int_eq(loop_run(loop), 0);
	return result;
}

static uint8_t byte_at(uint64_t at)
{
	uint8_t bytes[512];

	ck_assert_int_eq(transfer(DISK_READ, at, bytes, sizeof(bytes)), 0);
	return bytes[0];
}

/* Creating. */

static int create(const char *name, const struct qcow2_create *what)
{
	int fd = open(in_folder(name), O_CREAT | O_EXCL | O_RDWR, 0644);
	int r = qcow2_create(fd, in_folder(name), what, &err);

	close(fd);
	return r;
}

static const struct qcow2_create creations[] = {
	{ .size = 1 * MiB },
	{ .size = 0 },
	{ .size = 3 * MiB + 512, .cluster_bits = 9 },
	{ .size = 64 * MiB, .cluster_bits = 21, .lazy_refcounts = true },
	{ .size = 3 * MiB + 512, .cluster_bits = 12, .preallocate = true },
	{ .size = 8 * MiB, .cluster_bits = 9, .preallocate = true },
	{ .size = 20 * MiB + 1024, .extended = true, .preallocate = true },
	{ .size = 1 * TiB, .cluster_bits = 14, .extended = true },
};

START_TEST(created_image_is_sound_and_can_be_used)
{
	uint8_t bytes[512] = { 5 };
	uint64_t size = creations[_i].size;

	ck_assert_int_eq(create("a.qcow2", &creations[_i]), 0);
	run("qemu-img check a.qcow2");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_uint_eq(disk_size(disk), size);
	ck_assert_int_eq(transfer(DISK_WRITE, size / 1024 * 512, bytes, size ? 512 : 0), 0);
	disk = disk_close(disk, &err);

	ck_assert_int_eq(err.code, 0);
	run("qemu-img check a.qcow2");
}
END_TEST

START_TEST(created_image_shows_its_backing_file)
{
	const struct qcow2_create what = {
		.size = 1 * MiB, .cluster_bits = 12, .backing = "base.raw", .backing_format = "raw",
	};

	run("qemu-img create -f raw base.raw 1M && "
	    "qemu-io -f raw -c 'write -P 3 0 1M' base.raw");
	ck_assert_int_eq(create("a.qcow2", &what), 0);

	run("qemu-io -r -c 'read -P 3 0 1M' a.qcow2 | grep -v failed");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_uint_eq(byte_at(0), 3);
}
END_TEST

static const struct {
	struct qcow2_create what;
	int code;
	const char *says;
} bad_creations[] = {
	{ { .size = 1000 }, -EINVAL, "no multiple of 512" },
	{ { .size = 1 * MiB, .cluster_bits = 8 }, -EINVAL, "512 to 2M" },
	{ { .size = 1 * MiB, .cluster_bits = 22 }, -EINVAL, "512 to 2M" },
	{ { .size = 1 * MiB, .cluster_bits = 12, .extended = true }, -EINVAL, "subclusters" },
	{ { .size = 1 * TiB, .cluster_bits = 9 }, -EFBIG, "larger clusters" },
	{ { .size = 1 * MiB, .backing = "b", .backing_format = "raw", .preallocate = true },
	  -EINVAL, "hide its backing file" },
};

START_TEST(image_that_cannot_be_is_not_created)
{
	ck_assert_int_eq(create("a.qcow2", &bad_creations[_i].what), bad_creations[_i].code);
	ck_assert_ptr_nonnull(strstr(err.text, bad_creations[_i].says));
}
END_TEST

/* Headers. */

static const struct {
	off_t at;
	unsigned width;
	uint64_t value;
	int code;
	const char *says;
} bad_headers[] = {
	{ QCOW2_AT_MAGIC, 4, 0, -EINVAL, "does not begin with" },
	{ QCOW2_AT_VERSION, 4, 4, -ENOTSUP, "version 4" },
	{ QCOW2_AT_VERSION, 4, 1, -ENOTSUP, "version 1" },
	{ QCOW2_AT_CLUSTER_BITS, 4, 8, -EINVAL, "its clusters are not of" },
	{ QCOW2_AT_CLUSTER_BITS, 4, 22, -EINVAL, "its clusters are not of" },
	{ QCOW2_AT_CLUSTER_BITS, 4, UINT32_MAX, -EINVAL, "its clusters are not of" },
	{ QCOW2_AT_SIZE, 8, 1000, -EINVAL, "no multiple of 512" },
	{ QCOW2_AT_SIZE, 8, UINT64_MAX - 511, -EINVAL, "larger than 32 MiB" },
	{ QCOW2_AT_SIZE, 8, 1 * TiB, -EINVAL, "too small for its size" },
	{ QCOW2_AT_CRYPT_METHOD, 4, 2, -ENOTSUP, "is encrypted" },
	{ QCOW2_AT_L1_SIZE, 4, UINT32_MAX, -EINVAL, "L1 table is larger" },
	{ QCOW2_AT_L1_SIZE, 4, 0, -EINVAL, "too small for its size" },
	{ QCOW2_AT_L1_AT, 8, 0, -EINVAL, "L1 table is not within" },
	{ QCOW2_AT_L1_AT, 8, 3, -EINVAL, "L1 table is not within" },
	{ QCOW2_AT_L1_AT, 8, 1 * GiB, -EINVAL, "L1 table is not within" },
	{ QCOW2_AT_L1_AT, 8, 0xffffffffffff0000, -EINVAL, "L1 table is not within" },
	{ QCOW2_AT_L1_AT, 8, 64 * KiB, -EIO, "where other metadata are" },
	{ QCOW2_AT_REFTABLE_AT, 8, 512, -EINVAL, "refcount table is not within" },
	{ QCOW2_AT_REFTABLE_AT, 8, 1 * GiB, -EINVAL, "refcount table is not within" },
	{ QCOW2_AT_REFTABLE_CLUSTERS, 4, 0, -EINVAL, "no refcount table" },
	{ QCOW2_AT_REFTABLE_CLUSTERS, 4, UINT32_MAX, -EINVAL, "larger than 8 MiB" },
	{ QCOW2_AT_NR_SNAPSHOTS, 4, UINT32_MAX, -EINVAL, "more than 65536 snapshots" },
	{ QCOW2_AT_NR_SNAPSHOTS, 4, 1, -EINVAL, "snapshot table is not within" },
	{ QCOW2_AT_INCOMPATIBLE, 8, BIT64(2), -ENOTSUP, "external data file" },
	{ QCOW2_AT_INCOMPATIBLE, 8, BIT64(3), -EINVAL, "contradicts its feature bits" },
	{ QCOW2_AT_INCOMPATIBLE, 8, BIT64(63), -ENOTSUP, "incompatible bit 63" },
	{ QCOW2_AT_INCOMPATIBLE, 8, BIT64(1), -EIO, "marked as damaged" },
	{ QCOW2_AT_REFCOUNT_ORDER, 4, 7, -EINVAL, "more than 64 bits" },
	{ QCOW2_AT_HEADER_LEN, 4, 72, -EINVAL, "length of its header" },
	{ QCOW2_AT_HEADER_LEN, 4, 108, -EINVAL, "length of its header" },
	{ QCOW2_AT_HEADER_LEN, 4, 0xfffffff8, -EINVAL, "length of its header" },
	{ QCOW2_AT_BACKING_AT, 8, BIT64(40), -EINVAL, "backing file's name is not" },
	{ 64 * KiB, 8, 512, -EIO, "a refcount block at 0x200" },
	{ 64 * KiB, 8, 1 * GiB, -EIO, "not within the file" },
	{ 64 * KiB, 8, 192 * KiB, -EIO, "where other metadata are" },
	{ 192 * KiB, 8, 512, -EIO, "an L2 table at 0x200" },
	{ 192 * KiB, 8, 128 * KiB, -EIO, "where other metadata are" },
};

START_TEST(header_that_makes_no_sense_is_refused_and_left_alone)
{
	run("qemu-img create -f qcow2 a.qcow2 1M && cp a.qcow2 b.qcow2");
	patch("a.qcow2", QCOW2_AT_BACKING_LEN, 2000, 4);
	patch("a.qcow2", bad_headers[_i].at, bad_headers[_i].value, bad_headers[_i].width);
	run("cp a.qcow2 b.qcow2");

	refuses(config("a.qcow2"), bad_headers[_i].code, bad_headers[_i].says);
	run("cmp a.qcow2 b.qcow2");
}
END_TEST

START_TEST(unknown_feature_is_called_by_its_name)
{
	uint8_t row[] = "\0\x09time travel";

	make_qcow2("a.qcow2", "");
	/* The first row of the feature name table, which is the first extension. */
	write_file("a.qcow2", QCOW2_HEADER_LEN_COMPRESSION + 8, row, sizeof(row));
	patch("a.qcow2", QCOW2_AT_INCOMPATIBLE, BIT64(9), 8);

	refuses(config("a.qcow2"), -ENOTSUP, "time travel (incompatible bit 9)");
}
END_TEST

START_TEST(image_cut_short_is_refused_or_read_without_harm)
{
	uint8_t bytes[512];

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2");
	for (off_t size = 260 * 1024; size > 0; size -= 4000 + size / 16) {
		struct disk_config c = config("a.qcow2");

		ck_assert_int_eq(truncate(c.path, size), 0);
		c.read_only = true;
		if (!disk_open(&disk, &c, loop, &err))
			transfer(DISK_READ, 0, bytes, sizeof(bytes));
		disk = disk_close(disk, NULL);
	}
}
END_TEST

/* What was cut off must not read as zeros, nor be written to where it was. */
START_TEST(cluster_beyond_the_end_of_the_file_is_damage)
{
	uint8_t bytes[512] = { 0 };
	uint64_t end = 320 * KiB + 4096;	/* within the first of 16 clusters */

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2");
	ck_assert_int_eq(truncate(in_folder("a.qcow2"), (off_t)end), 0);
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);

	ck_assert_uint_eq(byte_at(512), 1);
	ck_assert_int_eq(transfer(_i, 64 * KiB, bytes, sizeof(bytes)), -EIO);
	ck_assert_int_eq(transfer(DISK_WRITE, 0, bytes, sizeof(bytes)), -EIO);
	disk = disk_close(disk, NULL);
	refuses(config("a.qcow2"), -EIO, "marked as damaged");
}
END_TEST

START_TEST(damaged_image_can_be_read)
{
	struct disk_config c;

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 64k' a.qcow2");
	patch("a.qcow2", QCOW2_AT_INCOMPATIBLE, QCOW2_INCOMPATIBLE_CORRUPT, 8);
	c = config("a.qcow2");
	c.read_only = true;

	ck_assert_int_eq(open_disk(c), 0);
	ck_assert_uint_eq(byte_at(512), 1);
}
END_TEST

/* Lazy refcounts: the counts are wrong, the bit says so. */
START_TEST(image_that_was_not_closed_is_repaired)
{
	uint8_t zeros[512] = { 0 };
	struct qcow2_check check;
	int fd;

	make_qcow2("a.qcow2", "-o lazy_refcounts=on");
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2");
	write_file("a.qcow2", 128 * 1024, zeros, sizeof(zeros));	/* the refcounts */
	patch("a.qcow2", QCOW2_AT_INCOMPATIBLE, QCOW2_INCOMPATIBLE_DIRTY, 8);

	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_uint_eq(byte_at(0), 1);
	disk = disk_close(disk, NULL);
	fd = open(in_folder("a.qcow2"), O_RDONLY);
	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_NONE, &err), 0);
	close(fd);
	ck_assert_uint_eq(check.nr_corruptions + check.nr_leaks, 0);
	ck_assert_uint_eq(look("a.qcow2", QCOW2_AT_INCOMPATIBLE), 0);
	run("qemu-img check a.qcow2");
}
END_TEST

START_TEST(lost_refcount_block_is_rebuilt)
{
	struct qcow2_check check;
	int fd;

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2");
	patch("a.qcow2", 64 * KiB, 0, 8);
	fd = open(in_folder("a.qcow2"), O_RDWR);

	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_NONE, &err), 0);
	ck_assert_uint_gt(check.nr_corruptions, 0);
	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_ALL, &err), 0);
	ck_assert_uint_eq(check.nr_corruptions + check.nr_leaks, 0);
	close(fd);
	run("qemu-img check a.qcow2");
}
END_TEST

START_TEST(leak_is_found_and_given_back)
{
	struct qcow2_check check;
	int fd;

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2");
	patch("a.qcow2", 128 * KiB + 100, 0x00010001, 4);	/* clusters 50 and 51 */
	fd = open(in_folder("a.qcow2"), O_RDWR);

	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_NONE, &err), 0);
	ck_assert_uint_eq(check.nr_leaks, 2);
	ck_assert_uint_eq(check.nr_corruptions, 0);
	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_LEAKS, &err), 0);
	ck_assert_uint_eq(check.nr_leaks, 0);
	ck_assert_uint_eq(check.nr_fixed, 2);
	close(fd);
}
END_TEST

/* Overlaps. */

START_TEST(data_that_are_where_a_table_is_are_not_written)
{
	uint8_t bytes[512] = { 9 };
	uint64_t table;

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 64k' a.qcow2");
	table = look("a.qcow2", 192 * 1024) & QCOW2_OFFSET;
	patch("a.qcow2", (off_t)table, 192 * KiB | QCOW2_COPIED, 8);	/* the L1 table */
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);

	ck_assert_int_eq(transfer(DISK_WRITE, 0, bytes, sizeof(bytes)), -EIO);
	ck_assert_int_eq(transfer(DISK_WRITE, 512 * KiB, bytes, sizeof(bytes)), -EIO);
	ck_assert_uint_eq(look("a.qcow2", QCOW2_AT_INCOMPATIBLE), QCOW2_INCOMPATIBLE_CORRUPT);
	ck_assert_uint_eq(look("a.qcow2", 192 * 1024) & QCOW2_OFFSET, table);
	disk = disk_close(disk, NULL);
	refuses(config("a.qcow2"), -EIO, "marked as damaged");
}
END_TEST

START_TEST(table_that_is_counted_as_free_is_not_allocated)
{
	uint8_t bytes[512] = { 9 };

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 64k' a.qcow2");
	patch("a.qcow2", 128 * KiB, 0, 8);	/* counts of the header and all tables */
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);

	ck_assert_int_eq(transfer(DISK_WRITE, 512 * KiB, bytes, sizeof(bytes)), -EIO);
	ck_assert_uint_eq(look("a.qcow2", 0) >> 32, QCOW2_MAGIC);
}
END_TEST

/* Backing files. */

START_TEST(backing_file_in_the_folder_is_used)
{
	run("qemu-img create -f qcow2 base.qcow2 1M && qemu-io -c 'write -P 3 0 1M' base.qcow2");
	make_qcow2("a.qcow2", "-b base.qcow2 -F qcow2");

	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_uint_eq(byte_at(512 * KiB), 3);
}
END_TEST

START_TEST(backing_file_is_forbidden_by_the_option)
{
	struct disk_config c = config("a.qcow2");

	run("qemu-img create -f raw base.raw 1M");
	make_qcow2("a.qcow2", "-b base.raw -F raw");
	c.backing = DISK_BACKING_OFF;

	refuses(c, -EPERM, "none is allowed");
}
END_TEST

static const char *const outside[] = {
	"/etc/passwd", "../base.raw", "sub/../../base.raw", "..",
};

START_TEST(backing_file_outside_of_the_folder_needs_the_option)
{
	struct disk_config c = config("a.qcow2");

	run("qemu-img create -f raw base.raw 1M");
	make_qcow2("a.qcow2", "-b base.raw -F raw");
	run("qemu-img rebase -u -F raw -b %s a.qcow2", outside[_i]);

	refuses(c, -EPERM, "if you trust the image, allow it by backing=on");
}
END_TEST

START_TEST(backing_file_elsewhere_is_used_with_the_option)
{
	struct disk_config c = config("a.qcow2");

	run("qemu-img create -f raw base.raw 1M && "
	    "qemu-img create -f qcow2 -b $PWD/base.raw -F raw a.qcow2 && "
	    "qemu-io -f raw -c 'write -P 3 0 1M' base.raw");
	c.backing = DISK_BACKING_ON;

	ck_assert_int_eq(open_disk(c), 0);
	ck_assert_uint_eq(byte_at(0), 3);
}
END_TEST

START_TEST(backing_file_that_is_no_file_is_refused)
{
	run("qemu-img create -f raw base.raw 1M");
	make_qcow2("a.qcow2", "-b base.raw -F raw");
	run("qemu-img rebase -u -F raw -b nbd:localhost:1 a.qcow2");

	refuses(config("a.qcow2"), -ENOTSUP, "not the name of a file");
}
END_TEST

START_TEST(missing_backing_file_is_named)
{
	run("qemu-img create -f raw base.raw 1M");
	make_qcow2("a.qcow2", "-b base.raw -F raw");
	run("rm base.raw");

	refuses(config("a.qcow2"), -ENOENT, "base.raw");
}
END_TEST

START_TEST(backing_file_of_unknown_format_is_refused)
{
	run("qemu-img create -f raw base 1M");
	make_qcow2("a.qcow2", "-b base -F raw");
	run("qemu-img rebase -u -b base a.qcow2 2> /dev/null || "
	    "qemu-img rebase -u -F raw -b base a.qcow2");
	/* QEMU 7 insists on a format, so take its name away: the extension's length. */
	for (off_t at = QCOW2_HEADER_LEN_COMPRESSION; at < 1024; at += 8)
		if (look("a.qcow2", at) >> 32 == QCOW2_EXT_BACKING_FORMAT)
			patch("a.qcow2", at, 0x11111111, 4);

	refuses(config("a.qcow2"), -EINVAL, "does not say which format");
}
END_TEST

START_TEST(image_that_is_its_own_backing_file_is_refused)
{
	struct disk_config c = config("a.qcow2");

	run("qemu-img create -f qcow2 b.qcow2 1M");
	make_qcow2("a.qcow2", "-b b.qcow2 -F qcow2");
	run("qemu-img rebase -u -F qcow2 -b a.qcow2 b.qcow2");

	refuses(c, -ELOOP, "its own backing file");
	c.read_only = true;
	refuses(c, -ELOOP, "its own backing file");
}
END_TEST

START_TEST(chain_that_is_too_long_is_refused)
{
	run("qemu-img create -f qcow2 0.qcow2 1M");
	for (int i = 1; i < 66; i++)
		run("qemu-img create -f qcow2 -u -b %d.qcow2 -F qcow2 %d.qcow2 1M", i - 1, i);

	refuses(config("65.qcow2"), -ELOOP, "more than 64");
}
END_TEST

START_TEST(writer_locks_the_files_behind_its_image_against_writers)
{
	struct disk_config base = config("base.qcow2");

	run("qemu-img create -f qcow2 base.qcow2 1M");
	make_qcow2("a.qcow2", "-b base.qcow2 -F qcow2");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	base.path = in_folder("base.qcow2");

	refuses(base, -EBUSY, "in use by another");
}
END_TEST

/* Resizing. */

START_TEST(image_grows_while_it_is_used)
{
	uint8_t bytes[512] = { 4 };

	make_qcow2("a.qcow2", "");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_int_eq(disk_resize(disk, 2 * GiB, &err), 0);
	ck_assert_uint_eq(disk_size(disk), 2 * GiB);

	ck_assert_int_eq(transfer(DISK_WRITE, 2 * GiB - 512, bytes, sizeof(bytes)), 0);
	disk = disk_close(disk, &err);
	run("qemu-img check a.qcow2 && qemu-io -r -c 'read -P 4 -s 0 -l 1 2147483136 512' a.qcow2");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_uint_eq(disk_size(disk), 2 * GiB);
	ck_assert_uint_eq(byte_at(2 * GiB - 512), 4);
}
END_TEST

START_TEST(image_smaller_than_its_backing_file_does_not_grow)
{
	run("qemu-img create -f raw base.raw 2M");
	make_qcow2("a.qcow2", "-b base.raw -F raw");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);

	ck_assert_int_eq(disk_resize(disk, 2 * MiB, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "would show"));
}
END_TEST

/* Once within the counts that there are, then with a new refcount table. */
static const uint64_t sizes[] = { 40 * MiB, 1 * GiB, 8 * GiB };

static void write_ends(struct disk_config c)
{
	static uint8_t bytes[4096] __attribute__((aligned(4096)));

	ck_assert_int_eq(open_disk(c), 0);
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		memset(bytes, 1 + (int)i, sizeof(bytes));
		if (disk_resize(disk, sizes[i], &err))
			ck_abort_msg("%s", err.text);
		ck_assert_int_eq(transfer(DISK_WRITE, sizes[i] - sizeof(bytes), bytes,
					  sizeof(bytes)), 0);
	}
	disk = disk_close(disk, &err);
	ck_assert_str_eq(err.text, "");
}

static const struct {
	const char *options;
	enum disk_cache cache;
} outgrown[] = {
	{ "-o cluster_size=512", DISK_WRITEBACK },
	{ "-o cluster_size=512,compat=0.10", DISK_WRITEBACK },
	{ "-o cluster_size=4k,refcount_bits=64", DISK_DIRECT },
};

START_TEST(image_outgrows_its_l1_table_while_it_is_used)
{
	struct disk_config c = config("a.qcow2");

	make_qcow2("a.qcow2", outgrown[_i].options);
	run("qemu-io -c 'write -P 9 0 1M' a.qcow2");
	c.cache = outgrown[_i].cache;

	write_ends(c);

	run("qemu-img check a.qcow2 && qemu-io -r -c 'read -P 9 0 1M' -c 'read -P 1 41938944 4k' "
	    "-c 'read -P 2 1073737728 4k' -c 'read -P 3 8589930496 4k' a.qcow2 > out && "
	    "! grep failed out");
}
END_TEST

#define NR_SECTORS	4		/* of an L1 table: 64 tables of 64 clusters each */

static struct loop_task watch;

static void grow_while_written(struct loop_task *task)
{
	const struct qcow2 *q = disk->state;

	if (!q->writeback.l1_writing) {
		loop_defer(loop, task);
		return;
	}
	ck_assert_int_eq(disk_resize(disk, 40 * MiB, &err), 0);
}

START_TEST(l1_table_that_is_being_written_is_complete_where_it_moves_to)
{
	uint8_t bytes[512];
	struct disk_request flush = { .op = DISK_FLUSH, .done = request_done };

	run("qemu-img create -f qcow2 -o cluster_size=512 a.qcow2 8M");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	memset(bytes, 5, sizeof(bytes));
	for (unsigned i = 0; i < NR_SECTORS; i++)
		ck_assert_int_eq(transfer(DISK_WRITE, i * 2 * MiB, bytes, sizeof(bytes)), 0);

	watch.run = grow_while_written;
	loop_defer(loop, &watch);
	disk_submit(disk, &flush);
	ck_assert_int_eq(loop_run(loop), 0);
	disk = disk_close(disk, &err);

	run("qemu-img check a.qcow2");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_uint_eq(disk_size(disk), 40 * MiB);
	for (unsigned i = 0; i < NR_SECTORS; i++)
		ck_assert_uint_eq(byte_at(i * 2 * MiB), 5);
}
END_TEST

START_TEST(size_that_small_clusters_cannot_reach_is_refused)
{
	make_qcow2("a.qcow2", "-o cluster_size=512");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);

	ck_assert_int_eq(disk_resize(disk, 1 * TiB, &err), -EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, "small clusters"));
	ck_assert_uint_eq(disk_size(disk), 1 * MiB);
}
END_TEST

START_TEST(image_of_version_2_with_snapshots_does_not_grow)
{
	make_qcow2("a.qcow2", "-o compat=0.10");
	run("qemu-img snapshot -c one a.qcow2");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);

	ck_assert_int_eq(disk_resize(disk, 2 * MiB, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "version 2 with snapshots"));
}
END_TEST

/* Odds and ends. */

START_TEST(autoclear_bits_are_cleared_by_a_writer_only)
{
	struct disk_config c = config("a.qcow2");

	make_qcow2("a.qcow2", "");
	patch("a.qcow2", QCOW2_AT_AUTOCLEAR, BIT64(5), 8);
	c.read_only = true;
	ck_assert_int_eq(open_disk(c), 0);
	ck_assert_uint_eq(look("a.qcow2", QCOW2_AT_AUTOCLEAR), BIT64(5));
	disk = disk_close(disk, NULL);
	c.read_only = false;

	ck_assert_int_eq(open_disk(c), 0);
	ck_assert_uint_eq(look("a.qcow2", QCOW2_AT_AUTOCLEAR), 0);
}
END_TEST

START_TEST(image_works_with_direct_io)
{
	struct disk_config c = config("a.qcow2");
	static uint8_t bytes[128 * 1024] __attribute__((aligned(4096)));

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 64k' a.qcow2");
	c.cache = DISK_DIRECT;
	ck_assert_int_eq(open_disk(c), 0);
	memset(bytes, 7, sizeof(bytes));

	ck_assert_int_eq(transfer(DISK_WRITE, 100 * KiB / 4096 * 4096, bytes, sizeof(bytes)), 0);
	disk = disk_close(disk, &err);
	ck_assert_int_eq(err.code, 0);
	run("qemu-img check a.qcow2 && qemu-io -r -c 'read -P 7 100k 128k' a.qcow2");
}
END_TEST

/* Clusters from the last to the first, each with its number; tables are in memory. */
static void open_scattered(unsigned nr)
{
	for (unsigned i = nr; i-- > 0;)
		run("qemu-io -c 'write -P %u %uk 4k' a.qcow2", i + 1, i * 4);
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	byte_at(0);
}

START_TEST(pieces_of_a_request_that_lie_apart_are_moved_together)
{
	static uint8_t bytes[6 * 4096];
	struct iovec seg = { bytes, sizeof(bytes) };
	enum disk_op op = _i ? DISK_WRITE : DISK_READ;
	struct disk_request request = {
		.op = op, .len = sizeof(bytes), .segs = &seg, .nr_segs = 1, .durable = true,
		.done = request_done,
	};
	const struct qcow2 *q;

	make_qcow2("a.qcow2", "-o cluster_size=4k");
	open_scattered(6);
	q = disk->state;
	memset(bytes, 9, sizeof(bytes));
	disk_submit(disk, &request);

	ck_assert_uint_eq(q->nr_parts, 5);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(result, 0);
	ck_assert_uint_eq(q->nr_parts, 0);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_eq(byte_at(i * 4096), _i ? 9 : i + 1);
	ck_assert_uint_eq(bytes[5 * 4096], _i ? 9 : 6);
}
END_TEST

START_TEST(bad_compressed_data_are_an_error)
{
	uint8_t bytes[512];
	uint64_t entry;

	run("yes | head -c 1M > a.raw && qemu-img convert -c -f raw -O qcow2 a.raw a.qcow2");
	entry = look("a.qcow2", (off_t)(look("a.qcow2", 192 * 1024) & QCOW2_OFFSET));
	memset(bytes, 0xff, sizeof(bytes));
	write_file("a.qcow2", (off_t)(entry & (BIT64(54) - 1)), bytes, 64);
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);

	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, sizeof(bytes)), -EIO);
	ck_assert_int_eq(transfer(DISK_READ, 64 * KiB, bytes, sizeof(bytes)), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qcow2");
	TCase *tc = tcase_create("images");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, created_image_is_sound_and_can_be_used, 0,
			    ARRAY_LEN(creations));
	tcase_add_test(tc, created_image_shows_its_backing_file);
	tcase_add_loop_test(tc, image_that_cannot_be_is_not_created, 0,
			    ARRAY_LEN(bad_creations));
	tcase_add_loop_test(tc, header_that_makes_no_sense_is_refused_and_left_alone, 0,
			    ARRAY_LEN(bad_headers));
	tcase_add_test(tc, unknown_feature_is_called_by_its_name);
	tcase_add_test(tc, image_cut_short_is_refused_or_read_without_harm);
	tcase_add_loop_test(tc, cluster_beyond_the_end_of_the_file_is_damage, DISK_READ,
			    DISK_WRITE + 1);
	tcase_add_test(tc, damaged_image_can_be_read);
	tcase_add_test(tc, image_that_was_not_closed_is_repaired);
	tcase_add_test(tc, lost_refcount_block_is_rebuilt);
	tcase_add_test(tc, leak_is_found_and_given_back);
	tcase_add_test(tc, data_that_are_where_a_table_is_are_not_written);
	tcase_add_test(tc, table_that_is_counted_as_free_is_not_allocated);
	tcase_add_test(tc, backing_file_in_the_folder_is_used);
	tcase_add_test(tc, backing_file_is_forbidden_by_the_option);
	tcase_add_loop_test(tc, backing_file_outside_of_the_folder_needs_the_option, 0,
			    ARRAY_LEN(outside));
	tcase_add_test(tc, backing_file_elsewhere_is_used_with_the_option);
	tcase_add_test(tc, backing_file_that_is_no_file_is_refused);
	tcase_add_test(tc, missing_backing_file_is_named);
	tcase_add_test(tc, backing_file_of_unknown_format_is_refused);
	tcase_add_test(tc, image_that_is_its_own_backing_file_is_refused);
	tcase_add_test(tc, chain_that_is_too_long_is_refused);
	tcase_add_test(tc, writer_locks_the_files_behind_its_image_against_writers);
	tcase_add_test(tc, image_grows_while_it_is_used);
	tcase_add_test(tc, image_smaller_than_its_backing_file_does_not_grow);
	tcase_add_loop_test(tc, image_outgrows_its_l1_table_while_it_is_used, 0,
			    ARRAY_LEN(outgrown));
	tcase_add_test(tc, l1_table_that_is_being_written_is_complete_where_it_moves_to);
	tcase_add_test(tc, size_that_small_clusters_cannot_reach_is_refused);
	tcase_add_test(tc, image_of_version_2_with_snapshots_does_not_grow);
	tcase_add_test(tc, autoclear_bits_are_cleared_by_a_writer_only);
	tcase_add_test(tc, image_works_with_direct_io);
	tcase_add_loop_test(tc, pieces_of_a_request_that_lie_apart_are_moved_together, 0, 2);
	tcase_add_test(tc, bad_compressed_data_are_an_error);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
