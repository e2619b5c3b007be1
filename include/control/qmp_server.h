/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_server.h - Unix sockets at which clients speak QMP, QEMU's protocol.
 *
 *	client --bytes--> connection --texts--> session --calls--> commands
 *
 * Clients of our own user and of root are let in, several at once; each has its
 * own session.  What clients do bounds the memory and time that they cost, never
 * the VM.
 *
 * All functions belong to the thread of the loop.
 */
#ifndef CONTROL_QMP_SERVER_H
#define CONTROL_QMP_SERVER_H

#include <jansson.h>

struct err;
struct loop;
struct qmp_event;
struct qmp_machine;
struct qmp_server;
struct qmp_table;

#define QMP_SERVER_CLIENTS_MAX	64	/* the next is turned away */
#define QMP_SERVER_SOCKETS_MAX	8

struct qmp_server_config {
	struct loop *loop;
	const struct qmp_table *const *tables;	/* ends with NULL; qmp_table_all */
	const struct qmp_machine *machine;
};

/*
 * *config is copied; what it points to outlives the server.  Nobody can come in
 * before one of the two below.
 */
int qmp_server_new(struct qmp_server **ret_server, const struct qmp_server_config *config,
		   struct err *err);

/*
 * Let clients in by a socket that is made at path, or by one that listens
 * already, which is taken.  A server has up to QMP_SERVER_SOCKETS_MAX of them,
 * and its clients are the same whichever they came by.
 */
int qmp_server_listen(struct qmp_server *server, const char *path, struct err *err);
int qmp_server_adopt(struct qmp_server *server, int fd, struct err *err);

/*
 * Clients get what was sent to them, if they take it within a tenth of a second
 * all together; the sockets that were made are removed.  Not from within a command.
 * The machine may still answer calls afterwards.  -> NULL
 */
struct qmp_server *qmp_server_free(struct qmp_server *server);

/*
 * Tell all clients that have negotiated.  Takes data, which is as the event's
 * description says, or NULL where there is none.
 */
void qmp_server_event(struct qmp_server *server, const struct qmp_event *event,
		      json_t *data);

/*
 * The descriptor that a client has named so by getfd; the caller's from now on.
 * -ENOENT.
 */
int qmp_server_take_fd(struct qmp_server *server, const char *name, struct err *err);

#endif
