// SPDX-License-Identifier: Apache-2.0
/*
 * net_echo.c - TCP and UDP between a guest and its host, byte by byte, for tests of either.
 *
 *	net_echo serve PORT N			give back what comes, until N connections have
 *						come and gone; 0: for ever
 *	net_echo tcp ADDRESS PORT N LEN		N connections at the same time bring LEN bytes
 *						each, and the same come back
 *	net_echo udp ADDRESS PORT N LEN		N datagrams of LEN bytes come back as they went
 *	net_echo dns ADDRESS			whatever is asked for has this address
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PIECE		32768		/* of a stream, which any socket has room for */
#define DATAGRAM_MAX	65507
#define FILES_MAX	4096
#define PATIENCE_S	120
#define TRIES		20		/* of a second each */
#define DNS_HEADER	12
#define BACKLOG		1024

static uint8_t bytes[DATAGRAM_MAX + 1], back[DATAGRAM_MAX + 1];

static int new_socket(int type)
{
	int fd = socket(AF_INET, type, 0);

	if (fd < 0)
		err(1, "socket");
	return fd;
}

static struct sockaddr_in address_of(const char *ip, int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
	};

	if (inet_pton(AF_INET, ip, &address.sin_addr) != 1)
		errx(2, "'%s' is no address", ip);
	return address;
}

static int bound(int type, int port)
{
	const struct sockaddr_in address = address_of("0.0.0.0", port);
	int fd = new_socket(type);

	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		err(1, "bind to port %d", port);
	return fd;
}

static int connected(int type, const char *ip, int port)
{
	const struct sockaddr_in address = address_of(ip, port);
	int fd = new_socket(type);

	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		err(1, "connect to %s port %d", ip, port);
	return fd;
}

static void send_all(int fd, const uint8_t *from, size_t len)
{
	while (len) {
		ssize_t sent = send(fd, from, len, MSG_NOSIGNAL);

		if (sent < 0)
			err(1, "send");
		from += sent;
		len -= (size_t)sent;
	}
}

/* Serving. */

static void watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		err(1, "epoll");
}

/* false: it has ended. */
static int serve_stream(int fd)
{
	ssize_t len = read(fd, bytes, PIECE);

	if (len > 0)
		send_all(fd, bytes, (size_t)len);
	else
		close(fd);
	return len > 0;
}

static void serve_datagram(int fd)
{
	struct sockaddr_in peer;
	socklen_t peer_len = sizeof(peer);
	ssize_t len = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&peer, &peer_len);

	if (len >= 0)
		sendto(fd, bytes, (size_t)len, 0, (struct sockaddr *)&peer, peer_len);
}

static _Noreturn void serve(int port, int nr)
{
	int streams = bound(SOCK_STREAM, port), datagrams = bound(SOCK_DGRAM, port);
	int epoll = epoll_create1(0), nr_ended = 0;

	if (epoll < 0 || listen(streams, BACKLOG))
		err(1, "listen");
	watch(epoll, streams);
	watch(epoll, datagrams);
	while (!nr || nr_ended < nr) {
		struct epoll_event event;

		if (epoll_wait(epoll, &event, 1, -1) < 0)
			err(1, "epoll");
		if (event.data.fd == datagrams)
			serve_datagram(datagrams);
		else if (event.data.fd == streams)
			watch(epoll, accept(streams, NULL, NULL));
		else
			nr_ended += !serve_stream(event.data.fd);
	}
	exit(0);
}

/* Asking. */

/* What tells which connection or datagram it is of, and where. */
static void fill(unsigned which, size_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(which * 31 + (at + i) * 7 + (at + i) / 256);
}

static void bring_pieces(const int *fds, int nr, size_t at, size_t len)
{
	for (int i = 0; i < nr; i++) {
		fill((unsigned)i, at, len);
		send_all(fds[i], bytes, len);
	}
	for (int i = 0; i < nr; i++) {
		ssize_t got = recv(fds[i], back, len, MSG_WAITALL);

		fill((unsigned)i, at, len);
		if (got != (ssize_t)len || memcmp(back, bytes, len))
			errx(1, "connection %d: of %zu bytes at %zu %zd or others came back", i,
			     len, at, got);
	}
}

