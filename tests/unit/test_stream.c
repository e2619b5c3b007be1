// SPDX-License-Identifier: Apache-2.0
#include "console/stream.h"

#include "console_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int in[2], out[2];
static struct stream *stream;

static size_t without_dots(void *ctx, uint8_t *bytes, size_t len)
{
	size_t kept = 0;

	(void)ctx;
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != '.')
			bytes[kept++] = bytes[i];
	return kept;
}

static void begin(int out_fd, const char *name)
{
	const struct stream_config config = {
		.loop = loop, .hub = hub, .out_fd = out_fd, .name = name,
		.filter = without_dots,
	};

	ck_assert_int_eq(stream_new(&stream, &config, NULL), 0);
	ck_assert_int_eq(stream_read(stream, in[0], NULL), 0);
}

static void setup(void)
{
	console_setup();
	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
}

/* As in life: the loop ends before the stream does. */
static void teardown(void)
{
	stream = stream_free(stream);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
	console_teardown();
}

static void types(const char *text)
{
	ck_assert_int_eq(write(in[1], text, strlen(text)), (int)strlen(text));
	turn_for_ms(5);
}

START_TEST(output_is_written)
{
	char got[16] = "";

	begin(out[1], NULL);
	guest_prints("hello", 5);
	turn_for_ms(5);

	ck_assert_int_eq(read(out[0], got, sizeof(got)), 5);
	ck_assert_str_eq(got, "hello");
}
END_TEST

static bool fills;

/* The C library's, also for the code under test: somebody else writes to the pipe just before. */
ssize_t write(int fd, const void *bytes, size_t len)
{
	int another = fills ? dup(out[1]) : -1;

	fills = false;
	if (another >= 0) {
		int flags = fcntl(another, F_GETFL);

		fcntl(another, F_SETFL, flags | O_NONBLOCK);
		while (syscall(SYS_write, another, long_text(4096), 4096) > 0)
			;
		fcntl(another, F_SETFL, flags);
		close(another);
	}
	return syscall(SYS_write, fd, bytes, len);
}

START_TEST(output_into_a_pipe_that_others_have_filled_is_not_waited_for)
{
	char got[2 * 4096];

	fcntl(out[1], F_SETPIPE_SZ, 4096);
	begin(out[1], NULL);
	fills = true;
	guest_prints("hello", 5);
	turn_for_ms(5);
	ck_assert_int_eq(read(out[0], got, 4096), 4096);
	turn_for_ms(5);

	ck_assert_int_eq(read(out[0], got, sizeof(got)), 5);
	ck_assert_mem_eq(got, "hello", 5);
}
END_TEST

START_TEST(output_that_does_not_get_on_holds_the_guest_and_is_whole_at_last)
{
	const size_t len = 128 * 1024;
	const char *text = long_text(len);
	static char got[128 * 1024];
	size_t printed = 0, nr_got = 0;

	fcntl(out[1], F_SETPIPE_SZ, 4096);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	begin(out[1], NULL);
	for (int i = 0; i < 10; i++) {
		printed += guest_prints(text + printed, len - printed);
		turn_for_ms(3);
	}
	ck_assert_uint_lt(printed, 32 * 1024);
	while (nr_got < len) {
		ssize_t n = read(out[0], got + nr_got, len - nr_got);

		nr_got += n > 0 ? (size_t)n : 0;
		printed += guest_prints(text + printed, len - printed);
		turn_for_ms(1);
	}

	ck_assert_mem_eq(got, text, len);
}
END_TEST

START_TEST(output_in_non_blocking_mode_is_tried_again)
{
	char got[4096], last = 0;

	fcntl(out[1], F_SETPIPE_SZ, 4096);
	fcntl(out[1], F_SETFL, O_NONBLOCK);
	begin(out[1], NULL);
	guest_prints(long_text(4096), 4096);
	turn_for_ms(5);
	guest_prints("!", 1);
	turn_for_ms(5);
	ck_assert_int_eq(read(out[0], got, sizeof(got)), 4096);
	turn_for_ms(50);

	ck_assert_int_eq(read(out[0], &last, 1), 1);
	ck_assert_int_eq(last, '!');
}
END_TEST

