// SPDX-License-Identifier: Apache-2.0
#include "block/disk.h"

#include "base/bits.h"
#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE		(256 * 1024)
#define NOBODY		65534

/* On a disk rather than in memory: not every kernel's tmpfs has direct I/O. */
#define FOLDER		"/var/tmp/vmm-test-disk-XXXXXX"

static struct loop *loop;
static struct disk *disk;
static struct err err;
static char folder[] = FOLDER;

static char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void make_file(const char *name, off_t size)
{
	int fd = open(in_folder(name), O_CREAT | O_EXCL | O_RDWR, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	close(fd);
}

static void write_file(const char *name, off_t at, const void *bytes, size_t len)
{
	int fd = open(in_folder(name), O_WRONLY);

	ck_assert_int_eq(pwrite(fd, bytes, len, at), len);
	close(fd);
}

static void read_file(const char *name, off_t at, void *bytes, size_t len)
{
	int fd = open(in_folder(name), O_RDONLY);

	ck_assert_int_eq(pread(fd, bytes, len, at), len);
	close(fd);
}

static void setup(void)
{
	memcpy(folder, FOLDER, sizeof(folder));
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(loop_new(&loop, &err), 0);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chmod(folder, 0755), 0);
	make_file("a.img", SIZE);
}

static void teardown(void)
{
	char command[64];

	disk = disk_close(disk);
	loop = loop_free(loop);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static struct disk_config config(const char *name)
{
	return (struct disk_config){ .id = "root", .path = in_folder(name) };
}

static int open_disk(struct disk_config c)
{
	return disk_open(&disk, &c, loop, &err);
}

/* code, and a message that names the disk and holds all that is said. */
static void refuses(struct disk_config c, int code, const char *says)
{
	struct disk *none = NULL;

	ck_assert_int_eq(disk_open(&none, &c, loop, &err), code);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(err.code, code);
	ck_assert_int_eq(strncmp(err.text, "disk 'root': ", 13), 0);
	ck_assert_msg(strstr(err.text, says) != NULL, "'%s' lacks '%s'", err.text, says);
	ck_assert_ptr_nonnull(strstr(err.text, c.path));
}

/* Opening. */

START_TEST(disk_is_what_the_file_is)
{
	ck_assert_int_eq(open_disk(config("a.img")), 0);

	ck_assert_uint_eq(disk_size(disk), SIZE);
	ck_assert_uint_eq(disk_block_size(disk), 512);
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
	ck_assert_str_eq(err.text, "disk 'root': format 'cooked' is unknown; there is raw");
}
END_TEST

START_TEST(format_that_is_not_supported_is_refused_by_name)
{
	struct disk_config c = config("a.img");

	c.format = "qcow2";
	refuses(c, -ENOTSUP, "format qcow2 is not supported");
}
END_TEST

static const char *const foreign_names[] = {
	"a.qcow2", "a.vmdk", "a.vdi", "a.vhdx", "a.vhd", "a.vpc", "a.QCOW2",
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
	ck_assert_ptr_nonnull(strstr(err.text, "add format=raw"));
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
	disk = disk_close(disk);

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

	other = disk_close(other);
	ck_assert_ptr_null(other);
}
END_TEST

START_TEST(reader_and_writer_keep_each_other_out)
{
	struct disk_config reader = config("a.img"), writer = config("a.img");

	reader.read_only = true;
	ck_assert_int_eq(open_disk(writer), 0);
	refuses(reader, -EBUSY, "is being written by another");
	disk = disk_close(disk);
	ck_assert_int_eq(open_disk(reader), 0);
	refuses(writer, -EBUSY, "is in use by another");
}
END_TEST

START_TEST(lock_ends_with_the_disk)
{
	ck_assert_int_eq(open_disk(config("a.img")), 0);
	disk = disk_close(disk);

	ck_assert_int_eq(open_disk(config("a.img")), 0);
}
END_TEST

START_TEST(failed_open_leaves_no_lock)
{
	struct disk_config c = config("a.img");

	c.format = "qcow2";
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

/* Requests. */

static int nr_pending;

static void request_done(struct disk_request *request, int res)
{
	request->at = (uint64_t)(int64_t)res;	/* not the disk's any more */
	if (!--nr_pending)
		loop_quit(loop);
}

static int submit_and_wait(struct disk_request *request)
{
	nr_pending = 1;
	request->done = request_done;
	disk_submit(disk, request);
	ck_assert_int_eq(loop_run(loop), 0);
	return (int)(int64_t)request->at;
}

static int transfer(enum disk_op op, uint64_t at, void *bytes, size_t len, bool durable)
{
	struct iovec seg = { bytes, len };
	struct disk_request request = {
		.op = op, .at = at, .segs = &seg, .nr_segs = 1, .len = len,
		.durable = durable,
	};

	return submit_and_wait(&request);
}

static int flush(void)
{
	struct disk_request request = { .op = DISK_FLUSH };

	return submit_and_wait(&request);
}

START_TEST(written_bytes_are_in_the_file)
{
	char out[1024], in[1024];

	memset(out, 0x5a, sizeof(out));
	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(transfer(DISK_WRITE, 512, out, sizeof(out), false), 0);
	ck_assert_int_eq(flush(), 0);

	read_file("a.img", 512, in, sizeof(in));
	ck_assert_mem_eq(in, out, sizeof(in));
}
END_TEST

START_TEST(durable_write_is_in_the_file)
{
	char out[512], in[512];

	memset(out, 0x5a, sizeof(out));
	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(transfer(DISK_WRITE, SIZE - 512, out, sizeof(out), true), 0);

	read_file("a.img", SIZE - 512, in, sizeof(in));
	ck_assert_mem_eq(in, out, sizeof(in));
}
END_TEST

START_TEST(request_beyond_the_end_fails_and_changes_nothing)
{
	char bytes[1024] = { 1 };
	struct stat st;

	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(transfer(DISK_WRITE, SIZE, bytes, 512, false), -EINVAL);
	ck_assert_int_eq(transfer(DISK_WRITE, SIZE - 512, bytes, 1024, false), -EINVAL);
	ck_assert_int_eq(transfer(DISK_READ, UINT64_MAX - 511, bytes, 512, false), -EINVAL);
	ck_assert_int_eq(transfer(DISK_READ, UINT64_MAX - 511, bytes, 1024, false), -EINVAL);

	ck_assert_int_eq(stat(in_folder("a.img"), &st), 0);
	ck_assert_int_eq(st.st_size, SIZE);
	read_file("a.img", SIZE - 512, bytes, 512);
	ck_assert_int_eq(bytes[0], 0);
}
END_TEST

START_TEST(request_for_parts_of_blocks_is_refused)
{
	char bytes[1024];

	ck_assert_int_eq(open_disk(config("a.img")), 0);

	ck_assert_int_eq(transfer(DISK_READ, 1, bytes, 512, false), -EINVAL);
	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 513, false), -EINVAL);
}
END_TEST

