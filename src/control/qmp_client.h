/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_client.h - the connection of one client, and its session.
 *
 * Nothing a client does or fails to do makes anyone wait.  What it sends is read
 * a buffer at a time, and only while it takes its answers; what it does not read
 * is kept up to QMP_CLIENT_OUTPUT_MAX, and then it is dropped.
 *
 * One that has sent its last byte stays until it has got all answers.
 */
#ifndef CONTROL_QMP_CLIENT_H
#define CONTROL_QMP_CLIENT_H

#include "base/unix_socket.h"

#include <stddef.h>
#include <stdint.h>

struct loop;
struct qmp_client;
struct qmp_fds;
struct qmp_machine;
struct qmp_table;

/* Answers wait from here on, so what comes on top are events: thousands. */
#define QMP_CLIENT_OUTPUT_HIGH	(64 * 1024UL)
#define QMP_CLIENT_OUTPUT_MAX	(1024 * 1024UL)

struct qmp_client_config {
	struct loop *loop;
	const struct qmp_table *const *tables;	/* ends with NULL */
	const struct qmp_machine *machine;
	struct qmp_fds *fds;

	/* It has left, or was dropped: free it.  From the loop. */
	void (*gone)(void *ctx, struct qmp_client *client);
	void *ctx;
};

/* fd is non-blocking.  It is taken unless this fails, with -ENOMEM. */
int qmp_client_new(struct qmp_client **ret_client, const struct qmp_client_config *config,
		   int fd, struct unix_socket_peer peer);
struct qmp_client *qmp_client_free(struct qmp_client *client);	/* -> NULL */

/* An event, as a line. */
void qmp_client_event(struct qmp_client *client, const char *line, size_t len);

/* Wait until it has taken all that was sent, or until then (of clock_ns()). */
void qmp_client_drain(struct qmp_client *client, uint64_t until);

#endif
