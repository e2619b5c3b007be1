// SPDX-License-Identifier: Apache-2.0
/* The part of disk.h that opens and closes: files, formats, locks. */
#include "disk_fixture.h"

#include "base/bits.h"

#include <string.h>
#include <unistd.h>

#define NOBODY		65534

/* Opening. */

START_TEST(disk_is_what_the_file_is)
{
	ck_assert_int_eq(open_disk(config("a.img")), 0);

	ck_assert_uint_eq(disk_size(disk), SIZE);
	ck_assert_uint_eq(disk_block_size(disk), 512);
	ck_assert_str_eq(disk_format_name(disk), "raw");
	ck_assert(!disk_read_only(disk));
}
END_TEST

START_TEST(missing_file_is_named)
{
	refuses(config("b.img"), -ENOENT, "cannot open");
}
END_TEST

START_TEST(what_is_no_file_is_refused_by_its_kind)
{
	struct disk_config c = config("pipe");

	ck_assert_int_eq(mkfifo(c.path, 0644), 0);
	refuses(c, -EINVAL, "is a pipe");
	c.path = folder;
	refuses(c, -EISDIR, "is a directory");
	c.path = "/dev/null";
	refuses(c, -EINVAL, "is a character device");
}
END_TEST

START_TEST(empty_file_is_refused)
{
	make_file("empty.img", 0);

	refuses(config("empty.img"), -EINVAL, "truncate -s SIZE");
}
END_TEST

START_TEST(size_of_half_a_sector_is_refused)
{
	make_file("odd.img", 1024 + 256);

	refuses(config("odd.img"), -EINVAL, "1280 bytes, is no multiple of 512");
}
END_TEST

START_TEST(file_that_cannot_be_written_is_refused_unless_read_only)
{
	struct disk_config c = config("a.img");

	ck_assert_int_eq(chmod(c.path, 0444), 0);
	/* Root writes whatever it wants; for anybody else this changes nothing. */
	ck_assert_int_ge(seteuid(geteuid() ? geteuid() : NOBODY), 0);

	refuses(c, -EACCES, "add 'readonly'");
	c.read_only = true;
	ck_assert_int_eq(open_disk(c), 0);
	ck_assert(disk_read_only(disk));
	ck_assert_int_eq(seteuid(getuid()), 0);
}
END_TEST

START_TEST(file_that_cannot_even_be_read_is_refused_without_advice)
{
	struct disk_config c = config("a.img");

	ck_assert_int_eq(chmod(c.path, 0), 0);
	ck_assert_int_ge(seteuid(geteuid() ? geteuid() : NOBODY), 0);

	refuses(c, -EACCES, "Permission denied");
	ck_assert_ptr_null(strstr(err.text, "readonly"));
	ck_assert_int_eq(seteuid(getuid()), 0);
}
END_TEST

/* Formats. */

START_TEST(format_that_nobody_knows_is_refused)
{
	struct disk_config c = config("a.img");

	c.format = "cooked";
	ck_assert_int_eq(open_disk(c), -EINVAL);
	ck_assert_str_eq(err.text, "disk 'root': format 'cooked' is unknown; there "
			 "are raw, qcow2 and vmdk");
}
END_TEST

START_TEST(format_that_is_not_supported_is_refused_by_name)
{
	struct disk_config c = config("a.img");

	c.format = "vhdx";
	refuses(c, -ENOTSUP, "format vhdx is not supported");
}
END_TEST

static const char *const foreign_names[] = {
	"a.vdi", "a.vhdx", "a.vhd", "a.vpc", "a.VHDX",
};

START_TEST(ending_of_another_format_is_refused)
{
	make_file(foreign_names[_i], SIZE);

	refuses(config(foreign_names[_i]), -ENOTSUP, "add format=raw");
}
END_TEST

START_TEST(ending_of_another_format_is_overruled_by_the_option)
{
	struct disk_config c;

	make_file(foreign_names[_i], SIZE);
	c = config(foreign_names[_i]);
	c.format = "raw";

	ck_assert_int_eq(open_disk(c), 0);
}
END_TEST

static const struct {
	const char *bytes, *format;
	off_t at;
} magics[] = {
	{ "QFI\xfb", "qcow2", 0 },
	{ "KDMV", "vmdk", 0 },
	{ "# Disk DescriptorFile\n", "vmdk", 0 },
	{ "\x7f\x10\xda\xbe", "vdi", 0x40 },
	{ "vhdxfile", "vhdx", 0 },
	{ "COWD", "vmdk", 0 },
	{ "conectix", "vpc", 0 },
};

START_TEST(content_of_another_format_is_refused_not_followed)
{
	struct disk_config c = config("a.img");
	char says[64];

	write_file("a.img", magics[_i].at, magics[_i].bytes, strlen(magics[_i].bytes));
	snprintf(says, sizeof(says), "begins like a %s image", magics[_i].format);

	refuses(c, -EINVAL, says);
	ck_assert_ptr_nonnull(strstr(err.text, "format=raw"));
}
END_TEST

