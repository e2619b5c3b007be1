// SPDX-License-Identifier: Apache-2.0
/* What of qcow2 images is accepted, refused, repaired; the images are QEMU's. */
#include "block/qcow2.h"

#include "block/qcow2_check.h"
#include "block/qcow2_create.h"
#include "lost_memory_fixture.h"
#include "qcow2_fixture.h"

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

/* What a writer appended would turn what was cut off into zeros. */
START_TEST(image_cut_short_is_only_read)
{
	struct disk_config c = config("a.qcow2");
	uint8_t bytes[512];

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2 && truncate -s 384k a.qcow2 && "
	    "cp a.qcow2 before.qcow2");

	refuses(c, -EIO, "was cut short, and has 15 errors: it can only be read");
	run("cmp a.qcow2 before.qcow2");
	c.read_only = true;
	ck_assert_int_eq(open_disk(c), 0);
	ck_assert_uint_eq(byte_at(512), 1);
	ck_assert_int_eq(transfer(DISK_READ, 64 * KiB, bytes, sizeof(bytes)), -EIO);
}
END_TEST

/* Leaks there are, but an error as well. */
START_TEST(image_with_counts_beyond_the_end_and_errors_is_left_alone)
{
	make_qcow2("a.qcow2", "");
	patch("a.qcow2", 128 * KiB, 0x00000001, 4);		/* that of the header is 0 */
	patch("a.qcow2", 128 * KiB + 100, 0x00010001, 4);
	run("cp a.qcow2 before.qcow2");

	refuses(config("a.qcow2"), -EIO, "has 1 errors");
	run("cmp a.qcow2 before.qcow2");
}
END_TEST

/* As after a power cut: counted, but not yet there, and not yet referred to. */
START_TEST(counts_beyond_the_end_are_given_back)
{
	struct qcow2_check check;
	int fd;

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 128k' a.qcow2");
	patch("a.qcow2", 128 * KiB + 100, 0x00010001, 4);	/* clusters 50 and 51 */

	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_uint_eq(byte_at(0), 1);
	disk = disk_close(disk, NULL);
	fd = open(in_folder("a.qcow2"), O_RDONLY);
	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_NONE, NULL, &err), 0);
	close(fd);
	ck_assert_uint_eq(check.nr_corruptions + check.nr_leaks, 0);
}
END_TEST

START_TEST(repair_of_an_image_cut_short_makes_it_no_worse)
{
	struct qcow2_check before, after;
	int fd;

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2 && truncate -s 384k a.qcow2");
	fd = open(in_folder("a.qcow2"), O_RDWR);

	ck_assert_int_eq(qcow2_check(&before, fd, "a", QCOW2_CHECK_FIX_NONE, NULL, &err), 0);
	ck_assert_int_eq(qcow2_check(&after, fd, "a", QCOW2_CHECK_FIX_ALL, NULL, &err), 0);
	close(fd);
	ck_assert_uint_eq(after.nr_corruptions, before.nr_corruptions);
	ck_assert_uint_eq(after.nr_fixed, 0);
}
END_TEST

/* What an entry beyond the end leads to must not read as zeros, nor be written. */
START_TEST(cluster_beyond_the_end_of_the_file_is_damage)
{
	uint8_t bytes[512] = { 0 };

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 128k' a.qcow2");
	patch("a.qcow2", 256 * KiB + 8, 9 * 64 * KiB | QCOW2_COPIED, 8);
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);

	ck_assert_uint_eq(byte_at(512), 1);
	ck_assert_int_eq(transfer(_i, 64 * KiB, bytes, sizeof(bytes)), -EIO);
	ck_assert_int_eq(transfer(DISK_WRITE, 64 * KiB, bytes, sizeof(bytes)), -EIO);
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
	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_NONE, NULL, &err), 0);
	close(fd);
	ck_assert_uint_eq(check.nr_corruptions + check.nr_leaks, 0);
	ck_assert_uint_eq(look("a.qcow2", QCOW2_AT_INCOMPATIBLE), 0);
	run("qemu-img check a.qcow2");
}
END_TEST

