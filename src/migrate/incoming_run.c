// SPDX-License-Identifier: Apache-2.0
/*
 * incoming_run.c - the thread of an incoming VM: whom it listens to, and what it takes.
 */
#include "base/bits.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "incoming_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#define FIRST_WORD_MS	3000		/* of whoever connects */
#define STREAMS_MS	10000		/* in which further channels have to come */
#define RETURN_MS	60000		/* in which a lost source has to come back */

/* Channels. */

static int keep_channel(struct incoming *in, struct channel **place, struct channel *channel)
{
	int r = 0;

	pthread_mutex_lock(&in->lock);
	if (in->broken_off)
		r = -ECANCELED;
	else
		*place = channel;
	pthread_mutex_unlock(&in->lock);
	if (r < 0)
		channel_close(channel);
	return r;
}

static bool is_broken_off(struct incoming *in)
{
	bool is;

	pthread_mutex_lock(&in->lock);
	is = in->broken_off;
	pthread_mutex_unlock(&in->lock);
	return is;
}

static void drop_channel(struct incoming *in, struct channel **place)
{
	struct channel *channel = *place;

	pthread_mutex_lock(&in->say);
	if (place == &in->channels[0])
		in->source = NULL;
	pthread_mutex_lock(&in->lock);
	*place = NULL;
	pthread_mutex_unlock(&in->lock);
	pthread_mutex_unlock(&in->say);
	channel_close(channel);
}

/* The next one that comes until then; -ETIMEDOUT. */
static int accept_one(struct incoming *in, struct channel **place, uint64_t until,
		      struct err *ret_err)
{
	for (;;) {
		struct pollfd fds[] = {
			{ channel_listener_fd(in->listener), POLLIN, 0 },
			{ in->stop, POLLIN, 0 },
		};
		uint64_t now = clock_ns();
		struct channel *channel;
		struct err err = { 0 };
		int r;

		if (until != UINT64_MAX && now >= until)
			return err_set(ret_err, -ETIMEDOUT, "the source does not come");
		poll(fds, ARRAY_LEN(fds), until == UINT64_MAX ? -1 :
		     (int)((until - now) / CLOCK_NS_PER_MS + 1));
		if (fds[1].revents)
			return err_set(ret_err, -ECANCELED, "broken off");
		r = channel_accept(&channel, in->listener, &err);
		if (!r)
			return keep_channel(in, place, channel);
		if (r != -EAGAIN)
			log_warn("somebody who wanted to move a VM here was turned away: %s",
				 err.text);
	}
}

static bool of_session(struct incoming *in, struct channel *channel,
		       const struct message *message)
{
	uint8_t session[MESSAGE_SESSION_LEN];

	return message->len == sizeof(session) &&
	       !channel_receive(channel, session, sizeof(session)) &&
	       !memcmp(session, in->plan.session, sizeof(session));
}

/* From here on words go there. */
static void know_source(struct incoming *in)
{
	pthread_mutex_lock(&in->say);
	in->source = in->channels[0];
	pthread_mutex_unlock(&in->say);
}

/*
 * One whose first message is of this type and, but for a plan, of the session.  Whoever
 * says anything else is turned away, and told nothing.
 */
static int accept_for(struct incoming *in, struct channel **place, enum message_type type,
		      uint64_t until, struct message *ret_message, struct err *ret_err)
{
	for (;;) {
		struct err err = { 0 };
		int r = accept_one(in, place, until, ret_err);

		if (r < 0)
			return r;
		channel_set_patience(*place, FIRST_WORD_MS);
		r = channel_handshake(*place, &err);
		if (!r)
			r = message_receive(*place, ret_message, &err);
		if (!r && ret_message->type == type &&
		    (type == MESSAGE_PLAN || of_session(in, *place, ret_message))) {
			channel_set_patience(*place, 0);
			return 0;
		}
		log_warn("somebody who wanted to move a VM here was turned away: %s",
			 r < 0 ? err.text : "it is another VM");
		drop_channel(in, place);
	}
}

/* The thread: until the state is there. */

