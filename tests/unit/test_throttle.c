// SPDX-License-Identifier: Apache-2.0
/* What contradicts what, and how disks with limits behave on a loop. */
#include "block/throttle.h"

#include "base/clock.h"
#include "block/throttle_group.h"
#include "disk_fixture.h"

#define BLOCK		512
#define NR_REQUESTS	24
#define SOON_NS		(20 * CLOCK_NS_PER_MS)

/* So little that after the first request nothing else goes for some 500 s. */
static const struct throttle_limits almost_nothing = { .of[THROTTLE_BPS] = { .avg = 1 } };
static const struct throttle_limits reads_only = { .of[THROTTLE_BPS_WR] = { .avg = 1 } };
static const struct throttle_limits quick = { .of[THROTTLE_IOPS] = { .avg = 200 } };

static struct disk *second;
static struct disk_request requests[NR_REQUESTS];
static uint8_t blocks[NR_REQUESTS][BLOCK];
static struct iovec segs[NR_REQUESTS];

/* Numbers of requests in the order in which they were done. */
static unsigned done[NR_REQUESTS], nr_done, nr_awaited;
static int results[NR_REQUESTS];

static void request_done(struct disk_request *request, int res)
{
	unsigned i = (unsigned)(request - requests);

	results[i] = res;
	done[nr_done++] = i;
	if (nr_done == nr_awaited)
		loop_quit(loop);
}

static void submit_to(struct disk *to, unsigned i, enum disk_op op)
{
	bool moves = op == DISK_READ || op == DISK_WRITE;

	segs[i] = (struct iovec){ blocks[i], BLOCK };
	requests[i] = (struct disk_request){
		.op = op, .at = op == DISK_FLUSH ? 0 : i * UINT64_C(512),
		.len = op == DISK_FLUSH ? 0 : BLOCK, .segs = moves ? &segs[i] : NULL,
		.nr_segs = moves, .done = request_done,
	};
	disk_submit(to, &requests[i]);
}

static void await(unsigned nr)
{
	nr_awaited = nr;
	if (nr_done < nr)
		ck_assert_int_eq(loop_run(loop), 0);
}

static void timer_quits(struct loop_timer *timer)
{
	(void)timer;
	loop_quit(loop);
}

/* So many are done, and a while later no more are. */
static void only(unsigned nr)
{
	struct loop_timer timer = { .fired = timer_quits };

	await(nr);
	loop_timer_set(loop, &timer, clock_ns() + SOON_NS);
	nr_awaited = NR_REQUESTS + 1;
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(nr_done, nr);
}

static struct throttle_group *limit(const struct throttle_limits *limits)
{
	struct throttle_group *group = throttle_group_new(loop, "g");

	ck_assert_ptr_nonnull(group);
	disk_set_throttle(disk, group);
	throttle_group_set(group, limits);
	return group;
}

static void setup_disks(void)
{
	struct disk_config c = config("a.img");

	setup();
	nr_done = 0;
	ck_assert_int_eq(open_disk(c), 0);
	make_file("b.img", SIZE);
	c.path = in_folder("b.img");
	ck_assert_int_eq(disk_open(&second, &c, loop, &err), 0);
}

static void teardown_disks(void)
{
	second = disk_close(second, NULL);
	teardown();
}

/* Contradictions. */

#define TOO_MUCH	(BUCKET_MAX + 1)

static const struct {
	struct throttle_limits limits;
	const char *says;		/* NULL: they are right */
} cases[] = {
	{ { .iops_size = 0 }, NULL },
	{ { .of[THROTTLE_BPS] = { BUCKET_MAX, BUCKET_MAX, 1 } }, NULL },
	{ { .of[THROTTLE_IOPS_RD] = { 1, 2, 3 }, .of[THROTTLE_IOPS_WR] = { 4, 4, 0 },
	    .of[THROTTLE_BPS] = { 1 }, .iops_size = 4096 }, NULL },
	{ { .of[THROTTLE_BPS] = { 1 }, .of[THROTTLE_BPS_RD] = { 1 } }, "total values" },
	{ { .of[THROTTLE_IOPS] = { 1 }, .of[THROTTLE_IOPS_WR] = { 1 } }, "total values" },
	{ { .of[THROTTLE_IOPS] = { 1, 2 }, .of[THROTTLE_IOPS_WR] = { 0, 1 } },
	  "total values" },
	{ { .of[THROTTLE_IOPS_WR] = { TOO_MUCH } }, "within [0, 1000000000000000]" },
	{ { .of[THROTTLE_IOPS_WR] = { 1, TOO_MUCH } }, "within [0, 1000000000000000]" },
	{ { .of[THROTTLE_BPS] = { 1 }, .iops_size = 1 }, "requires an iops value" },
	{ { .of[THROTTLE_BPS] = { 5, 0, 2 } }, "without burst rate" },
	{ { .of[THROTTLE_BPS] = { 5, BUCKET_MAX, 2 } }, "too high" },
	{ { .of[THROTTLE_BPS] = { 0, 5, 1 } }, "require corresponding" },
	{ { .of[THROTTLE_BPS] = { 5, 4, 1 } }, "cannot be lower" },
};

