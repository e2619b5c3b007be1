// SPDX-License-Identifier: Apache-2.0
#include "migrate/channel.h"

#include "channel_fixture.h"

#include "base/bits.h"
#include "base/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define LEN		(64 * MiB)

/* Names. */

static const char *const bad_uris[] = {
	"", "tcp", "tcp:", "tcp:host", "tcp::1", "tcp:host:", "tcp:host:x", "tcp:host:-1",
	"tcp:host:65536", "tcp:host:018446744073709551617", "tcp:host:1:2", "tcp:::1:80",
	"tcp:[::1]", "tcp:[::1:80", "tcp:[]:80", "tcp:[::1]80", "unix:", "fd:", "fd:7x",
	"fd:99999999999", "fd:name", "exec:cat", "http://host:80", "/run/socket",
};

START_TEST(what_is_no_uri_is_refused_by_one_line)
{
	ck_assert_int_eq(channel_check(bad_uris[_i], &options, &err), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, " is n"));
	ck_assert_int_eq(channel_connect(&sender, bad_uris[_i], &options, NULL), -EINVAL);
	ck_assert_int_eq(channel_listen(&listener, bad_uris[_i], &options, NULL), -EINVAL);
}
END_TEST

static const char *const good_uris[] = {
	"tcp:host:1", "tcp:127.0.0.1:65535", "tcp:[::1]:80", "tcp:[fe80::1%eth0]:80",
	"unix:relative", "unix:/run/a:b", "fd:0", "fd:77",
};

START_TEST(what_is_a_uri_is_accepted_without_looking)
{
	ck_assert_int_eq(channel_check(good_uris[_i], &options, &err), 0);
}
END_TEST

START_TEST(path_that_no_socket_can_have_is_refused)
{
	char uri[256] = "unix:";

	memset(uri + 5, 'x', 108);

	ck_assert_int_eq(channel_check(uri, &options, &err), -ENAMETOOLONG);
}
END_TEST

static const char *const far_uris[] = { "tcp:0.0.0.0:0", "tcp:192.0.2.1:1", "tcp:[::]:0" };

START_TEST(tcp_beyond_this_machine_is_refused)
{
	ck_assert_int_eq(channel_listen(&listener, far_uris[_i], &options, &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "--insecure"));
	ck_assert_int_eq(channel_connect(&sender, far_uris[_i], &options, &err), -EPERM);
}
END_TEST

START_TEST(tcp_beyond_this_machine_can_be_allowed)
{
	options.insecure = true;

	listen_at("tcp:0.0.0.0:0");

	ck_assert_int_eq(strncmp(channel_listener_address(listener), "tcp:0.0.0.0:", 12), 0);
	meet(channel_listener_address(listener));
}
END_TEST

/* Bytes. */

/* Odd pieces, empty ones among them, more than one call to the kernel takes. */
static unsigned cut(struct iovec *segs, unsigned max, uint8_t *bytes, size_t len)
{
	unsigned nr = 0;

	for (size_t at = 0; at < len; nr++) {
		size_t piece = nr % 5 ? (nr * UINT64_C(7919)) % 70001 : 0;

		piece = nr + 1 == max ? len - at : min_u64(piece, len - at);
		segs[nr] = (struct iovec){ .iov_base = bytes + at, .iov_len = piece };
		at += piece;
	}
	return nr;
}

static void *receive_all(void *to)
{
	const size_t first = 4097, second = LEN - 4097;

	return (void *)(intptr_t)(channel_receive(receiver, to, first) ||
				  channel_receive(receiver, (char *)to + first, second));
}

static void move_64_mib(void)
{
	static struct iovec segs[4000];
	uint8_t *from = malloc(LEN), *to = malloc(LEN);
	pthread_t thread;
	void *failed;

	for (size_t i = 0; i < LEN / 4; i++)
		((uint32_t *)from)[i] = (uint32_t)i * UINT32_C(2654435761);

	ck_assert_int_eq(pthread_create(&thread, NULL, receive_all, to), 0);
	ck_assert_int_eq(channel_send(sender, segs, cut(segs, ARRAY_LEN(segs), from, LEN)), 0);
	pthread_join(thread, &failed);

	ck_assert_ptr_null(failed);
	ck_assert_int_eq(memcmp(from, to, LEN), 0);
	free(from);
	free(to);
}

START_TEST(bytes_arrive_as_they_were_cut)
{
	meet_by(_i);

	move_64_mib();
}
END_TEST

static void ignore(int signal)
{
	(void)signal;
}

START_TEST(signals_lose_and_repeat_nothing)
{
	const struct sigaction no_restart = { .sa_handler = ignore };
	const struct itimerval often = { .it_interval.tv_usec = 200, .it_value.tv_usec = 200 };
	const struct itimerval never = { 0 };

	meet_by(_i);
	sigaction(SIGALRM, &no_restart, NULL);
	setitimer(ITIMER_REAL, &often, NULL);

	move_64_mib();

	setitimer(ITIMER_REAL, &never, NULL);
}
END_TEST

