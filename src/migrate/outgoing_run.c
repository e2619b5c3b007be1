// SPDX-License-Identifier: Apache-2.0
/*
 * outgoing_run.c - the thread of an outgoing VM: what it tells the target, and when.
 */
#include "base/bits.h"
#include "base/clock.h"
#include "base/thread.h"
#include "memory/ram.h"
#include "outgoing_line.h"
#include "outgoing_parts.h"
#include "pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_MS	500	/* from one attempt to find a lost target to the next */
#define PATIENCE_MS	5000	/* with one attempt */
#define SHORT_NS	(5 * CLOCK_NS_PER_MS)	/* for which no guest minds to stand still */
#define PUSH_S		1	/* for what is left when nothing is missing */

/* Streams of memory. */

static void *fill_stream(void *arg)
{
	struct outgoing_stream *stream = arg;

	for (;;) {
		while (sem_wait(&stream->go))
			;
		if (stream->ends)
			return NULL;
		stream->r = stream->send(&stream->sender, stream->bitmap);
		sem_post(&stream->done);
	}
}

static int open_sender(struct outgoing *o, struct ram_sender *sender, unsigned i)
{
	*sender = (struct ram_sender){
		.channel = o->channels[i],
		.turn = i ? NULL : &o->say,
		.share = i,
		.nr_shares = o->nr_streams,
		.fresh = o->at == OUTGOING_COPIES,
		.pack = o->parameters.compress,
		.rate = &o->rate,
		.stop = &o->stop,
		.sent = &o->sent,
	};
	return ram_sender_init(sender);
}

static int open_stream(struct outgoing *o, unsigned i)
{
	struct outgoing_stream *stream = &o->streams[i];
	int r = open_sender(o, &stream->sender, i);

	sem_init(&stream->go, 0, 0);
	sem_init(&stream->done, 0, 0);
	stream->open = true;
	if (!r) {
		r = thread_start(&stream->thread, "migration", fill_stream, stream);
		stream->started = !r;
	}
	return r < 0 ? err_sys(&o->err, r, "cannot send memory") : 0;
}

/* What the senders send from here on. */
static void use_memory(struct outgoing *o)
{
	struct ram *ram = machine_state_ram(o->config.machine);

	for (unsigned i = 0; i < o->nr_streams; i++)
		o->streams[i].sender.ram = ram;
	o->urgent.ram = ram;
}

/* The memory is there, and no other, until leave_memory().  -ECANCELED. */
static int enter_memory(struct outgoing *o)
{
	pthread_mutex_lock(&o->lock);
	while (o->replaced && !o->broken_off)
		pthread_cond_wait(&o->wake, &o->lock);
	o->in_memory = !o->broken_off;
	o->anew = false;
	pthread_mutex_unlock(&o->lock);
	if (!o->in_memory)
		return -ECANCELED;
	use_memory(o);
	return 0;
}

static void leave_memory(struct outgoing *o)
{
	pthread_mutex_lock(&o->lock);
	o->in_memory = false;
	pthread_cond_broadcast(&o->wake);
	pthread_mutex_unlock(&o->lock);
}

/* Channels but the first are still to be connected. */
static int open_streams(struct outgoing *o, unsigned nr)
{
	int r = 0;

	o->nr_streams = nr;
	for (unsigned i = 0; i < nr && !r; i++) {
		if (i)
			r = outgoing_line_connect(o, i);
		if (i && !r)
			r = outgoing_line_say(o, i, MESSAGE_STREAM, i, 0, o->session,
					      sizeof(o->session));
		if (!r)
			r = open_stream(o, i);
	}
	if (!r) {
		r = open_sender(o, &o->urgent, 0);
		/* What is asked for is missing, whatever it holds. */
		o->urgent.fresh = false;
		if (r < 0)
			err_sys(&o->err, r, "cannot send memory");
	}
	return r;
}