static int receive_bytes(struct incoming *in, const struct message *message)
{
	free(in->bytes);
	in->bytes = NULL;
	in->len = message->len;
	return message_receive_bytes(in->channels[0], message, &in->bytes, &in->err);
}

static int build(struct incoming *in)
{
	struct message message;
	int r = accept_for(in, &in->channels[0], MESSAGE_PLAN, UINT64_MAX, &message, &in->err);

	if (r < 0)
		return r;
	know_source(in);
	incoming_parts_set_status(in, MIGRATION_SETUP);
	r = receive_bytes(in, &message);
	if (r < 0)
		return r;
	loop_post(in->config.main, &in->prepare);
	while (sem_wait(&in->turn))
		;
	if (is_broken_off(in))
		return err_set(&in->err, -ECANCELED, "broken off");
	if (!in->r)
		incoming_parts_say(in, MESSAGE_READY);
	return in->r;
}

/* As ram_receiver_take(), of a VM whose memory is still there; and of its disks. */
static int take(struct incoming_stream *stream, const struct message *message)
{
	struct incoming *in = stream->owner;
	int r;

	pthread_rwlock_rdlock(&in->memory);
	r = atomic_load(&in->forgotten) ?
		    err_set(&stream->err, -ECANCELED, "the VM was reset or has ended") :
		    ram_receiver_take(&stream->receiver, message, &stream->err);
	pthread_rwlock_unlock(&in->memory);
	if (r == 1 && in->disks && stream == &in->streams[0])
		r = disk_receiver_take(in->disks, stream->receiver.channel, message, &stream->err);
	if (!r && stream->receiver.runs)
		incoming_parts_say_if_done(in);
	return r;
}

/* Memory, until its end; what else comes over this channel is no memory. */
static int empty(struct incoming_stream *stream)
{
	struct message message;
	int r;

	do {
		r = message_receive(stream->receiver.channel, &message, &stream->err);
		if (!r)
			r = take(stream, &message);
	} while (!r);
	if (r < 0 || message.type == MESSAGE_END)
		return r < 0 ? r : 0;
	if (message.type == MESSAGE_BYE)
		return err_set(&stream->err, -ECANCELED, "the source has broken it off");
	return err_set(&stream->err, -EPROTO, "the source says %u amid memory", message.type);
}

/* The source is told why, then it can send no more: nobody would take it. */
static void give_up(struct incoming *in, int r, const struct err *err)
{
	if (r != -ECANCELED)
		incoming_parts_tell(in, MESSAGE_FAILED, 0, 0, err->text);
	incoming_parts_break(in);
}

/* Where one is lost, the source is told so by the loss of all. */
static void *empty_stream(void *arg)
{
	struct incoming_stream *stream = arg;

	stream->r = empty(stream);
	if (stream->r < 0)
		give_up(stream->owner, stream->r, &stream->err);
	sem_post(&stream->done);
	while (sem_wait(&stream->go))
		;
	if (stream->goes_on && empty(stream) < 0)
		incoming_parts_break(stream->owner);
	return NULL;
}

static int open_stream(struct incoming *in, unsigned i)
{
	struct incoming_stream *stream = &in->streams[i];
	uint64_t until = clock_ns() + STREAMS_MS * CLOCK_NS_PER_MS;
	struct message message;
	int r = i ? accept_for(in, &in->channels[i], MESSAGE_STREAM, until, &message, &in->err) :
		    0;

	if (r < 0)
		return r;
	stream->owner = in;
	stream->receiver = (struct ram_receiver){
		.channel = in->channels[i],
		.ram = machine_state_ram(in->config.machine),
		.lazy = in->lazy,
		.bytes = &in->received,
	};
	sem_init(&stream->done, 0, 0);
	sem_init(&stream->go, 0, 0);
	stream->open = true;
	r = ram_receiver_init(&stream->receiver);
	if (!r && i) {
		r = thread_start(&stream->thread, "migration", empty_stream, stream);
		stream->started = !r;
	}
	return r < 0 ? err_sys(&in->err, r, "cannot receive memory") : 0;
}

