// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_open.c - opens and closes a qcow2 image, with the files behind it.
 *
 * What an image says is followed no further than the user allows: an image that
 * came from elsewhere could else name any file of the host as its backing file and
 * show it to the guest.  So without backing=on only files in the image's own
 * folder count.
 */
#include "block/qcow2.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/folder.h"
#include "block/qcow2_bytes.h"
#include "block/qcow2_chain.h"
#include "block/qcow2_check.h"
#include "block/qcow2_tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define CHAIN_MAX	64		/* files */
#define SLICE_LEN	(4 * KiB)
#define BUFFERS_LEN	(64 * MiB)	/* at most, for large clusters */
#define BUFFERS_MIN	4

/* Backing files. */

/* Is it the file itself, or one whose backing file it is? */
static int check_chain(const struct disk_config *config, const char *path, struct err *err)
{
	struct stat st, other;
	unsigned depth = 1;

	if (stat(path, &st) < 0)
		return err_sys(err, -errno, "cannot open '%s', the backing file of '%s'", path,
			       config->path);
	for (; config; config = config->overlay) {
		if (++depth > CHAIN_MAX)
			return err_set(err, -ELOOP, "'%s' is in a chain of more than %u backing "
				       "files", path, CHAIN_MAX);
		if (!stat(config->path, &other) && st.st_dev == other.st_dev &&
		    st.st_ino == other.st_ino)
			return err_set(err, -ELOOP, "'%s' is its own backing file", path);
	}
	return 0;
}

/* May the image name this file? */
static int check_name(const struct disk_config *config, const char *name, struct err *err)
{
	const char *colon = strchr(name, ':'), *slash = strchr(name, '/');
	size_t len = strlen(name);
	bool leaves;

	if (colon && (!slash || colon < slash))
		return err_set(err, -ENOTSUP, "'%s' has the backing file '%s', which is not "
			       "the name of a file", config->path, name);
	if (config->backing == DISK_BACKING_OFF)
		return err_set(err, -EPERM, "'%s' has the backing file '%s', but none is "
			       "allowed (off)", config->path, name);
	leaves = name[0] == '/' || !strncmp(name, "../", 3) || strstr(name, "/../") ||
		 (len >= 2 && !strcmp(name + len - 2, ".."));
	if (leaves && config->backing != DISK_BACKING_ON)
		return err_set(err, -EPERM, "'%s' has the backing file '%s', which is not in "
			       "its folder: if you trust the image, allow it by backing=on, or "
			       "in 'vmm disk' --backing-files=on", config->path, name);
	return 0;
}

static int check_format(const struct qcow2_header *h, const struct disk_config *config,
			const char **ret_format, struct err *err)
{
	const char *ending = strrchr(h->backing, '.');

	*ret_format = h->backing_format;
	if (h->has_backing_format && h->backing_format[0])
		return 0;
	*ret_format = NULL;
	if (ending && (!strcasecmp(ending, ".qcow2") || !strcasecmp(ending, ".qcow")))
		return 0;
	return err_set(err, -EINVAL, "'%s' does not say which format its backing file '%s' "
		       "has: vmm disk rebase --unsafe -F FORMAT -b '%s' tells it", config->path,
		       h->backing, h->backing);
}

static int open_backing(struct qcow2 *q, const struct disk_config *config, struct err *err)
{
	const char *name = q->header.backing;
	char path[PATH_MAX];
	struct disk_config backing = {
		.id = config->id, .path = path,
		.read_only = config->behind != DISK_BEHIND_WRITE,
		.cache = config->cache, .backing = config->backing,
		.cache_len = config->cache_len, .asleep = config->asleep, .overlay = config,
	};
	int r = check_name(config, name, err);

	if (!r)
		r = check_format(&q->header, config, &backing.format, err);
	if (r < 0)
		return r;
	if (folder_join(path, config->path, name) < 0)
		return err_set(err, -ENAMETOOLONG, "'%s' has a backing file with too long a "
			       "name", config->path);
	r = check_chain(config, path, err);
	if (r < 0)
		return r;
	r = disk_open(&q->backing, &backing, q->disk->loop, err);
	/* The last one says which it is; the way there would only be long. */
	if (r < 0 && !config->overlay)
		return err_at(err, r, "backing file of '%s'", config->path);
	if (r < 0)
		return r;
	if (disk_block_size(q->backing) > q->disk->file.block_size)
		q->disk->file.block_size = disk_block_size(q->backing);
	return 0;
}

/* The image itself. */

/* Main reads and writes parts of blocks, which direct I/O could not. */
static int set_direct(const struct file *file, bool direct)
{
	return file->direct ? file_bypass_cache(file, direct) : 0;
}