START_TEST(contradictions_are_told)
{
	const char *says = cases[_i].says;
	int r = throttle_check(&cases[_i].limits, &err);

	ck_assert_int_eq(r, says ? -EINVAL : 0);
	ck_assert(!says || strstr(err.text, says));
}
END_TEST

/* Disks. */

START_TEST(what_is_beyond_the_limit_waits)
{
	limit(&almost_nothing);
	for (unsigned i = 0; i < 3; i++)
		submit_to(disk, i, DISK_READ);

	only(1);
	ck_assert_uint_eq(done[0], 0);
	disk_set_throttle(disk, NULL);
	await(3);
}
END_TEST

static void start_is_done(struct throttle_member *member, struct disk_request *request)
{
	(void)member;
	request_done(request, 0);
}

START_TEST(what_waits_is_started_in_order_when_it_may)
{
	struct throttle_member member = { .start = start_is_done };
	struct throttle_group *group = throttle_group_new(loop, "g");
	uint64_t began = clock_ns();

	throttle_group_set(group, &quick);
	throttle_group_join(group, &member);
	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		requests[i] = (struct disk_request){ .op = DISK_WRITE };
		throttle_group_submit(&member, &requests[i]);
	}
	ck_assert_uint_ge(nr_done, 21);
	await(NR_REQUESTS);

	/* A tenth of a second's worth and one go at once, the others each after 5 ms. */
	ck_assert_uint_ge(clock_ns() - began, (NR_REQUESTS - 21) * 5 * CLOCK_NS_PER_MS);
	for (unsigned i = 0; i < NR_REQUESTS; i++)
		ck_assert_uint_eq(done[i], i);
	throttle_group_join(NULL, &member);
}
END_TEST

START_TEST(bytes_are_limited_as_requests_are)
{
	const struct throttle_limits limits = { .of[THROTTLE_BPS_RD] = { .avg = BLOCK } };

	limit(&limits);
	for (unsigned i = 0; i < 3; i++)
		submit_to(disk, i, DISK_READ);
	only(1);
	disk_set_throttle(disk, NULL);
	await(3);
}
END_TEST

START_TEST(big_request_counts_as_several)
{
	const struct throttle_limits limits = {
		.of[THROTTLE_IOPS] = { .avg = 1 }, .iops_size = 1,
	};

	limit(&limits);
	for (unsigned i = 0; i < 2; i++)
		submit_to(disk, i, DISK_READ);
	only(1);
	disk_set_throttle(disk, NULL);
	await(2);
}
END_TEST

START_TEST(limit_of_writes_leaves_reads_alone)
{
	limit(&reads_only);
	submit_to(disk, 0, DISK_ZERO);
	submit_to(disk, 1, DISK_WRITE);
	submit_to(disk, 2, DISK_DISCARD);
	for (unsigned i = 3; i < 9; i++)
		submit_to(disk, i, DISK_READ);
	only(7);
	disk_set_throttle(disk, NULL);
	await(9);
}
END_TEST

START_TEST(flush_and_refusal_wait_for_nobody)
{
	limit(&almost_nothing);
	for (unsigned i = 0; i < 3; i++)
		submit_to(disk, i, DISK_WRITE);
	submit_to(disk, 3, DISK_FLUSH);
	requests[4] = (struct disk_request){
		.op = DISK_READ, .at = SIZE, .len = BLOCK, .done = request_done,
	};
	disk_submit(disk, &requests[4]);
	await(3);

	ck_assert_int_eq(results[3], 0);
	ck_assert_int_eq(results[4], -EINVAL);
	disk_set_throttle(disk, NULL);
	await(5);
}
END_TEST

START_TEST(new_limits_hold_for_what_waits)
{
	struct throttle_group *group = limit(&almost_nothing);

	for (unsigned i = 0; i < 5; i++)
		submit_to(disk, i, DISK_READ);
	only(1);

	throttle_group_set(group, &quick);
	await(5);
}
END_TEST

START_TEST(removed_limits_hold_nothing_back)
{
	limit(&almost_nothing);
	for (unsigned i = 0; i < 5; i++)
		submit_to(disk, i, DISK_READ);

	disk_set_throttle(disk, NULL);
	await(5);

	ck_assert_ptr_null(disk_throttle(disk));
}
END_TEST

