// SPDX-License-Identifier: Apache-2.0
#include "gate.h"

#include "base/bits.h"
#include "base/clock.h"

bool gate_is_limited(const struct gate *gate)
{
	return gate->bytes.avg || gate->packets.avg;
}

void gate_set(struct gate *gate, const struct bucket_limit *bytes,
	      const struct bucket_limit *packets)
{
	gate->bytes = *bytes;
	gate->packets = *packets;
	gate->bytes_bucket = (struct bucket){ 0 };
	gate->packets_bucket = (struct bucket){ 0 };
	gate->leaked = clock_ns();
}

bool gate_open(struct gate *gate, struct loop *loop, unsigned pair)
{
	uint64_t now, wait;

	if (!gate_is_limited(gate))
		return true;
	now = clock_ns();
	bucket_leak(&gate->bytes_bucket, &gate->bytes, now - gate->leaked);
	bucket_leak(&gate->packets_bucket, &gate->packets, now - gate->leaked);
	gate->leaked = now;
	wait = max_u64(bucket_wait(&gate->bytes_bucket, &gate->bytes),
		       bucket_wait(&gate->packets_bucket, &gate->packets));
	if (!wait)
		return true;
	gate->waiting |= BIT32(pair);
	if (!gate->timer.set)
		loop_timer_set(loop, &gate->timer, now + min_u64(wait, BUCKET_NAP_MAX));
	return false;
}

void gate_count(struct gate *gate, uint64_t len)
{
	if (!gate_is_limited(gate))
		return;
	bucket_add(&gate->bytes_bucket, (bucket_amount)len * BUCKET_UNIT);
	bucket_add(&gate->packets_bucket, BUCKET_UNIT);
}

uint32_t gate_clear(struct gate *gate, struct loop *loop)
{
	uint32_t waiting = gate->waiting;

	gate->waiting = 0;
	loop_timer_clear(loop, &gate->timer);
	return waiting;
}
