// SPDX-License-Identifier: Apache-2.0
#include "loop/listener.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "loop/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPT_PER_TURN	16
#define RETRY_NS	CLOCK_NS_PER_S

struct listener {
	struct listener_config config;
	int fd;
	char *path;			/* that we have made; NULL: none */
	struct stat made;		/* what it was then */
	struct loop_watch watch;
	struct loop_task more;		/* connections than one turn takes */
	struct loop_timer retry;	/* when there was no descriptor left */
};

static int welcome(struct listener *listener, int fd, struct err *err)
{
	const struct listener_config *config = &listener->config;
	struct unix_socket_peer peer;
	int r = unix_socket_peer(config->what, fd, &peer, err);

	return r < 0 ? r : config->welcome(config->ctx, fd, peer, err);
}

/* True when another may wait. */
static bool accept_one(struct listener *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct err err = { 0 };

	if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
		return true;
	if (fd < 0 && errno == EAGAIN)
		return false;
	if (fd < 0) {
		err_sys(&err, -errno, "cannot accept a connection");
		listener->config.refused(listener->config.ctx, &err);
		/* Nothing tells when there are descriptors again. */
		loop_timer_set(listener->config.loop, &listener->retry, clock_ns() + RETRY_NS);
		return false;
	}
	if (welcome(listener, fd, &err) < 0) {
		close(fd);
		listener->config.refused(listener->config.ctx, &err);
	}
	return true;
}

static void accept_some(struct listener *listener)
{
	int left = ACCEPT_PER_TURN;

	while (left && accept_one(listener))
		left--;
	if (!left)
		loop_defer(listener->config.loop, &listener->more);
}

static void connected(struct loop_watch *watch, unsigned events)
{
	(void)events;
	accept_some(container_of(watch, struct listener, watch));
}

static void accept_more(struct loop_task *task)
{
	accept_some(container_of(task, struct listener, more));
}

static void accept_again(struct loop_timer *timer)
{
	accept_some(container_of(timer, struct listener, retry));
}

/* Life. */

struct listener *listener_free(struct listener *listener)
{
	if (!listener)
		return NULL;
	if (listener->path)
		unix_socket_remove(listener->path, &listener->made);
	loop_watch_remove(listener->config.loop, &listener->watch);
	loop_cancel(listener->config.loop, &listener->more);
	loop_timer_clear(listener->config.loop, &listener->retry);
	if (listener->fd >= 0)
		close(listener->fd);
	free(listener->path);
	free(listener);
	return NULL;
}

static struct listener *make(const struct listener_config *config)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (!listener)
		return NULL;
	*listener = (struct listener){
		.config = *config,
		.fd = -1,
		.watch.ready = connected,
		.more.run = accept_more,
		.retry.fired = accept_again,
	};
	return listener;
}

static int open_path(struct listener *listener, const char *path, struct err *err)
{
	const char *what = listener->config.what;
	char *copy = strdup(path);
	int r;

	if (!copy)
		return err_sys(err, -ENOMEM, "cannot serve %s", what);
	listener->fd = unix_socket_listen(what, path, err);
	if (listener->fd < 0) {
		free(copy);
		return listener->fd;
	}
	listener->path = copy;
	if (lstat(path, &listener->made))
		return err_sys(err, -errno, "%s socket '%s'", what, path);
	r = loop_watch_add(listener->config.loop, &listener->watch, listener->fd, POLLIN);
	return r < 0 ? err_sys(err, r, "cannot serve %s", what) : 0;
}

int listener_new(struct listener **ret_listener, const struct listener_config *config,
		 const char *path, struct err *err)
{
	struct listener *listener = make(config);
	int r;

	if (!listener)
		return err_sys(err, -ENOMEM, "cannot serve %s", config->what);
	r = open_path(listener, path, err);
	if (r < 0) {
		listener_free(listener);
		return r;
	}
	*ret_listener = listener;
	return 0;
}

int listener_adopt(struct listener **ret_listener, const struct listener_config *config,
		   int fd, struct err *err)
{
	int r = unix_socket_adopt(config->what, fd, err);
	struct listener *listener;

	if (r < 0)
		return r;
	listener = make(config);
	if (!listener)
		return err_sys(err, -ENOMEM, "cannot serve %s", config->what);
	r = loop_watch_add(config->loop, &listener->watch, fd, POLLIN);
	if (r < 0) {
		listener_free(listener);
		return err_sys(err, r, "cannot serve %s", config->what);
	}
	listener->fd = fd;
	*ret_listener = listener;
	return 0;
}
