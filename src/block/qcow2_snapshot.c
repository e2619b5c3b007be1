// SPDX-License-Identifier: Apache-2.0
#include "block/qcow2_snapshot.h"

#include "base/bytes.h"
#include "base/err.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXTRA_MAX 1024		/* bytes of a snapshot that the future may add */

static int read_bytes(char **ret_bytes, int fd, uint64_t at, size_t len)
{
	char *bytes = malloc(len + 1);
	int r = bytes ? qcow2_bytes_read(fd, bytes, len, at) : -ENOMEM;

	if (r < 0) {
		free(bytes);
		return r;
	}
	bytes[len] = '\0';		/* for what is text */
	*ret_bytes = bytes;
	return 0;
}

/* Bytes of an entry, up to where the next one begins. */
static uint64_t entry_len(const struct qcow2_snapshot *s)
{
	return align_up((uint64_t)QCOW2_SNAP_HEAD_LEN + s->extra_len +
			get_be16(s->head + QCOW2_SNAP_ID_LEN) +
			get_be16(s->head + QCOW2_SNAP_NAME_LEN), 8);
}

static void take_extra(struct qcow2_snapshot *s)
{
	if (s->extra_len >= 8)
		s->vm_state_len = get_be64(s->extra);
	if (s->extra_len >= QCOW2_SNAP_EXTRA_MADE)
		s->size = get_be64(s->extra + QCOW2_SNAP_EXTRA_SIZE);
}

static int read_entry(struct qcow2_snapshot *s, const struct qcow2_header *header, int fd,
		      uint64_t at)
{
	size_t id_len, name_len;
	int r = qcow2_bytes_read(fd, s->head, sizeof(s->head), at);

	if (r < 0)
		return r;
	s->l1_at = get_be64(s->head + QCOW2_SNAP_L1_AT);
	s->nr_l1 = get_be32(s->head + QCOW2_SNAP_L1_SIZE);
	s->seconds = get_be32(s->head + QCOW2_SNAP_SECONDS);
	s->vm_state_len = get_be32(s->head + QCOW2_SNAP_VM_STATE_LEN);
	s->size = header->size;
	s->extra_len = get_be32(s->head + QCOW2_SNAP_EXTRA_LEN);
	id_len = get_be16(s->head + QCOW2_SNAP_ID_LEN);
	name_len = get_be16(s->head + QCOW2_SNAP_NAME_LEN);
	if (s->nr_l1 > QCOW2_L1_MAX || s->extra_len > EXTRA_MAX)
		return -EINVAL;
	at += sizeof(s->head);
	r = read_bytes(&s->extra, fd, at, s->extra_len);
	if (!r)
		r = read_bytes(&s->id, fd, at + s->extra_len, id_len);
	if (!r)
		r = read_bytes(&s->name, fd, at + s->extra_len + id_len, name_len);
	if (!r)
		take_extra(s);
	return r;
}

int qcow2_snapshots_read(struct qcow2_snapshots *snapshots,
			 const struct qcow2_header *header, int fd, const char *path,
			 struct err *err)
{
	uint64_t nr_l1 = 0;
	int r = 0;

	*snapshots = (struct qcow2_snapshots){ 0 };
	if (!header->nr_snapshots)
		return 0;
	snapshots->list = calloc(header->nr_snapshots, sizeof(*snapshots->list));
	if (!snapshots->list)
		return err_sys(err, -ENOMEM, "'%s'", path);
	for (uint32_t i = 0; i < header->nr_snapshots && !r; i++) {
		snapshots->nr++;
		r = read_entry(&snapshots->list[i], header, fd,
			       header->snapshots_at + snapshots->len);
		if (r < 0)
			break;
		snapshots->len += entry_len(&snapshots->list[i]);
		nr_l1 += snapshots->list[i].nr_l1;
		if (snapshots->len > QCOW2_SNAPSHOTS_LEN_MAX)
			r = -EINVAL;
		else if (nr_l1 > QCOW2_SNAPSHOTS_L1_MAX)
			r = -EFBIG;
	}
	if (!r)
		return 0;
	qcow2_snapshots_free(snapshots);
	if (r == -EINVAL)
		return err_set(err, r, "'%s' is damaged: its snapshot table makes no sense "
			       "(vmm disk check tells more)", path);
	if (r == -EFBIG)
		return err_set(err, r, "'%s' has snapshots whose L1 tables take more than 1 GiB",
			       path);
	return err_sys(err, r, "cannot read the snapshots of '%s'", path);
}

static void free_entry(struct qcow2_snapshot *s)
{
	free(s->id);
	free(s->name);
	free(s->extra);
}