START_TEST(what_is_withdrawn_was_not_done_and_can_be_tried_again)
{
	limit(&almost_nothing);
	memset(blocks, 0x5a, sizeof(blocks));
	for (unsigned i = 0; i < 3; i++)
		submit_to(disk, i, i == 1 ? DISK_READ : DISK_WRITE);
	await(1);

	disk_withdraw(disk);
	ck_assert_uint_eq(nr_done, 3);
	ck_assert_int_eq(results[1], -ECANCELED);
	ck_assert_int_eq(results[2], -ECANCELED);
	ck_assert_uint_eq(disk_counter(disk, DISK_WRITE).nr_failed, 0);
	read_file("a.img", 2 * BLOCK, blocks[5], BLOCK);
	ck_assert_uint_eq(blocks[5][0], 0);

	disk_set_throttle(disk, NULL);
	disk_submit(disk, &requests[2]);
	await(4);
	ck_assert_int_eq(results[2], 0);
}
END_TEST

/* Groups. */

START_TEST(disks_of_a_group_share_what_is_left)
{
	disk_set_throttle(second, limit(&almost_nothing));

	submit_to(disk, 0, DISK_READ);
	submit_to(second, 1, DISK_READ);
	only(1);
	disk_set_throttle(disk, NULL);
	disk_set_throttle(second, NULL);
	await(2);
}
END_TEST

START_TEST(disk_that_asks_for_much_does_not_keep_the_other_away)
{
	struct throttle_group *group = limit(&almost_nothing);

	disk_set_throttle(second, group);
	for (unsigned i = 0; i < NR_REQUESTS - 1; i++)
		submit_to(disk, i, DISK_READ);
	submit_to(second, NR_REQUESTS - 1, DISK_READ);
	await(1);
	throttle_group_set(group, &(struct throttle_limits){
		.of[THROTTLE_IOPS] = { .avg = 10 } });
	await(3);

	/* Ten a second: it is let through as one of two. */
	ck_assert(done[1] == NR_REQUESTS - 1 || done[2] == NR_REQUESTS - 1);
	disk_set_throttle(disk, NULL);
	await(NR_REQUESTS);
}
END_TEST

START_TEST(neither_way_keeps_the_other_away)
{
	const enum disk_op many = _i ? DISK_READ : DISK_WRITE;
	const enum disk_op one = _i ? DISK_WRITE : DISK_READ;
	struct throttle_group *group = limit(&almost_nothing);

	for (unsigned i = 0; i < NR_REQUESTS - 1; i++)
		submit_to(disk, i, many);
	submit_to(disk, NR_REQUESTS - 1, one);
	await(1);
	throttle_group_set(group, &(struct throttle_limits){
		.of[THROTTLE_IOPS] = { .avg = 10 } });
	await(3);

	ck_assert(done[1] == NR_REQUESTS - 1 || done[2] == NR_REQUESTS - 1);
	disk_set_throttle(disk, NULL);
	await(NR_REQUESTS);
}
END_TEST

START_TEST(group_goes_on_without_a_disk_that_has_left)
{
	struct throttle_group *group = limit(&almost_nothing);

	disk_set_throttle(second, group);
	for (unsigned i = 0; i < 4; i++)
		submit_to(i & 1 ? second : disk, i, DISK_READ);
	disk_set_throttle(disk, NULL);
	only(2);

	throttle_group_set(group, &quick);
	await(4);

	ck_assert_str_eq(throttle_group_name(disk_throttle(second)), "g");
}
END_TEST

START_TEST(waiting_requests_go_along_to_another_group)
{
	struct throttle_group *group = throttle_group_new(loop, "h");

	limit(&almost_nothing);
	for (unsigned i = 0; i < 4; i++)
		submit_to(disk, i, DISK_READ);
	disk_set_throttle(disk, group);
	await(4);

	ck_assert_ptr_eq(disk_throttle(disk), group);
}
END_TEST

static TCase *disk_tests(void)
{
	TCase *tc = tcase_create("disks");

	tcase_add_checked_fixture(tc, setup_disks, teardown_disks);
	tcase_add_test(tc, what_is_beyond_the_limit_waits);
	tcase_add_test(tc, what_waits_is_started_in_order_when_it_may);
	tcase_add_test(tc, bytes_are_limited_as_requests_are);
	tcase_add_test(tc, big_request_counts_as_several);
	tcase_add_test(tc, limit_of_writes_leaves_reads_alone);
	tcase_add_test(tc, flush_and_refusal_wait_for_nobody);
	tcase_add_test(tc, new_limits_hold_for_what_waits);
	tcase_add_test(tc, removed_limits_hold_nothing_back);
	tcase_add_test(tc, what_is_withdrawn_was_not_done_and_can_be_tried_again);
	tcase_add_test(tc, disks_of_a_group_share_what_is_left);
	tcase_add_test(tc, disk_that_asks_for_much_does_not_keep_the_other_away);
	tcase_add_loop_test(tc, neither_way_keeps_the_other_away, 0, 2);
	tcase_add_test(tc, group_goes_on_without_a_disk_that_has_left);
	tcase_add_test(tc, waiting_requests_go_along_to_another_group);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("throttle");
	TCase *tc = tcase_create("contradictions");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, contradictions_are_told, 0, ARRAY_LEN(cases));
	suite_add_tcase(s, tc);
	suite_add_tcase(s, disk_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
