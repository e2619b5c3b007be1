// SPDX-License-Identifier: Apache-2.0
#include "control/qmp_server.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "control/qmp_event.h"
#include "control/qmp_type.h"
#include "loop/loop.h"
#include "qmp_client.h"
#include "qmp_fds.h"
#include "qmp_limit.h"
#include "qmp_line.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_NS	(100 * CLOCK_NS_PER_MS)
#define ACCEPT_PER_TURN	16
#define RETRY_NS	CLOCK_NS_PER_S

struct door {
	struct qmp_server *server;
	char *path;			/* that we have made; NULL: none */
	struct stat made;		/* what it was then */
	int fd;
	struct loop_watch watch;
	struct loop_task more;		/* clients than one turn takes */
	struct loop_timer retry;	/* when there was no descriptor left */
};

struct qmp_server {
	struct qmp_server_config config;
	struct door doors[QMP_SERVER_SOCKETS_MAX];
	unsigned nr_doors;
	struct log_limit refusals;
	struct qmp_fds *fds;
	struct qmp_limit *limit;
	struct qmp_client *clients[QMP_SERVER_CLIENTS_MAX];
	unsigned nr_clients;
};

/* Clients. */

static void client_gone(void *ctx, struct qmp_client *client)
{
	struct qmp_server *server = ctx;
	unsigned i = 0;

	while (server->clients[i] != client)
		i++;
	server->clients[i] = server->clients[--server->nr_clients];
	qmp_client_free(client);
}

static int welcome(struct qmp_server *server, int fd, struct err *err)
{
	const struct qmp_client_config config = {
		.loop = server->config.loop,
		.tables = server->config.tables,
		.machine = server->config.machine,
		.fds = server->fds,
		.gone = client_gone,
		.ctx = server,
	};
	struct unix_socket_peer peer;
	int r = unix_socket_peer("QMP", fd, &peer, err);

	if (r < 0)
		return r;
	if (server->nr_clients == QMP_SERVER_CLIENTS_MAX)
		return err_set(err, -EBUSY, "there are %u already", QMP_SERVER_CLIENTS_MAX);
	r = qmp_client_new(&server->clients[server->nr_clients], &config, fd, peer);
	if (r < 0)
		return err_sys(err, r, "cannot serve it");
	server->nr_clients++;
	return 0;
}