void qcow2_snapshots_free(struct qcow2_snapshots *snapshots)
{
	for (uint32_t i = 0; i < snapshots->nr; i++)
		free_entry(&snapshots->list[i]);
	free(snapshots->list);
	*snapshots = (struct qcow2_snapshots){ 0 };
}

/* Changes. */

struct qcow2_snapshot *qcow2_snapshots_find(const struct qcow2_snapshots *snapshots,
					    const char *name)
{
	for (uint32_t i = 0; i < snapshots->nr; i++)
		if (!strcmp(snapshots->list[i].name, name))
			return &snapshots->list[i];
	for (uint32_t i = 0; i < snapshots->nr; i++)
		if (!strcmp(snapshots->list[i].id, name))
			return &snapshots->list[i];
	return NULL;
}

/* One more than the highest that is a number. */
static uint64_t unused_id(const struct qcow2_snapshots *snapshots)
{
	uint64_t highest = 0;

	for (uint32_t i = 0; i < snapshots->nr; i++) {
		uint64_t id = strtoul(snapshots->list[i].id, NULL, 10);

		if (id < UINT32_MAX)
			highest = max_u64(highest, id);
	}
	return highest + 1;
}

static int make_entry(struct qcow2_snapshot *s, const char *name, uint64_t id, uint64_t size)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*s = (struct qcow2_snapshot){
		.name = strdup(name), .size = size, .seconds = (uint32_t)now.tv_sec,
		.extra = calloc(1, QCOW2_SNAP_EXTRA_MADE), .extra_len = QCOW2_SNAP_EXTRA_MADE,
	};
	if (asprintf(&s->id, "%" PRIu64, id) < 0)
		s->id = NULL;
	if (!s->name || !s->id || !s->extra) {
		free_entry(s);
		return -ENOMEM;
	}
	put_be16(s->head + QCOW2_SNAP_ID_LEN, (uint16_t)strlen(s->id));
	put_be16(s->head + QCOW2_SNAP_NAME_LEN, (uint16_t)strlen(name));
	put_be32(s->head + QCOW2_SNAP_SECONDS, s->seconds);
	put_be32(s->head + QCOW2_SNAP_NANOSECONDS, (uint32_t)now.tv_nsec);
	put_be32(s->head + QCOW2_SNAP_EXTRA_LEN, s->extra_len);
	put_be64(s->extra + QCOW2_SNAP_EXTRA_SIZE, size);
	return 0;
}

int qcow2_snapshots_add(struct qcow2_snapshots *snapshots, const char *name, uint64_t size,
			struct qcow2_snapshot **ret_snapshot)
{
	struct qcow2_snapshot *list, *added;
	int r;

	if (snapshots->nr == QCOW2_SNAPSHOTS_MAX)
		return -ENOSPC;
	list = realloc(snapshots->list, (snapshots->nr + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	snapshots->list = list;
	added = &list[snapshots->nr];
	r = make_entry(added, name, unused_id(snapshots), size);
	if (r < 0)
		return r;
	snapshots->nr++;
	snapshots->len += entry_len(added);
	*ret_snapshot = added;
	return 0;
}

void qcow2_snapshots_remove(struct qcow2_snapshots *snapshots,
			    struct qcow2_snapshot *snapshot)
{
	size_t nr_after = (size_t)(snapshots->list + --snapshots->nr - snapshot);

	snapshots->len -= entry_len(snapshot);
	free_entry(snapshot);
	memmove(snapshot, snapshot + 1, nr_after * sizeof(*snapshot));
}

void qcow2_snapshots_encode(const struct qcow2_snapshots *snapshots, uint8_t *bytes)
{
	memset(bytes, 0, snapshots->len);
	for (uint32_t i = 0; i < snapshots->nr; i++) {
		const struct qcow2_snapshot *s = &snapshots->list[i];
		size_t id_len = get_be16(s->head + QCOW2_SNAP_ID_LEN);
		size_t name_len = get_be16(s->head + QCOW2_SNAP_NAME_LEN);
		uint8_t *to = bytes + QCOW2_SNAP_HEAD_LEN;

		memcpy(bytes, s->head, QCOW2_SNAP_HEAD_LEN);
		put_be64(bytes + QCOW2_SNAP_L1_AT, s->l1_at);
		put_be32(bytes + QCOW2_SNAP_L1_SIZE, s->nr_l1);
		memcpy(to, s->extra, s->extra_len);
		memcpy(to + s->extra_len, s->id, id_len);
		memcpy(to + s->extra_len + id_len, s->name, name_len);
		bytes += entry_len(s);
	}
}
