// SPDX-License-Identifier: Apache-2.0
#include "disk_receive.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "channel.h"
#include "disk_slot.h"

#include <errno.h>
#include <stdlib.h>

#define OWED_MAX	(32 * MiB)	/* bytes that are not durable */

struct disk_receiver {
	struct disk *disks[MESSAGE_DISKS_MAX];
	uint32_t nr;
	uint64_t owed;
	struct disk_slot slots[DISK_SLOTS];
};

struct disk_receiver *disk_receiver_new(void)
{
	struct disk_receiver *receiver = calloc(1, sizeof(*receiver));

	if (!receiver)
		return NULL;
	return disk_slot_init_all(receiver->slots) < 0 ? disk_receiver_free(receiver) : receiver;
}

static int await_all(struct disk_receiver *receiver, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; i < DISK_SLOTS; i++) {
		int result = disk_slot_await(&receiver->slots[i], r < 0 ? NULL : err);

		if (!r)
			r = result;
	}
	return r;
}

struct disk_receiver *disk_receiver_free(struct disk_receiver *receiver)
{
	if (!receiver)
		return NULL;
	(void)await_all(receiver, NULL);
	disk_slot_fini_all(receiver->slots);
	free(receiver);
	return NULL;
}

void disk_receiver_add(struct disk_receiver *receiver, struct disk *disk)
{
	receiver->disks[receiver->nr++] = disk;
}

int disk_receiver_flush(struct disk_receiver *receiver, struct err *err)
{
	int r = await_all(receiver, err);

	receiver->owed = 0;
	for (uint32_t i = 0; i < receiver->nr && !r; i++) {
		disk_slot_begin(&receiver->slots[0], receiver->disks[i], DISK_FLUSH, 0, 0);
		r = disk_slot_await(&receiver->slots[0], err);
	}
	return r;
}

/* How much of the disk the message is about. */
static int len_of(struct channel *channel, const struct message *message, uint64_t *ret_len,
		  struct err *err)
{
	uint8_t zeroes[8];
	int r;

	*ret_len = message->len;
	if (message->type == MESSAGE_DISK)
		return 0;
	if (message->len != sizeof(zeroes))
		return err_set(err, -EPROTO, "zeroes of a disk, but not how many");
	r = channel_receive(channel, zeroes, sizeof(zeroes));
	*ret_len = get_le64(zeroes);
	return r < 0 ? message_lost(err, r) : 0;
}

static int check(const struct disk_receiver *receiver, const struct message *message,
		 uint64_t len, struct err *err)
{
	if (message->nr >= receiver->nr)
		return err_set(err, -EPROTO, "there is no disk %u", message->nr);
	if (!len || !range_within(message->at % MESSAGE_DISK_PIECE, len, MESSAGE_DISK_PIECE) ||
	    !range_within(message->at, len, disk_size(receiver->disks[message->nr])))
		return err_set(err, -EPROTO, "%llu bytes from byte %llu on are no piece of disk "
			       "'%s'", (unsigned long long)len,
			       (unsigned long long)message->at,
			       disk_id(receiver->disks[message->nr]));
	return 0;
}

int disk_receiver_take(struct disk_receiver *receiver, struct channel *channel,
		       const struct message *message, struct err *err)
{
	struct disk_slot *slot =
		&receiver->slots[message->at / MESSAGE_DISK_PIECE % DISK_SLOTS];
	uint64_t len;
	int r;

	if (message->type != MESSAGE_DISK && message->type != MESSAGE_DISK_ZEROES)
		return 1;
	r = len_of(channel, message, &len, err);
	if (!r)
		r = check(receiver, message, len, err);
	if (!r)
		r = disk_slot_await(slot, err);
	if (!r && message->type == MESSAGE_DISK) {
		r = channel_receive(channel, slot->bytes, len);
		if (r < 0)
			message_lost(err, r);
	}
	if (r < 0)
		return r;
	disk_slot_begin(slot, receiver->disks[message->nr],
			message->type == MESSAGE_DISK ? DISK_WRITE : DISK_ZERO, message->at, len);
	receiver->owed += message->len;
	return receiver->owed > OWED_MAX ? disk_receiver_flush(receiver, err) : 0;
}
