// SPDX-License-Identifier: Apache-2.0
#include "console/viewers.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "loop/loop.h"
#include "viewer.h"

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

struct viewers {
	struct viewers_config config;
	int fd;
	char *path;
	struct stat made;		/* the socket, to be known again */
	struct loop_watch watch;
	struct loop_task more;
	struct loop_timer retry;
	struct log_limit refusals;
	struct viewer *all[VIEWERS_MAX];
	unsigned nr;
};

static void gone(void *ctx, struct viewer *viewer)
{
	struct viewers *viewers = ctx;
	unsigned i = 0;

	while (viewers->all[i] != viewer)
		i++;
	viewers->all[i] = viewers->all[--viewers->nr];
	viewer_free(viewer);
}

/* Whose last keys nobody takes has had its time when another comes. */
static int make_room(struct viewers *viewers, struct err *err)
{
	if (viewers->nr < VIEWERS_MAX)
		return 0;
	for (unsigned i = 0; i < viewers->nr; i++) {
		if (viewer_has_left(viewers->all[i])) {
			gone(viewers, viewers->all[i]);
			return 0;
		}
	}
	return err_set(err, -EBUSY, "there are %u already", VIEWERS_MAX);
}

static int welcome(struct viewers *viewers, int fd, struct err *err)
{
	const struct viewer_config config = {
		.loop = viewers->config.loop,
		.hub = viewers->config.hub,
		.fd = fd,
		.gone = gone,
		.ctx = viewers,
	};
	struct unix_socket_peer peer;
	int r = unix_socket_peer("console", fd, &peer, err);

	if (!r)
		r = make_room(viewers, err);
	if (r < 0)
		return r;
	r = viewer_new(&viewers->all[viewers->nr], &config);
	if (r < 0)
		return err_sys(err, r, "cannot serve it");
	viewers->nr++;
	return 0;
}

/* True when another may wait. */
static bool accept_one(struct viewers *viewers)
{
	int fd = accept4(viewers->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct err err = { 0 };

	if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
		return true;
	if (fd < 0 && errno == EAGAIN)
		return false;
	if (fd < 0) {
		log_limited(&viewers->refusals, LOG_WARN, "console: cannot accept a viewer: %s",
			    strerror(errno));
		/* Nothing tells when there are descriptors again. */
		loop_timer_set(viewers->config.loop, &viewers->retry, clock_ns() + RETRY_NS);
		return false;
	}
	if (welcome(viewers, fd, &err) < 0) {
		log_limited(&viewers->refusals, LOG_WARN, "console: viewer turned away: %s",
			    err.text);
		close(fd);
	}
	return true;
}

static void accept_some(struct viewers *viewers)
{
	int left = ACCEPT_PER_TURN;

	while (left && accept_one(viewers))
		left--;
	if (!left)
		loop_defer(viewers->config.loop, &viewers->more);
}

static void connected(struct loop_watch *watch, unsigned events)
{
	(void)events;
	accept_some(container_of(watch, struct viewers, watch));
}

static void accept_more(struct loop_task *task)
{
	accept_some(container_of(task, struct viewers, more));
}

static void accept_again(struct loop_timer *timer)
{
	accept_some(container_of(timer, struct viewers, retry));
}

/* Life. */

static int open_socket(struct viewers *viewers, struct err *err)
{
	int r;

	viewers->path = strdup(viewers->config.path);
	if (!viewers->path)
		return err_sys(err, -ENOMEM, "cannot serve the console");
	viewers->fd = unix_socket_listen("console", viewers->path, err);
	if (viewers->fd < 0)
		return viewers->fd;
	if (lstat(viewers->path, &viewers->made))
		return err_sys(err, -errno, "console socket '%s'", viewers->path);
	r = loop_watch_add(viewers->config.loop, &viewers->watch, viewers->fd, POLLIN);
	return r < 0 ? err_sys(err, r, "cannot serve the console") : 0;
}

int viewers_new(struct viewers **ret_viewers, const struct viewers_config *config,
		struct err *err)
{
	struct viewers *viewers = calloc(1, sizeof(*viewers));
	int r;

	if (!viewers)
		return err_sys(err, -ENOMEM, "cannot serve the console");
	viewers->config = *config;
	viewers->fd = -1;
	viewers->watch.ready = connected;
	viewers->more.run = accept_more;
	viewers->retry.fired = accept_again;
	r = open_socket(viewers, err);
	viewers->config.path = NULL;
	if (r < 0) {
		viewers_free(viewers);
		return r;
	}
	*ret_viewers = viewers;
	return 0;
}

/* Only our own: somebody may have put another one there. */
static void remove_socket(const struct viewers *viewers)
{
	struct stat st;

	if (viewers->fd >= 0 && !lstat(viewers->path, &st) &&
	    st.st_ino == viewers->made.st_ino && st.st_dev == viewers->made.st_dev)
		unlink(viewers->path);
}

struct viewers *viewers_free(struct viewers *viewers)
{
	if (!viewers)
		return NULL;
	remove_socket(viewers);
	loop_watch_remove(viewers->config.loop, &viewers->watch);
	loop_cancel(viewers->config.loop, &viewers->more);
	loop_timer_clear(viewers->config.loop, &viewers->retry);
	for (unsigned i = 0; i < viewers->nr; i++)
		viewer_free(viewers->all[i]);
	if (viewers->fd >= 0)
		close(viewers->fd);
	free(viewers->path);
	free(viewers);
	return NULL;
}
