/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.h - keeps a sender to so many bytes a second.
 *
 * One thread for each.
 */
#ifndef MIGRATE_PACE_H
#define MIGRATE_PACE_H

#include <stdatomic.h>
#include <stdint.h>

struct pace {
	uint64_t began, sent;		/* since when, by clock_ns(), and how much */
};

/*
 * So much has been sent: wait until that is what the rate, of which there are so many
 * shares and which may change, allows.  0: any; *stop: do not wait any more.
 */
void pace_keep(struct pace *pace, uint64_t bytes, const atomic_uint_least64_t *rate,
	       unsigned shares, const atomic_bool *stop);

#endif
