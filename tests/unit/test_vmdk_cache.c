// SPDX-License-Identifier: Apache-2.0
/* A cache of four blocks, for which more than four wait. */
#include "block/vmdk_cache.h"

#include "base/bits.h"
#include "disk_fixture.h"

#define LEN		512
#define NR_WAITERS	6
#define BEYOND		(SIZE + 512)

static struct file file;
static struct vmdk_cache cache;
static unsigned nr_left;

struct asker {
	struct vmdk_waiter waiter;
	int res;
};

static void setup_cache(void)
{
	setup();
	ck_assert_int_eq(file_open(&file, in_folder("a.img"), true, &err), 0);
	ck_assert_int_eq(vmdk_cache_init(&cache, loop, 1, LEN, 0), 0);
}

static void teardown_cache(void)
{
	vmdk_cache_fini(&cache);
	file_close(&file);
	teardown();
}

static void ready(struct vmdk_waiter *waiter, int res)
{
	if (!res && !vmdk_cache_get(&cache, waiter))
		return;
	container_of(waiter, struct asker, waiter)->res = res;
	if (!--nr_left)
		loop_quit(loop);
}

static void ask(struct asker *askers, const uint64_t *at)
{
	for (unsigned i = 0; i < NR_WAITERS; i++) {
		askers[i].waiter = (struct vmdk_waiter){
			.want = { .file = &file, .at = at[i], .len = LEN }, .ready = ready,
		};
		ck_assert_ptr_null(vmdk_cache_get(&cache, &askers[i].waiter));
	}
	nr_left = NR_WAITERS;
	ck_assert_int_eq(loop_run(loop), 0);
}

START_TEST(block_that_cannot_be_read_fails_only_those_who_want_it)
{
	const uint64_t at[NR_WAITERS] = { 512, 1024, 1536, BEYOND, 2048, 2048 };
	struct asker askers[NR_WAITERS];

	ask(askers, at);

	for (unsigned i = 0; i < NR_WAITERS; i++)
		ck_assert_int_eq(askers[i].res, at[i] == BEYOND ? -EIO : 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vmdk_cache");
	TCase *tc = tcase_create("four blocks");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup_cache, teardown_cache);
	tcase_add_test(tc, block_that_cannot_be_read_fails_only_those_who_want_it);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
