// SPDX-License-Identifier: Apache-2.0
#include "qmp_limit.h"

#include "base/bits.h"
#include "base/clock.h"
#include "control/qmp_event.h"
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>

/* A kind of event that was passed on less than a second ago. */
struct recent {
	struct qmp_limit *limit;
	const struct qmp_event *event;
	json_t *key;			/* value of the event's key; NULL: it has none */
	json_t *waiting;		/* the last that came since; NULL: none did */
	struct loop_timer timer;
	struct recent *next;
};

struct qmp_limit {
	struct qmp_limit_config config;
	struct recent *recents;
};

struct qmp_limit *qmp_limit_new(const struct qmp_limit_config *config)
{
	struct qmp_limit *limit = calloc(1, sizeof(*limit));

	if (limit)
		limit->config = *config;
	return limit;
}

static void forget(struct recent *recent)
{
	struct recent **p = &recent->limit->recents;

	while (*p != recent)
		p = &(*p)->next;
	*p = recent->next;
	loop_timer_clear(recent->limit->config.loop, &recent->timer);
	json_decref(recent->key);
	json_decref(recent->waiting);
	free(recent);
}

struct qmp_limit *qmp_limit_free(struct qmp_limit *limit)
{
	while (limit && limit->recents)
		forget(limit->recents);
	free(limit);
	return NULL;
}

static void pass(struct qmp_limit *limit, const json_t *json)
{
	limit->config.pass(limit->config.ctx, json);
}

static void set_timer(struct recent *recent)
{
	loop_timer_set(recent->limit->config.loop, &recent->timer, clock_ns() + CLOCK_NS_PER_S);
}

static void second_over(struct loop_timer *timer)
{
	struct recent *recent = container_of(timer, struct recent, timer);
	json_t *json = recent->waiting;

	if (!json) {
		forget(recent);
		return;
	}
	recent->waiting = NULL;
	set_timer(recent);
	pass(recent->limit, json);
	json_decref(json);
}

static json_t *key_of(const struct qmp_event *event, const json_t *json)
{
	return event->key ? json_object_get(json_object_get(json, "data"), event->key) : NULL;
}

static struct recent *find(const struct qmp_limit *limit, const struct qmp_event *event,
			   const json_t *key)
{
	struct recent *recent = limit->recents;

	while (recent && (recent->event != event || (key && !json_equal(recent->key, key))))
		recent = recent->next;
	return recent;
}

/* Without memory the next one is simply not held back. */
static void remember(struct qmp_limit *limit, const struct qmp_event *event, json_t *key)
{
	struct recent *recent = calloc(1, sizeof(*recent));

	if (!recent)
		return;
	recent->limit = limit;
	recent->event = event;
	recent->key = json_incref(key);
	recent->timer.fired = second_over;
	recent->next = limit->recents;
	limit->recents = recent;
	set_timer(recent);
}

void qmp_limit_event(struct qmp_limit *limit, const struct qmp_event *event, json_t *json)
{
	json_t *key = key_of(event, json);
	struct recent *recent = event->limited ? find(limit, event, key) : NULL;

	if (recent) {
		json_decref(recent->waiting);
		recent->waiting = json_incref(json);
		return;
	}
	if (event->limited)
		remember(limit, event, key);
	pass(limit, json);
}
