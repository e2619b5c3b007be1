/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration.h - moving a running VM to another monitor: what both sides speak of.
 *
 * How a VM changes hands is written down in ARCHITECTURE.md, "Hand-over".
 */
#ifndef MIGRATE_MIGRATION_H
#define MIGRATE_MIGRATION_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define MIGRATION_STREAMS_MAX	16
#define MIGRATION_DOWNTIME_MAX	2000000	/* ms */
#define MIGRATION_THROTTLE_MAX	99	/* percent */

enum migration_status {
	MIGRATION_NONE,		/* there was none */
	MIGRATION_SETUP,	/* the sides find each other, the target builds the VM */
	MIGRATION_ACTIVE,	/* memory is copied; the guest runs on the source */
	MIGRATION_DEVICE,	/* the guest stands still to be handed over */
	MIGRATION_POSTCOPY,	/* it runs on the target; the rest of its memory follows */
	MIGRATION_LOST,		/* ... or may do so; the connection is lost */
	MIGRATION_RECOVERS,	/* somebody is there again, and was asked what has become of it */
	MIGRATION_CANCELLING,
	MIGRATION_CANCELLED,	/* the guest goes on on the source, as after a failure */
	MIGRATION_COMPLETED,
	MIGRATION_FAILED,
};

extern const char *const migration_status_words[];	/* QMP's; end with NULL */

struct migration_parameters {
	uint64_t bandwidth;	/* bytes a second while the guest runs; 0: no limit */
	uint64_t downtime_ms;	/* for which the guest may stand still */
	bool multifd;		/* memory goes over several channels: */
	uint32_t streams;	/* 1 to MIGRATION_STREAMS_MAX */
	bool compress;		/* memory, by zstd */
	bool postcopy;		/* the guest may be handed over before its memory is */
	bool disks;		/* what the guest can write is copied, too */
	bool events;		/* clients are told of each status */
	bool throttle;		/* slow a guest down that changes too much */
	uint32_t throttle_first, throttle_step, throttle_max;	/* percent */
	bool insecure;		/* tcp: may lead to other hosts */
	const char *tls;	/* folder of certificates; NULL: none */
};

extern const struct migration_parameters migration_defaults;

struct migration_info {
	enum migration_status status;
	char error[ERR_TEXT_MAX];	/* why it failed, or is lost; or empty */
	uint64_t memory;	/* bytes of RAM */
	uint64_t sent;		/* bytes, or of the target: received */
	uint64_t downtime_bytes;	/* of them: while the guest stood still */
	uint64_t postcopy_bytes;	/* and later */
	uint64_t remaining;	/* bytes that the target does not have, as far as we know */
	uint64_t multifd_bytes;	/* of those sent: over several channels, or one of those */
	uint64_t pages, zeroes;	/* sent; of zeroes */
	uint64_t disks;		/* bytes of disks that are copied */
	uint64_t disks_sent, disks_remaining;	/* as sent and remaining */
	uint64_t dirty_rate;	/* pages that the guest writes to in a second */
	uint64_t rounds;	/* begun */
	uint64_t asked;		/* pages that the target has asked for */
	uint64_t rate, page_rate;	/* bytes and pages sent in a second, lately */
	uint64_t total_ns;	/* since the beginning, or that it took */
	uint64_t setup_ns;	/* the same */
	uint64_t expected_ns;	/* that the guest would stand still now */
	uint64_t downtime_ns;	/* that it has stood still by now; at last: in all */
	uint32_t throttle;	/* percent of the time that the guest does not get */
};

#endif
