/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_snapshot.h - the internal snapshots of an image, as its table lists them.
 */
#ifndef BLOCK_QCOW2_SNAPSHOT_H
#define BLOCK_QCOW2_SNAPSHOT_H

#include "block/qcow2_header.h"

#include <stdint.h>

struct err;

struct qcow2_snapshot {
	char *id, *name;
	uint64_t l1_at;
	uint32_t nr_l1;
	uint32_t seconds;	/* since the epoch: when it was taken */
	uint64_t size;		/* bytes of the disk then */
	uint64_t vm_state_len;
	uint8_t head[QCOW2_SNAP_HEAD_LEN];	/* as it is in the table ... */
	char *extra;				/* ... and what follows it there */
	uint32_t extra_len;
};

struct qcow2_snapshots {
	struct qcow2_snapshot *list;
	uint32_t nr;
	uint64_t len;		/* of the table, bytes */
};

/* Main. */
int qcow2_snapshots_read(struct qcow2_snapshots *snapshots,
			 const struct qcow2_header *header, int fd, const char *path,
			 struct err *err);
void qcow2_snapshots_free(struct qcow2_snapshots *snapshots);

/* By its name, else by its ID; NULL: there is none. */
struct qcow2_snapshot *qcow2_snapshots_find(const struct qcow2_snapshots *snapshots,
					    const char *name);

/*
 * Add one of now, with an ID that is not used yet; its L1 table's place is for the
 * caller to set.  The list moves.  -ENOMEM, or -ENOSPC: there are too many.
 */
int qcow2_snapshots_add(struct qcow2_snapshots *snapshots, const char *name, uint64_t size,
			struct qcow2_snapshot **ret_snapshot);
void qcow2_snapshots_remove(struct qcow2_snapshots *snapshots,
			    struct qcow2_snapshot *snapshot);

/* The table's snapshots->len bytes. */
void qcow2_snapshots_encode(const struct qcow2_snapshots *snapshots, uint8_t *bytes);

#endif
