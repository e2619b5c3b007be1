/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outgoing_parts.h - an outgoing VM from the inside, for the files that it is made of.
 *
 * The thread and the main thread take turns, so what they share needs no lock but for what
 * comes from aside.
 */
#ifndef MIGRATE_OUTGOING_PARTS_H
#define MIGRATE_OUTGOING_PARTS_H

#include "base/err.h"
#include "channel.h"
#include "disk_send.h"
#include "loop/loop.h"
#include "machine/machine_state.h"
#include "message.h"
#include "migrate/outgoing.h"
#include "pace.h"
#include "ram_send.h"

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* Of ARCHITECTURE.md, "Hand-over". */
enum outgoing_state {
	OUTGOING_STAYS,
	OUTGOING_COPIES,
	OUTGOING_HANDS_OVER,
	OUTGOING_SENT_GO,
	OUTGOING_TAIL,
	OUTGOING_RETURNS,
	OUTGOING_GONE,
};

/* No error: a guest that is about to be reset, or has been, is copied once more. */
#define OUTGOING_GOES_ON	1

/* A channel for memory, and the thread that fills it. */
struct outgoing_stream {
	struct outgoing *owner;
	struct ram_sender sender;
	pthread_t thread;
	bool open, started;
	sem_t go, done;
	int (*send)(struct ram_sender *sender, uint64_t *bitmap);
	uint64_t *bitmap;
	atomic_bool ends;		/* also while it sends what a target misses */
	int r;
};

struct outgoing {
	struct outgoing_config config;
	struct machine_holder holder;
	bool held;

	/* Of the one that is under way, or was the last. */
	struct migration_parameters parameters;
	struct channel_options options;
	uint8_t session[MESSAGE_SESSION_LEN];
	char *tls;
	void *plan, *state;		/* what is sent */
	size_t plan_len, state_len;
	uint64_t *bitmap;		/* pages that are to be sent */
	uint64_t words;			/* of it */
	uint64_t began, stopped;	/* by clock_ns(); stopped: the guest */
	uint64_t sent_running;		/* bytes, until then; of no meaning while stopped is 0 */

	/* Of whoever's turn it is. */
	int r;
	struct err err;

	pthread_t thread;
	bool started;
	struct loop_task hand_over, keep, finish;	/* turns of the main thread */
	sem_t turn;				/* the next one of the thread */
	struct loop_timer watchdog;		/* while the guest stands still */
	struct outgoing_stream streams[MESSAGE_STREAMS_MAX];
	unsigned nr_streams;			/* that are open */
	struct ram_sender urgent;		/* for pages that are asked for */
	pthread_mutex_t say;			/* whoever sends over the first channel */
	bool pushes;				/* the streams send what is missing */
	struct ram_sent sent;
	struct disk_sender *disks;		/* NULL: none is copied */
	struct disk_sent disks_sent;
	struct pace pace;			/* of disks */
	atomic_uint_least64_t rate;		/* of each stream */
	atomic_uint_least64_t downtime_ms;
	int cancel;				/* eventfd: connecting is to end */
	atomic_bool stop;			/* the round, for the guest is to be handed over */

	pthread_mutex_t lock;			/* of all below */
	pthread_cond_t wake;			/* broken_off, uri, in_memory, replaced */
	enum outgoing_state at;
	struct channel *channels[MESSAGE_STREAMS_MAX];	/* the first for all but memory */
	char uri[PATH_MAX];			/* of a descriptor only until it is used */
	int taken;				/* the descriptor, of a name; or -1 */
	bool uri_is_new;
	bool broken_off;			/* the thread is to end */
	bool taken_back;			/* ... or is about to; it changes no state */
	bool unanswered;			/* the target says nothing to be handed the guest */
	bool postcopy;				/* the guest is to be handed over */
	bool in_memory;				/* the thread, or its streams */
	bool replaced;				/* the memory is about to be: keep out */
	bool anew;				/* it was: no round has begun since */
	struct migration_info info;
	uint64_t done_before;			/* pages, when info.remaining was so */

	struct loop_task slow_down;		/* to what info says */
	struct loop_task tell;			/* statuses and rounds that were not told yet */
	enum migration_status untold[8];
	unsigned nr_untold;
	uint64_t told_rounds;
};

/* The thread. */
void *outgoing_parts_run(void *arg);

/* For disk_sender_config; ctx is a struct outgoing. */
int outgoing_parts_send_disk(void *ctx, const struct message *message, const void *bytes,
			     struct err *err);

/* From here on what is left is what the bitmap names; whoever's turn it is. */
void outgoing_parts_note_left(struct outgoing *o);

/* The status is another one from here on; any turn. */
void outgoing_parts_set_status(struct outgoing *o, enum migration_status status);

/* All channels are of no use any more; any thread.  Under lock. */
void outgoing_parts_break(struct outgoing *o);

#endif
