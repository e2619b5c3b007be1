/* SPDX-License-Identifier: Apache-2.0 */
/*
 * incoming_parts.h - an incoming VM from the inside, for the files that it is made of.
 *
 * A thread listens to the source.  What the machine has to do for it is done by the main
 * thread, which then answers the source by itself.
 */
#ifndef MIGRATE_INCOMING_PARTS_H
#define MIGRATE_INCOMING_PARTS_H

#include "base/err.h"
#include "channel.h"
#include "disk_receive.h"
#include "lazy_ram.h"
#include "loop/loop.h"
#include "machine/machine_state.h"
#include "message.h"
#include "migrate/incoming.h"
#include "migration_plan.h"
#include "ram_receive.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* Of ARCHITECTURE.md, "Hand-over". */
enum incoming_state {
	INCOMING_WAITS,
	INCOMING_LOADED,
	INCOMING_STARTS,
	INCOMING_RUNS,
	INCOMING_DONE,
	INCOMING_FAILED,
};

/* A channel for memory, and the thread that empties it; the first is emptied by ours. */
struct incoming_stream {
	struct incoming *owner;
	struct ram_receiver receiver;
	pthread_t thread;
	bool open, started;
	sem_t done, go;			/* with what comes before the guest runs; the rest */
	bool goes_on;			/* there is a rest */
	int r;
	struct err err;
};

struct incoming {
	struct incoming_config config;
	struct machine_holder holder;
	bool held;
	struct channel_listener *listener;
	int stop;			/* eventfd: the thread is to end */
	pthread_t thread;
	bool started;

	struct migration_plan plan;
	struct lazy_ram *lazy;		/* NULL: no page will be missing */
	struct disk_receiver *disks;	/* NULL: none is to come, or all have */
	struct incoming_stream streams[MESSAGE_STREAMS_MAX];
	atomic_uint_least64_t received;
	void *bytes;			/* of the plan, then of the state */
	size_t len;
	struct message go;
	uint64_t go_at;			/* by clock_ns() */

	/* Of whoever's turn it is; load and start are the main thread's to the end. */
	int r;
	struct err err;
	struct loop_task prepare, load, start, finish;	/* turns of the main thread */
	sem_t turn;					/* after prepare */
	sem_t returned, taken;		/* newcomer is the source; it is in its place */

	pthread_rwlock_t memory;	/* whoever is in the VM's memory reads */
	atomic_bool forgotten;		/* nobody is to enter it any more */

	pthread_mutex_t say;		/* whoever sends over the first channel; source */
	struct channel *source;		/* that channel; NULL: nobody is known to be there */
	atomic_bool resumed;		/* the source does not know what is missing */
	pthread_mutex_t lock;		/* of all below */
	enum incoming_state at;
	struct channel *channels[MESSAGE_STREAMS_MAX];
	struct channel *newcomer;	/* who may be the source that returns */
	bool broken_off;
	struct migration_info info;
	uint64_t began;			/* by clock_ns(); 0: nobody has come */
	uint64_t received_before;	/* bytes, until the guest ran */

	struct loop_task tell;
	enum migration_status untold[8];
	unsigned nr_untold;
};

/* The thread. */
void *incoming_parts_run(void *arg);

/* Any thread, like all below. */
enum incoming_state incoming_parts_at(struct incoming *in);
void incoming_parts_set(struct incoming *in, enum incoming_state at);
void incoming_parts_set_status(struct incoming *in, enum migration_status status);

/* The same, of a guest that runs and does not have all of its memory. */
void incoming_parts_set_status_if_missing(struct incoming *in, enum migration_status status);

/* To the source, if it is there; if not, it asks when it is again. */
void incoming_parts_tell(struct incoming *in, enum message_type type, uint64_t at, uint32_t nr,
		   const char *text);
void incoming_parts_say(struct incoming *in, enum message_type type);

/* What has become of the guest; nothing while the main thread is about to say it. */
void incoming_parts_say_state(struct incoming *in);

/* Once the guest runs and no page is missing, the source is of no more use. */
void incoming_parts_say_if_done(struct incoming *in);

/* Whoever is at a channel is done with it soon; but for a newcomer. */
void incoming_parts_break(struct incoming *in);

#endif