START_TEST(both_sides_send_and_receive)
{
	char got[2][6] = { "" };

	meet_by(_i);

	ck_assert_int_eq(say(sender, "there"), 0);
	ck_assert_int_eq(say(receiver, "back!"), 0);
	ck_assert_int_eq(channel_receive(receiver, got[0], 5), 0);
	ck_assert_int_eq(channel_receive(sender, got[1], 5), 0);
	ck_assert_str_eq(got[0], "there");
	ck_assert_str_eq(got[1], "back!");
}
END_TEST

START_TEST(end_of_the_stream_amid_bytes_is_an_error)
{
	char got[6] = "";

	meet_by(_i);
	ck_assert_int_eq(say(sender, "abc"), 0);
	sender = channel_close(sender);

	ck_assert_int_eq(channel_receive(receiver, got, 5), -ECONNRESET);
	ck_assert_int_eq(channel_receive(receiver, got, 5), -ECONNRESET);
}
END_TEST

START_TEST(sending_to_nobody_is_an_error_and_no_signal)
{
	meet_by(_i);
	receiver = channel_close(receiver);

	ck_assert_int_eq(send_for_ever(), -ECONNRESET);
}
END_TEST

/* Breaks. */

static void *break_receiver(void *ctx)
{
	(void)ctx;
	usleep(20000);
	channel_break(receiver);
	return NULL;
}

static void *break_sender(void *ctx)
{
	(void)ctx;
	usleep(20000);
	channel_break(sender);
	return NULL;
}

START_TEST(break_wakes_who_receives)
{
	pthread_t thread;
	char byte;

	meet_by(_i);
	pthread_create(&thread, NULL, break_receiver, NULL);

	ck_assert_int_eq(channel_receive(receiver, &byte, 1), -ECANCELED);

	pthread_join(thread, NULL);
	ck_assert_int_eq(channel_receive(sender, &byte, 1), -ECONNRESET);
}
END_TEST

START_TEST(break_wakes_who_sends)
{
	pthread_t thread;

	meet_by(_i);
	pthread_create(&thread, NULL, break_sender, NULL);

	ck_assert_int_eq(send_for_ever(), -ECANCELED);

	pthread_join(thread, NULL);
}
END_TEST

START_TEST(broken_channel_gives_nothing_that_had_come)
{
	char got[3];

	meet_by(_i);
	ck_assert_int_eq(say(sender, "abc"), 0);

	channel_break(receiver);

	ck_assert_int_eq(channel_receive(receiver, got, sizeof(got)), -ECANCELED);
	ck_assert_int_eq(say(receiver, "abc"), -ECANCELED);
}
END_TEST

/* Listeners. */

START_TEST(listener_tells_by_its_descriptor_that_somebody_waits)
{
	struct pollfd ready = { .events = POLLIN };

	begin_by(_i);
	ready.fd = channel_listener_fd(listener);
	connect_by(_i);
	ck_assert_int_eq(poll(&ready, 1, 1000), 1);

	ck_assert_int_eq(channel_accept(&receiver, listener, &err), 0);

	ck_assert_int_eq(poll(&ready, 1, 0), 0);
	ck_assert_int_eq(channel_accept(&receiver, listener, &err), -EAGAIN);
}
END_TEST

START_TEST(nobody_listens)
{
	ck_assert_int_eq(channel_connect(&sender, "tcp:127.0.0.1:1", &options, &err),
			 -ECONNREFUSED);
	ck_assert_str_eq(err.text, "cannot connect to 'tcp:127.0.0.1:1': Connection refused");
	ck_assert_int_eq(channel_connect(&sender, socket_uri(), &options, &err), -ENOENT);
}
END_TEST

START_TEST(host_that_is_not_known_is_named)
{
	ck_assert_int_eq(channel_connect(&sender, "tcp:no such host:1", &options, &err),
			 -EHOSTUNREACH);

	ck_assert_ptr_nonnull(strstr(err.text, "host 'no such host' is not found: "));
}
END_TEST

START_TEST(port_is_used_once)
{
	struct channel_listener *second;

	listen_at("tcp:127.0.0.1:0");

	ck_assert_int_eq(channel_listen(&second, channel_listener_address(listener), &options,
					&err), -EADDRINUSE);
}
END_TEST

