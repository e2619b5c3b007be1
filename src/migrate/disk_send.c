// SPDX-License-Identifier: Apache-2.0
#include "disk_send.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "block/disk.h"
#include "disk_slot.h"
#include "pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS_A_PIECE	(MESSAGE_DISK_PIECE / DISK_LOG_BLOCK)

struct sent_disk {
	struct disk *disk;
	uint64_t words, blocks;
	uint64_t *log;			/* the disk's loop writes it */
	uint64_t *todo;			/* what is to be sent */
};

struct disk_sender {
	struct disk_sender_config config;
	struct sent_disk disks[MESSAGE_DISKS_MAX];
	uint32_t nr;
	struct disk_slot slots[DISK_SLOTS];
};

/* The logs. */

static void begin_log(void *ctx)
{
	struct sent_disk *sent = ctx;

	disk_set_log(sent->disk, sent->log);
}

static void end_log(void *ctx)
{
	struct sent_disk *sent = ctx;

	disk_set_log(sent->disk, NULL);
}

static void take_log(void *ctx)
{
	struct sent_disk *sent = ctx;

	for (uint64_t i = 0; i < sent->words; i++)
		sent->todo[i] |= sent->log[i];
	memset(sent->log, 0, sent->words * sizeof(*sent->log));
}

int disk_sender_add(struct disk_sender *sender, struct disk *disk)
{
	struct sent_disk *sent = &sender->disks[sender->nr];

	if (sender->nr == MESSAGE_DISKS_MAX)
		return -E2BIG;
	sent->disk = disk;
	sent->words = disk_log_words(disk);
	sent->blocks = (disk_size(disk) + DISK_LOG_BLOCK - 1) / DISK_LOG_BLOCK;
	sent->log = calloc(sent->words + 1, sizeof(*sent->log));
	sent->todo = calloc(sent->words + 1, sizeof(*sent->todo));
	if (!sent->log || !sent->todo) {
		free(sent->log);
		free(sent->todo);
		return -ENOMEM;
	}
	for (uint64_t i = 0; i < sent->blocks; i++)
		sent->log[i / 64] |= BIT64(i % 64);
	loop_call(disk_loop(disk), begin_log, sent);
	sender->nr++;
	return 0;
}

uint64_t disk_sender_take(struct disk_sender *sender)
{
	uint64_t left = 0;

	for (uint32_t i = 0; i < sender->nr; i++) {
		struct sent_disk *sent = &sender->disks[i];

		loop_call(disk_loop(sent->disk), take_log, sent);
		left += pages_count(sent->todo, sent->words) * DISK_LOG_BLOCK;
	}
	atomic_store(&sender->config.sent->left, left);
	return left;
}

/* Sending. */

static bool is_zero(const char *bytes, uint64_t len)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, len - 1);
}

static int send_run(struct disk_sender *sender, uint32_t nr, uint64_t at, const char *bytes,
		    uint64_t len, bool zero, struct err *err)
{
	struct message message = { MESSAGE_DISK, nr, at, len };
	uint8_t zeroes[8];

	if (zero) {
		put_le64(zeroes, len);
		message.type = MESSAGE_DISK_ZEROES;
		message.len = sizeof(zeroes);
	}
	atomic_fetch_add(&sender->config.sent->bytes, MESSAGE_HEADER_LEN + message.len);
	return sender->config.send(sender->config.ctx, &message,
				   zero ? (const void *)zeroes : bytes, err);
}

/* As many blocks in a row as are alike, of zeroes or not. */
static int send_piece(struct disk_sender *sender, uint32_t nr, struct disk_slot *slot,
		      struct err *err)
{
	uint64_t at = slot->request.at, len = slot->request.len, done = 0;
	const char *bytes = slot->bytes;
	int r = disk_slot_await(slot, err);

	while (!r && done < len) {
		bool zero = is_zero(bytes + done, min_u64(len - done, DISK_LOG_BLOCK));
		uint64_t from = done;

		do
			done += min_u64(len - done, DISK_LOG_BLOCK);
		while (done < len &&
		       is_zero(bytes + done, min_u64(len - done, DISK_LOG_BLOCK)) == zero);
		r = send_run(sender, nr, at + from, bytes + from, done - from, zero, err);
	}
	atomic_fetch_sub(&sender->config.sent->left, align_up(len, DISK_LOG_BLOCK));
	return r;
}

/* The next piece of what is to be sent; false: there is none. */
static bool begin_piece(struct sent_disk *sent, struct disk_slot *slot, uint64_t *block)
{
	uint64_t over, at;

	if (!pages_next_run(sent->todo, sent->blocks, block, &over))
		return false;
	over = min_u64(over, align_down(*block, BLOCKS_A_PIECE) + BLOCKS_A_PIECE);
	at = *block * DISK_LOG_BLOCK;
	disk_slot_begin(slot, sent->disk, DISK_READ, at,
			min_u64(over * DISK_LOG_BLOCK, disk_size(sent->disk)) - at);
	*block = over;
	return true;
}

/* Pieces are read in any order, and sent in that in which they were begun. */
static int send_disk(struct disk_sender *sender, uint32_t nr, struct err *err)
{
	struct sent_disk *sent = &sender->disks[nr];
	uint64_t block = 0, begun = 0, done = 0;
	bool more = true;
	int r = 0;

	while (!r && (more || done < begun)) {
		if (more && begun - done < DISK_SLOTS) {
			more = begin_piece(sent, &sender->slots[begun % DISK_SLOTS], &block);
			begun += more;
		} else {
			r = send_piece(sender, nr, &sender->slots[done++ % DISK_SLOTS], err);
		}
	}
	while (done < begun)
		(void)disk_slot_await(&sender->slots[done++ % DISK_SLOTS], NULL);
	memset(sent->todo, 0, sent->words * sizeof(*sent->todo));
	return r;
}

int disk_sender_send(struct disk_sender *sender, struct err *err)
{
	int r = 0;

	for (uint32_t i = 0; i < sender->nr && !r; i++)
		r = send_disk(sender, i, err);
	return r;
}

/* Life. */

struct disk_sender *disk_sender_new(const struct disk_sender_config *config)
{
	struct disk_sender *sender = calloc(1, sizeof(*sender));

	if (!sender)
		return NULL;
	sender->config = *config;
	return disk_slot_init_all(sender->slots) < 0 ? disk_sender_free(sender) : sender;
}

struct disk_sender *disk_sender_free(struct disk_sender *sender)
{
	if (!sender)
		return NULL;
	for (uint32_t i = 0; i < sender->nr; i++) {
		struct sent_disk *sent = &sender->disks[i];

		loop_call(disk_loop(sent->disk), end_log, sent);
		free(sent->log);
		free(sent->todo);
	}
	disk_slot_fini_all(sender->slots);
	free(sender);
	return NULL;
}