START_TEST(content_of_another_format_is_overruled_by_the_option)
{
	struct disk_config c = config("a.img");

	write_file("a.img", magics[_i].at, magics[_i].bytes, strlen(magics[_i].bytes));
	c.format = "raw";

	ck_assert_int_eq(open_disk(c), 0);
}
END_TEST

START_TEST(name_without_a_known_ending_is_raw)
{
	make_file("disk", SIZE);
	ck_assert_int_eq(open_disk(config("disk")), 0);
	disk = disk_close(disk, NULL);

	make_file("qcow2", SIZE);	/* a name and no ending */
	ck_assert_int_eq(open_disk(config("qcow2")), 0);
}
END_TEST

/* Locks. */

START_TEST(second_writer_is_refused)
{
	ck_assert_int_eq(open_disk(config("a.img")), 0);

	refuses(config("a.img"), -EBUSY, "two must never write one image");
}
END_TEST

START_TEST(readers_share)
{
	struct disk_config c = config("a.img");
	struct disk *other;

	c.read_only = true;
	ck_assert_int_eq(open_disk(c), 0);
	ck_assert_int_eq(disk_open(&other, &c, loop, &err), 0);

	other = disk_close(other, NULL);
	ck_assert_ptr_null(other);
}
END_TEST

START_TEST(reader_and_writer_keep_each_other_out)
{
	struct disk_config reader = config("a.img"), writer = config("a.img");

	reader.read_only = true;
	ck_assert_int_eq(open_disk(writer), 0);
	refuses(reader, -EBUSY, "is being written by another");
	disk = disk_close(disk, NULL);
	ck_assert_int_eq(open_disk(reader), 0);
	refuses(writer, -EBUSY, "is in use by another");
}
END_TEST

START_TEST(lock_ends_with_the_disk)
{
	ck_assert_int_eq(open_disk(config("a.img")), 0);
	disk = disk_close(disk, NULL);

	ck_assert_int_eq(open_disk(config("a.img")), 0);
}
END_TEST

START_TEST(failed_open_leaves_no_lock)
{
	struct disk_config c = config("a.img");

	c.format = "vhdx";
	refuses(c, -ENOTSUP, "");

	ck_assert_int_eq(open_disk(config("a.img")), 0);
}
END_TEST

START_TEST(holder_of_a_process_lock_is_named)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char says[32];
	int fd = open(in_folder("a.img"), O_RDWR);

	ck_assert_int_eq(fcntl(fd, F_SETLK, &lock), 0);
	snprintf(says, sizeof(says), "(pid %d)", (int)getpid());

	refuses(config("a.img"), -EBUSY, says);
	close(fd);
}
END_TEST

static TCase *open_tests(void)
{
	TCase *tc = tcase_create("open");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, disk_is_what_the_file_is);
	tcase_add_test(tc, missing_file_is_named);
	tcase_add_test(tc, what_is_no_file_is_refused_by_its_kind);
	tcase_add_test(tc, empty_file_is_refused);
	tcase_add_test(tc, size_of_half_a_sector_is_refused);
	tcase_add_test(tc, file_that_cannot_be_written_is_refused_unless_read_only);
	tcase_add_test(tc, file_that_cannot_even_be_read_is_refused_without_advice);
	return tc;
}

static TCase *format_tests(void)
{
	TCase *tc = tcase_create("format");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, format_that_nobody_knows_is_refused);
	tcase_add_test(tc, format_that_is_not_supported_is_refused_by_name);
	tcase_add_loop_test(tc, ending_of_another_format_is_refused, 0,
			    ARRAY_LEN(foreign_names));
	tcase_add_loop_test(tc, ending_of_another_format_is_overruled_by_the_option, 0,
			    ARRAY_LEN(foreign_names));
	tcase_add_loop_test(tc, content_of_another_format_is_refused_not_followed, 0,
			    ARRAY_LEN(magics));
	tcase_add_loop_test(tc, content_of_another_format_is_overruled_by_the_option, 0,
			    ARRAY_LEN(magics));
	tcase_add_test(tc, name_without_a_known_ending_is_raw);
	return tc;
}

static TCase *lock_tests(void)
{
	TCase *tc = tcase_create("locks");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, second_writer_is_refused);
	tcase_add_test(tc, readers_share);
	tcase_add_test(tc, reader_and_writer_keep_each_other_out);
	tcase_add_test(tc, lock_ends_with_the_disk);
	tcase_add_test(tc, failed_open_leaves_no_lock);
	tcase_add_test(tc, holder_of_a_process_lock_is_named);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("disk_open");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, open_tests());
	suite_add_tcase(s, format_tests());
	suite_add_tcase(s, lock_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
