// SPDX-License-Identifier: Apache-2.0
/* outgoing_line.c - the channels of an outgoing VM, which may break at any moment. */
#include "outgoing_line.h"

#include "base/bits.h"
#include "outgoing_parts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LAST_WORD_MS	1000	/* of a target that takes nothing any more */

/* From here on it can be broken; NULL: it was, before. */
static int keep_channel(struct outgoing *o, unsigned i, struct channel *channel)
{
	int r = 0;

	pthread_mutex_lock(&o->lock);
	if (o->broken_off)
		r = -ECANCELED;
	else
		o->channels[i] = channel;
	pthread_mutex_unlock(&o->lock);
	if (r < 0)
		channel_close(channel);
	return r;
}

bool outgoing_line_broken(struct outgoing *o)
{
	bool is;

	pthread_mutex_lock(&o->lock);
	is = o->broken_off;
	pthread_mutex_unlock(&o->lock);
	return is;
}

void outgoing_line_break(struct outgoing *o)
{
	pthread_mutex_lock(&o->lock);
	outgoing_parts_break(o);
	pthread_mutex_unlock(&o->lock);
}

void outgoing_line_drop(struct outgoing *o)
{
	for (unsigned i = 0; i < ARRAY_LEN(o->channels); i++) {
		struct channel *channel = o->channels[i];

		pthread_mutex_lock(&o->lock);
		o->channels[i] = NULL;
		pthread_mutex_unlock(&o->lock);
		channel_close(channel);
	}
}

int outgoing_line_connect(struct outgoing *o, unsigned i)
{
	struct channel *channel;
	char uri[PATH_MAX];
	int taken, r;

	pthread_mutex_lock(&o->lock);
	memcpy(uri, o->uri, sizeof(uri));
	/* Afterwards the number may be somebody else's. */
	if (!strncmp(uri, "fd:", 3))
		o->uri[0] = 0;
	taken = o->taken;
	o->taken = -1;
	pthread_mutex_unlock(&o->lock);
	if (!uri[0])
		return err_set(&o->err, -ENOTCONN, "a descriptor is good for one connection "
			       "only");
	r = channel_connect(&channel, uri, &o->options, &o->err);
	if (r < 0 && taken >= 0)
		close(taken);
	if (!r)
		r = keep_channel(o, i, channel);
	if (r < 0)
		return r;
	r = channel_handshake(channel, &o->err);
	return r < 0 ? err_at(&o->err, r, "'%s'", uri) : 0;
}

int outgoing_line_lost(struct outgoing *o, int r)
{
	struct err ignored = { 0 };
	struct message message;

	if (r == -ECONNRESET && o->at <= OUTGOING_HANDS_OVER) {
		channel_set_patience(o->channels[0], LAST_WORD_MS);
		if (!message_receive(o->channels[0], &message, &ignored) &&
		    message.type == MESSAGE_FAILED)
			return message_receive_failure(o->channels[0], &message, &o->err);
	}
	return message_lost(&o->err, r);
}

int outgoing_line_say(struct outgoing *o, unsigned i, enum message_type type, uint64_t at,
		      uint32_t nr, const void *bytes, uint64_t len)
{
	const struct message message = { type, nr, at, len };
	int r;

	pthread_mutex_lock(&o->say);
	r = message_send(o->channels[i], &message, bytes);
	pthread_mutex_unlock(&o->say);
	return r < 0 ? outgoing_line_lost(o, r) : 0;
}

int outgoing_line_hear(struct outgoing *o, enum message_type type)
{
	struct message message;
	int r = message_receive(o->channels[0], &message, &o->err);

	if (r < 0)
		return r;
	if (message.type == MESSAGE_FAILED)
		return message_receive_failure(o->channels[0], &message, &o->err);
	if (message.type != type)
		return err_set(&o->err, -EPROTO, "the other side says %u, when it should %u",
			       message.type, type);
	return 0;
}