static void take_geometry(struct qcow2 *q)
{
	const struct qcow2_header *h = &q->header;
	struct qcow2_geometry *geo = &q->geo;

	geo->extended = h->incompatible & QCOW2_INCOMPATIBLE_EXTENDED;
	geo->zero_flag = h->version > 2;
	geo->cluster_bits = h->cluster_bits;
	geo->unit_bits = geo->extended ? h->cluster_bits - 5 : h->cluster_bits;
	geo->l2_bits = h->cluster_bits - (geo->extended ? 4 : 3);
	q->cluster = BIT64(h->cluster_bits);
	geo->slice_bits = geo->l2_bits;
	while (qcow2_map_slice_len(geo) > max_u64(SLICE_LEN, q->sector))
		geo->slice_bits--;
	q->per_block = q->cluster * 8 >> h->refcount_order;
	q->per_slice = qcow2_map_slice_len(geo) * 8 >> h->refcount_order;
}

static int judge_state(const struct qcow2 *q, const char *path, struct err *err)
{
	if (q->sector > BIT64(q->header.cluster_bits))
		return err_set(err, -ENOTSUP, "'%s' cannot be used with direct: its clusters "
			       "are smaller than the %llu bytes that its file system reads at "
			       "once", path, (unsigned long long)q->sector);
	if (!q->disk->read_only && q->header.incompatible & QCOW2_INCOMPATIBLE_CORRUPT)
		return err_set(err, -EIO, "'%s' is marked as damaged and can only be read: "
			       "add 'readonly', or repair it by vmm disk check --repair", path);
	return 0;
}

static int measure_end(struct qcow2 *q)
{
	struct stat st;

	if (fstat(q->file->fd, &st) < 0)
		return -errno;
	q->end = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : q->file->size;
	return 0;
}

/* An entry that leads beyond the end would soon lead to what is put there next. */
static int repair(struct qcow2 *q, enum qcow2_check_fix fix, const char *was,
		  const char *path, struct err *err)
{
	struct qcow2_check check;
	int r = qcow2_check(&check, q->file->fd, path, fix, q->disk->progress, err);

	if (r < 0)
		return err_at(err, r, "it was %s, and cannot be repaired", was);
	if (check.nr_corruptions)
		return err_set(err, -EIO, "'%s' was %s, and has %llu errors: it can only be read "
			       "(add 'readonly'), or see vmm disk check --repair", path, was,
			       (unsigned long long)check.nr_corruptions);
	r = measure_end(q);
	return r < 0 ? err_sys(err, r, "'%s'", path) :
	       qcow2_header_read(&q->header, q->file->fd, path, q->end, err);
}

static int repair_dirty(struct qcow2 *q, const char *path, struct err *err)
{
	if (q->disk->read_only || !(q->header.incompatible & QCOW2_INCOMPATIBLE_DIRTY))
		return 0;
	return repair(q, QCOW2_CHECK_FIX_ALL, "not closed", path, err);
}

static int repair_short(struct qcow2 *q, const char *path, struct err *err)
{
	int r = q->disk->read_only ? 0 : qcow2_refcount_is_short(q);

	if (r < 0)
		return err_sys(err, r, "cannot read the tables of '%s'", path);
	if (r) {
		/* Only what has no errors is changed. */
		r = repair(q, QCOW2_CHECK_FIX_NONE, "cut short", path, err);
		if (!r)
			r = repair(q, QCOW2_CHECK_FIX_LEAKS, "cut short", path, err);
	}
	return r;
}

/* We keep up none of what the bits promise. */
static int clear_promises(struct qcow2 *q, const char *path, struct err *err)
{
	int r;

	if (q->disk->read_only || !q->header.autoclear)
		return 0;
	q->header.autoclear = 0;
	r = qcow2_header_write_features(&q->header, q->file->fd);
	return r < 0 ? err_sys(err, r, "cannot write '%s'", path) : 0;
}

static int allocate(struct qcow2 *q, uint64_t cache_len)
{
	uint64_t nr_sectors = align_up(q->header.nr_l1 * UINT64_C(8), q->sector) / q->sector;
	uint64_t nr_buffers = BUFFERS_LEN / (4 * q->cluster);
	void *sector = NULL, *head = NULL;

	q->buffers.max = (unsigned)max_u64(BUFFERS_MIN, min_u64(nr_buffers, QCOW2_BUFFERS_MAX));
	q->l1_dirty = calloc(nr_sectors + 1, 1);
	q->frees.op = qcow2_op_new(q);
	if (posix_memalign(&sector, q->sector, q->sector))
		sector = NULL;
	if (posix_memalign(&head, q->sector, q->sector))
		head = NULL;
	q->writeback.seg = (struct iovec){ sector, q->sector };
	q->head = head;
	if (!q->l1_dirty || !q->frees.op || !sector || !head)
		return -ENOMEM;
	return qcow2_cache_init(q, cache_len ? cache_len : QCOW2_CACHE_LEN);
}

