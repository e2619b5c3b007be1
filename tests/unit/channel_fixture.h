/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_fixture.h - two ends of a channel, by each of the ways there are.
 */
#ifndef TESTS_UNIT_CHANNEL_FIXTURE_H
#define TESTS_UNIT_CHANNEL_FIXTURE_H

#include "migrate/channel.h"

#include "base/err.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct err err;
static struct channel_options options;
static struct channel_listener *listener;
static struct channel *sender, *receiver;	/* sender is the one that connects */
static char folder[] = "/tmp/channel-XXXXXX";

static inline void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void teardown(void)
{
	sender = channel_close(sender);
	receiver = channel_close(receiver);
	listener = channel_listener_close(listener);
	rmdir(folder);
}

static inline const char *socket_uri(void)
{
	static char uri[64];

	snprintf(uri, sizeof(uri), "unix:%s/socket", folder);
	return uri;
}

static inline void listen_at(const char *uri)
{
	int r = channel_listen(&listener, uri, &options, &err);

	ck_assert_msg(r == 0, "%s", err.text);
}

static inline void connect_to(const char *uri)
{
	int r = channel_connect(&sender, uri, &options, &err);

	ck_assert_msg(r == 0, "%s", err.text);
}

static inline void accept_one(void)
{
	struct pollfd ready = { .fd = channel_listener_fd(listener), .events = POLLIN };
	int r;

	ck_assert_int_eq(poll(&ready, 1, 10000), 1);
	r = channel_accept(&receiver, listener, &err);
	ck_assert_msg(r == 0, "%s", err.text);
}

static inline void meet(const char *uri)
{
	connect_to(uri);
	accept_one();
}

/* The ways, by number.  That of fd: is a pair of sockets. */
static inline const char *const *ways(void)
{
	static const char *uris[] = { "tcp:127.0.0.1:0", NULL, "fd:", "tcp:[::1]:0" };

	uris[1] = socket_uri();
	return uris;
}

static int other_fd;

static inline void begin_by(int way)
{
	const char *uri = ways()[way];
	char given[16];
	int pair[2];

	if (!strcmp(uri, "fd:")) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		snprintf(given, sizeof(given), "fd:%d", pair[0]);
		other_fd = pair[1];
		uri = given;
	}
	listen_at(uri);
}

static inline void connect_by(int way)
{
	char other[16];

	snprintf(other, sizeof(other), "fd:%d", other_fd);
	connect_to(strcmp(ways()[way], "fd:") ? channel_listener_address(listener) : other);
}

static inline void meet_by(int way)
{
	begin_by(way);
	connect_by(way);
	accept_one();
}

/* Without IPv6, the last is left out. */
static inline int nr_ways(void)
{
	struct channel_listener *v6;
	int missing = channel_listen(&v6, "tcp:[::1]:0", &options, NULL);

	if (missing)
		return 3;
	channel_listener_close(v6);
	return 4;
}

static inline int say(struct channel *channel, const char *text)
{
	const struct iovec seg = { .iov_base = (void *)(uintptr_t)text,
				   .iov_len = strlen(text) };

	return channel_send(channel, &seg, 1);
}

/* From the sender, until it fails. */
static inline int send_for_ever(void)
{
	static uint8_t bytes[65536];
	const struct iovec seg = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	int r;

	while (!(r = channel_send(sender, &seg, 1)))
		;
	return r;
}

static inline int run(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