START_TEST(output_that_fails_does_not_hold_the_guest_and_is_told_once)
{
	const size_t len = 3 * HUB_WINDOW;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char said[512] = "";
	size_t printed = 0;
	int log[2];

	ck_assert_int_ge(full, 0);
	ck_assert_int_eq(pipe2(log, O_CLOEXEC | O_NONBLOCK), 0);
	dup2(log[1], STDERR_FILENO);
	begin(full, "the file");
	for (int i = 0; i < 30 && printed < len; i++) {
		printed += guest_prints(long_text(len), len - printed);
		turn_for_ms(3);
	}
	close(full);

	ck_assert_uint_eq(printed, len);
	ck_assert_int_gt(read(log[0], said, sizeof(said) - 1), 0);
	ck_assert_ptr_nonnull(strstr(said, "'the file': No space left on device"));
	ck_assert_ptr_eq(strchr(said, '\n')[1] ? said : NULL, NULL);
}
END_TEST

START_TEST(input_is_typed_without_what_the_filter_takes)
{
	begin(out[1], NULL);

	types("a.b");

	ck_assert_str_eq(guest_reads(), "ab");
}
END_TEST

START_TEST(filter_sees_input_that_the_guest_does_not_take)
{
	begin(out[1], NULL);
	types("0123456789abcdefGHIJ");

	types("..");

	ck_assert_str_eq(guest_reads(), "0123456789abcdef");
	turn_for_ms(1);
	ck_assert_str_eq(guest_reads(), "GHIJ");
}
END_TEST

START_TEST(input_stays_where_it_is_when_there_is_no_room_for_more)
{
	static char lines[3 * HUB_INPUT_LEN];
	char got[3 * HUB_INPUT_LEN + 1] = "";
	size_t len = 0;

	memcpy(lines, long_text(sizeof(lines)), sizeof(lines));
	begin(out[1], NULL);
	ck_assert_int_eq(write(in[1], lines, sizeof(lines)), (int)sizeof(lines));
	turn_for_ms(5);
	while (len < sizeof(lines)) {
		const char *piece = guest_reads();

		ck_assert_uint_gt(strlen(piece), 0);
		memcpy(got + len, piece, strlen(piece));
		len += strlen(piece);
		turn_for_ms(1);
	}

	ck_assert_mem_eq(got, lines, sizeof(lines));
}
END_TEST

START_TEST(end_of_input_is_not_the_end_of_output)
{
	char got[16] = "";

	begin(out[1], NULL);
	types("last");
	close(in[1]);
	turn_for_ms(5);
	guest_prints("still here", 10);
	turn_for_ms(5);
	in[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert_str_eq(guest_reads(), "last");
	ck_assert_int_eq(read(out[0], got, sizeof(got)), 10);
}
END_TEST

START_TEST(file_is_read_to_its_end)
{
	char path[] = "/tmp/vmm-test-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, "from a file", 11), 11);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	unlink(path);
	close(in[0]);
	in[0] = fd;
	begin(out[1], NULL);
	turn_for_ms(5);

	ck_assert_str_eq(guest_reads(), "from a file");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stream");
	TCase *tc = tcase_create("stream");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, CONSOLE_SECONDS);
	tcase_add_test(tc, output_is_written);
	tcase_add_test(tc, output_into_a_pipe_that_others_have_filled_is_not_waited_for);
	tcase_add_test(tc, output_that_does_not_get_on_holds_the_guest_and_is_whole_at_last);
	tcase_add_test(tc, output_in_non_blocking_mode_is_tried_again);
	tcase_add_test(tc, output_that_fails_does_not_hold_the_guest_and_is_told_once);
	tcase_add_test(tc, input_is_typed_without_what_the_filter_takes);
	tcase_add_test(tc, filter_sees_input_that_the_guest_does_not_take);
	tcase_add_test(tc, input_stays_where_it_is_when_there_is_no_room_for_more);
	tcase_add_test(tc, end_of_input_is_not_the_end_of_output);
	tcase_add_test(tc, file_is_read_to_its_end);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