START_TEST(refused_request_ends_later_not_from_within)
{
	struct disk_request request = {
		.op = DISK_READ, .at = SIZE, .len = 512, .done = request_done,
	};

	ck_assert_int_eq(open_disk(config("a.img")), 0);
	nr_pending = 1;
	disk_submit(disk, &request);
	ck_assert_int_eq(nr_pending, 1);
	ck_assert_int_eq(loop_run(loop), 0);

	ck_assert_int_eq(nr_pending, 0);
}
END_TEST

START_TEST(request_for_nothing_succeeds)
{
	ck_assert_int_eq(open_disk(config("a.img")), 0);

	ck_assert_int_eq(transfer(DISK_READ, 0, NULL, 0, false), 0);
	ck_assert_int_eq(transfer(DISK_WRITE, SIZE, NULL, 0, true), 0);
}
END_TEST

START_TEST(read_only_disk_is_read_and_flushed_but_not_written)
{
	struct disk_config c = config("a.img");
	char bytes[512] = { 1 }, in[512];

	c.read_only = true;
	ck_assert_int_eq(open_disk(c), 0);

	ck_assert_int_eq(transfer(DISK_WRITE, 0, bytes, sizeof(bytes), false), -EROFS);
	ck_assert_int_eq(transfer(DISK_READ, 0, in, sizeof(in), false), 0);
	ck_assert_int_eq(in[0], 0);
	ck_assert_int_eq(flush(), 0);
}
END_TEST

START_TEST(file_that_is_cut_behind_our_back_is_an_error)
{
	char bytes[4096];

	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(truncate(in_folder("a.img"), 1024), 0);

	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 4096, false), -EIO);
	ck_assert_int_eq(transfer(DISK_READ, 4096, bytes, 4096, false), -EIO);
	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 1024, false), 0);
}
END_TEST

START_TEST(write_that_the_host_refuses_reports_why)
{
	const struct rlimit limit = { 4096, 4096 };
	char bytes[4096] = { 0 };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);

	ck_assert_int_eq(transfer(DISK_WRITE, 4096, bytes, sizeof(bytes), false), -EFBIG);
}
END_TEST

/* Against an array that every write is also made to. */

#define NR_STEPS	1500
#define LEN_MAX		(16 * 512)
#define SLACK		64

static uint8_t model[SIZE];
static unsigned random_state;

static unsigned any_below(unsigned limit)
{
	return (unsigned)rand_r(&random_state) % limit;
}

/* Cut buf into segments of any length, empty ones too; returns how many. */
static unsigned cut(uint8_t *buf, size_t len, struct iovec segs[8])
{
	unsigned nr = 0;

	while (nr < 7) {
		size_t part = any_below((unsigned)len + 1);

		segs[nr++] = (struct iovec){ buf, part };
		buf += part;
		len -= part;
	}
	segs[nr++] = (struct iovec){ buf, len };
	return nr;
}