/* What an entry beyond the end leads to would be given to somebody else. */
START_TEST(image_that_was_not_closed_and_cannot_be_repaired_is_only_read)
{
	struct disk_config c = config("a.qcow2");

	make_qcow2("a.qcow2", "-o lazy_refcounts=on");
	run("qemu-io -c 'write -P 1 0 128k' a.qcow2");
	patch("a.qcow2", 4 * 64 * KiB + 8, 9 * 64 * KiB | QCOW2_COPIED, 8);
	patch("a.qcow2", QCOW2_AT_INCOMPATIBLE, QCOW2_INCOMPATIBLE_DIRTY, 8);

	refuses(c, -EIO, "not closed, and has 1 errors: it can only be read");
	c.read_only = true;
	ck_assert_int_eq(open_disk(c), 0);
	ck_assert_uint_eq(byte_at(0), 1);
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

	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_NONE, NULL, &err), 0);
	ck_assert_uint_gt(check.nr_corruptions, 0);
	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_ALL, NULL, &err), 0);
	ck_assert_uint_eq(check.nr_corruptions + check.nr_leaks, 0);
	close(fd);
	run("qemu-img check a.qcow2");
}
END_TEST

static const struct {
	off_t at;
	uint64_t bit;
	bool repaired;
} reserved[] = {
	{ 64 * KiB, BIT64(8), true },		/* the refcount table */
	{ 192 * KiB, BIT64(0), false },		/* the L1 table */
	{ 256 * KiB, BIT64(1), false },		/* an L2 table */
	{ 256 * KiB, BIT64(61), false },
};

START_TEST(reserved_bits_are_damage)
{
	struct qcow2_check check;
	int fd;

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2");
	patch("a.qcow2", reserved[_i].at, look("a.qcow2", reserved[_i].at) | reserved[_i].bit, 8);
	run("! qemu-img check a.qcow2 2> /dev/null");
	fd = open(in_folder("a.qcow2"), O_RDWR);

	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_NONE, NULL, &err), 0);
	ck_assert_uint_gt(check.nr_corruptions, 0);
	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_ALL, NULL, &err), 0);
	ck_assert_int_eq(!check.nr_corruptions, reserved[_i].repaired);
	close(fd);
	run("%s qemu-img check a.qcow2 2> /dev/null", reserved[_i].repaired ? "" : "!");
}
END_TEST

static uint64_t seen, all;

static void see(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx;
	ck_assert_uint_ge(done, seen);
	ck_assert_uint_le(done, total);
	seen = done;
	all = total;
}

START_TEST(progress_never_falls_and_ends_with_all_tables)
{
	const struct disk_progress progress = { see, NULL };
	struct qcow2_check check;
	int fd;

	run("qemu-img create -f qcow2 -o cluster_size=512 a.qcow2 8M");
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2 && qemu-img snapshot -c one a.qcow2");
	fd = open(in_folder("a.qcow2"), O_RDONLY);
	seen = 0;

	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_NONE, &progress, &err), 0);
	close(fd);
	ck_assert_uint_gt(seen, 8 * MiB / (512 / 8));	/* L2 tables */
	ck_assert_uint_eq(seen, all);
}
END_TEST

START_TEST(progress_never_falls_until_a_snapshot_is_taken)
{
	const struct disk_progress progress = { see, NULL };
	struct disk_config c = config("a.qcow2");

	run("qemu-img create -f qcow2 -o cluster_size=512 a.qcow2 8M");
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2 && qemu-img snapshot -c one a.qcow2");
	c.progress = &progress;
	seen = 0;

	ck_assert_int_eq(disk_snapshot_change(&c, DISK_SNAPSHOT_CREATE, "two", &err), 0);
	ck_assert_uint_gt(seen, all - all / 8);
}
END_TEST

/* Each time there is something that could be put right, and something that could not. */
static const struct {
	const char *options;
	struct { off_t at; uint64_t value; } damage[2];
} hopeless[] = {
	/* The header is not counted, or all refcounts are lost; a cluster is beyond the end. */
	{ "", { { 128 * KiB, 0x0000000100010001 }, { 256 * KiB + 8, 99 * 64 * KiB } } },
	{ "", { { 64 * KiB, 0 }, { 256 * KiB + 8, 99 * 64 * KiB } } },
	/* Two entries lead to one cluster, which only counts to one. */
	{ "-o refcount_bits=1", { { 128 * KiB, 0 }, { 256 * KiB + 8, 320 * KiB | QCOW2_COPIED } } },
	{ "-o refcount_bits=1", { { 64 * KiB, 0 }, { 256 * KiB + 8, 320 * KiB | QCOW2_COPIED } } },
};

