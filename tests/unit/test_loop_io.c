// SPDX-License-Identifier: Apache-2.0
/*
 * The I/O of loop.h.
 */
#include "loop/loop.h"

#include "loop_fixture.h"

#include "base/bits.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct transfer {
	struct loop_io io;
	int res;
	bool done;
};

static int nr_pending;

static void transfer_done(struct loop_io *io, int res)
{
	struct transfer *t = container_of(io, struct transfer, io);

	ck_assert(!t->done);
	t->done = true;
	t->res = res;
	if (!--nr_pending)
		loop_quit(loop);
}

static struct transfer begin(int nr)
{
	nr_pending = nr;
	return (struct transfer){ .io.done = transfer_done };
}

static int temp_file(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(write_and_read_move_scattered_bytes)
{
	char ab[] = "ab", cde[] = "cde", first[4] = "", rest[2] = "";
	struct iovec out[] = { { ab, 2 }, { cde, 3 } };
	struct iovec in[] = { { first, 3 }, { rest, 1 } };
	struct transfer t = begin(1);
	int fd = temp_file();

	loop_writev(loop, &t.io, fd, out, 2, 10, 0);
	run();
	ck_assert_int_eq(t.res, 5);
	t = begin(1);
	loop_readv(loop, &t.io, fd, in, 2, 11);
	run();

	ck_assert_int_eq(t.res, 4);
	ck_assert_str_eq(first, "bcd");
	ck_assert_int_eq(rest[0], 'e');
	close(fd);
}
END_TEST

START_TEST(large_pieces_are_moved_several_at_a_time)
{
	enum { NR = 8, LEN = 256 * KiB };
	static char out[NR][LEN], in[NR][LEN];
	struct iovec segs[NR];
	struct transfer t[NR];
	int fd = temp_file();

	loop_set_bulk(loop);
	for (int i = 0; i < NR; i++) {
		memset(out[i], 'a' + i, LEN);
		segs[i] = (struct iovec){ out[i], LEN };
		t[i] = begin(NR);
		loop_writev(loop, &t[i].io, fd, &segs[i], 1, (off_t)i * LEN, 0);
	}
	run();
	for (int i = 0; i < NR; i++) {
		ck_assert_int_eq(t[i].res, LEN);
		segs[i] = (struct iovec){ in[i], LEN };
		t[i] = begin(NR);
		loop_readv(loop, &t[i].io, fd, &segs[i], 1, (off_t)i * LEN);
	}
	run();

	ck_assert_mem_eq(in, out, sizeof(in));
	close(fd);
}
END_TEST

enum { NR_BEGUN = 4 };

static struct transfer begun[NR_BEGUN];
static int begun_fds[2];

static void begin_for_device(struct loop_task *task)
{
	static char byte[1];
	static const struct iovec seg = { byte, 1 };
	struct pollfd other_end = { .fd = begun_fds[0], .events = POLLIN };

	(void)task;
	for (int i = 0; i < NR_BEGUN; i++) {
		begun[i] = begin(NR_BEGUN);
		begun[i].io.device = true;
		loop_writev(loop, &begun[i].io, begun_fds[1], &seg, 1, -1, 0);
	}
	ck_assert_int_eq(poll(&other_end, 1, 10000), 1);
}

START_TEST(what_a_device_has_to_do_begins_before_the_turn_ends)
{
	struct loop_task task = { .run = begin_for_device };

	/* Into a pipe, threads of the kernel write before 6.4. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, begun_fds), 0);
	loop_post(loop, &task);

	run();

	for (int i = 0; i < NR_BEGUN; i++)
		ck_assert_int_eq(begun[i].res, 1);
	close(begun_fds[0]);
	close(begun_fds[1]);
}
END_TEST

START_TEST(read_at_the_end_is_short)
{
	char buf[16];
	struct iovec seg = { buf, sizeof(buf) };
	struct transfer t = begin(1);
	int fd = temp_file();

	ck_assert_int_eq(write(fd, "abcd", 4), 4);
	loop_readv(loop, &t.io, fd, &seg, 1, 1);
	run();

	ck_assert_int_eq(t.res, 3);
	close(fd);
}
END_TEST

START_TEST(segment_of_4_gib_takes_what_the_file_has)
{
	struct iovec seg = { .iov_len = 4 * GiB };
	struct transfer t = begin(1);
	int fd = temp_file();

	seg.iov_base = mmap(NULL, seg.iov_len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(seg.iov_base, MAP_FAILED);
	ck_assert_int_eq(write(fd, "abcd", 4), 4);
	loop_readv(loop, &t.io, fd, &seg, 1, 1);
	run();

	ck_assert_int_eq(t.res, 3);
	ck_assert_str_eq(seg.iov_base, "bcd");
	munmap(seg.iov_base, seg.iov_len);
	close(fd);
}
END_TEST

START_TEST(io_on_a_bad_descriptor_fails)
{
	char buf[16];
	struct iovec seg = { buf, sizeof(buf) };
	struct transfer r = begin(3), w = begin(3), f = begin(3);

	loop_readv(loop, &r.io, -1, &seg, 1, 0);
	loop_writev(loop, &w.io, -1, &seg, 1, 0, 0);
	loop_fdatasync(loop, &f.io, -1);
	run();

	ck_assert_int_eq(r.res, -EBADF);
	ck_assert_int_eq(w.res, -EBADF);
	ck_assert_int_eq(f.res, -EBADF);
}
END_TEST

START_TEST(durable_write_lands)
{
	char out[] = "abcd", in[4];
	struct iovec seg = { out, 4 };
	struct transfer t = begin(1);
	int fd = temp_file();

	loop_writev(loop, &t.io, fd, &seg, 1, 0, RWF_DSYNC);
	run();

	ck_assert_int_eq(t.res, 4);
	ck_assert_int_eq(pread(fd, in, 4, 0), 4);
	ck_assert_mem_eq(in, out, 4);
	close(fd);
}
END_TEST

START_TEST(flags_of_a_write_reach_the_kernel)
{
	char out[] = "abcd";
	struct iovec seg = { out, 4 };
	struct transfer t = begin(1);
	int fd = temp_file();

	loop_writev(loop, &t.io, fd, &seg, 1, 0, 1 << 30);
	run();

	ck_assert_int_eq(t.res, -EOPNOTSUPP);
	close(fd);
}
END_TEST

START_TEST(fdatasync_tells_whether_the_file_can)
{
	struct transfer file = begin(2), pipe_end = begin(2);
	int fd = temp_file(), ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	loop_fdatasync(loop, &file.io, fd);
	loop_fdatasync(loop, &pipe_end.io, ends[1]);
	run();

	ck_assert_int_eq(file.res, 0);
	ck_assert_int_eq(pipe_end.res, -EINVAL);
	close(fd);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static struct transfer many_io[NR_MANY];
static struct iovec many_segs[NR_MANY];
static uint32_t many_values[NR_MANY];

static int many_fd;

/* From within a callback: the ring has to be emptied while it is being filled. */
static void read_many(struct loop_task *task)
{
	(void)task;
	for (int i = 0; i < NR_MANY; i++)
		loop_readv(loop, &many_io[i].io, many_fd, &many_segs[i], 1, (off_t)i * 4);
}

START_TEST(more_ios_than_the_ring_holds_all_complete)
{
	struct loop_task task = { .run = read_many };

	many_fd = temp_file();
	for (uint32_t i = 0; i < NR_MANY; i++)
		ck_assert_int_eq(write(many_fd, &i, 4), 4);
	for (int i = 0; i < NR_MANY; i++) {
		many_io[i] = begin(NR_MANY);
		many_segs[i] = (struct iovec){ &many_values[i], 4 };
	}
	loop_post(loop, &task);
	run();

	for (uint32_t i = 0; i < NR_MANY; i++)
		ck_assert_uint_eq(many_values[i], i);
	close(many_fd);
}
END_TEST

static void sync_again(struct loop_io *io, int res)
{
	ck_assert_int_eq(res, 0);
	tell('s');
	if (story_len < 3)
		loop_fdatasync(loop, io, many_fd);
	else
		loop_quit(loop);
}

START_TEST(io_may_be_started_again_when_it_is_done)
{
	struct loop_io io = { .done = sync_again };

	many_fd = temp_file();
	loop_fdatasync(loop, &io, many_fd);
	run();

	ck_assert_str_eq(story, "sss");
	close(many_fd);
}
END_TEST

static TCase *io_tests(void)
{
	TCase *tc = tcase_create("io");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, write_and_read_move_scattered_bytes);
	tcase_add_test(tc, large_pieces_are_moved_several_at_a_time);
	tcase_add_test(tc, what_a_device_has_to_do_begins_before_the_turn_ends);
	tcase_add_test(tc, read_at_the_end_is_short);
	tcase_add_test(tc, segment_of_4_gib_takes_what_the_file_has);
	tcase_add_test(tc, io_on_a_bad_descriptor_fails);
	tcase_add_test(tc, durable_write_lands);
	tcase_add_test(tc, flags_of_a_write_reach_the_kernel);
	tcase_add_test(tc, fdatasync_tells_whether_the_file_can);
	tcase_add_test(tc, more_ios_than_the_ring_holds_all_complete);
	tcase_add_test(tc, io_may_be_started_again_when_it_is_done);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("loop_io");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, io_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
