// SPDX-License-Identifier: Apache-2.0
/*
 * traffic serve PORT		the host's end, until it is killed
 * traffic HOST PORT SECONDS	the guest's end: measures every point of the table below
 *
 * For bench/lab-net.  Each point is a connection of its own, over which the guest says
 * what it wants, and the end that counts says what it has got:
 *
 *	stream		one end writes as fast as it goes, the other counts
 *	packets		datagrams of 18 bytes, in frames of 60, so many of them at a time;
 *			the other end answers when it has all of these
 *
 * A round trip is one packet at a time.  Where one is lost, what has come of its group is
 * not counted, and the next group begins after a while.
 *
 * Prints "guest: begin NAME" and "guest: done NAME COUNT NANOSECONDS" of each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))
#define GROUP_LAST	UINT32_MAX	/* says that there are no more */
#define LOST_MS		100
#define GONE_MS		3000
#define PAYLOAD		18

struct point {
	const char *name;
	bool from_guest;
	uint32_t group;			/* packets at a time; 0: a stream */
};

static const struct point points[] = {
	{ "send", true, 0 },
	{ "receive", false, 0 },
	{ "send-32", true, 32 },
	{ "receive-32", false, 32 },
	{ "round-trip", true, 1 },
};

/* Both ends are of one machine, and so is the order of bytes. */
struct wish {
	uint32_t point;
	uint32_t seconds;
};

struct result {
	uint64_t count, ns;
};

struct packet {
	uint32_t group;
	uint8_t rest[PAYLOAD - sizeof(uint32_t)];
};

static char buffer[256 << 10];

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static void say(int sock, const void *what, size_t len)
{
	if (send(sock, what, len, MSG_NOSIGNAL) != (ssize_t)len)
		fail("send");
}

static void hear(int sock, void *what, size_t len)
{
	if (recv(sock, what, len, MSG_WAITALL) != (ssize_t)len)
		fail("recv");
}

static void set_patience(int sock, unsigned ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)))
		fail("SO_RCVTIMEO");
}

/* Streams. */

static void write_stream(int sock, uint64_t end)
{
	while (now() < end)
		if (send(sock, buffer, sizeof(buffer), MSG_NOSIGNAL) < 0)
			fail("send");
	shutdown(sock, SHUT_WR);
}

static struct result read_stream(int sock)
{
	struct result result = { .ns = now() };
	ssize_t len;

	while ((len = recv(sock, buffer, sizeof(buffer), 0)) > 0)
		result.count += (uint64_t)len;
	if (len < 0)
		fail("recv");
	result.ns = now() - result.ns;
	return result;
}

/* Packets. */

static bool is_answered(int sock, uint32_t group)
{
	uint32_t answer;

	while (recv(sock, &answer, sizeof(answer), 0) == sizeof(answer))
		if (answer == group)
			return true;
	return false;
}

static struct result send_packets(int sock, uint32_t nr, uint64_t end)
{
	struct result result = { .ns = now() };
	struct packet packet = { 0 };

	set_patience(sock, LOST_MS);
	for (; now() < end; packet.group++) {
		for (uint32_t i = 0; i < nr; i++)
			send(sock, &packet, sizeof(packet), 0);
		if (is_answered(sock, packet.group))
			result.count += nr;
	}
	result.ns = now() - result.ns;
	packet.group = GROUP_LAST;
	for (int i = 0; i < 3; i++)
		send(sock, &packet, sizeof(packet), 0);
	return result;
}

static void receive_packets(int sock, uint32_t nr)
{
	uint32_t group = 0, got = 0;
	struct packet packet;

	set_patience(sock, GONE_MS);
	while (recv(sock, &packet, sizeof(packet), 0) == sizeof(packet) &&
	       packet.group != GROUP_LAST) {
		if (packet.group != group)
			got = 0;
		group = packet.group;
		if (++got == nr)
			send(sock, &group, sizeof(group), 0);
	}
}

/* A socket for packets, bound to any port that is free. */
static int open_packets(struct sockaddr_in *ret_self)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(*ret_self);
	struct sockaddr_in any = { .sin_family = AF_INET };

	if (sock < 0 || bind(sock, (struct sockaddr *)&any, sizeof(any)) ||
	    getsockname(sock, (struct sockaddr *)ret_self, &len))
		fail("a socket for packets");
	return sock;
}