/* They go on with what is missing, or end. */
static void let_streams_go(struct incoming *in, bool on)
{
	for (unsigned i = 1; i < ARRAY_LEN(in->streams); i++) {
		struct incoming_stream *stream = &in->streams[i];

		if (!stream->started || stream->goes_on)
			continue;
		stream->receiver.runs = stream->goes_on = on;
		sem_post(&stream->go);
	}
}

/* But the first, which is our own. */
static void close_streams(struct incoming *in)
{
	incoming_parts_break(in);
	let_streams_go(in, false);
	for (unsigned i = 1; i < ARRAY_LEN(in->streams); i++) {
		struct incoming_stream *stream = &in->streams[i];

		if (stream->started)
			pthread_join(stream->thread, NULL);
		if (stream->open) {
			ram_receiver_fini(&stream->receiver);
			sem_destroy(&stream->done);
			sem_destroy(&stream->go);
		}
		stream->started = stream->open = false;
	}
	for (unsigned i = 0; i < ARRAY_LEN(in->channels); i++)
		drop_channel(in, &in->channels[i]);
}

/* All of them have come to their end; after a failure some would wait for ever. */
static int await_streams(struct incoming *in, int r)
{
	if (r < 0)
		give_up(in, r, &in->err);
	for (unsigned i = 1; i < ARRAY_LEN(in->streams); i++) {
		struct incoming_stream *stream = &in->streams[i];

		if (!stream->started)
			continue;
		while (sem_wait(&stream->done))
			;
		if (!r && stream->r < 0) {
			in->err = stream->err;
			r = stream->r;
		}
	}
	return r;
}

/* What is missing will be asked for from here on. */
static int go_on_lazily(struct incoming *in)
{
	int r;

	if (!in->lazy || !lazy_ram_nr_missing(in->lazy))
		return 0;
	r = lazy_ram_start(in->lazy, &in->err);
	if (r < 0)
		return r;
	in->streams[0].receiver.runs = true;
	let_streams_go(in, true);
	return 0;
}

static int receive_memory(struct incoming *in)
{
	int r = 0;

	for (unsigned i = 0; i < in->plan.streams && !r; i++)
		r = open_stream(in, i);
	if (!r) {
		incoming_parts_set_status(in, MIGRATION_ACTIVE);
		r = empty(&in->streams[0]);
		if (r < 0)
			in->err = in->streams[0].err;
	}
	r = await_streams(in, r);
	if (!r && in->disks)
		r = disk_receiver_flush(in->disks, &in->err);
	in->disks = disk_receiver_free(in->disks);
	return r < 0 ? r : go_on_lazily(in);
}

static int receive_state(struct incoming *in)
{
	struct message message;
	int r = message_receive(in->channels[0], &message, &in->err);

	if (r < 0)
		return r;
	if (message.type != MESSAGE_STATE)
		return err_set(&in->err, -EPROTO, "the source says %u instead of the state",
			       message.type);
	incoming_parts_set_status(in, MIGRATION_DEVICE);
	r = receive_bytes(in, &message);
	if (!r)
		loop_post(in->config.main, &in->load);
	return r;
}

/* The thread: from there on. */

/* 1: the source needs us no more. */
static int answer(struct incoming *in, const struct message *message)
{
	enum incoming_state at = incoming_parts_at(in);
	int r = 1;

	/* Who goes while memory is missing is lost. */
	if (message->type == MESSAGE_BYE && at != INCOMING_STARTS && at != INCOMING_RUNS)
		return 1;
	if (message->type == MESSAGE_GO && at == INCOMING_LOADED) {
		incoming_parts_set(in, INCOMING_STARTS);
		in->go = *message;
		in->go_at = clock_ns();
		loop_post(in->config.main, &in->start);
		return 0;
	}
	/* Memory that is all there is the guest's alone. */
	if (in->streams[0].receiver.runs) {
		if (message->type == MESSAGE_END)
			return 0;
		r = take(&in->streams[0], message);
	}
	return r == 1 ? err_set(&in->streams[0].err, -EPROTO, "the source says %u",
				message->type) : r;
}