START_TEST(socket_file_is_removed_with_its_listener_and_no_other)
{
	const char *path = socket_uri() + strlen("unix:");
	struct stat st;

	listen_at(socket_uri());
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	listener = channel_listener_close(listener);
	ck_assert_int_eq(lstat(path, &st), -1);

	listen_at(socket_uri());
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	listener = channel_listener_close(listener);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(connecting_gives_up_where_nobody_accepts)
{
	struct channel *waiting[80];
	unsigned nr = 0;
	int r;

	options.patience_ms = 50;
	listen_at(socket_uri());

	while (!(r = channel_connect(&waiting[nr], socket_uri(), &options, &err)))
		ck_assert_uint_lt(++nr, ARRAY_LEN(waiting));

	ck_assert_int_eq(r, -ETIMEDOUT);
	while (nr)
		channel_close(waiting[--nr]);
}
END_TEST

static void *cancel_soon(void *arg)
{
	poll(NULL, 0, 50);
	(void)eventfd_write(options.cancel, 1);
	return arg;
}

/* Nobody is at such an address, and nobody says so. */
START_TEST(connecting_is_cancelled_at_once)
{
	static const char *const uris[] = { "tcp:127.0.0.1", "unix" };
	struct channel *waiting[80];
	unsigned nr = 0;
	uint64_t began;
	pthread_t thread;
	char uri[64];
	int r;

	listen_at(_i ? socket_uri() : "tcp:127.0.0.1:0");
	snprintf(uri, sizeof(uri), "%s", channel_listener_address(listener));
	ck_assert_int_eq(strncmp(uri, uris[_i], strlen(uris[_i])), 0);
	options.patience_ms = 500;
	while (!(r = channel_connect(&waiting[nr], uri, &options, &err)))
		ck_assert_uint_lt(++nr, ARRAY_LEN(waiting));
	ck_assert_int_eq(r, -ETIMEDOUT);
	options.patience_ms = 20000;
	options.cancel = eventfd(0, EFD_CLOEXEC);
	began = clock_ns();
	pthread_create(&thread, NULL, cancel_soon, NULL);

	ck_assert_int_eq(channel_connect(&sender, uri, &options, &err), -ECANCELED);

	ck_assert_uint_lt(clock_ns() - began, 10 * CLOCK_NS_PER_S);
	pthread_join(thread, NULL);
	close(options.cancel);
	while (nr)
		channel_close(waiting[--nr]);
}
END_TEST

/* Hosts whose names nobody tells, for a while. */

#define SLOW_HOST	"slow.example"

static sem_t asked, told;

/* In place of the C library's, which it asks for all else. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		struct addrinfo **ret_found)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (strcmp(host, SLOW_HOST) || hints->ai_flags & AI_NUMERICHOST)
		return real(host, port, hints, ret_found);
	sem_post(&asked);
	while (sem_wait(&told))
		;
	return real("127.0.0.1", port, hints, ret_found);
}

static void setup_hosts(void)
{
	setup();
	sem_init(&asked, 0, 0);
	sem_init(&told, 0, 0);
}

static void teardown_hosts(void)
{
	teardown();
	sem_destroy(&asked);
	sem_destroy(&told);
}

/* Of 127.0.0.1, where somebody listens. */
static const char *slow_uri(void)
{
	static char uri[64];

	listen_at("tcp:127.0.0.1:0");
	snprintf(uri, sizeof(uri), "tcp:" SLOW_HOST "%s",
		 strrchr(channel_listener_address(listener), ':'));
	return uri;
}

static void *tell_soon(void *arg)
{
	while (sem_wait(&asked))
		;
	sem_post(&told);
	return arg;
}

START_TEST(host_is_waited_for)
{
	const char *uri = slow_uri();
	pthread_t thread;

	pthread_create(&thread, NULL, tell_soon, NULL);

	meet(uri);

	pthread_join(thread, NULL);
}
END_TEST

/* Until it has an answer, for which nobody waits any more. */
static void let_it_end(void)
{
	while (sem_wait(&asked))
		;
	sem_post(&told);
	poll(NULL, 0, 100);
}

START_TEST(looking_for_a_host_is_cancelled_at_once)
{
	const char *uri = slow_uri();
	pthread_t thread;

	options.cancel = eventfd(0, EFD_CLOEXEC);
	options.patience_ms = 100000;
	pthread_create(&thread, NULL, cancel_soon, NULL);

	ck_assert_int_eq(channel_connect(&sender, uri, &options, &err), -ECANCELED);

	ck_assert_ptr_nonnull(strstr(err.text, "cannot look up host '" SLOW_HOST "'"));
	pthread_join(thread, NULL);
	close(options.cancel);
	let_it_end();
}
END_TEST

START_TEST(host_is_not_waited_for_for_ever)
{
	const char *uri = slow_uri();

	options.patience_ms = 50;

	ck_assert_int_eq(channel_connect(&sender, uri, &options, &err), -ETIMEDOUT);

	let_it_end();
}
END_TEST

/* Descriptors. */

START_TEST(descriptor_that_is_no_connected_stream_is_left_alone)
{
	int fds[3];
	char uri[16];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	close(fds[1]);
	fds[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds[2] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
		snprintf(uri, sizeof(uri), "fd:%d", fds[i]);
		ck_assert_int_eq(channel_connect(&sender, uri, &options, &err), -EINVAL);
		ck_assert_ptr_nonnull(strstr(err.text, "no stream socket that is connected"));
		ck_assert_int_eq(channel_listen(&listener, uri, &options, &err), -EINVAL);
		ck_assert_int_eq(close(fds[i]), 0);
	}
}
END_TEST

static int take(void *ctx, const char *name, struct err *why)
{
	return strcmp(name, "there") ? err_set(why, -ENOENT, "no '%s'", name) : *(int *)ctx;
}

START_TEST(descriptor_may_have_a_name)
{
	char got[3];
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
				    pair), 0);
	options.take_fd = take;
	options.ctx = &pair[0];
	ck_assert_int_eq(channel_connect(&sender, "fd:away", &options, &err), -ENOENT);
	ck_assert_str_eq(err.text, "no 'away'");

	ck_assert_int_eq(channel_connect(&sender, "fd:there", &options, &err), 0);

	ck_assert_int_eq(say(sender, "abc"), 0);
	ck_assert_int_eq(read(pair[1], got, sizeof(got)), 3);
	close(pair[1]);
}
END_TEST

