/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - what the two monitors of a migration tell each other.
 *
 * A message is a header of 24 bytes, little-endian, and len bytes:
 *
 *	u32 type, u32 nr, u64 at, u64 len
 *
 * Memory goes over one or several channels, each piece of 2 MiB always over the same, so
 * that of two versions of a page the later one arrives later.  All else goes over the
 * first channel.
 *
 * What comes is input: message_receive() refuses what its type cannot be.
 *
 * Any thread, one for each direction of a channel.
 */
#ifndef MIGRATE_MESSAGE_H
#define MIGRATE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

struct channel;
struct err;

#define MESSAGE_SESSION_LEN	16
#define MESSAGE_STREAMS_MAX	16
#define MESSAGE_PIECE		UINT64_C(0x200000)	/* bytes of RAM; of a message at most */
#define MESSAGE_DISK_PIECE	UINT64_C(0x80000)	/* likewise, of a disk */
#define MESSAGE_DISKS_MAX	32

enum message_type {
	MESSAGE_NONE,

	/* From the source; the first of a channel is one of these. */
	MESSAGE_PLAN,		/* a state stream: how to build the VM */
	MESSAGE_STREAM,		/* at: number of this channel; the session */
	MESSAGE_RESUME,		/* the session: what has become of it? */

	/* nr pages from page at on: as they are, of zeroes, compressed; or to be forgotten. */
	MESSAGE_PAGES,
	MESSAGE_ZEROES,
	MESSAGE_PACKED,
	MESSAGE_MISSING,
	MESSAGE_END,		/* no more memory on this channel before the guest runs */

	MESSAGE_STATE,		/* a state stream; at: nanoseconds since the guest stopped */
	MESSAGE_GO,		/* at: likewise; nr: MESSAGE_GO_PAUSED */
	MESSAGE_BYE,		/* you are not needed any more */

	/* From the target. */
	MESSAGE_READY,		/* the VM is built */
	MESSAGE_LOADED,		/* GO is all that it needs */
	MESSAGE_RUNS,
	MESSAGE_ASK,		/* page at is needed now */
	MESSAGE_DONE,		/* it has all it needs */
	MESSAGE_FAILED,		/* it does not run and never will; a text */

	/*
	 * From the source, before the end of memory on the first channel: of disk nr in the plan,
	 * from byte at on, within one piece; of zeroes: u64, how many.
	 */
	MESSAGE_DISK,
	MESSAGE_DISK_ZEROES,

	MESSAGE_TYPES
};

#define MESSAGE_GO_PAUSED	1u	/* its owner has paused it */

struct message {
	enum message_type type;
	uint32_t nr;
	uint64_t at, len;
};

#define MESSAGE_HEADER_LEN 24

/* For what does not go by message_send(). */
void message_pack(uint8_t header[MESSAGE_HEADER_LEN], const struct message *message);

/* 0, or what channel_send() says. */
int message_send(struct channel *channel, const struct message *message, const void *bytes);

/* A header; -EPROTO where it is none.  Its bytes are for the caller to receive. */
int message_receive(struct channel *channel, struct message *ret_message, struct err *err);

/* All bytes of a message and a zero behind them, to be freed. */
int message_receive_bytes(struct channel *channel, const struct message *message,
			  void **ret_bytes, struct err *err);

/* The reason, from a MESSAGE_FAILED.  Returns -EREMOTEIO, or why it cannot be told. */
int message_receive_failure(struct channel *channel, const struct message *message,
			    struct err *err);

/* "the connection is lost: ...", of what a channel has said. */
int message_lost(struct err *err, int r);

#endif