static void bring_streams(const char *ip, int port, int nr, size_t len)
{
	static int fds[FILES_MAX];

	for (int i = 0; i < nr; i++)
		fds[i] = connected(SOCK_STREAM, ip, port);
	for (size_t at = 0; at < len; at += PIECE)
		bring_pieces(fds, nr, at, len - at < PIECE ? len - at : PIECE);
}

/* A datagram may be lost, and one that was sent again may come back twice. */
static void bring_datagram(int fd, unsigned which, size_t len)
{
	fill(which, 0, len);
	memcpy(bytes, &which, sizeof(which));
	for (unsigned i = 0; i < TRIES; i++) {
		ssize_t got;

		/* That nobody listens is told of the one before. */
		if (send(fd, bytes, len, 0) < 0 && errno != ECONNREFUSED)
			err(1, "send %zu bytes", len);
		do
			got = recv(fd, back, sizeof(back), 0);
		while (got >= (ssize_t)sizeof(which) && memcmp(back, &which, sizeof(which)));
		if (got >= 0 && ((size_t)got != len || memcmp(back, bytes, len)))
			errx(1, "datagram %u: of %zu bytes %zd or others came back", which, len,
			     got);
		if (got >= 0)
			return;
	}
	errx(1, "datagram %u of %zu bytes does not come back", which, len);
}

static void bring_datagrams(const char *ip, int port, unsigned nr, size_t len)
{
	const struct timeval second = { .tv_sec = 1 };
	int fd = connected(SOCK_DGRAM, ip, port);

	if (len < sizeof(nr) || len > DATAGRAM_MAX)
		errx(2, "no datagram has %zu bytes here", len);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)))
		err(1, "SO_RCVTIMEO");
	for (unsigned i = 0; i < nr; i++)
		bring_datagram(fd, i, len);
}

/* Names: RFC 1035, section 4.1.  One question, whose name the answer points to. */
static _Noreturn void answer_questions(const char *ip)
{
	const struct sockaddr_in address = address_of(ip, 0);
	uint8_t answer[16] = { 0xc0, DNS_HEADER, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4 };
	int fd = bound(SOCK_DGRAM, 53);

	memcpy(answer + 12, &address.sin_addr, 4);
	for (;;) {
		struct sockaddr_in peer;
		socklen_t peer_len = sizeof(peer);
		ssize_t len = recvfrom(fd, bytes, 512, 0, (struct sockaddr *)&peer, &peer_len);
		int wants_ip;

		if (len < DNS_HEADER + 5)
			continue;
		wants_ip = bytes[len - 3] == 1;		/* else an IPv6 address, say */
		bytes[2] = 0x81, bytes[3] = 0x80;	/* answered, as was asked */
		bytes[7] = (uint8_t)wants_ip;
		memcpy(bytes + len, answer, sizeof(answer));
		sendto(fd, bytes, (size_t)len + (wants_ip ? sizeof(answer) : 0), 0,
		       (struct sockaddr *)&peer, peer_len);
	}
}

int main(int argc, char **argv)
{
	const struct rlimit files = { FILES_MAX, FILES_MAX };
	const char *what = argc > 1 ? argv[1] : "";

	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 4 && !strcmp(what, "serve"))
		serve(atoi(argv[2]), atoi(argv[3]));
	if (argc == 3 && !strcmp(what, "dns"))
		answer_questions(argv[2]);

	/* Who waits in vain says so before the test's time is over. */
	alarm(PATIENCE_S);
	if (argc == 6 && !strcmp(what, "tcp") && atoi(argv[4]) <= FILES_MAX)
		bring_streams(argv[2], atoi(argv[3]), atoi(argv[4]), (size_t)atol(argv[5]));
	else if (argc == 6 && !strcmp(what, "udp"))
		bring_datagrams(argv[2], atoi(argv[3]), (unsigned)atoi(argv[4]),
				(size_t)atol(argv[5]));
	else
		errx(2, "usage: net_echo serve PORT N | tcp ADDRESS PORT N LEN | udp ADDRESS "
		     "PORT N LEN | dns ADDRESS");
	return 0;
}