START_TEST(image_that_cannot_be_repaired_as_a_whole_is_left_alone)
{
	struct qcow2_check check;
	int fd;

	make_qcow2("a.qcow2", hopeless[_i].options);
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2");
	patch("a.qcow2", QCOW2_AT_INCOMPATIBLE, QCOW2_INCOMPATIBLE_DIRTY, 8);
	for (size_t i = 0; i < ARRAY_LEN(hopeless[_i].damage); i++)
		patch("a.qcow2", hopeless[_i].damage[i].at, hopeless[_i].damage[i].value, 8);
	run("cp a.qcow2 before.qcow2");
	fd = open(in_folder("a.qcow2"), O_RDWR);

	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_ALL, NULL, &err), 0);
	close(fd);
	ck_assert_uint_gt(check.nr_corruptions, 1);
	ck_assert_uint_eq(check.nr_fixed, 0);
	refuses(config("a.qcow2"), -EIO, "was not closed, and has");
	run("cmp a.qcow2 before.qcow2");
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

	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_NONE, NULL, &err), 0);
	ck_assert_uint_eq(check.nr_leaks, 2);
	ck_assert_uint_eq(check.nr_corruptions, 0);
	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_LEAKS, NULL, &err), 0);
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

#define L1_AT	(192 * KiB)

/* The first cluster is written, and the entry of the sixth leads elsewhere. */
static void open_with_wrong_entry(uint64_t entry)
{
	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 64k' a.qcow2");
	patch("a.qcow2", (off_t)(look("a.qcow2", L1_AT) & QCOW2_OFFSET) + 5 * 8, entry, 8);
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
}

/* Flushed, so that what was given up is used again. */
static void write_clusters(uint64_t first, uint64_t nr)
{
	static uint8_t bytes[64 * KiB];

	memset(bytes, 0x5a, sizeof(bytes));
	ck_assert_int_eq(transfer(DISK_FLUSH, 0, NULL, 0), 0);
	for (uint64_t i = first; i < first + nr; i++)
		ck_assert_int_eq(transfer(DISK_WRITE, i * sizeof(bytes), bytes,
					  sizeof(bytes)), 0);
}

static const struct {
	uint64_t first;			/* cluster that is discarded; up to the seventh */
	uint64_t entry;
} wrong_entries[] = {
	{ 5, L1_AT | QCOW2_COPIED },
	{ 3, L1_AT | QCOW2_COPIED },
	{ 3, L1_AT },
	{ 3, L1_AT | QCOW2_ZERO | QCOW2_COPIED },
	{ 3, L1_AT | QCOW2_COMPRESSED },
	{ 3, (L1_AT + 512) | QCOW2_COPIED },
	{ 3, 100 * GiB | QCOW2_COPIED },
};

START_TEST(discard_of_what_is_no_data_is_refused)
{
	uint64_t at = wrong_entries[_i].first * 64 * KiB, table;
	uint8_t bytes[512] = { 9 };

	open_with_wrong_entry(wrong_entries[_i].entry);
	table = look("a.qcow2", L1_AT);

	ck_assert_int_eq(transfer(DISK_DISCARD, at, NULL, 448 * KiB - at), -EIO);
	ck_assert_int_eq(transfer(DISK_WRITE, 512 * KiB, bytes, sizeof(bytes)), -EIO);
	disk = disk_close(disk, NULL);
	ck_assert_uint_eq(look("a.qcow2", QCOW2_AT_INCOMPATIBLE), QCOW2_INCOMPATIBLE_CORRUPT);
	ck_assert_uint_eq(look("a.qcow2", L1_AT), table);
}
END_TEST

START_TEST(entry_to_a_table_does_not_give_it_up_when_it_is_replaced)
{
	uint64_t table;

	open_with_wrong_entry(L1_AT);
	table = look("a.qcow2", L1_AT);

	write_clusters(5, 1);
	write_clusters(8, 4);
	disk = disk_close(disk, NULL);
	ck_assert_uint_eq(look("a.qcow2", L1_AT), table);
	run("qemu-img check a.qcow2 && qemu-io -r -c 'read -P 0x5a 512k 256k' a.qcow2");
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
	const struct qcow2 *q;
	static uint8_t bytes[128 * 1024] __attribute__((aligned(4096)));

	make_qcow2("a.qcow2", "");
	run("qemu-io -c 'write -P 1 0 64k' a.qcow2");
	c.cache = DISK_DIRECT;
	ck_assert_int_eq(open_disk(c), 0);
	q = disk->state;
	memset(bytes, 7, sizeof(bytes));

	ck_assert_int_eq(fcntl(disk->file.fd, F_GETFL) & (O_DIRECT | O_NOATIME),
			 O_DIRECT | O_NOATIME);
	ck_assert_uint_eq((uintptr_t)q->cache.bytes % 4096, 0);
	ck_assert_uint_eq((uintptr_t)q->cache.shadows % 4096, 0);
	ck_assert_int_eq(transfer(DISK_WRITE, 100 * KiB / 4096 * 4096, bytes, sizeof(bytes)), 0);
	disk = disk_close(disk, &err);
	ck_assert_int_eq(err.code, 0);
	run("qemu-img check a.qcow2 && qemu-io -r -c 'read -P 7 100k 128k' a.qcow2");
}
END_TEST

