/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram_receive.h - what comes over one channel of a VM's memory, to where it belongs.
 *
 * One thread for each receiver.
 */
#ifndef MIGRATE_RAM_RECEIVE_H
#define MIGRATE_RAM_RECEIVE_H

#include "message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct channel;
struct err;
struct lazy_ram;
struct ram;

struct ram_receiver {
	struct channel *channel;
	const struct ram *ram;
	atomic_uint_least64_t *bytes;	/* of all receivers, from the wire */
	struct lazy_ram *lazy;		/* what is missing; NULL: nothing will be */
	bool runs;			/* the guest, so that pages go by way of lazy */

	struct ram_receiver_room *room;	/* its own */
};

/* -ENOMEM. */
int ram_receiver_init(struct ram_receiver *receiver);
void ram_receiver_fini(struct ram_receiver *receiver);

/*
 * Receive the bytes of a message about memory and do what it says.  1: it is of another
 * kind, and its bytes are still to come; or 0, or a negative errno with the reason.
 */
int ram_receiver_take(struct ram_receiver *receiver, const struct message *message,
		      struct err *err);

#endif