static void close_streams(struct outgoing *o)
{
	ram_sender_fini(&o->urgent);
	for (unsigned i = 0; i < ARRAY_LEN(o->streams); i++) {
		struct outgoing_stream *stream = &o->streams[i];

		if (stream->started) {
			stream->ends = true;
			sem_post(&stream->go);
			pthread_join(stream->thread, NULL);
		}
		if (stream->open) {
			ram_sender_fini(&stream->sender);
			sem_destroy(&stream->go);
			sem_destroy(&stream->done);
		}
		stream->started = stream->open = false;
		stream->ends = false;
	}
	o->pushes = false;
}

static void begin_sending(struct outgoing *o,
			  int (*send)(struct ram_sender *sender, uint64_t *bitmap))
{
	for (unsigned i = 0; i < o->nr_streams; i++) {
		o->streams[i].send = send;
		o->streams[i].bitmap = o->bitmap;
		sem_post(&o->streams[i].go);
	}
}

/* When one has failed, the others would wait for ever for a target that has gone away. */
static int await_sending(struct outgoing *o)
{
	int r = 0;

	for (unsigned i = 0; i < o->nr_streams; i++) {
		while (sem_wait(&o->streams[i].done))
			;
		if (r || o->streams[i].r >= 0)
			continue;
		r = outgoing_line_lost(o, o->streams[i].r);
		outgoing_line_break(o);
	}
	return r;
}

/* All streams at once; returns when each has sent its share. */
static int send_bitmap(struct outgoing *o,
		       int (*send)(struct ram_sender *sender, uint64_t *bitmap))
{
	begin_sending(o, send);
	return await_sending(o);
}

/* Finding each other. */

static int set_up(struct outgoing *o)
{
	int r = outgoing_line_connect(o, 0);

	if (!r)
		r = outgoing_line_say(o, 0, MESSAGE_PLAN, 0, 0, o->plan, o->plan_len);
	if (!r)
		r = outgoing_line_hear(o, MESSAGE_READY);
	if (!r)
		r = open_streams(o, o->parameters.streams);
	pthread_mutex_lock(&o->lock);
	o->info.setup_ns = clock_ns() - o->began;
	pthread_mutex_unlock(&o->lock);
	return r;
}

/* Copying. */

int outgoing_parts_send_disk(void *ctx, const struct message *message, const void *bytes,
			     struct err *err)
{
	struct outgoing *o = ctx;
	int r;

	pthread_mutex_lock(&o->say);
	r = message_send(o->channels[0], message, bytes);
	pthread_mutex_unlock(&o->say);
	if (r < 0) {
		r = outgoing_line_lost(o, r);
		*err = o->err;
		return r;
	}
	pace_keep(&o->pace, MESSAGE_HEADER_LEN + message->len, &o->rate, o->nr_streams, &o->stop);
	return 0;
}

/* What the guest has written to them by now. */
static int send_disks(struct outgoing *o)
{
	if (!o->disks)
		return 0;
	disk_sender_take(o->disks);
	return disk_sender_send(o->disks, &o->err);
}

static uint64_t sent_bytes(const struct outgoing *o)
{
	return atomic_load(&o->sent.bytes) + atomic_load(&o->disks_sent.bytes);
}

static uint64_t sent_pages(const struct outgoing *o)
{
	return atomic_load(&o->sent.pages) + atomic_load(&o->sent.zeroes);
}

/* Of the last piece there may be bits for more pages than there are. */
void outgoing_parts_note_left(struct outgoing *o)
{
	uint64_t left = pages_count(o->bitmap, o->words) * PAGES_LEN;

	pthread_mutex_lock(&o->lock);
	o->info.remaining = min_u64(left, o->info.memory);
	o->done_before = sent_pages(o);
	pthread_mutex_unlock(&o->lock);
}

static bool wanted(struct outgoing *o)
{
	bool wanted;

	pthread_mutex_lock(&o->lock);
	wanted = o->postcopy;
	pthread_mutex_unlock(&o->lock);
	return wanted;
}

/* Half of the time is for what is not memory, and for what is written until then. */
static bool fits(const struct outgoing *o, uint64_t bytes)
{
	uint64_t ns = atomic_load(&o->downtime_ms) * CLOCK_NS_PER_MS / 2;

	return (double)bytes <= (double)o->info.rate * (double)ns / CLOCK_NS_PER_S;
}

