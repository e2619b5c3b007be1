// SPDX-License-Identifier: Apache-2.0
/* Images made by hand; those that other programs make are read by tests/block. */
#include "disk_fixture.h"

#include "base/bytes.h"
#include "block/vmdk_spec.h"

#include <zlib.h>

/* Where the parts of the image are, in sectors. */
#define TEXT_AT		1
#define TEXT_SECTORS	20
#define SPARE_AT	21
#define SPARE_TABLE_AT	22
#define DIRECTORY_AT	26
#define TABLE_AT	27
#define FIRST_GRAIN	128
#define GRAIN		8		/* sectors */
#define NR_GRAINS	64
#define SECTORS		(GRAIN * NR_GRAINS)
#define FOOTER_AT	700
#define NR_SECTORS	703

#define GRAIN_LEN	(GRAIN * 512)
#define DISK_LEN	(SECTORS * 512)

static uint8_t image[NR_SECTORS * 512];
static uint8_t model[DISK_LEN];
static int nr_pending;

static void put_header(uint8_t *header)
{
	put_le32(header, VMDK_MAGIC);
	put_le32(header + VMDK_AT_VERSION, 1);
	put_le32(header + VMDK_AT_FLAGS, VMDK_FLAG_LINE_ENDS | VMDK_FLAG_SPARE);
	put_le64(header + VMDK_AT_CAPACITY, SECTORS);
	put_le64(header + VMDK_AT_GRAIN, GRAIN);
	put_le64(header + VMDK_AT_TEXT_AT, TEXT_AT);
	put_le64(header + VMDK_AT_TEXT_LEN, TEXT_SECTORS);
	put_le32(header + VMDK_AT_TABLE_ENTRIES, 512);
	put_le64(header + VMDK_AT_SPARE_DIRECTORY, SPARE_AT);
	put_le64(header + VMDK_AT_DIRECTORY, DIRECTORY_AT);
	put_le64(header + VMDK_AT_OVERHEAD, FIRST_GRAIN);
	memcpy(header + VMDK_AT_LINE_ENDS, VMDK_LINE_ENDS, 4);
}

static void put_text(const char *type, const char *extents)
{
	memset(image + TEXT_AT * 512, 0, TEXT_SECTORS * 512);
	snprintf((char *)image + TEXT_AT * 512, TEXT_SECTORS * 512,
		 "# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\n"
		 "createType=\"%s\"\n%s\n", type, extents);
}

static void put_entry(unsigned grain, uint32_t sector)
{
	put_le32(image + TABLE_AT * 512 + 4 * grain, sector);
	put_le32(image + SPARE_TABLE_AT * 512 + 4 * grain, sector);
}

/* Grains 1, 2, 3 follow each other, 5 is in front of them, the others are not there. */
static void put_grains(void)
{
	static const struct { unsigned grain, sector; } grains[] = {
		{ 1, FIRST_GRAIN + 8 }, { 2, FIRST_GRAIN + 16 }, { 3, FIRST_GRAIN + 24 },
		{ 5, FIRST_GRAIN },
	};

	for (unsigned i = 0; i < ARRAY_LEN(grains); i++) {
		uint8_t *bytes = model + grains[i].grain * GRAIN_LEN;

		for (unsigned k = 0; k < GRAIN_LEN; k++)
			bytes[k] = (uint8_t)(k / 512 * 17 + grains[i].grain + k % 251);
		memcpy(image + grains[i].sector * 512, bytes, GRAIN_LEN);
		put_entry(grains[i].grain, grains[i].sector);
	}
}

static void make_image(void)
{
	memset(image, 0, sizeof(image));
	memset(model, 0, sizeof(model));
	put_header(image);
	put_text("monolithicSparse", "RW 512 SPARSE \"whatever.vmdk\"");
	put_le32(image + DIRECTORY_AT * 512, TABLE_AT);
	put_le32(image + SPARE_AT * 512, SPARE_TABLE_AT);
	put_grains();
}

