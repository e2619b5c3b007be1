// SPDX-License-Identifier: Apache-2.0
#include "channel_socket.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"
#include "base/unix_socket.h"
#include "channel.h"
#include "channel_uri.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG		64

/* Of silence, before a probe is sent and between two; two are to be missed. */
#define PROBE_AFTER_S	5
#define DEAD_AFTER_MS	(3 * PROBE_AFTER_S * 1000)

/* More wakes the other side less often; the kernel gives what it is allowed to. */
#define UNIX_BUFFER	((int)MiB)

static int option_of(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) ? -1 : value;
}

static void set_option(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

/* A TCP socket's buffers grow by themselves, unless they are set. */
static int set_up(int fd)
{
	int domain = option_of(fd, SO_DOMAIN);

	if (domain == AF_UNIX)
		set_option(fd, SOL_SOCKET, SO_SNDBUF, UNIX_BUFFER);
	if (domain == AF_INET || domain == AF_INET6) {
		set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, PROBE_AFTER_S);
		set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_AFTER_S);
		set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, DEAD_AFTER_MS);
	}
	return fd;
}

/* Waiting. */

/* 1: it is ready, 0: it is time to look again; or -ETIMEDOUT, -ECANCELED. */
static int await(struct pollfd *what, int cancel, uint64_t deadline, uint64_t most_ms)
{
	struct pollfd fds[] = { *what, { cancel ? cancel : -1, POLLIN, 0 } };
	uint64_t now = clock_ns(), left;

	if (now >= deadline)
		return -ETIMEDOUT;
	left = min_u64((deadline - now) / CLOCK_NS_PER_MS + 1, most_ms);
	poll(fds, ARRAY_LEN(fds), (int)left);
	if (fds[1].revents)
		return -ECANCELED;
	return fds[0].revents != 0;
}

/* Hosts. */

static bool is_loopback(const struct sockaddr *address)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;

	if (address->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(v6);
	return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 ==
	       IN_LOOPBACKNET;
}

/* For freeaddrinfo().  0, or as gai_strerror() has it. */
static int find(const char *host, const char *port, int flags, struct addrinfo **ret_found)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = AI_NUMERICSERV | flags };

	return getaddrinfo(host, port, &hints, ret_found);
}

/* Nothing ends getaddrinfo(), so it has a thread, which is left to itself if need be. */
struct search {
	char host[sizeof(((struct channel_uri *)0)->host)];
	char port[sizeof(((struct channel_uri *)0)->port)];
	struct addrinfo *found;
	int r;				/* of find() */
	int done;			/* eventfd */
	atomic_uint users;		/* the last one frees it */
};

static void leave(struct search *search)
{
	if (atomic_fetch_sub(&search->users, 1) > 1)
		return;
	if (search->found)
		freeaddrinfo(search->found);
	if (search->done >= 0)
		close(search->done);
	free(search);
}

static void *run_search(void *arg)
{
	struct search *search = arg;

	search->r = find(search->host, search->port, 0, &search->found);
	(void)eventfd_write(search->done, 1);
	leave(search);
	return NULL;
}

static int begin_search(struct search **ret_search, const struct channel_uri *uri)
{
	struct search *search = calloc(1, sizeof(*search));
	pthread_t thread;
	int r;

	if (!search)
		return -ENOMEM;
	memcpy(search->host, uri->host, sizeof(search->host));
	memcpy(search->port, uri->port, sizeof(search->port));
	search->users = 1;
	search->done = eventfd(0, EFD_CLOEXEC);
	r = search->done < 0 ? -errno : 0;
	if (!r) {
		search->users = 2;
		r = thread_start(&thread, "lookup", run_search, search);
		if (r < 0)
			search->users = 1;
	}
	if (r < 0) {
		leave(search);
		return r;
	}
	pthread_detach(thread);
	*ret_search = search;
	return 0;
}