/* The file does not remember a flush that failed past the page cache, but the image does. */
START_TEST(what_an_image_that_has_failed_refuses_is_not_tried_again)
{
	struct disk_config c = config("a.qcow2");
	struct qcow2 *q;

	make_qcow2("a.qcow2", "");
	c.cache = DISK_DIRECT;
	c.read_error = c.write_error = DISK_ON_ERROR_STOP;
	ck_assert_int_eq(open_disk(c), 0);
	q = disk->state;
	ck_assert_int_eq(disk_judge_failure(disk, DISK_FLUSH, -EIO), DISK_STOP);

	*(_i ? &q->failed : &q->corrupt) = true;

	ck_assert_int_eq(disk_judge_failure(disk, DISK_FLUSH, -EIO), DISK_REPORT);
	ck_assert_int_eq(disk_judge_failure(disk, DISK_WRITE, -EIO), DISK_REPORT);
	ck_assert_int_eq(disk_judge_failure(disk, DISK_READ, -EIO), DISK_STOP);
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

/* What a part of a cluster is filled up with: data, or zeros where one is used again. */
START_TEST(memory_that_is_lost_is_not_written_with_the_rest_of_a_cluster)
{
	uint8_t bytes[2 * 64 * KiB], *lost = lose_memory(4096);

	make_qcow2("base.qcow2", "");
	run("qemu-img create -f qcow2 -b base.qcow2 -F qcow2 a.qcow2 && "
	    "qemu-io -c 'write -P 3 0 64k' base.qcow2");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	memset(bytes, 'x', sizeof(bytes));
	ck_assert_int_eq(transfer(DISK_WRITE, 128 * KiB, bytes, sizeof(bytes)), 0);
	ck_assert_int_eq(transfer(DISK_DISCARD, 128 * KiB, NULL, sizeof(bytes)), 0);
	ck_assert_int_eq(transfer(DISK_FLUSH, 0, NULL, 0), 0);

	ck_assert_int_eq(transfer(DISK_WRITE, 512, lost, 512), -EFAULT);
	lost = lose_memory(4096);
	ck_assert_int_eq(transfer(DISK_WRITE, 256 * KiB + 512, lost, 512), -EFAULT);

	ck_assert_uint_eq(byte_at(512), 3);
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
	tcase_add_test(tc, image_cut_short_is_only_read);
	tcase_add_test(tc, image_with_counts_beyond_the_end_and_errors_is_left_alone);
	tcase_add_test(tc, counts_beyond_the_end_are_given_back);
	tcase_add_test(tc, repair_of_an_image_cut_short_makes_it_no_worse);
	tcase_add_loop_test(tc, cluster_beyond_the_end_of_the_file_is_damage, DISK_READ,
			    DISK_WRITE + 1);
	tcase_add_test(tc, damaged_image_can_be_read);
	tcase_add_test(tc, image_that_was_not_closed_is_repaired);
	tcase_add_test(tc, image_that_was_not_closed_and_cannot_be_repaired_is_only_read);
	tcase_add_test(tc, lost_refcount_block_is_rebuilt);
	tcase_add_loop_test(tc, reserved_bits_are_damage, 0, ARRAY_LEN(reserved));
	tcase_add_loop_test(tc, image_that_cannot_be_repaired_as_a_whole_is_left_alone, 0,
			    ARRAY_LEN(hopeless));
	tcase_add_test(tc, progress_never_falls_and_ends_with_all_tables);
	tcase_add_test(tc, progress_never_falls_until_a_snapshot_is_taken);
	tcase_add_test(tc, leak_is_found_and_given_back);
	tcase_add_test(tc, data_that_are_where_a_table_is_are_not_written);
	tcase_add_loop_test(tc, discard_of_what_is_no_data_is_refused, 0,
			    ARRAY_LEN(wrong_entries));
	tcase_add_test(tc, entry_to_a_table_does_not_give_it_up_when_it_is_replaced);
	tcase_add_test(tc, table_that_is_counted_as_free_is_not_allocated);
	tcase_add_test(tc, autoclear_bits_are_cleared_by_a_writer_only);
	tcase_add_test(tc, image_works_with_direct_io);
	tcase_add_loop_test(tc, what_an_image_that_has_failed_refuses_is_not_tried_again, 0, 2);
	tcase_add_loop_test(tc, pieces_of_a_request_that_lie_apart_are_moved_together, 0, 2);
	tcase_add_test(tc, memory_that_is_lost_is_not_written_with_the_rest_of_a_cluster);
	tcase_add_test(tc, bad_compressed_data_are_an_error);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