/* Grains 1 and 5, packed, the tables at the end, as a stream has to be written. */
static void make_stream(void)
{
	uLongf len;

	make_image();
	put_text("streamOptimized", "RW 512 SPARSE \"whatever.vmdk\"");
	put_le32(image + VMDK_AT_FLAGS,
		 VMDK_FLAG_LINE_ENDS | VMDK_FLAG_COMPRESSED | VMDK_FLAG_MARKERS);
	put_le16(image + VMDK_AT_COMPRESSION, VMDK_DEFLATE);
	memset(model + 2 * GRAIN_LEN, 0, 2 * GRAIN_LEN);
	for (unsigned grain = 1, at = FIRST_GRAIN; grain <= 5; grain++, at += 2 * GRAIN) {
		uint8_t *to = image + at * 512;

		len = 2 * GRAIN_LEN;
		compress(to + VMDK_GRAIN_DATA, &len, model + grain * GRAIN_LEN, GRAIN_LEN);
		put_le64(to + VMDK_GRAIN_LBA, grain * GRAIN);
		put_le32(to + VMDK_GRAIN_LEN, (uint32_t)len);
		put_entry(grain, at);
	}
	memcpy(image + (FOOTER_AT + 1) * 512, image, 512);
	put_le64(image + VMDK_AT_DIRECTORY, VMDK_DIRECTORY_AT_END);
	put_le32(image + FOOTER_AT * 512 + VMDK_MARKER_TYPE_AT, VMDK_MARKER_FOOTER);
}

static void store(const char *name, const void *bytes, size_t len)
{
	make_file(name, (off_t)len);
	write_file(name, 0, bytes, len);
}

static struct disk_config reading(const char *name)
{
	struct disk_config c = config(name);

	c.read_only = true;
	return c;
}

static void request_done(struct disk_request *request, int res)
{
	request->at = (uint64_t)(int64_t)res;	/* not the disk's any more */
	if (!--nr_pending)
		loop_quit(loop);
}

static int read_disk(uint64_t at, void *bytes, size_t len)
{
	struct iovec seg = { bytes, len };
	struct disk_request request = {
		.op = DISK_READ, .at = at, .segs = &seg, .nr_segs = 1, .len = len,
		.done = request_done,
	};

	nr_pending = 1;
	disk_submit(disk, &request);
	ck_assert_int_eq(loop_run(loop), 0);
	return (int)(int64_t)request.at;
}

static void holds_the_model(void)
{
	static uint8_t bytes[DISK_LEN];

	ck_assert_uint_eq(disk_size(disk), DISK_LEN);
	ck_assert_int_eq(read_disk(0, bytes, DISK_LEN), 0);
	ck_assert_mem_eq(bytes, model, DISK_LEN);
	for (uint64_t at = 0; at < DISK_LEN; at += 3 * 512) {
		ck_assert_int_eq(read_disk(at, bytes, 512), 0);
		ck_assert_mem_eq(bytes, model + at, 512);
	}
}

static void opens(const char *name)
{
	int r = open_disk(reading(name));

	ck_assert_msg(!r, "%s", err.text);
	ck_assert_str_eq(disk_format_name(disk), "vmdk");
}

START_TEST(sparse_image_is_read)
{
	make_image();
	store("a.vmdk", image, sizeof(image));

	opens("a.vmdk");

	holds_the_model();
}
END_TEST

START_TEST(stream_with_a_footer_is_read)
{
	make_stream();
	store("a.vmdk", image, sizeof(image));

	opens("a.vmdk");

	holds_the_model();
}
END_TEST

START_TEST(grain_of_zeros_is_one_only_where_the_header_says_so)
{
	uint8_t bytes[GRAIN_LEN];

	make_image();
	put_entry(5, VMDK_ZERO_GRAIN);
	store("refused.vmdk", image, sizeof(image));
	put_le32(image + VMDK_AT_FLAGS, VMDK_FLAG_ZERO_GRAINS);
	store("zeros.vmdk", image, sizeof(image));
	memset(model + 5 * GRAIN_LEN, 0, GRAIN_LEN);

	opens("refused.vmdk");
	ck_assert_int_eq(read_disk(5 * GRAIN_LEN, bytes, sizeof(bytes)), -EIO);
	disk = disk_close(disk, NULL);
	opens("zeros.vmdk");
	holds_the_model();
}
END_TEST