/* *ret_why is what find() says.  -ETIMEDOUT, -ECANCELED. */
static int find_by_name(struct addrinfo **ret_found, const struct channel_uri *uri, int cancel,
			uint64_t deadline, int *ret_why)
{
	struct search *search;
	struct pollfd done = { .events = POLLIN };
	eventfd_t said;
	int r = begin_search(&search, uri);

	if (r < 0)
		return r;
	done.fd = search->done;
	do
		r = await(&done, cancel, deadline, INT_MAX);
	while (!r);
	if (r > 0) {
		/* Not before it is said does the result belong to us. */
		(void)eventfd_read(search->done, &said);
		*ret_why = search->r;
		*ret_found = search->found;
		search->found = NULL;
		r = 0;
	}
	leave(search);
	return r;
}

/* For freeaddrinfo(). */
static int look_up(struct addrinfo **ret_found, const struct channel_uri *uri,
		   const struct channel_options *options, uint64_t deadline, struct err *err)
{
	/* An address takes no thread. */
	int why = find(uri->host, uri->port, AI_NUMERICHOST, ret_found);
	int r = why == EAI_NONAME ?
		find_by_name(ret_found, uri, options->cancel, deadline, &why) : 0;

	if (r < 0)
		return err_sys(err, r, "'%s': cannot look up host '%s'", uri->text, uri->host);
	if (why)
		return err_set(err, -EHOSTUNREACH, "'%s': host '%s' is not found: %s", uri->text,
			       uri->host, gai_strerror(why));
	for (const struct addrinfo *at = *ret_found; at; at = at->ai_next) {
		if (uri->kind == CHANNEL_URI_TLS || options->insecure ||
		    is_loopback(at->ai_addr))
			continue;
		freeaddrinfo(*ret_found);
		return err_set(err, -EPERM, "'%s' is not within this machine, and tcp: neither "
			       "hides the guest's memory nor knows who is there: use tls:, or "
			       "allow it by --insecure if all of the network may be trusted",
			       uri->text);
	}
	return 0;
}

