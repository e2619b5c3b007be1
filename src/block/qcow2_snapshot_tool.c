// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_snapshot_tool.c - takes, applies and deletes snapshots.
 *
 * A snapshot is an L1 table: that of the disk when it was taken.  The state of a VM
 * that other programs keep in one lies beyond the disk's end, and is left to them.
 */
#include "block/qcow2_tool.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk.h"
#include "block/file.h"
#include "block/qcow2_bytes.h"
#include "block/qcow2_rewrite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Entries of a disk of this size, as far as the table has them. */
static uint32_t entries_of(const struct qcow2_header *header, uint64_t size, uint32_t nr_l1)
{
	return (uint32_t)min_u64(qcow2_header_l1_entries(header, size), nr_l1);
}

static int create(struct qcow2_rewrite *rw, const char *name, struct err *err)
{
	struct qcow2_walk *next = &rw->next;
	struct qcow2_header *h = &next->header;
	uint32_t nr = entries_of(h, h->size, h->nr_l1);
	struct qcow2_snapshot *snapshot;
	int r;

	if (qcow2_snapshots_find(&next->snapshots, name))
		return err_set(err, -EEXIST, "'%s' has a snapshot '%s' already", next->path,
			       name);
	r = qcow2_rewrite_count(rw, nr, err);
	if (r < 0)
		return r;
	r = qcow2_snapshots_add(&next->snapshots, name, h->size, &snapshot);
	if (!r) {
		snapshot->nr_l1 = nr;
		r = qcow2_rewrite_put_l1(rw, nr, &snapshot->l1_at);
	}
	return r < 0 ? err_sys(err, r, "cannot write '%s'", next->path) : 0;
}

static int apply(struct qcow2_rewrite *rw, const struct qcow2_snapshot *snapshot,
		 struct err *err)
{
	struct qcow2_walk *next = &rw->next;
	struct qcow2_header *h = &next->header;
	uint64_t nr = max_u64(qcow2_header_l1_entries(h, snapshot->size), 1);
	uint64_t *l1;
	int r;

	if (snapshot->size % QCOW2_SECTOR || nr > QCOW2_L1_MAX)
		return err_set(err, -EINVAL, "the snapshot '%s' of '%s' has an impossible size",
			       snapshot->name, next->path);
	if (snapshot->size != h->size && h->version < 3)
		return err_set(err, -ENOTSUP, "'%s' is of version 2 and cannot change its size "
			       "while it has snapshots", next->path);
	l1 = calloc(nr, sizeof(*l1));
	if (!l1)
		return err_sys(err, -ENOMEM, "cannot read '%s'", next->path);
	free(next->l1);
	next->l1 = l1;
	h->nr_l1 = (uint32_t)nr;
	h->size = snapshot->size;
	r = qcow2_bytes_read_numbers(next->fd, l1, entries_of(h, h->size, snapshot->nr_l1),
				     snapshot->l1_at);
	if (r < 0)
		return err_sys(err, r, "cannot read '%s'", next->path);
	return qcow2_rewrite_count(rw, 0, err);
}

static int change_one(struct qcow2_rewrite *rw, enum disk_snapshot_change change,
		      const char *name, struct err *err)
{
	struct qcow2_snapshots *snapshots = &rw->next.snapshots;
	struct qcow2_snapshot *snapshot;

	if (change == DISK_SNAPSHOT_CREATE)
		return create(rw, name, err);
	snapshot = qcow2_snapshots_find(snapshots, name);
	if (!snapshot)
		return err_set(err, -ENOENT, "'%s' has no snapshot '%s': vmm disk snapshot "
			       "list tells which there are", rw->next.path, name);
	if (change == DISK_SNAPSHOT_APPLY)
		return apply(rw, snapshot, err);
	qcow2_snapshots_remove(snapshots, snapshot);
	return qcow2_rewrite_count(rw, 0, err);
}

int qcow2_tool_snapshot(const struct file *file, const struct disk_config *config,
			enum disk_snapshot_change change, const char *name, struct err *err)
{
	struct qcow2_rewrite rw;
	int r = qcow2_rewrite_init(&rw, file->fd, config->path, config->progress, err);

	if (r < 0)
		return r;
	r = change_one(&rw, change, name, err);
	if (!r)
		r = qcow2_rewrite_commit(&rw, err);
	qcow2_rewrite_fini(&rw);
	return r;
}

int qcow2_tool_list_snapshots(const struct file *file, const char *path,
			      disk_snapshot_each *each, void *ctx, struct err *err)
{
	struct qcow2_snapshots snapshots;
	struct qcow2_header header;
	int r = qcow2_header_read(&header, file->fd, path, file->size, err);

	if (!r)
		r = qcow2_snapshots_read(&snapshots, &header, file->fd, path, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < snapshots.nr; i++) {
		const struct qcow2_snapshot *s = &snapshots.list[i];

		each(ctx, &(struct disk_snapshot){
			.id = s->id, .name = s->name, .seconds = s->seconds, .size = s->size,
			.vm_state_len = s->vm_state_len,
		});
	}
	qcow2_snapshots_free(&snapshots);
	return 0;
}
