/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outgoing_line.h - what connects an outgoing VM to its target: a channel for all but
 * memory, and others for that.  On the thread of the outgoing VM; say() on its streams', too.
 * What returns an int returns 0, or a negative errno and the reason in o->err.
 */
#ifndef MIGRATE_OUTGOING_LINE_H
#define MIGRATE_OUTGOING_LINE_H

#include "message.h"

#include <stdbool.h>
#include <stdint.h>

struct outgoing;

/* Channel i to the target.  -ECANCELED: it was broken off meanwhile. */
int outgoing_line_connect(struct outgoing *o, unsigned i);

/* Has somebody said that the thread is to end? */
bool outgoing_line_broken(struct outgoing *o);

/* All are of no use any more: whoever waits in one is told. */
void outgoing_line_break(struct outgoing *o);

/* Close all. */
void outgoing_line_drop(struct outgoing *o);

/*
 * Nothing can be sent any more, for reason r, which is returned.  What the target has said
 * before it left counts for more than that it has left.
 */
int outgoing_line_lost(struct outgoing *o, int r);

int outgoing_line_say(struct outgoing *o, unsigned i, enum message_type type, uint64_t at,
		      uint32_t nr, const void *bytes, uint64_t len);

/* The next message, and that it is one of this type; a FAILED is taken as the reason. */
int outgoing_line_hear(struct outgoing *o, enum message_type type);

#endif
