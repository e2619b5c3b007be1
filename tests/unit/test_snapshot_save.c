// SPDX-License-Identifier: Apache-2.0
/* How a snapshot is taken, of a machine that is played. */
#include "migrate/snapshot_save.h"

#include "base/err.h"
#include "fake_vm.h"
#include "loop/loop.h"
#include "machine/machine_state.h"
#include "migrate/snapshot.h"

#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMORY	(64 * 4096)

/* Disks twice; state, configuration, memory, manifest. */
#define NR_SYNCS	4
#define NR_MOMENTS	(2 + NR_SYNCS)

static struct loop *loop;
static struct snapshotter *snapshotter;
static struct snapshot_request request;
static char folder[] = "/tmp/snapshot-save-XXXXXX", path[64];
static bool over;
static int result;
static struct err why;
static atomic_uint at_disks;
static void (*at_sync)(void);

static bool on_main(void)
{
	return syscall(SYS_gettid) == getpid();
}

/* The C library's, also for the code under test. */
int fsync(int fd)
{
	ck_assert(!on_main());
	if (at_sync)
		at_sync();
	return (int)syscall(SYS_fsync, fd);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/snap", folder);
	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	fake_vm_open(MEMORY, true);
	memset(fake_vm.ram.host, 'x', fake_vm.ram.len);
	snapshotter = snapshotter_new(FAKE_VM_MACHINE, loop);
	request = (struct snapshot_request){ .path = path };
	over = false;
	at_disks = 0;
}

static void teardown(void)
{
	snapshotter = snapshotter_free(snapshotter);
	fake_vm_close();
	loop = loop_free(loop);
	snapshot_remove(path);
	/* Nothing else is left. */
	ck_assert_int_eq(rmdir(folder), 0);
}

static void done(void *ctx, const struct snapshot_result *told, int r, const struct err *err)
{
	(void)ctx, (void)told;
	over = true;
	result = r;
	why = *err;
	loop_quit(loop);
}

static void take(void)
{
	snapshotter_take(snapshotter, &request, done, NULL);
	if (!over)
		loop_run(loop);
	ck_assert(over);
}

static bool is_there(void)
{
	struct snapshot *snapshot;
	struct err err = { 0 };

	if (snapshot_open(&snapshot, path, &err) < 0)
		return false;
	ck_assert_int_eq(snapshot_verify(snapshot, NULL, NULL, &err), 0);
	snapshot_close(snapshot);
	return true;
}

static void disks_are_waited_for(void)
{
	ck_assert(!on_main());
	ck_assert_int_eq(fake_vm.saving, at_disks++);
}

START_TEST(main_thread_does_not_wait_for_disks)
{
	fake_vm.at_disks = disks_are_waited_for;

	take();

	ck_assert_msg(!result, "%s", why.text);
	ck_assert_uint_eq(at_disks, 2);
	ck_assert(fake_vm.running);
	ck_assert(is_there());
}
END_TEST

START_TEST(guest_stays_paused_when_asked)
{
	request.keep_paused = true;

	take();

	ck_assert_int_eq(result, 0);
	ck_assert(!fake_vm.running && !fake_vm.saving);
}
END_TEST

static void fail_the_second_time(void)
{
	if (++at_disks == 2)
		fake_vm.flush_fails = -EIO;
}

START_TEST(disks_that_cannot_be_flushed_let_the_guest_go_on)
{
	request.keep_paused = true;
	fake_vm.at_disks = fail_the_second_time;

	take();

	ck_assert_int_eq(result, -EIO);
	ck_assert(fake_vm.running && !fake_vm.saving);
	ck_assert(!is_there());
}
END_TEST

/* At any moment, told apart by how often something was made durable, or was about to be. */

static unsigned nr_moments, last_moment;

static void reach_a_moment(void)
{
	if (nr_moments++ == last_moment)
		snapshotter_call_off(snapshotter);
}

START_TEST(one_that_is_called_off_leaves_the_guest_as_it_was)
{
	request.keep_paused = true;
	fake_vm.at_disks = reach_a_moment;
	at_sync = reach_a_moment;
	last_moment = (unsigned)_i;

	take();

	ck_assert_uint_gt(nr_moments, last_moment);
	ck_assert_int_eq(result, -ECANCELED);
	ck_assert(fake_vm.running && !fake_vm.saving);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_ptr_null(fake_vm.holder);
}
END_TEST

static void stop_the_second_time(void)
{
	fake_vm.stopped = ++at_disks == 2;
}

START_TEST(one_that_is_called_off_lets_no_guest_run_that_was_stopped)
{
	request.keep_paused = true;
	fake_vm.at_disks = stop_the_second_time;
	at_sync = reach_a_moment;
	last_moment = (unsigned)_i;

	take();

	ck_assert_int_eq(result, -ECANCELED);
	ck_assert(!fake_vm.running && !fake_vm.saving);
}
END_TEST

static bool is_published(void)
{
	return !access(path, F_OK);
}

static void call_off_when_published(void)
{
	if (is_published())
		snapshotter_call_off(snapshotter);
}

START_TEST(one_that_is_called_off_too_late_leaves_the_guest_as_it_was)
{
	request.keep_paused = true;
	at_sync = call_off_when_published;

	take();

	ck_assert_int_eq(result, 0);
	ck_assert(fake_vm.running && !fake_vm.saving);
	ck_assert(is_there());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("snapshot_save");
	TCase *tc = tcase_create("of a machine that is played");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, main_thread_does_not_wait_for_disks);
	tcase_add_test(tc, guest_stays_paused_when_asked);
	tcase_add_test(tc, disks_that_cannot_be_flushed_let_the_guest_go_on);
	tcase_add_loop_test(tc, one_that_is_called_off_leaves_the_guest_as_it_was, 0, NR_MOMENTS);
	tcase_add_loop_test(tc, one_that_is_called_off_lets_no_guest_run_that_was_stopped,
			    0, NR_SYNCS);
	tcase_add_test(tc, one_that_is_called_off_too_late_leaves_the_guest_as_it_was);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
