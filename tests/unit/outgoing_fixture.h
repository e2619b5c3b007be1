/* SPDX-License-Identifier: Apache-2.0 */
/* outgoing_fixture.h - a source, and a target that is played by a thread of the test. */
#ifndef TESTS_UNIT_OUTGOING_FIXTURE_H
#define TESTS_UNIT_OUTGOING_FIXTURE_H

#include "migrate/outgoing.h"

#include "base/bits.h"
#include "base/err.h"
#include "fake_vm.h"
#include "loop/loop.h"
#include "migrate/channel.h"
#include "migrate/message.h"
#include "migrate/pages.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than a socket has room for. */
#define NR_PAGES	1024

static struct loop *loop;
static struct outgoing *outgoing;
static struct outgoing_config whole;
static struct migration_parameters parameters;
static struct err err;
static enum migration_status status, wanted, told[16];
static unsigned nr_told;
static pthread_t target;
static char folder[] = "/tmp/outgoing-XXXXXX", uri[64];
static struct channel_listener *listener;
static struct channel *channel;		/* the target's end */
static int given = -1;			/* the descriptor called "it" */

static inline void changed(void *ctx, enum migration_status now)
{
	(void)ctx;
	status = now;
	if (nr_told < ARRAY_LEN(told))
		told[nr_told++] = now;
	if (now == wanted || now >= MIGRATION_CANCELLED)
		loop_quit(loop);
}

static inline void begun(void *ctx, uint64_t nr)
{
	(void)ctx, (void)nr;
}

static inline int take_fd(void *ctx, const char *name, struct err *why)
{
	int fd = given;

	(void)ctx;
	ck_assert(loop_here(loop));
	ck_assert_str_eq(name, "it");
	given = -1;
	return fd < 0 ? err_set(why, -ENOENT, "there is no such descriptor") : fd;
}

static inline void setup(void)
{
	const struct channel_options none = { 0 };

	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	whole = (struct outgoing_config){
		.machine = FAKE_VM_MACHINE, .main = loop, .changed = changed, .round = begun,
		.take_fd = take_fd,
	};
	fake_vm_open(NR_PAGES * PAGES_LEN, true);
	memset(fake_vm.ram.host, 'x', fake_vm.ram.len);
	parameters = migration_defaults;
	outgoing = outgoing_new(&whole);
	wanted = MIGRATION_COMPLETED;
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(uri, sizeof(uri), "unix:%s/socket", folder);
	ck_assert_int_eq(channel_listen(&listener, uri, &none, NULL), 0);
}

static inline void teardown(void)
{
	outgoing = outgoing_free(outgoing);
	channel = channel_close(channel);
	listener = channel_listener_close(listener);
	rmdir(folder);
	fake_vm_close();
	loop = loop_free(loop);
}

/* The target, a thread. */

static inline void accept_source(void)
{
	struct pollfd ready = { channel_listener_fd(listener), POLLIN, 0 };

	channel = channel_close(channel);
	ck_assert_int_eq(poll(&ready, 1, 10000), 1);
	ck_assert_int_eq(channel_accept(&channel, listener, NULL), 0);
}

static inline void say(enum message_type type, uint64_t at, uint32_t nr)
{
	const struct message message = { type, nr, at, 0 };

	(void)message_send(channel, &message, NULL);
}

/* All that comes, until it is this; false: nothing comes any more. */
static inline bool await(enum message_type type)
{
	struct message message;
	void *bytes;

	while (!message_receive(channel, &message, NULL) &&
	       !message_receive_bytes(channel, &message, &bytes, NULL)) {
		free(bytes);
		if (message.type == type)
			return true;
	}
	return false;
}

static inline void load(void)
{
	accept_source();
	ck_assert(await(MESSAGE_PLAN));
	say(MESSAGE_READY, 0, 0);
	ck_assert(await(MESSAGE_STATE));
	say(MESSAGE_LOADED, 0, 0);
	ck_assert(await(MESSAGE_GO));
}

static inline void begin(void *(*fn)(void *arg))
{
	ck_assert_int_eq(pthread_create(&target, NULL, fn, NULL), 0);
	ck_assert_msg(!outgoing_start(outgoing, uri, &parameters, &err), "%s", err.text);
}

static inline void run_until(enum migration_status until)
{
	wanted = until;
	loop_run(loop);
	ck_assert_int_eq(status, until);
}

#endif