START_TEST(second_directory_is_used_when_the_first_cannot_be)
{
	static const uint32_t places[] = { 0, NR_SECTORS, UINT32_MAX, DIRECTORY_AT };

	make_image();
	put_le64(image + VMDK_AT_DIRECTORY, places[_i]);
	put_le32(image + DIRECTORY_AT * 512, NR_SECTORS - 3);
	store("a.vmdk", image, sizeof(image));
	put_le32(image + VMDK_AT_FLAGS, 0);
	store("b.vmdk", image, sizeof(image));

	refuses(reading("b.vmdk"), -EINVAL, "is not within the file");
	opens("a.vmdk");
	holds_the_model();
}
END_TEST

START_TEST(extents_of_all_kinds_follow_each_other)
{
	static const char text[] =
		"# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\n"
		"createType=\"twoGbMaxExtentSparse\"\n"
		"RW 16 FLAT \"flat.bin\" 8\nRW 8 ZERO\nRW 488 SPARSE \"s.vmdk\"\n";
	static uint8_t moved[DISK_LEN];

	make_image();
	put_le64(image + VMDK_AT_TEXT_AT, 0);
	store("s.vmdk", image, sizeof(image));
	store("flat.bin", image + FIRST_GRAIN * 512 - GRAIN_LEN, 3 * GRAIN_LEN);
	store("a.vmdk", text, strlen(text));
	memcpy(moved, image + FIRST_GRAIN * 512, 2 * GRAIN_LEN);
	memcpy(moved + 3 * GRAIN_LEN, model, DISK_LEN - 3 * GRAIN_LEN);
	memcpy(model, moved, DISK_LEN);

	opens("a.vmdk");

	holds_the_model();
}
END_TEST

START_TEST(more_requests_than_can_be_worked_on_take_their_turns)
{
	static struct disk_request requests[1000];
	static struct iovec segs[ARRAY_LEN(requests)];
	static uint8_t bytes[ARRAY_LEN(requests)][512];

	make_stream();
	store("a.vmdk", image, sizeof(image));
	opens("a.vmdk");
	nr_pending = ARRAY_LEN(requests);
	for (unsigned i = 0; i < ARRAY_LEN(requests); i++) {
		segs[i] = (struct iovec){ bytes[i], 512 };
		requests[i] = (struct disk_request){
			.op = DISK_READ, .at = i % SECTORS * 512, .segs = &segs[i],
			.nr_segs = 1, .len = 512, .done = request_done,
		};
		disk_submit(disk, &requests[i]);
	}
	ck_assert_int_eq(nr_pending, ARRAY_LEN(requests));

	ck_assert_int_eq(loop_run(loop), 0);

	for (unsigned i = 0; i < ARRAY_LEN(requests); i++) {
		ck_assert_uint_eq(requests[i].at, 0);
		ck_assert_mem_eq(bytes[i], model + i % SECTORS * 512, 512);
	}
}
END_TEST

START_TEST(many_small_segments_are_filled)
{
	static struct iovec segs[DISK_SEGS_MAX];
	static uint8_t bytes[DISK_LEN];
	struct disk_request request = {
		.op = DISK_READ, .segs = segs, .nr_segs = DISK_SEGS_MAX, .len = DISK_LEN,
		.done = request_done,
	};

	for (unsigned i = 0; i < DISK_SEGS_MAX; i++)
		segs[i] = (struct iovec){ bytes + i * (DISK_LEN / DISK_SEGS_MAX),
					  DISK_LEN / DISK_SEGS_MAX };
	make_image();
	store("a.vmdk", image, sizeof(image));
	opens("a.vmdk");
	nr_pending = 1;

	disk_submit(disk, &request);
	ck_assert_int_eq(loop_run(loop), 0);

	ck_assert_uint_eq(request.at, 0);
	ck_assert_mem_eq(bytes, model, DISK_LEN);
}
END_TEST