START_TEST(dead_peer_is_looked_for)
{
	unsigned dead_ms = 0;
	socklen_t len = sizeof(dead_ms);
	int first = open("/dev/null", O_RDONLY);

	/* The next descriptors are those of the sockets. */
	meet_by(0);

	ck_assert_int_eq(getsockopt(first + 2, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, &len), 0);
	ck_assert_uint_eq(dead_ms, 15000);
	close(first);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("channel");
	TCase *names = tcase_create("names");
	TCase *bytes = tcase_create("bytes");
	TCase *hosts = tcase_create("hosts");
	TCase *listeners = tcase_create("listeners");
	int nr = nr_ways();

	tcase_add_checked_fixture(names, setup, teardown);
	tcase_add_loop_test(names, what_is_no_uri_is_refused_by_one_line, 0,
			    ARRAY_LEN(bad_uris));
	tcase_add_loop_test(names, what_is_a_uri_is_accepted_without_looking, 0,
			    ARRAY_LEN(good_uris));
	tcase_add_test(names, path_that_no_socket_can_have_is_refused);
	tcase_add_loop_test(names, tcp_beyond_this_machine_is_refused, 0, ARRAY_LEN(far_uris));
	tcase_add_test(names, tcp_beyond_this_machine_can_be_allowed);
	suite_add_tcase(s, names);

	tcase_add_checked_fixture(bytes, setup, teardown);
	tcase_add_loop_test(bytes, bytes_arrive_as_they_were_cut, 0, nr);
	tcase_add_loop_test(bytes, signals_lose_and_repeat_nothing, 0, nr);
	tcase_add_loop_test(bytes, both_sides_send_and_receive, 0, nr);
	tcase_add_loop_test(bytes, end_of_the_stream_amid_bytes_is_an_error, 0, nr);
	tcase_add_loop_test(bytes, sending_to_nobody_is_an_error_and_no_signal, 0, nr);
	tcase_add_loop_test(bytes, break_wakes_who_receives, 0, nr);
	tcase_add_loop_test(bytes, break_wakes_who_sends, 0, nr);
	tcase_add_loop_test(bytes, broken_channel_gives_nothing_that_had_come, 0, nr);
	suite_add_tcase(s, bytes);

	tcase_add_checked_fixture(hosts, setup_hosts, teardown_hosts);
	tcase_add_test(hosts, host_is_waited_for);
	tcase_add_test(hosts, looking_for_a_host_is_cancelled_at_once);
	tcase_add_test(hosts, host_is_not_waited_for_for_ever);
	suite_add_tcase(s, hosts);

	tcase_add_checked_fixture(listeners, setup, teardown);
	tcase_add_loop_test(listeners, listener_tells_by_its_descriptor_that_somebody_waits, 0, nr);
	tcase_add_test(listeners, nobody_listens);
	tcase_add_test(listeners, host_that_is_not_known_is_named);
	tcase_add_test(listeners, port_is_used_once);
	tcase_add_test(listeners, socket_file_is_removed_with_its_listener_and_no_other);
	tcase_add_test(listeners, connecting_gives_up_where_nobody_accepts);
	tcase_add_loop_test(listeners, connecting_is_cancelled_at_once, 0, 2);
	tcase_add_test(listeners, descriptor_that_is_no_connected_stream_is_left_alone);
	tcase_add_test(listeners, descriptor_may_have_a_name);
	tcase_add_test(listeners, dead_peer_is_looked_for);
	suite_add_tcase(s, listeners);

	return run(s);
}
