// SPDX-License-Identifier: Apache-2.0
/*
 * hub.c - the ring, and the queue of those who type.
 *
 * A guest's byte costs its vCPU a lock and a store.  The loop is woken by the
 * first byte only; it serves the readers, and what follows within PACE_NS waits
 * for the next serving.  So the cost of readers does not grow with the guest's
 * haste, and without readers nobody is woken at all.
 */
#include "console/hub.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PACE_NS		CLOCK_NS_PER_MS
#define DRAIN_HELD_NS	(2 * CLOCK_NS_PER_S)
#define DRAIN_NS	(200 * CLOCK_NS_PER_MS)

/* Where a reader that was overtaken goes on: not where it is overtaken at once. */
#define SKIP_TO		(HUB_HISTORY / 2)

struct hub {
	struct hub_config config;
	struct hub_reader *readers;
	struct hub_reader *holder;	/* one of them, or NULL */
	struct loop_task flush;
	struct loop_timer pace;
	uint64_t served;		/* when */

	struct hub_source *first, **end;	/* that wait for the guest */
	struct loop_task go_on;

	struct loop_timer give_up;

	pthread_mutex_t lock;		/* of all below; never held over a call */
	uint64_t written;
	uint64_t held;			/* the holder's place */
	bool holding;
	bool watched;			/* there are readers */
	bool woken;			/* they will be served */
	bool refused;			/* the port waits for room */
	uint8_t ring[HUB_HISTORY];	/* last: pages that are not written take no memory */
};

/* From the guest. */

static bool send(void *ctx, uint8_t byte)
{
	struct hub *hub = ctx;
	bool taken, wake = false;

	pthread_mutex_lock(&hub->lock);
	taken = !hub->holding || hub->written - hub->held < HUB_WINDOW;
	if (taken) {
		hub->ring[hub->written++ % HUB_HISTORY] = byte;
		wake = hub->watched && !hub->woken;
		hub->woken |= wake;
	} else {
		hub->refused = true;
	}
	pthread_mutex_unlock(&hub->lock);
	if (wake)
		loop_post(hub->config.loop, &hub->flush);
	return taken;
}

static void drained(void *ctx)
{
	struct hub *hub = ctx;

	loop_post(hub->config.loop, &hub->go_on);
}

struct uart_backend hub_backend(struct hub *hub)
{
	return (struct uart_backend){ .send = send, .drained = drained, .ctx = hub };
}

/* Output. */

static void serve(struct hub *hub)
{
	pthread_mutex_lock(&hub->lock);
	hub->woken = false;
	pthread_mutex_unlock(&hub->lock);
	for (struct hub_reader *reader = hub->readers; reader; reader = reader->next)
		reader->more(reader);
	hub->served = clock_ns();
}

static void flush(struct loop_task *task)
{
	struct hub *hub = container_of(task, struct hub, flush);
	uint64_t next = hub->served + PACE_NS;

	if (clock_ns() < next)
		loop_timer_set(hub->config.loop, &hub->pace, next);
	else
		serve(hub);
}

static void paced(struct loop_timer *timer)
{
	serve(container_of(timer, struct hub, pace));
}

/* What send() is to know of the readers. */
static void tell_send(struct hub *hub)
{
	struct uart *port = hub->config.port(hub->config.ctx);
	bool refused;

	pthread_mutex_lock(&hub->lock);
	hub->watched = hub->readers;
	hub->holding = hub->holder;
	if (hub->holder)
		hub->held = hub->holder->at;
	refused = hub->refused;
	hub->refused = false;
	pthread_mutex_unlock(&hub->lock);
	/* It may refuse again, and then sets that. */
	if (refused && port)
		uart_writable(port);
}

void hub_add_reader(struct hub *hub, struct hub_reader *reader)
{
	uint64_t written;

	assert(!reader->holds || !hub->holder);
	pthread_mutex_lock(&hub->lock);
	written = hub->written;
	pthread_mutex_unlock(&hub->lock);
	reader->at = written - min_u64(written, reader->holds ? HUB_WINDOW : HUB_HISTORY);
	reader->next = hub->readers;
	hub->readers = reader;
	if (reader->holds)
		hub->holder = reader;
	tell_send(hub);
	loop_defer(hub->config.loop, &hub->flush);
}

void hub_remove_reader(struct hub *hub, struct hub_reader *reader)
{
	struct hub_reader **p = &hub->readers;

	while (*p && *p != reader)
		p = &(*p)->next;
	if (!*p)
		return;
	*p = reader->next;
	if (hub->holder == reader)
		hub->holder = NULL;
	tell_send(hub);
}

/* Bytes of the ring, which may lie in two pieces. */
static void copy_out(const struct hub *hub, uint64_t at, uint8_t *bytes, size_t len)
{
	size_t first = min_u64(len, HUB_HISTORY - at % HUB_HISTORY);

	memcpy(bytes, hub->ring + at % HUB_HISTORY, first);
	memcpy(bytes + first, hub->ring, len - first);
}

