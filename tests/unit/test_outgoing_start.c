// SPDX-License-Identifier: Apache-2.0
/* A source whose thread is fast, or whoever starts it slow. */
#include "migrate/outgoing.h"

#include "base/err.h"
#include "fake_vm.h"
#include "loop/loop.h"
#include "migrate/channel.h"
#include "migrate/message.h"
#include "migrate/pages.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* More than a socket has room for. */
#define NR_PAGES	1024

#define LATE_S		1

static struct loop *loop;
static enum migration_status told[8];
static unsigned nr_told;
static char folder[] = "/tmp/outgoing-XXXXXX", uri[64];
static struct channel_listener *listener;
static sem_t copies;

/* The C library's, also for the code under test, which calls it for a thread that runs. */
int pthread_setname_np(pthread_t thread, const char *name)
{
	struct timespec until;

	(void)thread, (void)name;
	if (syscall(SYS_gettid) != getpid())
		return 0;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LATE_S;
	(void)sem_timedwait(&copies, &until);
	return 0;
}

static void changed(void *ctx, enum migration_status now)
{
	(void)ctx;
	told[nr_told++] = now;
	if (nr_told == 2)
		loop_quit(loop);
}

static void begun(void *ctx, uint64_t nr)
{
	(void)ctx, (void)nr;
}

/* Of no type: nothing comes any more. */
static struct message hear(struct channel *channel)
{
	struct message message = { 0 };
	void *bytes;

	if (!message_receive(channel, &message, NULL) &&
	    !message_receive_bytes(channel, &message, &bytes, NULL))
		free(bytes);
	return message;
}

static void *run_target(void *arg)
{
	const struct message ready_message = { .type = MESSAGE_READY };
	struct pollfd ready = { channel_listener_fd(listener), POLLIN, 0 };
	struct channel *channel;

	ck_assert_int_eq(poll(&ready, 1, 10000), 1);
	ck_assert_int_eq(channel_accept(&channel, listener, NULL), 0);
	ck_assert_int_eq(hear(channel).type, MESSAGE_PLAN);
	(void)message_send(channel, &ready_message, NULL);
	(void)hear(channel);
	sem_post(&copies);
	while (hear(channel).type)
		;
	channel_close(channel);
	return arg;
}

START_TEST(statuses_are_told_in_the_order_of_what_happens)
{
	const struct channel_options none = { 0 };
	struct outgoing_config config = {
		.machine = FAKE_VM_MACHINE, .changed = changed, .round = begun,
	};
	struct outgoing *outgoing;
	struct err err = { 0 };
	pthread_t target;

	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	config.main = loop;
	fake_vm_open(NR_PAGES * PAGES_LEN, true);
	memset(fake_vm.ram.host, 'x', fake_vm.ram.len);
	outgoing = outgoing_new(&config);
	ck_assert_ptr_nonnull(outgoing);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(uri, sizeof(uri), "unix:%s/socket", folder);
	ck_assert_int_eq(channel_listen(&listener, uri, &none, NULL), 0);
	ck_assert_int_eq(sem_init(&copies, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&target, NULL, run_target, NULL), 0);

	ck_assert_msg(!outgoing_start(outgoing, uri, &migration_defaults, &err), "%s", err.text);
	loop_run(loop);

	ck_assert_int_eq(told[0], MIGRATION_SETUP);
	ck_assert_int_eq(told[1], MIGRATION_ACTIVE);
	ck_assert_int_eq(outgoing_info(outgoing).status, MIGRATION_ACTIVE);
	outgoing_free(outgoing);
	pthread_join(target, NULL);
	listener = channel_listener_close(listener);
	rmdir(folder);
	fake_vm_close();
	loop_free(loop);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("outgoing_start");
	TCase *tc = tcase_create("to a target that is played");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, statuses_are_told_in_the_order_of_what_happens);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