/* A number in the header that makes the image one that cannot be. */
static const struct {
	unsigned at, width;
	uint64_t value;
	int code;
	const char *says;
} lies[] = {
	{ VMDK_AT_VERSION, 4, 0, -ENOTSUP, "version 0" },
	{ VMDK_AT_VERSION, 4, 4, -ENOTSUP, "version 4" },
	{ VMDK_AT_CAPACITY, 8, 0, -EINVAL, "size cannot be" },
	{ VMDK_AT_CAPACITY, 8, UINT64_MAX, -EINVAL, "size cannot be" },
	{ VMDK_AT_CAPACITY, 8, SECTORS - 1, -EINVAL, "claims more sectors" },
	{ VMDK_AT_CAPACITY, 8, BIT64(31), -EINVAL, "grain directory is not within" },
	{ VMDK_AT_GRAIN, 8, 0, -EINVAL, "grains are not" },
	{ VMDK_AT_GRAIN, 8, 4, -EINVAL, "grains are not" },
	{ VMDK_AT_GRAIN, 8, 24, -EINVAL, "grains are not" },
	{ VMDK_AT_GRAIN, 8, BIT64(63), -EINVAL, "grains are not" },
	{ VMDK_AT_TEXT_AT, 8, 0, -EINVAL, "is but a part" },
	{ VMDK_AT_TEXT_AT, 8, UINT64_MAX, -EINVAL, "descriptor is not within" },
	{ VMDK_AT_TEXT_LEN, 8, NR_SECTORS, -EINVAL, "descriptor is not within" },
	{ VMDK_AT_TEXT_LEN, 8, 600, -EINVAL, "longer than 256 KiB" },
	{ VMDK_AT_TABLE_ENTRIES, 4, 0, -EINVAL, "do not have 512 entries" },
	{ VMDK_AT_OVERHEAD, 8, NR_SECTORS + 1, -EINVAL, "grains begin beyond" },
	{ VMDK_AT_OVERHEAD, 8, UINT64_MAX, -EINVAL, "grains begin beyond" },
	{ VMDK_AT_LINE_ENDS, 4, 0x0a0a200a, -EINVAL, "transferred as text" },
	{ VMDK_AT_DIRECTORY, 8, UINT64_MAX, -EINVAL, "footer is not at its end" },
	{ VMDK_AT_FLAGS, 4, VMDK_FLAG_COMPRESSED, -ENOTSUP, "compressed by method 0" },
	{ DIRECTORY_AT * 512, 4, NR_SECTORS - 3, -EINVAL, "table is not within" },
};

START_TEST(header_that_lies_is_refused)
{
	uint8_t value[8];

	make_image();
	put_le32(image + VMDK_AT_FLAGS, VMDK_FLAG_LINE_ENDS);
	put_le64(value, lies[_i].value);
	memcpy(image + lies[_i].at, value, lies[_i].width);
	store("a.vmdk", image, sizeof(image));

	refuses(reading("a.vmdk"), lies[_i].code, lies[_i].says);
}
END_TEST

START_TEST(footer_that_lies_is_refused)
{
	make_stream();
	put_le64(image + (FOOTER_AT + 1) * 512 + VMDK_AT_DIRECTORY, VMDK_DIRECTORY_AT_END);
	store("a.vmdk", image, sizeof(image));
	put_le32(image + (FOOTER_AT + 1) * 512, 0);
	store("b.vmdk", image, sizeof(image));
	put_le32(image + (FOOTER_AT + 2) * 512 + VMDK_MARKER_TYPE_AT, 1);
	store("c.vmdk", image, sizeof(image));

	refuses(reading("a.vmdk"), -EINVAL, "does not say where its directory is");
	refuses(reading("b.vmdk"), -EINVAL, "begins neither with");
	refuses(reading("c.vmdk"), -EINVAL, "footer is not at its end");
}
END_TEST

