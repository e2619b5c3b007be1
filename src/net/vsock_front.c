// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_front.c - who connects to PATH first says where he wants to be.
 *
 * The line is looked at in the socket and taken out of it only when it is whole, so
 * that what follows it stays there for the guest.  Those who have not said it yet are
 * few, and have little time.
 */
#include "net/vsock_front.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "loop/listener.h"
#include "loop/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define GUESTS_SUFFIX	"_4294967295"	/* the longest */
#define CALLERS_MAX	64
#define LINE_MAX_LEN	32		/* "CONNECT 4294967295\n" and some zeroes */
#define PATIENCE_NS	(5 * CLOCK_NS_PER_S)

/* Somebody who has connected and not said where to yet. */
struct caller {
	struct vsock_front *front;
	int fd;				/* -1: nobody */
	struct loop_watch watch;
	struct loop_timer patience;
};

struct vsock_front {
	struct loop *loop;
	struct listener *listener;
	struct vsock_front_user *user;	/* NULL: no device */
	struct caller callers[CALLERS_MAX];
	char path[];
};

/* Callers. */

/* Hands over the descriptor. */
static int forget(struct caller *caller)
{
	int fd = caller->fd;

	loop_watch_remove(caller->front->loop, &caller->watch);
	loop_timer_clear(caller->front->loop, &caller->patience);
	caller->fd = -1;
	return fd;
}

static void drop(struct caller *caller)
{
	close(forget(caller));
}

/* line ends where its newline was; false: it is not "CONNECT PORT". */
static bool parse(const char *line, uint32_t *ret_port)
{
	static const char word[] = "CONNECT ";
	const char *digit = line + strlen(word);
	uint64_t port = 0;

	if (strncmp(line, word, strlen(word)) || !*digit)
		return false;
	for (; *digit; digit++) {
		if (*digit < '0' || *digit > '9')
			return false;
		port = port * 10 + (uint64_t)(*digit - '0');
		if (port > UINT32_MAX)
			return false;
	}
	*ret_port = (uint32_t)port;
	return true;
}

static void put_through(struct caller *caller, uint32_t port)
{
	struct vsock_front_user *user = caller->front->user;
	int fd = forget(caller);

	if (!user || user->asked(user, fd, port) < 0)
		close(fd);
}

static void hear(struct caller *caller)
{
	char line[LINE_MAX_LEN + 1] = "";
	ssize_t len = recv(caller->fd, line, LINE_MAX_LEN, MSG_PEEK);
	const char *end = len > 0 ? memchr(line, '\n', (size_t)len) : NULL;
	uint32_t port;

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len > 0 && len < LINE_MAX_LEN && !end)
		return;
	/* Just the line, which is there. */
	if (!end || recv(caller->fd, line, (size_t)(end - line) + 1, 0) != end - line + 1) {
		drop(caller);
		return;
	}
	line[end - line] = '\0';
	if (parse(line, &port))
		put_through(caller, port);
	else
		drop(caller);
}

static void readable(struct loop_watch *watch, unsigned events)
{
	(void)events;
	hear(container_of(watch, struct caller, watch));
}

static void too_slow(struct loop_timer *timer)
{
	drop(container_of(timer, struct caller, patience));
}

static struct caller *free_caller(struct vsock_front *front)
{
	for (unsigned i = 0; i < CALLERS_MAX; i++)
		if (front->callers[i].fd < 0)
			return &front->callers[i];
	return NULL;
}

static int welcome(void *ctx, int fd, struct unix_socket_peer peer, struct err *err)
{
	struct vsock_front *front = ctx;
	struct caller *caller = free_caller(front);
	int r;

	(void)peer;
	if (!front->user)
		return err_set(err, -ENOTCONN, "vsock: the guest is not ready");
	if (!caller)
		return err_set(err, -EBUSY, "vsock: too many have not said which port");
	r = loop_watch_add(front->loop, &caller->watch, fd, POLLIN | POLLRDHUP);
	if (r < 0)
		return err_sys(err, r, "vsock");
	caller->fd = fd;
	loop_timer_set(front->loop, &caller->patience, clock_ns() + PATIENCE_NS);
	return 0;
}

static void refused(void *ctx, const struct err *why)
{
	static struct log_limit limit;

	(void)ctx;
	log_limited(&limit, LOG_DEBUG, "%s", why->text);
}

/* The device. */

void vsock_front_attach(struct vsock_front *front, struct vsock_front_user *user)
{
	front->user = user;
}

void vsock_front_detach(struct vsock_front *front)
{
	front->user = NULL;
}

int vsock_front_connect(struct vsock_front *front, uint32_t port)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];

	snprintf(path, sizeof(path), "%s_%u", front->path, port);
	return unix_socket_connect(path);
}

int vsock_front_answer(int fd, uint32_t host_port)
{
	char line[LINE_MAX_LEN];
	int len = snprintf(line, sizeof(line), "OK %u\n", host_port);

	/* Nothing was sent before, so there is room. */
	return send(fd, line, (size_t)len, MSG_NOSIGNAL) == len ? 0 : -EPIPE;
}

/* Life. */

static struct vsock_front *make(const char *path, struct loop *loop)
{
	size_t len = strlen(path) + 1;
	struct vsock_front *front = calloc(1, sizeof(*front) + len);

	if (!front)
		return NULL;
	front->loop = loop;
	memcpy(front->path, path, len);
	for (unsigned i = 0; i < CALLERS_MAX; i++)
		front->callers[i] = (struct caller){
			.front = front, .fd = -1, .watch.ready = readable,
			.patience.fired = too_slow,
		};
	return front;
}

static int check_path(const struct vsock_front *front, struct err *err)
{
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof(GUESTS_SUFFIX);
	size_t len = strlen(front->path);

	if (len > max)
		return err_set(err, -ENAMETOOLONG, "vsock socket '%.64s...': the path has %zu "
			       "bytes, and may have %zu, so that _PORT has room behind it: "
			       "choose a shorter one", front->path, len, max);
	return 0;
}

struct opening {
	struct vsock_front *front;
	struct err *err;
	int result;
};

static void call_open(void *ctx)
{
	struct opening *opening = ctx;
	struct vsock_front *front = opening->front;
	const struct listener_config config = {
		.loop = front->loop, .what = "vsock", .welcome = welcome, .refused = refused,
		.ctx = front,
	};

	opening->result = listener_new(&front->listener, &config, front->path, opening->err);
}

int vsock_front_open(struct vsock_front **ret_front, const char *path, struct loop *loop,
		     struct err *err)
{
	struct opening opening = { make(path, loop), err, 0 };

	if (!opening.front)
		return err_sys(err, -ENOMEM, "vsock socket '%s'", path);
	opening.result = check_path(opening.front, err);
	if (!opening.result)
		loop_call(loop, call_open, &opening);
	if (opening.result < 0) {
		free(opening.front);
		return opening.result;
	}
	*ret_front = opening.front;
	return 0;
}

static void call_close(void *ctx)
{
	struct vsock_front *front = ctx;

	listener_free(front->listener);
	for (unsigned i = 0; i < CALLERS_MAX; i++)
		if (front->callers[i].fd >= 0)
			drop(&front->callers[i]);
	free(front);
}

struct vsock_front *vsock_front_close(struct vsock_front *front)
{
	if (front)
		loop_call(front->loop, call_close, front);
	return NULL;
}
