// SPDX-License-Identifier: Apache-2.0
#include "block/qcow2_snapshot.h"

#include "base/bytes.h"
#include "base/err.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EXTRA_MAX 1024		/* bytes of a snapshot that the future may add */

static int read_string(char **ret_string, int fd, uint64_t at, size_t len)
{
	char *string = malloc(len + 1);
	int r = string ? qcow2_bytes_read(fd, string, len, at) : -ENOMEM;

	if (r < 0) {
		free(string);
		return r;
	}
	string[len] = '\0';
	*ret_string = string;
	return 0;
}

/* The entry at at; *ret_end is where the next one begins. */
static int read_entry(struct qcow2_snapshot *s, const struct qcow2_header *header, int fd,
		      uint64_t at, uint64_t *ret_end)
{
	uint8_t head[QCOW2_SNAP_HEAD_LEN], extra[16] = { 0 };
	uint32_t extra_len, id_len, name_len;
	int r = qcow2_bytes_read(fd, head, sizeof(head), at);

	if (r < 0)
		return r;
	s->l1_at = get_be64(head + QCOW2_SNAP_L1_AT);
	s->nr_l1 = get_be32(head + QCOW2_SNAP_L1_SIZE);
	s->seconds = get_be32(head + QCOW2_SNAP_SECONDS);
	s->vm_state_len = get_be32(head + QCOW2_SNAP_VM_STATE_LEN);
	s->size = header->size;
	id_len = get_be16(head + QCOW2_SNAP_ID_LEN);
	name_len = get_be16(head + QCOW2_SNAP_NAME_LEN);
	extra_len = get_be32(head + QCOW2_SNAP_EXTRA_LEN);
	if (s->nr_l1 > QCOW2_L1_MAX || extra_len > EXTRA_MAX)
		return -EINVAL;
	at += sizeof(head);
	r = qcow2_bytes_read(fd, extra, min_u64(extra_len, sizeof(extra)), at);
	if (r < 0)
		return r;
	if (extra_len >= 8)
		s->vm_state_len = get_be64(extra);
	if (extra_len >= sizeof(extra))
		s->size = get_be64(extra + QCOW2_SNAP_EXTRA_SIZE);
	r = read_string(&s->id, fd, at + extra_len, id_len);
	if (!r)
		r = read_string(&s->name, fd, at + extra_len + id_len, name_len);
	*ret_end = align_up(at + extra_len + id_len + name_len, 8);
	return r;
}

int qcow2_snapshots_read(struct qcow2_snapshots *snapshots,
			 const struct qcow2_header *header, int fd, const char *path,
			 struct err *err)
{
	uint64_t at = header->snapshots_at, end = at;
	int r = 0;

	*snapshots = (struct qcow2_snapshots){ 0 };
	if (!header->nr_snapshots)
		return 0;
	snapshots->list = calloc(header->nr_snapshots, sizeof(*snapshots->list));
	if (!snapshots->list)
		return err_sys(err, -ENOMEM, "'%s'", path);
	for (uint32_t i = 0; i < header->nr_snapshots && !r; i++) {
		snapshots->nr++;
		r = read_entry(&snapshots->list[i], header, fd, at, &end);
		if (!r && end - header->snapshots_at > QCOW2_SNAPSHOTS_LEN_MAX)
			r = -EINVAL;
		at = end;
	}
	snapshots->len = at - header->snapshots_at;
	if (!r)
		return 0;
	qcow2_snapshots_free(snapshots);
	if (r == -EINVAL)
		return err_set(err, r, "'%s' is damaged: its snapshot table makes no sense "
			       "(qemu-img check tells more)", path);
	return err_sys(err, r, "cannot read the snapshots of '%s'", path);
}

void qcow2_snapshots_free(struct qcow2_snapshots *snapshots)
{
	for (uint32_t i = 0; i < snapshots->nr; i++) {
		free(snapshots->list[i].id);
		free(snapshots->list[i].name);
	}
	free(snapshots->list);
	*snapshots = (struct qcow2_snapshots){ 0 };
}
