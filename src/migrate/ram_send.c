// SPDX-License-Identifier: Apache-2.0
#include "ram_send.h"

#include "base/bits.h"
#include "channel.h"
#include "memory/ram.h"
#include "pace.h"
#include "pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <zstd.h>

#define PAGES_A_PIECE	(MESSAGE_PIECE / PAGES_LEN)
#define BATCH_MESSAGES	64
#define BATCH_BYTES	UINT64_C(0x80000)	/* then it is sent */
#define PACKED_PAGES	UINT64_C(32)		/* that are compressed as one */
#define ZSTD_LEVEL	1

/* Messages that go in one system call. */
struct ram_sender_batch {
	unsigned nr, nr_segs;
	uint64_t bytes;
	uint8_t headers[BATCH_MESSAGES][MESSAGE_HEADER_LEN];
	struct iovec segs[2 * BATCH_MESSAGES];
	struct pace pace;
	ZSTD_CCtx *zstd;		/* NULL: nothing is compressed */
	char packed[][PACKED_PAGES * PAGES_LEN];	/* one a message, with zstd */
};

int ram_sender_init(struct ram_sender *sender)
{
	struct ram_sender_batch *batch;

	batch = calloc(1, sizeof(*batch) +
			  (sender->pack ? BATCH_MESSAGES * sizeof(batch->packed[0]) : 0));
	if (!batch)
		return -ENOMEM;
	sender->batch = batch;
	batch->zstd = sender->pack ? ZSTD_createCCtx() : NULL;
	return sender->pack && !batch->zstd ? -ENOMEM : 0;
}

void ram_sender_fini(struct ram_sender *sender)
{
	if (sender->batch)
		ZSTD_freeCCtx(sender->batch->zstd);
	free(sender->batch);
	sender->batch = NULL;
}

static int flush(struct ram_sender *sender)
{
	struct ram_sender_batch *batch = sender->batch;
	uint64_t bytes = batch->bytes;
	int r;

	if (!batch->nr)
		return 0;
	if (sender->turn)
		pthread_mutex_lock(sender->turn);
	r = channel_send(sender->channel, batch->segs, batch->nr_segs);
	if (sender->turn)
		pthread_mutex_unlock(sender->turn);
	batch->nr = batch->nr_segs = 0;
	batch->bytes = 0;
	if (r < 0)
		return r;
	atomic_fetch_add(&sender->sent->bytes, bytes);
	pace_keep(&batch->pace, bytes, sender->rate, 1, sender->stop);
	return 0;
}

static int add(struct ram_sender *sender, enum message_type type, uint64_t page, uint64_t nr,
	       const void *bytes, uint64_t len)
{
	const struct message message = { type, (uint32_t)nr, page, len };
	struct ram_sender_batch *batch = sender->batch;

	message_pack(batch->headers[batch->nr], &message);
	batch->segs[batch->nr_segs++] = (struct iovec){
		batch->headers[batch->nr], MESSAGE_HEADER_LEN,
	};
	if (len)
		batch->segs[batch->nr_segs++] = (struct iovec){ (void *)bytes, len };
	batch->nr++;
	batch->bytes += MESSAGE_HEADER_LEN + len;
	return batch->nr == BATCH_MESSAGES || batch->bytes >= BATCH_BYTES ? flush(sender) : 0;
}

/* Pages that do not become smaller go as they are. */
static int add_packed(struct ram_sender *sender, uint64_t page, uint64_t nr)
{
	struct ram_sender_batch *batch = sender->batch;
	const char *host = (const char *)sender->ram->host + page * PAGES_LEN;
	char *packed = batch->packed[batch->nr];
	uint64_t len = nr * PAGES_LEN;
	size_t r = ZSTD_compressCCtx(batch->zstd, packed, len - 1, host, len, ZSTD_LEVEL);

	return ZSTD_isError(r) ? add(sender, MESSAGE_PAGES, page, nr, host, len) :
				 add(sender, MESSAGE_PACKED, page, nr, packed, r);
}

static int add_pages(struct ram_sender *sender, uint64_t page, uint64_t nr)
{
	const char *host = (const char *)sender->ram->host + page * PAGES_LEN;
	int r = 0;

	atomic_fetch_add(&sender->sent->pages, nr);
	if (!sender->pack)
		return add(sender, MESSAGE_PAGES, page, nr, host, nr * PAGES_LEN);
	for (uint64_t done = 0; done < nr && !r; done += PACKED_PAGES)
		r = add_packed(sender, page + done, min_u64(nr - done, PACKED_PAGES));
	return r;
}

static int add_zeroes(struct ram_sender *sender, uint64_t page, uint64_t nr)
{
	atomic_fetch_add(&sender->sent->zeroes, nr);
	return sender->fresh ? 0 : add(sender, MESSAGE_ZEROES, page, nr, NULL, 0);
}

/* As many pages in a row as are alike, of zeroes or not. */
static int add_run(struct ram_sender *sender, uint64_t page, uint64_t end)
{
	const char *host = sender->ram->host;
	int r = 0;

	while (page < end && !r) {
		bool zero = pages_zero(host + page * PAGES_LEN);
		uint64_t from = page++;

		while (page < end && pages_zero(host + page * PAGES_LEN) == zero)
			page++;
		r = zero ? add_zeroes(sender, from, page - from) :
			   add_pages(sender, from, page - from);
	}
	return r;
}

static int forget_run(struct ram_sender *sender, uint64_t page, uint64_t end)
{
	return add(sender, MESSAGE_MISSING, page, end - page, NULL, 0);
}

/* What is done of a piece is taken out of the bitmap, of which others have other pieces. */
static int for_each_run(struct ram_sender *sender, uint64_t *bitmap, bool take,
			int (*fn)(struct ram_sender *sender, uint64_t page, uint64_t end))
{
	uint64_t nr = sender->ram->len / PAGES_LEN, words = pages_words(sender->ram->len);
	uint64_t at = sender->share * PAGES_A_PIECE;
	int r = 0;

	while (at < nr && !r && !atomic_load(sender->stop)) {
		uint64_t page = at, over, end = min_u64(at + PAGES_A_PIECE, nr);

		while (!r && pages_next_run(bitmap, end, &page, &over)) {
			r = fn(sender, page, over);
			page = over;
		}
		/* The last piece need not be whole. */
		if (take)
			memset(bitmap + at / 64, 0,
			       min_u64(PAGES_A_PIECE / 64, words - at / 64) * sizeof(*bitmap));
		at += sender->nr_shares * PAGES_A_PIECE;
	}
	return r < 0 ? r : flush(sender);
}

int ram_sender_send(struct ram_sender *sender, uint64_t *bitmap)
{
	return for_each_run(sender, bitmap, true, add_run);
}

int ram_sender_disown(struct ram_sender *sender, uint64_t *bitmap)
{
	return for_each_run(sender, bitmap, false, forget_run);
}

int ram_sender_send_range(struct ram_sender *sender, uint64_t page, uint64_t nr)
{
	int r = add_run(sender, page, page + nr);

	return r < 0 ? r : flush(sender);
}