/* What is left after a round that has left much less than it sent soon is less again. */
static bool pays(const struct outgoing *o, uint64_t sent)
{
	return o->info.remaining < sent / 2 && o->info.expected_ns > SHORT_NS;
}

/* A guest that writes more than half as fast as we send is slowed down more and more. */
static void throttle(struct outgoing *o, uint64_t sent, uint64_t dirty)
{
	const struct migration_parameters *p = &o->parameters;
	uint32_t percent;

	if (!p->throttle || o->info.rounds < 2 || dirty < sent / 2 || atomic_load(&o->stop))
		return;
	pthread_mutex_lock(&o->lock);
	percent = o->info.throttle ? o->info.throttle + p->throttle_step : p->throttle_first;
	if (percent > p->throttle_max)
		percent = p->throttle_max;
	o->info.throttle = percent;
	pthread_mutex_unlock(&o->lock);
	loop_post(o->config.main, &o->slow_down);
}

static uint64_t per_second(uint64_t nr, uint64_t ns)
{
	return (uint64_t)((double)nr / (double)(ns + 1) * CLOCK_NS_PER_S);
}

/* What this round has cost, and what it has left behind. */
static void judge_round(struct outgoing *o, uint64_t sent, uint64_t pages, uint64_t ns)
{
	uint64_t left;

	outgoing_parts_note_left(o);
	left = o->info.remaining;
	if (o->disks)
		left += disk_sender_take(o->disks);
	pthread_mutex_lock(&o->lock);
	/* What is over in a moment tells nothing of the speed. */
	if (ns > CLOCK_NS_PER_MS || !o->info.rate) {
		o->info.rate = per_second(sent, ns);
		o->info.page_rate = per_second(pages, ns);
	}
	/* What a round that was ended early has not sent need not have been written to. */
	if (!atomic_load(&o->stop))
		o->info.dirty_rate = per_second(o->info.remaining / PAGES_LEN, ns);
	o->info.expected_ns = o->info.rate ?
		(uint64_t)((double)left / (double)o->info.rate * CLOCK_NS_PER_S) : 0;
	pthread_mutex_unlock(&o->lock);
	throttle(o, sent, left);
}

static void begin_round(struct outgoing *o)
{
	pthread_mutex_lock(&o->lock);
	o->info.rounds++;
	if (o->info.rounds == 1)
		o->info.remaining = o->info.memory;
	pthread_mutex_unlock(&o->lock);
	loop_post(o->config.main, &o->tell);
}

/* Afterwards the bitmap names what the target does not have as it is by now. */
static int send_memory(struct outgoing *o)
{
	int r = 0;

	/* Disks may have taken long; what was written meanwhile is about to be sent. */
	if (o->disks)
		r = machine_state_log_take(o->config.machine, o->bitmap, &o->err);
	outgoing_parts_note_left(o);
	if (!r)
		r = send_bitmap(o, ram_sender_send);
	if (!r)
		r = machine_state_log_take(o->config.machine, o->bitmap, &o->err);
	for (unsigned i = 0; i < o->nr_streams; i++)
		o->streams[i].sender.fresh = false;
	return r;
}

static int copy_memory(struct outgoing *o)
{
	uint64_t left, sent;
	int r;

	do {
		uint64_t began = clock_ns(), before = sent_bytes(o), pages = sent_pages(o);

		begin_round(o);
		r = send_disks(o);
		if (!r)
			r = enter_memory(o);
		if (r < 0)
			return r;
		r = send_memory(o);
		sent = sent_bytes(o) - before;
		judge_round(o, sent, sent_pages(o) - pages, clock_ns() - began);
		leave_memory(o);
		if (r < 0)
			return r;
		left = atomic_load(&o->disks_sent.left);
		if (!wanted(o))
			left += o->info.remaining;
	} while (!fits(o, left) || (!wanted(o) && pays(o, sent)));
	return 0;
}

/*
 * The guest goes on while most of what its disks owe is written.  If that takes long, what it
 * changes meanwhile is not left for the time that it stands still.
 */