/* True when another may wait. */
static bool accept_one(struct door *door)
{
	int fd = accept4(door->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct qmp_server *server = door->server;
	struct err err = { 0 };

	if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
		return true;
	if (fd < 0 && errno == EAGAIN)
		return false;
	if (fd < 0) {
		log_limited(&server->refusals, LOG_WARN, "QMP: cannot accept a client: %s",
			    strerror(errno));
		/* Nothing tells when there are descriptors again. */
		loop_timer_set(server->config.loop, &door->retry, clock_ns() + RETRY_NS);
		return false;
	}
	if (welcome(server, fd, &err) < 0) {
		log_limited(&server->refusals, LOG_WARN, "QMP client turned away: %s",
			    err.text);
		close(fd);
	}
	return true;
}

static void accept_some(struct door *door)
{
	int left = ACCEPT_PER_TURN;

	while (left && accept_one(door))
		left--;
	if (!left)
		loop_defer(door->server->config.loop, &door->more);
}

static void connected(struct loop_watch *watch, unsigned events)
{
	(void)events;
	accept_some(container_of(watch, struct door, watch));
}

static void accept_more(struct loop_task *task)
{
	accept_some(container_of(task, struct door, more));
}

static void accept_again(struct loop_timer *timer)
{
	accept_some(container_of(timer, struct door, retry));
}

/* Events. */

static void tell_all(void *ctx, const json_t *event)
{
	struct qmp_server *server = ctx;
	struct qmp_line line = qmp_line_of(event);

	for (unsigned i = 0; line.owned && i < server->nr_clients; i++)
		qmp_client_event(server->clients[i], line.bytes, line.len);
	qmp_line_free(&line);
}

void qmp_server_event(struct qmp_server *server, const struct qmp_event *event,
		      json_t *data)
{
	struct timespec now;
	json_t *json;

	assert(!data || event->data);
	clock_gettime(CLOCK_REALTIME, &now);
	/* Data that is not whole lacked memory. */
	if (event->data && qmp_type_check(event->data, data, NULL) < 0) {
		log_warn("QMP: no memory for event %s", event->name);
		json_decref(data);
		return;
	}
	json = json_pack("{s:{s:I, s:I}, s:s, s:o*}", "timestamp",
			 "seconds", (json_int_t)now.tv_sec,
			 "microseconds", (json_int_t)now.tv_nsec / 1000,
			 "event", event->name, "data", data);
	if (json)
		qmp_limit_event(server->limit, event, json);
	else
		log_warn("QMP: no memory for event %s", event->name);
	json_decref(json);
}

int qmp_server_take_fd(struct qmp_server *server, const char *name, struct err *err)
{
	return qmp_fds_take(server->fds, name, err);
}

/* Sockets. */

/* Only our own: somebody may have put another one there. */
static void remove_socket(const struct door *door)
{
	struct stat st;

	if (door->path && !lstat(door->path, &st) && st.st_ino == door->made.st_ino &&
	    st.st_dev == door->made.st_dev)
		unlink(door->path);
}

static void close_door(struct door *door)
{
	struct loop *loop = door->server->config.loop;

	remove_socket(door);
	loop_watch_remove(loop, &door->watch);
	loop_cancel(loop, &door->more);
	loop_timer_clear(loop, &door->retry);
	close(door->fd);
	free(door->path);
}

/* Takes fd; path is NULL where it was not made by us. */
static int open_door(struct qmp_server *server, int fd, const char *path, struct err *err)
{
	struct door *door = &server->doors[server->nr_doors];
	int r = 0;

	*door = (struct door){
		.server = server,
		.fd = fd,
		.path = path ? strdup(path) : NULL,
		.watch.ready = connected,
		.more.run = accept_more,
		.retry.fired = accept_again,
	};
	if (path && !door->path)
		r = -ENOMEM;
	else if (path && lstat(path, &door->made))
		r = -errno;
	else
		r = loop_watch_add(server->config.loop, &door->watch, fd, POLLIN);
	if (r < 0) {
		close_door(door);
		return err_sys(err, r, "cannot serve QMP");
	}
	server->nr_doors++;
	return 0;
}

static int have_room(const struct qmp_server *server, struct err *err)
{
	if (server->nr_doors < QMP_SERVER_SOCKETS_MAX)
		return 0;
	return err_set(err, -ENOSPC, "QMP is served at %u sockets, the most there may be",
		       QMP_SERVER_SOCKETS_MAX);
}

int qmp_server_listen(struct qmp_server *server, const char *path, struct err *err)
{
	int fd = have_room(server, err);

	if (fd < 0)
		return fd;
	fd = unix_socket_listen("QMP", path, err);
	return fd < 0 ? fd : open_door(server, fd, path, err);
}

int qmp_server_adopt(struct qmp_server *server, int fd, struct err *err)
{
	int r = have_room(server, err);

	if (r < 0)
		return r;
	r = unix_socket_adopt("QMP", fd, err);
	return r < 0 ? r : open_door(server, fd, NULL, err);
}

/* Life. */

int qmp_server_new(struct qmp_server **ret_server, const struct qmp_server_config *config,
		   struct err *err)
{
	struct qmp_server *server = calloc(1, sizeof(*server));
	const struct qmp_limit_config limit = {
		.loop = config->loop, .pass = tell_all, .ctx = server,
	};

	if (!server)
		return err_sys(err, -ENOMEM, "cannot serve QMP");
	server->config = *config;
	server->fds = qmp_fds_new();
	server->limit = qmp_limit_new(&limit);
	if (!server->fds || !server->limit) {
		qmp_server_free(server);
		return err_sys(err, -ENOMEM, "cannot serve QMP");
	}
	*ret_server = server;
	return 0;
}

struct qmp_server *qmp_server_free(struct qmp_server *server)
{
	uint64_t until = clock_ns() + DRAIN_NS;

	if (!server)
		return NULL;
	while (server->nr_doors)
		close_door(&server->doors[--server->nr_doors]);
	for (unsigned i = 0; i < server->nr_clients; i++) {
		qmp_client_drain(server->clients[i], until);
		qmp_client_free(server->clients[i]);
	}
	qmp_limit_free(server->limit);
	qmp_fds_free(server->fds);
	free(server);
	return NULL;
}
