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

#endif