static int copy(struct outgoing *o)
{
	uint64_t began;
	int r = copy_memory(o);

	if (r < 0)
		return r;
	began = clock_ns();
	r = machine_state_flush(o->config.machine, &o->err);
	return !r && clock_ns() - began > SHORT_NS ? copy_memory(o) : r;
}

/* Handing over. */

static int not_yet(struct outgoing *o)
{
	bool goes_on;

	pthread_mutex_lock(&o->lock);
	goes_on = !o->broken_off;
	if (goes_on)
		o->at = OUTGOING_COPIES;
	pthread_mutex_unlock(&o->lock);
	return goes_on ? OUTGOING_GOES_ON : -ECANCELED;
}

/* The main thread's. */
static int take_turn(struct outgoing *o, struct loop_task *task)
{
	if (outgoing_line_broken(o))
		return -ECANCELED;
	loop_post(o->config.main, task);
	while (sem_wait(&o->turn))
		;
	return outgoing_line_broken(o) ? -ECANCELED : o->r;
}

/* A disk may take its time, for which nobody else has to wait: so it is put to sleep here. */
static int stop_guest(struct outgoing *o)
{
	int r;

	pthread_mutex_lock(&o->lock);
	if (!o->broken_off)
		o->at = OUTGOING_HANDS_OVER;
	pthread_mutex_unlock(&o->lock);
	r = take_turn(o, &o->hand_over);
	if (r == OUTGOING_GOES_ON)
		return not_yet(o);
	/* Those that are copied are nobody else's: they stay as they are. */
	if (!r && !o->disks)
		r = machine_state_sleep_disks(o->config.machine, &o->err);
	if (!r)
		r = take_turn(o, &o->keep);
	if (!r)
		outgoing_parts_set_status(o, MIGRATION_DEVICE);
	return r;
}

/* All but GO. */
static int send_all(struct outgoing *o)
{
	int r;

	atomic_store(&o->rate, 0);
	atomic_store(&o->stop, false);
	r = send_disks(o);
	if (!r)
		r = send_bitmap(o, wanted(o) ? ram_sender_disown : ram_sender_send);
	for (unsigned i = 0; i < o->nr_streams && !r; i++)
		r = outgoing_line_say(o, i, MESSAGE_END, 0, 0, NULL, 0);
	if (!r)
		r = outgoing_line_say(o, 0, MESSAGE_STATE, clock_ns() - o->stopped, 0,
				      o->state, o->state_len);
	return r;
}

/* The guest runs elsewhere from here on.  Under lock. */
static void note_downtime(struct outgoing *o)
{
	o->info.downtime_ns = clock_ns() - o->stopped;
	o->info.downtime_bytes = atomic_load(&o->sent.bytes) - o->sent_running;
}

/* False: somebody is breaking it off, or taking the guest back, or that cannot come now. */
static bool go_to(struct outgoing *o, enum outgoing_state from, enum outgoing_state to)
{
	bool goes;

	pthread_mutex_lock(&o->lock);
	goes = !o->broken_off && !o->taken_back && o->at >= from && o->at <= to;
	if (goes && o->at < to && to == OUTGOING_TAIL)
		note_downtime(o);
	if (goes)
		o->at = to;
	pthread_mutex_unlock(&o->lock);
	return goes;
}

static int not_now(struct outgoing *o, const char *what)
{
	return err_set(&o->err, -EPROTO, "the other side says %s, which cannot be", what);
}

/*
 * First the state, then the word, which may be received also where it seems that it could
 * not be sent: from here on it is the target's to run the guest.
 */
static int send_go(struct outgoing *o)
{
	uint32_t paused = machine_state_runs(o->config.machine) ? 0 : MESSAGE_GO_PAUSED;

	if (!go_to(o, OUTGOING_HANDS_OVER, OUTGOING_SENT_GO))
		return not_now(o, "LOADED");
	return outgoing_line_say(o, 0, MESSAGE_GO, clock_ns() - o->stopped, paused, NULL, 0);
}

