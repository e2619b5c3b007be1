// SPDX-License-Identifier: Apache-2.0
/* test_pcap.c - packets in a file, as tcpdump reads them. */
#include "net/pcap.h"

#include "base/err.h"
#include "loop/loop.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SKIPPED		77
#define HEADER_LEN	12
#define FRAME_LEN	60
#define MANY		100000		/* more than two buffers hold */

static char folder[] = "/tmp/vmm-pcap-XXXXXX";
static char path[64];
static struct loop *loop;
static struct pcap *pcap;
static bool made;

static uint8_t packet[HEADER_LEN + FRAME_LEN];

/* Of ARP: who has 10.0.0.2? */
static void fill_packet(void)
{
	static const uint8_t frame[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06,
		0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0,
		10, 0, 0, 2,
	};

	memset(packet, 0xee, sizeof(packet));
	memset(packet + HEADER_LEN, 0, FRAME_LEN);
	memcpy(packet + HEADER_LEN, frame, sizeof(frame));
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a.pcap", folder);
	fill_packet();
	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	ck_assert_int_eq(loop_start(loop, "pcap", NULL), 0);
	ck_assert_int_eq(pcap_open(&pcap, path, &made, NULL), 0);
	ck_assert_int_eq(pcap_begin(pcap, NULL), 0);
}

static void teardown(void)
{
	loop_stop(loop);
	pcap = pcap_close(pcap);
	loop = loop_free(loop);
	unlink(path);
	rmdir(folder);
}

/* In pieces, the header not ending with one. */
static void add(void)
{
	const struct iovec segs[] = {
		{ packet, 5 }, { packet + 5, 20 }, { packet + 25, sizeof(packet) - 25 },
	};

	pcap_add(pcap, loop, segs, HEADER_LEN, FRAME_LEN);
}

static void call_add_two(void *ctx)
{
	(void)ctx;
	add();
	add();
	pcap_flush(pcap, loop);
	add();
	pcap_flush(pcap, loop);
}

static void call_add_many(void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < MANY; i++)
		add();
	pcap_flush(pcap, loop);
}

/* Lines that tcpdump prints of the file, and how many have this text. */
static unsigned nr_read(const char *text, unsigned *ret_nr)
{
	char command[160], line[512];
	unsigned nr = 0;
	FILE *out;

	snprintf(command, sizeof(command), "tcpdump -n -r %s 2> /dev/null", path);
	out = popen(command, "r");
	ck_assert_ptr_nonnull(out);
	for (*ret_nr = 0; fgets(line, sizeof(line), out); ++*ret_nr)
		nr += strstr(line, text) != NULL;
	ck_assert_int_eq(pclose(out), 0);
	return nr;
}

START_TEST(packets_are_read_by_tcpdump)
{
	unsigned nr;

	loop_call(loop, call_add_two, NULL);

	ck_assert_uint_eq(nr_read("Request who-has 10.0.0.2 tell 10.0.0.1, length 46", &nr), 3);
	ck_assert_uint_eq(nr, 3);
}
END_TEST

START_TEST(more_than_fits_is_left_out_and_the_rest_is_whole)
{
	unsigned nr, all;

	loop_call(loop, call_add_many, NULL);

	nr = nr_read("who-has 10.0.0.2", &all);
	ck_assert_uint_eq(nr, all);
	ck_assert_uint_gt(nr, 1000);
	ck_assert_uint_lt(nr, MANY);
}
END_TEST

START_TEST(file_that_cannot_grow_ends_the_record_and_nothing_else)
{
	const struct rlimit limit = { 24 + 2 * 76, RLIM_INFINITY };
	unsigned nr;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);

	loop_call(loop, call_add_many, NULL);
	loop_call(loop, call_add_many, NULL);

	ck_assert_uint_eq(nr_read("who-has", &nr), 2);
}
END_TEST

START_TEST(file_without_room_for_its_head_is_refused)
{
	const struct rlimit limit = { 10, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
	struct err err = { 0 };
	int r;

	/* Check has files of its own. */
	setrlimit(RLIMIT_FSIZE, &limit);
	r = pcap_begin(pcap, &err);
	setrlimit(RLIMIT_FSIZE, &none);

	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_ptr_nonnull(strstr(err.text, "cannot write packets"));
}
END_TEST

START_TEST(place_that_is_no_file_is_refused)
{
	struct pcap *none = NULL;
	struct err err = { 0 };

	ck_assert_int_eq(pcap_open(&none, "/dev/null", &made, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "'/dev/null': it is no file"));
	ck_assert_int_eq(pcap_open(&none, "/nowhere/a.pcap", &made, &err), -ENOENT);
	ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pcap");
	TCase *tc = tcase_create("file");
	SRunner *sr;
	int failed;

	if (system("tcpdump --version > /dev/null 2>&1")) {
		fprintf(stderr, "skipped: there is no tcpdump\n");
		return SKIPPED;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, packets_are_read_by_tcpdump);
	tcase_add_test(tc, more_than_fits_is_left_out_and_the_rest_is_whole);
	tcase_add_test(tc, file_that_cannot_grow_ends_the_record_and_nothing_else);
	tcase_add_test(tc, file_without_room_for_its_head_is_refused);
	tcase_add_test(tc, place_that_is_no_file_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
