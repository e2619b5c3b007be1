// SPDX-License-Identifier: Apache-2.0
#include "ram_receive.h"

#include "base/bits.h"
#include "base/err.h"
#include "channel.h"
#include "lazy_ram.h"
#include "memory/ram.h"
#include "pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

struct ram_receiver_room {
	ZSTD_DCtx *zstd;
	char packed[MESSAGE_PIECE], pages[MESSAGE_PIECE];
};

int ram_receiver_init(struct ram_receiver *receiver)
{
	receiver->room = malloc(sizeof(*receiver->room));
	if (receiver->room)
		receiver->room->zstd = ZSTD_createDCtx();
	return receiver->room && receiver->room->zstd ? 0 : -ENOMEM;
}

void ram_receiver_fini(struct ram_receiver *receiver)
{
	if (receiver->room)
		ZSTD_freeDCtx(receiver->room->zstd);
	free(receiver->room);
	receiver->room = NULL;
}

/* Where the pages belong; NULL: the VM has none such. */
static char *pages_of(const struct ram_receiver *receiver, const struct message *message)
{
	uint64_t nr = receiver->ram->len / PAGES_LEN;

	if (!message->nr || message->nr > MESSAGE_PIECE / PAGES_LEN ||
	    !range_within(message->at, message->nr, nr))
		return NULL;
	return (char *)receiver->ram->host + message->at * PAGES_LEN;
}

/* Only what is not so already is written: reading does not bring a page into being. */
static void clear(char *to, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++, to += PAGES_LEN)
		if (!pages_zero(to))
			memset(to, 0, PAGES_LEN);
}

/* To where the pages belong or, while their places are watched, beside it. */
static int receive(struct ram_receiver *receiver, const struct message *message, char *to,
		   struct err *err)
{
	int r;

	if (message->len != message->nr * PAGES_LEN)
		return err_set(err, -EPROTO, "%u pages in %llu bytes", message->nr,
			       (unsigned long long)message->len);
	r = channel_receive(receiver->channel, to, message->len);
	return r < 0 ? message_lost(err, r) : 0;
}

static int unpack(struct ram_receiver *receiver, const struct message *message, char *to,
		  struct err *err)
{
	struct ram_receiver_room *room = receiver->room;
	size_t want = message->nr * PAGES_LEN, got;
	int r = channel_receive(receiver->channel, room->packed, message->len);

	if (r < 0)
		return message_lost(err, r);
	got = ZSTD_decompressDCtx(room->zstd, to, want, room->packed, message->len);
	if (got != want)
		return err_set(err, -EPROTO, "compressed memory is damaged: %s",
			       ZSTD_isError(got) ? ZSTD_getErrorName(got) : "too short");
	return 0;
}

static int place(struct ram_receiver *receiver, const struct message *message, char *to,
		 struct err *err)
{
	int r;

	switch (message->type) {
	case MESSAGE_PAGES:
		return receive(receiver, message, to, err);
	case MESSAGE_PACKED:
		return unpack(receiver, message, to, err);
	case MESSAGE_ZEROES:
		clear(to, message->nr);
		return 0;
	default:
		if (!receiver->lazy)
			return err_set(err, -EPROTO, "nobody has spoken of post-copy");
		r = lazy_ram_miss(receiver->lazy, message->at, message->nr);
		return r < 0 ? err_sys(err, r, "memory cannot be given up for post-copy") : 0;
	}
}

/* A guest runs in there: what it has by now stays. */
static int fill(struct ram_receiver *receiver, const struct message *message, struct err *err)
{
	char *beside = receiver->room->pages;
	int r = message->type == MESSAGE_ZEROES ? 0 : place(receiver, message, beside, err);

	if (r < 0)
		return r;
	r = lazy_ram_fill(receiver->lazy, message->at, message->nr,
			  message->type == MESSAGE_ZEROES ? NULL : beside);
	return r < 0 ? err_sys(err, r, "cannot place a page") : 0;
}

int ram_receiver_take(struct ram_receiver *receiver, const struct message *message,
		      struct err *err)
{
	char *to;

	if (message->type < MESSAGE_PAGES || message->type > MESSAGE_MISSING)
		return 1;
	to = pages_of(receiver, message);
	if (!to)
		return err_set(err, -EPROTO, "%u pages from page %llu on are not of this VM's "
			       "memory", message->nr, (unsigned long long)message->at);
	atomic_fetch_add(receiver->bytes, MESSAGE_HEADER_LEN + message->len);
	if (!receiver->runs)
		return place(receiver, message, to, err);
	if (message->type == MESSAGE_MISSING)
		return err_set(err, -EPROTO, "pages that the guest runs in are taken away");
	return fill(receiver, message, err);
}