size_t hub_read(struct hub *hub, struct hub_reader *reader, uint8_t *bytes, size_t len,
		uint64_t *ret_skipped)
{
	uint64_t behind;

	*ret_skipped = 0;
	pthread_mutex_lock(&hub->lock);
	behind = hub->written - reader->at;
	if (behind > HUB_HISTORY) {
		*ret_skipped = behind - SKIP_TO;
		reader->at += *ret_skipped;
		behind = SKIP_TO;
	}
	len = min_u64(len, behind);
	copy_out(hub, reader->at, bytes, len);
	pthread_mutex_unlock(&hub->lock);
	reader->at += len;
	if (reader->holds && len)
		tell_send(hub);
	return len;
}

/* The end. */

struct draining {
	struct hub *hub;
	bool held_only;
};

static bool has_all(const struct hub *hub, const struct hub_reader *reader)
{
	/* No vCPU runs any more, so no lock is needed. */
	return reader->at == hub->written && reader->idle(reader);
}

static bool is_drained(void *ctx)
{
	const struct draining *draining = ctx;
	const struct hub *hub = draining->hub;

	if (!hub->give_up.set)
		return true;
	for (const struct hub_reader *reader = hub->readers; reader; reader = reader->next)
		if ((reader->holds || !draining->held_only) && !has_all(hub, reader))
			return false;
	return true;
}

static void wait_ends(struct loop_timer *timer)
{
	(void)timer;
}

void hub_drain(struct hub *hub)
{
	struct draining draining = { .hub = hub, .held_only = true };

	serve(hub);
	loop_timer_set(hub->config.loop, &hub->give_up, clock_ns() + DRAIN_HELD_NS);
	loop_wait(hub->config.loop, is_drained, &draining);
	draining.held_only = false;
	loop_timer_set(hub->config.loop, &hub->give_up, clock_ns() + DRAIN_NS);
	loop_wait(hub->config.loop, is_drained, &draining);
	loop_timer_clear(hub->config.loop, &hub->give_up);
}

/* Input. */

uint8_t *hub_source_room(struct hub_source *source, size_t *ret_len)
{
	memmove(source->bytes, source->bytes + source->at, source->len - source->at);
	source->len -= source->at;
	source->at = 0;
	*ret_len = sizeof(source->bytes) - source->len;
	return source->bytes + source->len;
}

static void enqueue(struct hub *hub, struct hub_source *source)
{
	if (source->waits)
		return;
	source->waits = true;
	source->next = NULL;
	*hub->end = source;
	hub->end = &source->next;
}

void hub_remove_source(struct hub *hub, struct hub_source *source)
{
	struct hub_source **p = &hub->first;

	if (!source->waits)
		return;
	while (*p != source)
		p = &(*p)->next;
	*p = source->next;
	if (!*p)
		hub->end = p;
	source->waits = false;
}

bool hub_pass_on(struct hub *hub, struct hub_source *source)
{
	struct uart *port = hub->config.port(hub->config.ctx);
	size_t len = source->len - source->at;

	/* To offer nothing would make the port forget whom it has refused. */
	if (!len)
		return true;
	if (!port)
		return false;
	source->at += uart_receive(port, source->bytes + source->at, len);
	if (source->at < source->len) {
		enqueue(hub, source);
		return false;
	}
	hub_remove_source(hub, source);
	/* So does a port that has taken all. */
	if (hub->first)
		loop_defer(hub->config.loop, &hub->go_on);
	return true;
}

/* One that is refused again goes to the end, so that all have their turns. */
static void go_on(struct loop_task *task)
{
	struct hub *hub = container_of(task, struct hub, go_on);
	struct hub_source *source;

	do {
		source = hub->first;
		if (!source)
			return;
		hub_remove_source(hub, source);
		source->go_on(source);
	} while (!source->waits);
}

void hub_port_changed(struct hub *hub)
{
	loop_defer(hub->config.loop, &hub->go_on);
}

/* Life. */

int hub_new(struct hub **ret_hub, const struct hub_config *config, struct err *err)
{
	struct hub *hub = malloc(sizeof(*hub));

	if (!hub)
		return err_sys(err, -ENOMEM, "cannot make the console");
	memset(hub, 0, offsetof(struct hub, ring));
	hub->config = *config;
	hub->flush.run = flush;
	hub->pace.fired = paced;
	hub->go_on.run = go_on;
	hub->give_up.fired = wait_ends;
	hub->end = &hub->first;
	pthread_mutex_init(&hub->lock, NULL);
	*ret_hub = hub;
	return 0;
}

struct hub *hub_free(struct hub *hub)
{
	if (!hub)
		return NULL;
	assert(!hub->readers && !hub->first);
	loop_cancel(hub->config.loop, &hub->flush);
	loop_cancel(hub->config.loop, &hub->go_on);
	loop_timer_clear(hub->config.loop, &hub->pace);
	pthread_mutex_destroy(&hub->lock);
	free(hub);
	return NULL;
}