/* What is missing there follows, while we listen for what is asked for. */
static int push(struct ram_sender *sender, uint64_t *bitmap)
{
	const struct message end = { .type = MESSAGE_END };
	int r = ram_sender_send(sender, bitmap);

	if (!r) {
		if (sender->turn)
			pthread_mutex_lock(sender->turn);
		r = message_send(sender->channel, &end, NULL);
		if (sender->turn)
			pthread_mutex_unlock(sender->turn);
	}
	/* Then the target is not heard any more either, which is seen to elsewhere. */
	if (r < 0)
		channel_break(sender->channel);
	return r;
}

static int runs_there(struct outgoing *o, const char *word)
{
	return go_to(o, OUTGOING_SENT_GO, OUTGOING_TAIL) ? 0 : not_now(o, word);
}

/* A target that misses nothing asks for nothing; then there may be nobody to send it. */
static int send_asked(struct outgoing *o, uint64_t page)
{
	int r;

	if (!o->postcopy)
		return not_now(o, "ASK");
	if (page >= o->info.memory / PAGES_LEN)
		return err_set(&o->err, -EPROTO, "the other side asks for page %llu, which there "
			       "is not", (unsigned long long)page);
	pthread_mutex_lock(&o->lock);
	o->info.asked++;
	pthread_mutex_unlock(&o->lock);
	r = ram_sender_send_range(&o->urgent, page, 1);
	return r < 0 ? message_lost(&o->err, r) : 0;
}

/* What it has said before of what it misses, it says anew after each RESUME. */
static int note_missing(struct outgoing *o, const struct message *message)
{
	uint64_t nr = o->info.memory / PAGES_LEN;

	if (!range_within(message->at, message->nr, nr))
		return err_set(&o->err, -EPROTO, "the other side misses pages that there are not");
	/* Said twice, since it has begun to run just then. */
	if (o->pushes)
		return 0;
	for (uint64_t i = message->at; i < message->at + message->nr; i++)
		o->bitmap[i / 64] |= UINT64_C(1) << i % 64;
	return 0;
}

static void push_rest(struct outgoing *o)
{
	if (!o->postcopy || o->pushes)
		return;
	o->pushes = true;
	outgoing_parts_note_left(o);
	begin_sending(o, push);
	outgoing_parts_set_status(o, MIGRATION_POSTCOPY);
}

/* 1: the target has all that it needs. */
static int answer(struct outgoing *o, const struct message *message)
{
	int r;

	switch (message->type) {
	case MESSAGE_LOADED:
		return send_go(o);
	case MESSAGE_RUNS:
		r = runs_there(o, "RUNS");
		if (!r)
			push_rest(o);
		return r;
	case MESSAGE_ASK:
		return send_asked(o, message->at);
	case MESSAGE_MISSING:
		return note_missing(o, message);
	case MESSAGE_DONE:
		r = runs_there(o, "DONE");
		return r < 0 ? r : 1;
	case MESSAGE_FAILED:
		if (o->at == OUTGOING_TAIL)
			return not_now(o, "FAILED");
		return message_receive_failure(o->channels[0], message, &o->err);
	default:
		return err_set(&o->err, -EPROTO, "the other side says %u", message->type);
	}
}

/*
 * A target that has all that it needs will take the little that is on its way; where it
 * does not, BYE would wait for it.
 */
static void end_pushing(struct outgoing *o)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PUSH_S;
	for (unsigned i = 0; o->pushes && i < o->nr_streams; i++) {
		int r;

		while ((r = sem_timedwait(&o->streams[i].done, &until)) && errno == EINTR)
			;
		if (r)
			outgoing_line_break(o);
	}
}

/* Until the target says that it is done, has failed, or is not heard any more. */
static int listen_to_target(struct outgoing *o)
{
	struct message message;
	int r;

	do {
		r = message_receive(o->channels[0], &message, &o->err);
		if (!r)
			r = answer(o, &message);
	} while (!r);
	return r < 0 ? r : 0;
}

