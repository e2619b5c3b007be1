/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_limit.h - keeps what a guest can cause again and again to once a second.
 *
 * The first event of a kind is passed on at once.  Those within a second of it
 * replace each other, and the last of them is passed on when the second is over,
 * which starts another one.
 */
#ifndef CONTROL_QMP_LIMIT_H
#define CONTROL_QMP_LIMIT_H

#include <jansson.h>

struct loop;
struct qmp_event;
struct qmp_limit;

struct qmp_limit_config {
	struct loop *loop;
	void (*pass)(void *ctx, const json_t *event);
	void *ctx;
};

struct qmp_limit *qmp_limit_new(const struct qmp_limit_config *config);	/* NULL: no memory */
struct qmp_limit *qmp_limit_free(struct qmp_limit *limit);	/* drops what waits; -> NULL */

/* json is the event as it is sent, with its data in "data". */
void qmp_limit_event(struct qmp_limit *limit, const struct qmp_event *event, json_t *json);

#endif
