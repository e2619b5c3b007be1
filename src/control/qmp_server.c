// SPDX-License-Identifier: Apache-2.0
#include "control/qmp_server.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "control/qmp_event.h"
#include "control/qmp_type.h"
#include "loop/listener.h"
#include "qmp_client.h"
#include "qmp_fds.h"
#include "qmp_limit.h"
#include "qmp_line.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DRAIN_NS	(100 * CLOCK_NS_PER_MS)

struct qmp_server {
	struct qmp_server_config config;
	struct log_limit refusals;
	struct listener *listeners[QMP_SERVER_SOCKETS_MAX];
	unsigned nr_listeners;
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

static int welcome(void *ctx, int fd, struct unix_socket_peer peer, struct err *err)
{
	struct qmp_server *server = ctx;
	const struct qmp_client_config config = {
		.loop = server->config.loop,
		.tables = server->config.tables,
		.machine = server->config.machine,
		.fds = server->fds,
		.gone = client_gone,
		.ctx = server,
	};
	int r;

	if (server->nr_clients == QMP_SERVER_CLIENTS_MAX)
		return err_set(err, -EBUSY, "there are %u already", QMP_SERVER_CLIENTS_MAX);
	r = qmp_client_new(&server->clients[server->nr_clients], &config, fd, peer);
	if (r < 0)
		return err_sys(err, r, "cannot serve it");
	server->nr_clients++;
	return 0;
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
	/* What is held back is told to those who come meanwhile, too. */
	if (!server->nr_clients && !event->limited) {
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

static void refused(void *ctx, const struct err *why)
{
	struct qmp_server *server = ctx;

	log_limited(&server->refusals, LOG_WARN, "QMP client turned away: %s", why->text);
}

static int have_room(const struct qmp_server *server, struct err *err)
{
	if (server->nr_listeners < QMP_SERVER_SOCKETS_MAX)
		return 0;
	return err_set(err, -ENOSPC, "QMP is served at %u sockets, the most there may be",
		       QMP_SERVER_SOCKETS_MAX);
}

static struct listener_config listener_config(struct qmp_server *server)
{
	return (struct listener_config){
		.loop = server->config.loop,
		.what = "QMP",
		.welcome = welcome,
		.refused = refused,
		.ctx = server,
	};
}

int qmp_server_listen(struct qmp_server *server, const char *path, struct err *err)
{
	const struct listener_config config = listener_config(server);
	int r = have_room(server, err);

	if (!r)
		r = listener_new(&server->listeners[server->nr_listeners], &config, path, err);
	if (!r)
		server->nr_listeners++;
	return r;
}

int qmp_server_adopt(struct qmp_server *server, int fd, struct err *err)
{
	const struct listener_config config = listener_config(server);
	int r = have_room(server, err);

	if (!r)
		r = listener_adopt(&server->listeners[server->nr_listeners], &config, fd, err);
	if (!r)
		server->nr_listeners++;
	return r;
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
	while (server->nr_listeners)
		listener_free(server->listeners[--server->nr_listeners]);
	for (unsigned i = 0; i < server->nr_clients; i++) {
		qmp_client_drain(server->clients[i], until);
		qmp_client_free(server->clients[i]);
	}
	qmp_limit_free(server->limit);
	qmp_fds_free(server->fds);
	free(server);
	return NULL;
}