START_TEST(compression_without_markers_is_refused)
{
	make_image();
	put_le32(image + VMDK_AT_FLAGS, VMDK_FLAG_COMPRESSED);
	put_le16(image + VMDK_AT_COMPRESSION, VMDK_DEFLATE);
	store("a.vmdk", image, sizeof(image));

	refuses(reading("a.vmdk"), -ENOTSUP, "without markers");
}
END_TEST

START_TEST(image_cut_anywhere_is_refused_or_fails_to_read)
{
	static uint8_t bytes[DISK_LEN];
	size_t len = (size_t)_i * 4 * 512 + 100;
	struct disk_config c;
	int r;

	make_image();
	store("a.vmdk", image, len);
	c = reading("a.vmdk");

	r = disk_open(&disk, &c, loop, &err);
	r = r ? r : read_disk(0, bytes, DISK_LEN);

	ck_assert_int_lt(r, 0);
}
END_TEST

START_TEST(grain_that_cannot_be_there_fails_to_read)
{
	static const uint32_t places[] = { 2, FIRST_GRAIN - 1, NR_SECTORS - 7, UINT32_MAX };
	uint8_t bytes[GRAIN_LEN];

	make_image();
	put_entry(9, places[_i]);
	store("a.vmdk", image, sizeof(image));
	opens("a.vmdk");

	ck_assert_int_eq(read_disk(9 * GRAIN_LEN, bytes, GRAIN_LEN), -EIO);
	ck_assert_int_eq(read_disk(8 * GRAIN_LEN, bytes, 512), 0);
}
END_TEST

/* What is wrong with a compressed grain: a number at a place within it. */
static const struct { unsigned at; uint32_t value; } damages[] = {
	{ VMDK_GRAIN_LBA, 2 * GRAIN },
	{ VMDK_GRAIN_LEN, UINT32_MAX },
	{ VMDK_GRAIN_LEN, 10 },
	{ VMDK_GRAIN_DATA, 0 },
};

START_TEST(damaged_compressed_grain_fails_to_read_each_time)
{
	uint8_t bytes[512];

	make_stream();
	put_le32(image + FIRST_GRAIN * 512 + damages[_i].at, damages[_i].value);
	store("a.vmdk", image, sizeof(image));
	opens("a.vmdk");

	ck_assert_int_eq(read_disk(GRAIN_LEN, bytes, 512), -EIO);
	ck_assert_int_eq(read_disk(GRAIN_LEN, bytes, 512), -EIO);
	ck_assert_int_eq(read_disk(5 * GRAIN_LEN, bytes, 512), 0);
}
END_TEST

START_TEST(image_is_not_written)
{
	make_image();
	store("a.vmdk", image, sizeof(image));

	refuses(config("a.vmdk"), -EROFS, "overlay=FILE");
}
END_TEST

START_TEST(direct_is_refused)
{
	struct disk_config c;

	make_image();
	store("a.vmdk", image, sizeof(image) / 4096 * 4096);
	c = reading("a.vmdk");
	c.cache = DISK_DIRECT;

	refuses(c, -EINVAL, "cannot be used with direct");
}
END_TEST

START_TEST(flush_has_nothing_to_do)
{
	struct disk_request request = { .op = DISK_FLUSH, .done = request_done };

	make_image();
	store("a.vmdk", image, sizeof(image));
	opens("a.vmdk");
	nr_pending = 1;
	disk_submit(disk, &request);
	ck_assert_int_eq(loop_run(loop), 0);

	ck_assert_uint_eq(request.at, 0);
}
END_TEST

/* A descriptor of its own, and what is beside it. */

#define DESCRIPTOR(type, extents)					\
	"# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\ncreateType=\"" type "\"\n" \
	extents "\n"

