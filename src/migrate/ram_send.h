/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram_send.h - a share of a VM's memory on its way over one channel.
 *
 * Pages go from where they lie, without a copy, many in one system call.  The guest may
 * write to them meanwhile: what is sent of such a page is of no use, and whoever keeps the
 * log of writes sends it once more.
 *
 * One thread for each sender.
 */
#ifndef MIGRATE_RAM_SEND_H
#define MIGRATE_RAM_SEND_H

#include "message.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct channel;
struct ram;

/* What all senders of a migration have sent; any thread. */
struct ram_sent {
	atomic_uint_least64_t bytes;	/* on the wire */
	atomic_uint_least64_t pages;	/* as they are, or compressed */
	atomic_uint_least64_t zeroes;	/* pages */
};

struct ram_sender {
	struct channel *channel;
	pthread_mutex_t *turn;		/* of whoever else sends there; NULL: nobody does */
	const struct ram *ram;
	unsigned share, nr_shares;	/* of the pieces, every nr_shares-th from share on */
	bool fresh;			/* the other side has zeroes wherever nothing was sent */
	bool pack;			/* compress by zstd */
	const atomic_uint_least64_t *rate;	/* bytes a second; 0: any */
	const atomic_bool *stop;	/* send no more */
	struct ram_sent *sent;

	struct ram_sender_batch *batch;	/* its own */
};

/* -ENOMEM. */
int ram_sender_init(struct ram_sender *sender);
void ram_sender_fini(struct ram_sender *sender);

/*
 * Send what of its share the bitmap names, which then names what of it was not sent.  0, or
 * what channel_send() says.
 */
int ram_sender_send(struct ram_sender *sender, uint64_t *bitmap);

/* The same of a few pages, whosever share they are in: at most a piece. */
int ram_sender_send_range(struct ram_sender *sender, uint64_t page, uint64_t nr);

/* Tell the other side to forget what it has of them; the bitmap stays. */
int ram_sender_disown(struct ram_sender *sender, uint64_t *bitmap);

#endif