static int load_tables(struct qcow2 *q, const char *path, struct err *err)
{
	const struct qcow2_header *h = &q->header;
	int fd = q->file->fd;
	int r = qcow2_bytes_read_table(fd, &q->l1, h->nr_l1, h->l1_at);

	if (!r)
		r = qcow2_bytes_read(fd, q->head, q->sector, 0);
	q->nr_reftable = (uint64_t)h->reftable_clusters << h->cluster_bits >> 3;
	if (!r && !q->disk->read_only)
		r = qcow2_bytes_read_table(fd, &q->reftable, q->nr_reftable, h->reftable_at);
	if (r < 0)
		return err_sys(err, r, "cannot read the tables of '%s'", path);
	return q->disk->read_only ? 0 : qcow2_meta_load(q, path, err);
}

static void release(struct qcow2 *q)
{
	if (q->frees.op)
		free(q->frees.op);
	qcow2_op_free_all(q);
	qcow2_cache_fini(q);
	qcow2_meta_fini(q);
	free(q->frees.list);
	free(q->growth.bytes);
	free(q->growth.table);
	free(q->writeback.seg.iov_base);
	free(q->head);
	free(q->l1);
	free(q->l1_dirty);
	free(q->reftable);
	if (q->backing)
		q->backing = disk_close(q->backing, NULL);
	free(q);
}

/* Nothing is written before all that may be refused has been looked at; asleep, nothing is. */
static int open_image(struct qcow2 *q, const struct disk_config *config, struct err *err)
{
	int r = measure_end(q);

	if (r < 0)
		return err_sys(err, r, "'%s'", config->path);
	r = qcow2_header_read(&q->header, q->file->fd, config->path, q->end, err);
	if (!r)
		r = judge_state(q, config->path, err);
	if (!r && q->header.has_backing && config->behind != DISK_BEHIND_LEAVE)
		r = open_backing(q, config, err);
	if (r < 0 || config->asleep)
		return r;
	r = repair_dirty(q, config->path, err);
	if (r < 0)
		return r;
	take_geometry(q);
	r = allocate(q, config->cache_len);
	if (r < 0)
		return err_sys(err, r, "'%s'", config->path);
	r = load_tables(q, config->path, err);
	if (!r)
		r = repair_short(q, config->path, err);
	return r < 0 ? r : clear_promises(q, config->path, err);
}

static int qcow2_open(struct disk *disk, const struct disk_config *config, struct err *err)
{
	struct qcow2 *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return err_sys(err, -ENOMEM, "'%s'", config->path);
	q->disk = disk;
	q->file = &disk->file;
	q->sector = disk->file.block_size;
	r = set_direct(q->file, false);
	if (!r)
		r = open_image(q, config, err);
	if (!r)
		r = set_direct(q->file, true);
	if (r < 0) {
		release(q);
		return err && !err->code ? err_sys(err, r, "'%s'", config->path) : r;
	}
	disk->state = q;
	disk->size = q->header.size;
	disk->discard_unit = UINT32_C(1) << q->header.cluster_bits;
	if (config->asleep)
		release(q);
	return 0;
}

static void qcow2_close(struct disk *disk, struct err *err)
{
	struct qcow2 *q = disk->state;
	int r = 0;

	if (!disk->read_only) {
		r = set_direct(q->file, false);
		if (!r)
			r = qcow2_writeback_all(q);
		if (q->corrupt && q->header.version > 2) {
			q->header.incompatible |= QCOW2_INCOMPATIBLE_CORRUPT;
			qcow2_header_write_features(&q->header, q->file->fd);
		}
	}
	if (r < 0)
		err_sys(err, r, "what was written last cannot be saved");
	release(q);
}

static void qcow2_submit(struct disk *disk, struct disk_request *request)
{
	qcow2_op_submit(disk->state, request, NULL);
}

static bool qcow2_is_lost(const struct disk *disk)
{
	const struct qcow2 *q = disk->state;

	return q->failed || q->corrupt;
}

const struct disk_format disk_format_qcow2 = {
	.name = "qcow2",
	.open = qcow2_open,
	.close = qcow2_close,
	.resize = qcow2_resize,
	.submit = qcow2_submit,
	.is_lost = qcow2_is_lost,
	.backing = qcow2_chain_backing,
	.empty = qcow2_chain_empty,
	.set_backing = qcow2_chain_set_backing,
	.map = qcow2_tool_map,
	.facts = qcow2_tool_facts,
	.create = qcow2_tool_create,
	.set_size = qcow2_tool_set_size,
	.check = qcow2_tool_check,
	.snapshot = qcow2_tool_snapshot,
	.list_snapshots = qcow2_tool_list_snapshots,
};
