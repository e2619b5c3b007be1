/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_session.h - the protocol as one client speaks it, without its connection.
 *
 *	greeting sent --qmp_capabilities--> negotiated
 *
 * Before the negotiation every other command is refused and no event is sent.
 * Bytes go in as they come and lines come out.  There is one command at a time:
 * while the answer to one is outstanding the session is busy and takes no
 * input, so answers have the order of their commands and nothing piles up.
 */
#ifndef CONTROL_QMP_SESSION_H
#define CONTROL_QMP_SESSION_H

#include <stdbool.h>
#include <stddef.h>

struct qmp_fds;
struct qmp_machine;
struct qmp_session;
struct qmp_table;

struct qmp_session_config {
	const struct qmp_table *const *tables;	/* ends with NULL */
	const struct qmp_machine *machine;
	struct qmp_fds *fds;

	/* Whole lines; must not free the session. */
	void (*send)(void *ctx, const char *bytes, size_t len);

	/* No longer busy, after a command whose answer did not come at once. */
	void (*ready)(void *ctx);

	/* The oldest descriptor that came with the input, or -1. */
	int (*take_fd)(void *ctx);
	void *ctx;
};

/* Sends the greeting.  *config is copied; what it points to outlives the session. */
int qmp_session_new(struct qmp_session **ret_session,
		    const struct qmp_session_config *config);
struct qmp_session *qmp_session_free(struct qmp_session *session);	/* -> NULL */

/*
 * Take input up to the end of one message, and obey it.  Returns the bytes taken;
 * 0 while busy.
 */
size_t qmp_session_input(struct qmp_session *session, const char *bytes, size_t len);

bool qmp_session_busy(const struct qmp_session *session);

/* Nobody is there any more to read the answer that is outstanding. */
void qmp_session_left(struct qmp_session *session);

/* Send an event, a whole line, to one who has negotiated. */
void qmp_session_event(struct qmp_session *session, const char *line, size_t len);

/* For the commands that are about the session itself. */
bool qmp_session_negotiated(const struct qmp_session *session);
int qmp_session_negotiate(struct qmp_session *session);	/* -EALREADY the second time */
const struct qmp_session_config *qmp_session_config(const struct qmp_session *session);

#endif
