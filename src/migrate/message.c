// SPDX-License-Identifier: Apache-2.0
#include "message.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "channel.h"
#include "state/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define FAILURE_MAX	1000	/* bytes of text */

void message_pack(uint8_t header[MESSAGE_HEADER_LEN], const struct message *message)
{
	put_le32(header, message->type);
	put_le32(header + 4, message->nr);
	put_le64(header + 8, message->at);
	put_le64(header + 16, message->len);
}

int message_send(struct channel *channel, const struct message *message, const void *bytes)
{
	uint8_t header[MESSAGE_HEADER_LEN];
	const struct iovec segs[] = {
		{ header, sizeof(header) },
		{ (void *)bytes, message->len },
	};

	message_pack(header, message);
	return channel_send(channel, segs, message->len ? 2 : 1);
}

int message_lost(struct err *err, int r)
{
	if (r == -ECONNRESET)
		return err_set(err, r, "the other side has closed the connection");
	return err_sys(err, r, "the connection is lost");
}

/* How many bytes can belong to one. */
static uint64_t len_max(enum message_type type)
{
	switch (type) {
	case MESSAGE_PLAN:
	case MESSAGE_STATE:
		return STATE_LEN_MAX;
	case MESSAGE_STREAM:
	case MESSAGE_RESUME:
		return MESSAGE_SESSION_LEN;
	case MESSAGE_PAGES:
	case MESSAGE_PACKED:
		return MESSAGE_PIECE;
	case MESSAGE_DISK:
		return MESSAGE_DISK_PIECE;
	case MESSAGE_DISK_ZEROES:
		return sizeof(uint64_t);
	case MESSAGE_FAILED:
		return FAILURE_MAX;
	default:
		return 0;
	}
}

int message_receive(struct channel *channel, struct message *ret_message, struct err *err)
{
	uint8_t header[MESSAGE_HEADER_LEN];
	uint32_t type;
	int r = channel_receive(channel, header, sizeof(header));

	if (r < 0)
		return message_lost(err, r);
	type = get_le32(header);
	if (type == MESSAGE_NONE || type >= MESSAGE_TYPES)
		return err_set(err, -EPROTO, "the other side is no vmm, or a later one: it speaks "
			       "of %#x", type);
	*ret_message = (struct message){
		.type = (enum message_type)type,
		.nr = get_le32(header + 4),
		.at = get_le64(header + 8),
		.len = get_le64(header + 16),
	};
	if (ret_message->len > len_max(ret_message->type))
		return err_set(err, -EPROTO, "a message of type %u has %llu bytes, which is too "
			       "much", type, (unsigned long long)ret_message->len);
	return 0;
}

int message_receive_bytes(struct channel *channel, const struct message *message,
			  void **ret_bytes, struct err *err)
{
	char *bytes = malloc(message->len + 1);
	int r;

	if (!bytes)
		return err_sys(err, -ENOMEM, "a message of %llu bytes",
			       (unsigned long long)message->len);
	r = channel_receive(channel, bytes, message->len);
	if (r < 0) {
		free(bytes);
		return message_lost(err, r);
	}
	bytes[message->len] = 0;
	*ret_bytes = bytes;
	return 0;
}

int message_receive_failure(struct channel *channel, const struct message *message,
			    struct err *err)
{
	void *bytes;
	int r = message_receive_bytes(channel, message, &bytes, err);

	if (r < 0)
		return r;
	/* It may be shown on a terminal. */
	for (char *c = bytes; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	err_set(err, -EREMOTEIO, "the other side: %s", (char *)bytes);
	free(bytes);
	return -EREMOTEIO;
}