static int connect_packets(int control)
{
	struct sockaddr_in self, peer;
	socklen_t len = sizeof(peer);
	int sock = open_packets(&self);

	if (getpeername(control, (struct sockaddr *)&peer, &len))
		fail("getpeername");
	say(control, &self.sin_port, sizeof(self.sin_port));
	hear(control, &peer.sin_port, sizeof(peer.sin_port));
	if (connect(sock, (struct sockaddr *)&peer, sizeof(peer)))
		fail("connect");
	return sock;
}

/* Both ends. */

/* What this end does; whoever counts has the result. */
static struct result do_part(const struct point *point, int control, int packets, bool sends,
			     uint64_t ns)
{
	struct result result = { 0 };
	uint64_t end = now() + ns;

	if (!point->group && sends)
		write_stream(control, end);
	else if (!point->group)
		result = read_stream(control);
	else if (sends)
		result = send_packets(packets, point->group, end);
	else
		receive_packets(packets, point->group);
	return result;
}

/* Who reads a stream counts, and who sends packets. */
static struct result measure(const struct point *point, int control, bool is_guest,
			     uint32_t seconds)
{
	bool sends = point->from_guest == is_guest;
	bool counts = sends == (point->group > 0);
	int packets = point->group ? connect_packets(control) : -1;
	struct result result;
	char ready = 0;

	/* So that both begin together. */
	if (is_guest) {
		say(control, &ready, 1);
		hear(control, &ready, 1);
		printf("guest: begin %s\n", point->name);
		fflush(stdout);
	} else {
		hear(control, &ready, 1);
		say(control, &ready, 1);
	}
	result = do_part(point, control, packets, sends, seconds * UINT64_C(1000000000));
	if (!counts && is_guest)
		hear(control, &result, sizeof(result));
	else if (counts && !is_guest)
		say(control, &result, sizeof(result));
	if (packets >= 0)
		close(packets);
	return result;
}

static void serve_one(int sock)
{
	struct wish wish;

	hear(sock, &wish, sizeof(wish));
	if (wish.point < ARRAY_LEN(points))
		measure(&points[wish.point], sock, false, wish.seconds);
}

static _Noreturn void serve(struct sockaddr_in *at)
{
	int sock = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	signal(SIGCHLD, SIG_IGN);
	if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(sock, (struct sockaddr *)at, sizeof(*at)) || listen(sock, 16))
		fail("listen");
	for (;;) {
		int conn = accept(sock, NULL, NULL);

		if (conn < 0)
			fail("accept");
		if (!fork()) {
			serve_one(conn);
			exit(EXIT_SUCCESS);
		}
		close(conn);
	}
}

static void ask(const struct sockaddr_in *host, const struct wish *wish)
{
	const struct point *point = &points[wish->point];
	int sock = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct result result;

	if (setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    connect(sock, (const struct sockaddr *)host, sizeof(*host)))
		fail("connect");
	say(sock, wish, sizeof(*wish));
	result = measure(point, sock, true, wish->seconds);
	printf("guest: done %s %llu %llu\n", point->name, (unsigned long long)result.count,
	       (unsigned long long)result.ns);
	fflush(stdout);
	close(sock);
}

int main(int argc, char **argv)
{
	struct sockaddr_in host = { .sin_family = AF_INET };
	struct wish wish = { 0 };

	if (argc == 3 && !strcmp(argv[1], "serve")) {
		host.sin_port = htons((uint16_t)atoi(argv[2]));
		serve(&host);
	}
	if (argc != 4 || inet_pton(AF_INET, argv[1], &host.sin_addr) != 1) {
		fprintf(stderr, "usage: traffic serve PORT | traffic HOST PORT SECONDS\n");
		return EXIT_FAILURE;
	}
	host.sin_port = htons((uint16_t)atoi(argv[2]));
	wish.seconds = (uint32_t)atoi(argv[3]);
	for (; wish.point < ARRAY_LEN(points); wish.point++)
		ask(&host, &wish);
	return EXIT_SUCCESS;
}
