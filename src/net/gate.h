/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate.h - the limits of one direction: which pairs wait for their turn, and until when.
 *
 * A packet goes through whole, however long; those after it wait the longer.  Owner.
 */
#ifndef NET_GATE_H
#define NET_GATE_H

#include "base/bucket.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct gate {
	struct bucket_limit bytes, packets;
	struct bucket bytes_bucket, packets_bucket;
	uint64_t leaked;		/* up to when, by clock_ns() */
	uint32_t waiting;		/* mask of pairs */
	struct loop_timer timer;	/* fires when they may go on; fired is its user's */
};

/* As if nothing had come through so far. */
void gate_set(struct gate *gate, const struct bucket_limit *bytes,
	      const struct bucket_limit *packets);

bool gate_is_limited(const struct gate *gate);

/* false: the pair is to come again when the timer fires. */
bool gate_open(struct gate *gate, struct loop *loop, unsigned pair);

/* A packet has come through. */
void gate_count(struct gate *gate, uint64_t len);

/* Nobody waits any more.  Who did. */
uint32_t gate_clear(struct gate *gate, struct loop *loop);

#endif