int channel_socket_name(char **ret_name, int fd, struct err *err)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char host[NI_MAXHOST], port[sizeof("65535")];
	bool v6;

	if (getsockname(fd, (struct sockaddr *)&address, &len) ||
	    getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return err_set(err, -EINVAL, "cannot tell where a socket listens");
	v6 = address.ss_family == AF_INET6;
	if (asprintf(ret_name, "%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port) < 0)
		return err_sys(err, -ENOMEM, "cannot tell where a socket listens");
	return 0;
}

/* To connect. */

#define AGAIN_MS	20	/* until a Unix socket may have room for one more to wait */

/* Nobody tells when a Unix socket has room, so that is tried. */
static int begin_connecting(int fd, const struct sockaddr *address, socklen_t len, int cancel,
			    uint64_t deadline)
{
	struct pollfd nothing = { .fd = -1 };

	while (connect(fd, address, len)) {
		int r = errno == EINTR ? 0 : -errno;

		if (r == -EAGAIN)
			r = await(&nothing, cancel, deadline, AGAIN_MS);
		if (r < 0)
			return r;
	}
	return 0;
}

static int connect_by(int fd, const struct sockaddr *address, socklen_t len, int cancel,
		      uint64_t deadline)
{
	struct pollfd writable = { .fd = fd, .events = POLLOUT };
	int r = begin_connecting(fd, address, len, cancel, deadline);

	if (r != -EINPROGRESS)
		return r;
	do
		r = await(&writable, cancel, deadline, INT_MAX);
	while (!r);
	return r < 0 ? r : -option_of(fd, SO_ERROR);
}

static int connect_to(int domain, const struct sockaddr *address, socklen_t len, int cancel,
		      uint64_t deadline)
{
	int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = connect_by(fd, address, len, cancel, deadline);
	if (!r && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK))
		r = -errno;
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int connect_unix(const struct channel_uri *uri, const struct channel_options *options,
			uint64_t deadline, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct unix_socket_peer peer;
	int fd;

	memcpy(address.sun_path, uri->rest, strlen(uri->rest));
	fd = connect_to(AF_UNIX, (struct sockaddr *)&address, sizeof(address), options->cancel,
			deadline);
	if (fd < 0)
		return err_sys(err, fd, "cannot connect to '%s'", uri->text);
	if (unix_socket_peer("migration", fd, &peer, NULL)) {
		close(fd);
		return err_set(err, -EACCES, "'%s' is a socket of another user: it may be of our "
			       "own or of root", uri->text);
	}
	return fd;
}

static int connect_tcp(const struct channel_uri *uri, const struct channel_options *options,
		       uint64_t deadline, struct err *err)
{
	struct addrinfo *found;
	int fd = look_up(&found, uri, options, deadline, err);

	if (fd < 0)
		return fd;
	fd = -EHOSTUNREACH;
	for (const struct addrinfo *at = found; fd < 0 && fd != -ECANCELED && at; at = at->ai_next)
		fd = connect_to(at->ai_family, at->ai_addr, at->ai_addrlen, options->cancel,
				deadline);
	freeaddrinfo(found);
	return fd < 0 ? err_sys(err, fd, "cannot connect to '%s'", uri->text) : fd;
}

int channel_socket_connect(const struct channel_uri *uri, const struct channel_options *options,
			   uint64_t deadline, struct err *err)
{
	int fd = uri->kind == CHANNEL_URI_UNIX ? connect_unix(uri, options, deadline, err) :
						 connect_tcp(uri, options, deadline, err);

	return fd < 0 ? fd : set_up(fd);
}

/* What others have connected. */

static int adopt(int fd, const struct channel_uri *uri, struct err *err)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (option_of(fd, SO_TYPE) != SOCK_STREAM ||
	    getpeername(fd, (struct sockaddr *)&peer, &len))
		return err_set(err, -EINVAL, "'%s' is no stream socket that is connected",
			       uri->text);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC))
		return err_sys(err, -errno, "cannot use '%s'", uri->text);
	return set_up(fd);
}

int channel_socket_take(const struct channel_uri *uri, const struct channel_options *options,
			struct err *err)
{
	int fd, r;

	if (uri->fd >= 0)
		return adopt(uri->fd, uri, err);
	fd = options->take_fd(options->ctx, uri->rest, err);
	if (fd < 0)
		return fd;
	r = adopt(fd, uri, err);
	if (r < 0)
		close(fd);
	return r;
}

/* To listen. */

static int bind_to(const struct addrinfo *at)
{
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	/* A port that somebody has just ceased to use. */
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!bind(fd, at->ai_addr, at->ai_addrlen) && !listen(fd, BACKLOG))
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int channel_socket_listen(const struct channel_uri *uri, const struct channel_options *options,
			  struct err *err)
{
	struct addrinfo *found;
	int fd;

	if (uri->kind == CHANNEL_URI_UNIX)
		return unix_socket_listen("migration", uri->rest, err);
	fd = look_up(&found, uri, options, UINT64_MAX, err);
	if (fd < 0)
		return fd;
	fd = -EADDRNOTAVAIL;
	for (const struct addrinfo *at = found; fd < 0 && at; at = at->ai_next)
		fd = bind_to(at);
	freeaddrinfo(found);
	return fd < 0 ? err_sys(err, fd, "cannot listen at '%s'", uri->text) : fd;
}

int channel_socket_accept(const struct channel_uri *uri, int listening, struct err *err)
{
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	struct unix_socket_peer peer;
	int r;

	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
		return -EAGAIN;
	if (fd < 0)
		return err_sys(err, -errno, "cannot accept a connection at '%s'", uri->text);
	r = uri->kind == CHANNEL_URI_UNIX ? unix_socket_peer("migration", fd, &peer, err) : 0;
	if (r < 0) {
		close(fd);
		return r;
	}
	return set_up(fd);
}