/* False: there is no time, the thread is to end. */
static bool wait_a_little(struct outgoing *o)
{
	struct timespec until;
	bool goes_on;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += AGAIN_MS * (long)CLOCK_NS_PER_MS;
	until.tv_sec += until.tv_nsec / (long)CLOCK_NS_PER_S;
	until.tv_nsec %= (long)CLOCK_NS_PER_S;
	pthread_mutex_lock(&o->lock);
	while (!o->broken_off && !o->uri_is_new &&
	       !pthread_cond_timedwait(&o->wake, &o->lock, &until))
		;
	o->uri_is_new = false;
	goes_on = !o->broken_off;
	pthread_mutex_unlock(&o->lock);
	return goes_on;
}

static void say_lost(struct outgoing *o)
{
	pthread_mutex_lock(&o->lock);
	memcpy(o->info.error, o->err.text, sizeof(o->info.error));
	pthread_mutex_unlock(&o->lock);
	if (o->info.status != MIGRATION_LOST)
		outgoing_parts_set_status(o, MIGRATION_LOST);
}

static int find_again(struct outgoing *o)
{
	int r = -ECANCELED;

	/* The streams may still be sending to somebody who takes nothing. */
	outgoing_line_break(o);
	close_streams(o);
	outgoing_line_drop(o);
	say_lost(o);
	o->options.patience_ms = PATIENCE_MS;
	while (wait_a_little(o)) {
		r = outgoing_line_connect(o, 0);
		if (!r)
			r = outgoing_line_say(o, 0, MESSAGE_RESUME, 0, 0, o->session,
					      sizeof(o->session));
		if (!r && o->postcopy) {
			memset(o->bitmap, 0, o->words * sizeof(*o->bitmap));
			r = open_streams(o, 1);
			use_memory(o);
		}
		if (!r) {
			outgoing_parts_set_status(o, MIGRATION_RECOVERS);
			return 0;
		}
		close_streams(o);
		outgoing_line_drop(o);
		say_lost(o);
	}
	return -ECANCELED;
}

/*
 * Until GO is said, a loss leaves the guest here; from then on nothing but the target's own
 * word tells what has become of it.
 */
static int conclude(struct outgoing *o)
{
	int r;

	do
		r = listen_to_target(o);
	while (r < 0 && r != -EREMOTEIO && o->at >= OUTGOING_SENT_GO && !find_again(o));
	return r;
}

static int hand_over(struct outgoing *o)
{
	int r = stop_guest(o);

	if (!r)
		r = send_all(o);
	if (!r)
		r = conclude(o);
	pthread_mutex_lock(&o->lock);
	if (!r)
		o->at = OUTGOING_GONE;
	else if (r == -EREMOTEIO && o->at > OUTGOING_HANDS_OVER)
		o->at = OUTGOING_RETURNS;
	pthread_mutex_unlock(&o->lock);
	return r;
}

static bool gave_no_answer(struct outgoing *o)
{
	bool unanswered;

	pthread_mutex_lock(&o->lock);
	unanswered = o->unanswered;
	pthread_mutex_unlock(&o->lock);
	return unanswered;
}

void *outgoing_parts_run(void *arg)
{
	struct outgoing *o = arg;
	int r = set_up(o);

	if (!r) {
		outgoing_parts_set_status(o, MIGRATION_ACTIVE);
		do {
			r = copy(o);
			if (!r)
				r = hand_over(o);
		} while (r == OUTGOING_GOES_ON);
	}
	if (outgoing_line_broken(o) && o->at != OUTGOING_GONE)
		r = err_set(&o->err, -ECANCELED, "cancelled");
	else if (gave_no_answer(o))
		r = err_set(&o->err, -ETIMEDOUT, "the other side gives no answer while the guest "
			    "stands still");
	o->r = r;
	/* Whether it is heard does not matter: a target that hears nothing ends by itself. */
	if (o->channels[0] && o->at != OUTGOING_SENT_GO && o->at != OUTGOING_TAIL) {
		struct err ignored = o->err;

		end_pushing(o);
		(void)outgoing_line_say(o, 0, MESSAGE_BYE, 0, 0, NULL, 0);
		o->err = ignored;
	}
	close_streams(o);
	outgoing_line_drop(o);
	loop_post(o->config.main, &o->finish);
	return NULL;
}