static const struct {
	const char *text, *says;
	int code;
} descriptors[] = {
	{ DESCRIPTOR("monolithicSparse", "RW 8 ZERO"), "a descriptor of its own", -EINVAL },
	{ DESCRIPTOR("monolithicFlat", "RW 8 FLAT \"none\" 0"), "cannot open extent", -ENOENT },
	{ DESCRIPTOR("monolithicFlat", "RW 8 FLAT \"link\" 0"), "not a regular file", -EINVAL },
	{ DESCRIPTOR("monolithicFlat", "RW 8 FLAT \"pipe\" 0"), "not a regular file", -EINVAL },
	{ DESCRIPTOR("monolithicFlat", "RW 600 FLAT \"a.img\" 0"), "is shorter", -EINVAL },
	{ DESCRIPTOR("monolithicFlat", "RW 8 FLAT \"a.img\" 505"), "is shorter", -EINVAL },
	{ DESCRIPTOR("twoGbMaxExtentSparse", "RW 8 SPARSE \"a.img\""), "begins neither",
	  -EINVAL },
	{ DESCRIPTOR("twoGbMaxExtentSparse", "RW 513 SPARSE \"s.vmdk\""), "fewer sectors",
	  -EINVAL },
};

START_TEST(descriptor_leads_only_to_files_beside_it_that_suffice)
{
	make_image();
	store("s.vmdk", image, sizeof(image));
	store("a.vmdk", descriptors[_i].text, strlen(descriptors[_i].text));
	ck_assert_int_eq(symlink("/etc/passwd", in_folder("link")), 0);
	ck_assert_int_eq(mkfifo(in_folder("pipe"), 0644), 0);

	refuses(reading("a.vmdk"), descriptors[_i].code, descriptors[_i].says);
}
END_TEST

START_TEST(extent_being_written_is_refused)
{
	static const char text[] = DESCRIPTOR("monolithicFlat", "RW 8 FLAT \"a.img\" 0");
	struct disk *writer;
	struct disk_config c;

	store("a.vmdk", text, strlen(text));
	c = config("a.img");
	ck_assert_int_eq(disk_open(&writer, &c, loop, &err), 0);

	refuses(reading("a.vmdk"), -EBUSY, "is being written");
	disk_close(writer, NULL);
}
END_TEST

static TCase *image_tests(void)
{
	TCase *tc = tcase_create("images");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sparse_image_is_read);
	tcase_add_test(tc, stream_with_a_footer_is_read);
	tcase_add_test(tc, grain_of_zeros_is_one_only_where_the_header_says_so);
	tcase_add_loop_test(tc, second_directory_is_used_when_the_first_cannot_be, 0, 4);
	tcase_add_test(tc, extents_of_all_kinds_follow_each_other);
	tcase_add_test(tc, more_requests_than_can_be_worked_on_take_their_turns);
	tcase_add_test(tc, many_small_segments_are_filled);
	tcase_add_test(tc, image_is_not_written);
	tcase_add_test(tc, direct_is_refused);
	tcase_add_test(tc, flush_has_nothing_to_do);
	return tc;
}

static TCase *hostile_tests(void)
{
	TCase *tc = tcase_create("hostile images");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, header_that_lies_is_refused, 0, ARRAY_LEN(lies));
	tcase_add_test(tc, footer_that_lies_is_refused);
	tcase_add_test(tc, compression_without_markers_is_refused);
	tcase_add_loop_test(tc, image_cut_anywhere_is_refused_or_fails_to_read, 0,
			    (FIRST_GRAIN + 31) / 4);
	tcase_add_loop_test(tc, grain_that_cannot_be_there_fails_to_read, 0, 4);
	tcase_add_loop_test(tc, damaged_compressed_grain_fails_to_read_each_time, 0,
			    ARRAY_LEN(damages));
	tcase_add_loop_test(tc, descriptor_leads_only_to_files_beside_it_that_suffice, 0,
			    ARRAY_LEN(descriptors));
	tcase_add_test(tc, extent_being_written_is_refused);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("vmdk");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, image_tests());
	suite_add_tcase(s, hostile_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