/* Until the source needs us no more, or is not heard any more. */
static int listen_to_source(struct incoming *in)
{
	struct message message;
	int r;

	do {
		r = message_receive(in->channels[0], &message, &in->streams[0].err);
		if (!r)
			r = answer(in, &message);
	} while (!r);
	return r;
}

/*
 * A source that returns has lost its connection, whether or not we know it by now: it takes
 * the place of who is there.
 */
static void *mind_the_door(void *arg)
{
	struct incoming *in = arg;
	struct err ignored = { 0 };
	struct message message;

	while (!accept_for(in, &in->newcomer, MESSAGE_RESUME, UINT64_MAX, &message, &ignored)) {
		incoming_parts_break(in);
		sem_post(&in->returned);
		while (sem_wait(&in->taken))
			;
	}
	return NULL;
}

static void close_door(struct incoming *in, pthread_t door)
{
	(void)eventfd_write(in->stop, 1);
	sem_post(&in->taken);
	pthread_mutex_lock(&in->lock);
	if (in->newcomer)
		channel_break(in->newcomer);
	pthread_mutex_unlock(&in->lock);
	pthread_join(door, NULL);
	drop_channel(in, &in->newcomer);
}

/* -ETIMEDOUT, -ECANCELED. */
static int take_newcomer(struct incoming *in, uint64_t patience_ms)
{
	struct timespec until;
	int r;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(patience_ms / 1000);
	while ((r = sem_timedwait(&in->returned, &until)) && errno == EINTR)
		;
	if (r)
		return -ETIMEDOUT;
	pthread_mutex_lock(&in->lock);
	r = in->broken_off ? -ECANCELED : 0;
	if (!r) {
		in->channels[0] = in->newcomer;
		in->newcomer = NULL;
	}
	pthread_mutex_unlock(&in->lock);
	if (r < 0)
		return r;
	sem_post(&in->taken);
	know_source(in);
	return 0;
}

/* A guest that runs here needs it until all of its memory has come. */
static int await_return(struct incoming *in)
{
	int r;

	close_streams(in);
	/* Before anybody can say to it that the guest runs, without what it misses. */
	in->resumed = true;
	incoming_parts_set_status_if_missing(in, MIGRATION_LOST);
	do
		r = take_newcomer(in, RETURN_MS);
	while (r == -ETIMEDOUT && incoming_parts_at(in) == INCOMING_RUNS);
	if (r < 0)
		return r;
	in->streams[0].receiver.channel = in->channels[0];
	incoming_parts_set_status_if_missing(in, MIGRATION_RECOVERS);
	incoming_parts_say_state(in);
	incoming_parts_set_status_if_missing(in, MIGRATION_POSTCOPY);
	return 0;
}

static int conclude(struct incoming *in)
{
	pthread_t door;
	int r = thread_start(&door, "migration", mind_the_door, in);

	if (r < 0)
		return err_sys(&in->err, r, "cannot wait for a source that returns");
	do
		r = listen_to_source(in);
	while (r < 0 && !is_broken_off(in) && !await_return(in));
	close_door(in, door);
	if (incoming_parts_at(in) == INCOMING_RUNS || incoming_parts_at(in) == INCOMING_DONE)
		return 0;
	if (incoming_parts_at(in) == INCOMING_FAILED)
		return in->err.code;
	return err_set(&in->err, -ECANCELED, r == 1 ? "the source has broken it off" :
		       "the source was lost, and has not come back");
}

void *incoming_parts_run(void *arg)
{
	struct incoming *in = arg;
	int r = build(in);

	if (!r)
		r = receive_memory(in);
	if (!r)
		r = receive_state(in);
	if (!r)
		r = conclude(in);
	else if (r != -ECANCELED)
		incoming_parts_tell(in, MESSAGE_FAILED, 0, 0, in->err.text);
	in->r = r;
	close_streams(in);
	ram_receiver_fini(&in->streams[0].receiver);
	loop_post(in->config.main, &in->finish);
	return NULL;
}