static void random_step(void)
{
	static uint8_t buf[LEN_MAX + SLACK];
	struct iovec segs[8];
	uint8_t *bytes = buf + any_below(SLACK);
	size_t block = disk_block_size(disk);
	size_t len = block * (1 + any_below((unsigned)(LEN_MAX / block)));
	uint64_t at = block * any_below((unsigned)((SIZE - len) / block + 1));
	struct disk_request request = {
		.op = any_below(2) ? DISK_READ : DISK_WRITE,
		.durable = !any_below(8), .at = at, .len = len, .segs = segs,
	};

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)any_below(256);
	if (request.op == DISK_WRITE)
		memcpy(model + at, bytes, len);
	request.nr_segs = cut(bytes, len, segs);

	ck_assert_int_eq(submit_and_wait(&request), 0);
	ck_assert_mem_eq(bytes, model + at, len);
}

static void follow_model(bool direct)
{
	struct disk_config c = config("a.img");
	static uint8_t in[SIZE];

	c.direct = direct;
	random_state = 1;
	memset(model, 0, sizeof(model));
	ck_assert_int_eq(open_disk(c), 0);
	for (int i = 0; i < NR_STEPS; i++)
		random_step();
	ck_assert_int_eq(flush(), 0);

	read_file("a.img", 0, in, sizeof(in));
	ck_assert_mem_eq(in, model, sizeof(in));
}

START_TEST(random_requests_do_what_an_array_would)
{
	follow_model(false);
}
END_TEST

START_TEST(random_direct_requests_do_what_an_array_would)
{
	follow_model(true);
}
END_TEST

#define NR_MANY	256
static struct disk_request many[NR_MANY];
static struct iovec many_segs[NR_MANY];
static uint8_t many_blocks[NR_MANY][1024];

START_TEST(many_requests_may_be_in_flight)
{
	uint8_t in[1024];

	ck_assert_int_eq(open_disk(config("a.img")), 0);
	nr_pending = NR_MANY;
	for (int i = 0; i < NR_MANY; i++) {
		memset(many_blocks[i], i, 1024);
		many_segs[i] = (struct iovec){ many_blocks[i], 1024 };
		many[i] = (struct disk_request){
			.op = DISK_WRITE, .at = (uint64_t)i * 1024, .len = 1024,
			.segs = &many_segs[i], .nr_segs = 1, .done = request_done,
		};
		disk_submit(disk, &many[i]);
	}
	ck_assert_int_eq(loop_run(loop), 0);

	for (int i = 0; i < NR_MANY; i++) {
		ck_assert_int_eq((int)many[i].at, 0);
		read_file("a.img", (off_t)i * 1024, in, 1024);
		ck_assert_mem_eq(in, many_blocks[i], 1024);
	}
}
END_TEST

/* Direct I/O. */

START_TEST(direct_disk_tells_its_block_size)
{
	struct disk_config c = config("a.img");

	c.direct = true;
	ck_assert_int_eq(open_disk(c), 0);

	ck_assert_uint_ge(disk_block_size(disk), 512);
	ck_assert_uint_eq(SIZE % disk_block_size(disk), 0);
}
END_TEST

START_TEST(file_system_without_direct_io_is_refused)
{
	/* A file of 4096 bytes, for reading; sysfs has no page cache to bypass. */
	struct disk_config c = {
		.id = "root", .path = "/sys/kernel/uevent_seqnum",
		.read_only = true, .direct = true,
	};

	refuses(c, -EINVAL, "cannot be used with direct");
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

static TCase *request_tests(void)
{
	TCase *tc = tcase_create("requests");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, written_bytes_are_in_the_file);
	tcase_add_test(tc, durable_write_is_in_the_file);
	tcase_add_test(tc, request_beyond_the_end_fails_and_changes_nothing);
	tcase_add_test(tc, request_for_parts_of_blocks_is_refused);
	tcase_add_test(tc, refused_request_ends_later_not_from_within);
	tcase_add_test(tc, request_for_nothing_succeeds);
	tcase_add_test(tc, read_only_disk_is_read_and_flushed_but_not_written);
	tcase_add_test(tc, file_that_is_cut_behind_our_back_is_an_error);
	tcase_add_test(tc, write_that_the_host_refuses_reports_why);
	tcase_add_test(tc, random_requests_do_what_an_array_would);
	tcase_add_test(tc, random_direct_requests_do_what_an_array_would);
	tcase_add_test(tc, many_requests_may_be_in_flight);
	tcase_add_test(tc, direct_disk_tells_its_block_size);
	tcase_add_test(tc, file_system_without_direct_io_is_refused);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("disk");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, open_tests());
	suite_add_tcase(s, format_tests());
	suite_add_tcase(s, lock_tests());
	suite_add_tcase(s, request_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
