// SPDX-License-Identifier: Apache-2.0
/* What machine.h says of limits, of a disk whose loop runs. */
#include "machine/machine.h"

#include "block/throttle.h"
#include "disk_fixture.h"
#include "loop/loop.h"
#include "machine/machine_parts.h"

#include <unistd.h>

#define NR_REQUESTS	5
#define SOON_US		20000

/* So little that after the first request nothing else goes for some 500 s. */
static const struct throttle_limits almost_nothing = { .of[THROTTLE_BPS] = { .avg = 1 } };
static const struct throttle_limits none;

static struct machine_part part;
static struct machine machine;
static struct disk_request requests[NR_REQUESTS];
static struct iovec segs[NR_REQUESTS];
static uint8_t blocks[NR_REQUESTS][512];
static unsigned nr_done;

static void setup_machine(void)
{
	setup();
	nr_done = 0;
	ck_assert_int_eq(open_disk(config("a.img")), 0);
	part = (struct machine_part){ .id = (char *)"root", .machine = &machine };
	part.device.kind = BOARD_DISK;
	part.device.disk = disk;
	part.device.loop = loop;
	machine = (struct machine){ .parts = &part };
	ck_assert_int_eq(loop_start(loop, "disk", &err), 0);
}

static void teardown_machine(void)
{
	loop_stop(loop);
	teardown();
}

static void request_done(struct disk_request *request, int res)
{
	(void)request;
	nr_done += !res;
}

static void submit_all(void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		segs[i] = (struct iovec){ blocks[i], sizeof(blocks[i]) };
		requests[i] = (struct disk_request){
			.op = DISK_READ, .len = sizeof(blocks[i]), .segs = &segs[i],
			.nr_segs = 1, .done = request_done,
		};
		disk_submit(disk, &requests[i]);
	}
}

static void look(void *ctx)
{
	*(unsigned *)ctx = nr_done;
}

/* So many are done, and a while later no more are. */
static void only(unsigned nr)
{
	unsigned seen = 0;

	while (seen < nr)
		loop_call(loop, look, &seen);
	usleep(SOON_US);
	loop_call(loop, look, &seen);
	ck_assert_uint_eq(seen, nr);
}

START_TEST(what_waits_is_not_let_through_by_a_new_group)
{
	ck_assert_int_eq(machine_throttle_disk(&machine, 0, &almost_nothing, "a", &err), 0);
	loop_call(loop, submit_all, NULL);
	only(1);

	ck_assert_int_eq(machine_throttle_disk(&machine, 0, &almost_nothing, "b", &err), 0);

	only(2);
	ck_assert_int_eq(machine_throttle_disk(&machine, 0, &none, NULL, &err), 0);
	only(NR_REQUESTS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("machine_limits");
	TCase *tc = tcase_create("a disk");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup_machine, teardown_machine);
	tcase_add_test(tc, what_waits_is_not_let_through_by_a_new_group);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
