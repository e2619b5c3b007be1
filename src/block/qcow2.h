/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2.h - a qcow2 image that is open.
 *
 * Everything here belongs to the loop of the image's disk, which is the only one
 * to look at metadata: there is no lock.  Opening and closing happen on the main
 * thread while the loop is idle.
 *
 * A request becomes an op, taken from a pool.  An op is a row of pieces: a piece
 * is what can be done by one transfer, since it is stored alike.  What a piece
 * needs to know may not be in memory; then the op queues up where that is being
 * fetched, and later simply begins the piece again:
 *
 *	run --> map the next piece --> transfer --> run ... --> done
 *	 ^             |
 *	 +-- queued <--+ (table or refcounts being read, cluster being
 *	                  allocated by another op, cache full of dirty slices)
 *
 * Pieces whose place is known, and lies elsewhere than that of the next one, are moved
 * beside each other: a piece that is not the last becomes a part, an op of its own that
 * knows nothing but its transfer, and the op goes on.
 *
 * So whatever a step returns falls into three: 0 or more, go on; QCOW2_LATER, the
 * op is queued or under way and will be resumed; a negative errno.
 *
 * The order in which bytes reach the disk is that of qcow2_writeback.c, how
 * clusters are taken and given back is told in qcow2_refcount.c, how a write
 * finds its place in qcow2_write.c.
 */
#ifndef BLOCK_QCOW2_H
#define BLOCK_QCOW2_H

#include "base/iov.h"
#include "block/format.h"
#include "block/qcow2_header.h"
#include "block/qcow2_map.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct qcow2;
struct qcow2_op;

#define QCOW2_LATER 1

#define QCOW2_CACHE_LEN	(4 * MiB)	/* default: covers 32 GiB with 64 KiB clusters */
#define QCOW2_BUFFERS_MAX 32
#define QCOW2_PARTS_MAX	64	/* of an image, under way at once */

/* Ops that wait for the same thing, first come first served. */
struct qcow2_queue {
	struct qcow2_op *first, *last;
};

/* qcow2_meta.c: which clusters hold what we must not overwrite. */
enum qcow2_meta {
	QCOW2_META_NONE,		/* guest data, or free */
	QCOW2_META_HEADER,
	QCOW2_META_L1,
	QCOW2_META_L2,
	QCOW2_META_REFTABLE,
	QCOW2_META_REFBLOCK,
	QCOW2_META_SNAPSHOTS,
	QCOW2_META_BITMAPS,
};

struct qcow2_meta_set {
	uint64_t *cells;		/* cluster index << 4 | kind; 0 empty, 15 gone */
	uint64_t nr_cells, nr_used;
};

/* qcow2_cache.c: slices of L2 tables and refcount blocks. */
struct qcow2_slice {
	struct qcow2 *q;
	uint64_t at;			/* in the file; 0 while unused */
	enum qcow2_meta kind;		/* L2 or REFBLOCK */
	bool loading;
	bool dirty;			/* newer than on disk */
	bool writing;			/* a copy is on its way to the disk */
	bool used;			/* since the hand last passed */
	uint8_t *bytes;
	struct qcow2_slice *hash_next;
	struct qcow2_queue waiters;	/* while loading */
	struct file_io io;
	struct iovec seg;
};

struct qcow2_cache {
	struct qcow2_slice *slices;
	unsigned nr, hand, nr_dirty;
	struct qcow2_slice **buckets;
	unsigned nr_buckets;
	size_t slice_len;
	uint8_t *bytes;			/* of all slices */
	uint8_t *shadows;		/* what is being written, slice by slice */
};

/* qcow2_writeback.c */
struct qcow2_writeback {
	bool active;
	bool wrote;			/* since the last sync */
	int res;			/* first failure */
	unsigned nr_pending;
	uint64_t started, durable;	/* how often; the last that succeeded */
	uint64_t l1_next;		/* sector of the L1 table to be looked at */
	bool l1_writing;		/* it is being written */
	struct file_io io;
	struct iovec seg;
	struct qcow2_queue waiters;
	struct qcow2_queue l1_waiters;	/* want to set an L1 entry when it has ended */
};

/* Host clusters that lose a reference as soon as nothing refers to them any more. */
struct qcow2_free {
	uint64_t at;			/* host, of the first */
	uint64_t nr;			/* clusters */
	uint64_t writeback;		/* must be durable */
	uint64_t seq;			/* ops older than it must have ended */
	bool punch;			/* give the space back to the host, too */
};

struct qcow2_frees {
	struct qcow2_free *list;
	unsigned first, nr, max;
	unsigned nr_ready;		/* of the first: in order of place, and may go */
	unsigned nr_holes;		/* that this write-back has made */
	struct qcow2_op *op;		/* waits for refcounts like any other */
	uint64_t nr_punched;		/* clusters of the first, given back to the host */
	uint64_t nr_discarded;		/* clusters of all, to be given back */
	uint64_t nr_given_back;		/* since the image was opened */
};

/* qcow2_grow.c: new refcount blocks, and a new refcount table when it is full. */
struct qcow2_growth {
	struct qcow2_op *op;		/* whoever needs it and does it, or NULL */
	uint8_t *bytes;			/* blocks, then the table */
	uint64_t at;			/* host, of all */
	uint64_t nr_blocks, nr_table;	/* clusters; no table: there is still room */
	uint64_t nr_l1;			/* clusters of an L1 table behind them */
	uint64_t *table;		/* as numbers */
	struct qcow2_queue waiters;
};

struct qcow2_buffers {
	uint8_t *unused[QCOW2_BUFFERS_MAX];
	unsigned nr_unused, nr, max;
	struct qcow2_queue waiters;
};

/* A run of clusters that an op is about to give a new place. */
struct qcow2_claim {
	bool active;
	bool is_new;			/* host clusters were allocated for it */
	bool fresh;			/* they have never been written: zeros */
	uint64_t guest, len;		/* whole clusters */
	uint64_t host;			/* of guest */
	uint64_t data_at, data_len;	/* guest bytes that will be there: whole units */
	struct qcow2_op *next;
	struct qcow2_queue waiters;
};

struct qcow2_op {
	struct qcow2 *q;
	struct disk_request *request;
	struct qcow2_op *next;		/* of a queue, or unused */
	struct qcow2_op *older, *newer;
	uint64_t seq;
	void (*resume)(struct qcow2_op *op, int res);
	bool submitting;		/* within submit: it must not end yet */
	struct qcow2_op *whole;		/* whose part this is, or NULL */
	unsigned nr_parts;		/* of this one, under way */
	int part_res;			/* first failure, of a part or of the op */
	bool ending;			/* nothing is left to do but to wait for parts */
	bool is_flush;			/* all data are moved, they become durable */
	uint64_t flush_at;		/* the write-back that has to be durable */
	bool has_waited;		/* for clusters to be free, when there were: */
	uint64_t nr_given_back;
	uint64_t done, piece;		/* bytes of the request */
	struct qcow2_claim claim;
	struct qcow2_op *parent;	/* whose buffer it may use */
	uint8_t *buf;			/* see qcow2_op_get_buf() */
	uint64_t compressed_len;
	uint64_t host;			/* of a table in the making */
	struct file_io io;
	struct iovec seg;
	struct disk_request inner;	/* to the backing file, or to ourselves */
	struct iovec segs[DISK_SEGS_MAX];
};

struct qcow2 {
	struct disk *disk;
	struct file *file;
	struct disk *backing;		/* or NULL */
	struct qcow2_header header;
	struct qcow2_geometry geo;
	uint64_t cluster;		/* bytes */
	uint64_t sector;		/* bytes that are written at once */
	uint64_t end;			/* of the file, and of what was allocated; bytes */
	bool corrupt;			/* found now or earlier: nothing is written */
	bool failed;			/* a sync failed: nobody knows what is on disk */

	uint64_t *l1;
	uint8_t *l1_dirty;		/* by sector */
	unsigned nr_l1_dirty;
	uint64_t *reftable;
	uint64_t nr_reftable;
	uint64_t per_block, per_slice;	/* clusters that a refcount block, or slice, counts */
	uint64_t hint;			/* no cluster below is known to be free */

	struct qcow2_cache cache;
	struct qcow2_meta_set meta;
	struct qcow2_writeback writeback;
	struct qcow2_frees frees;
	struct qcow2_buffers buffers;

	struct qcow2_op *unused_ops;
	unsigned nr_parts;		/* under way, of all ops */
	struct qcow2_op *oldest, *newest;	/* in flight */
	uint64_t next_seq;
	struct qcow2_op *claims;
	struct qcow2_op *table_maker;	/* at most one makes an L2 table */
	struct qcow2_queue table_waiters;
	struct qcow2_growth growth;

	uint8_t *head;			/* the header's sector */
	bool marking;			/* it is being written with the corrupt bit */
	struct file_io mark_io;
	struct iovec mark_seg;
	struct qcow2_queue mark_waiters;
};

/* qcow2_op.c */
void qcow2_op_submit(struct qcow2 *q, struct disk_request *request,
		     struct qcow2_op *parent);
struct qcow2_op *qcow2_op_new(struct qcow2 *q);	/* in no list; NULL without memory */
void qcow2_op_wait(struct qcow2_op *op, struct qcow2_queue *queue);
void qcow2_op_wake(struct qcow2_queue *queue, int res);
void qcow2_op_run(struct qcow2_op *op, int res);	/* begin the next piece */
void qcow2_op_advance(struct qcow2_op *op);		/* piece is done */
void qcow2_op_piece_done(struct qcow2_op *op, int res);	/* or has failed: go on */
void qcow2_op_inner_done(struct disk_request *inner, int res);	/* resume whose it is */
void qcow2_op_end(struct qcow2_op *op, int res);

/* Describe [off, off+len) of the request's memory; a transfer of file_submit(). */
struct iov qcow2_op_cut(struct qcow2_op *op, uint64_t off, uint64_t len);
int qcow2_op_copy_out(struct qcow2_op *op, uint8_t *to, uint64_t off, size_t len);
void qcow2_op_copy_in(struct qcow2_op *op, const uint8_t *from, uint64_t off, size_t len);
void qcow2_op_fill_zero(struct qcow2_op *op, uint64_t off, uint64_t len);

/* Transfer between the file at at and the request's memory, or bytes; then resume. */
void qcow2_op_transfer(struct qcow2_op *op, enum disk_op what, uint64_t at,
		       uint64_t off, uint64_t len);
void qcow2_op_transfer_bytes(struct qcow2_op *op, enum disk_op what, uint64_t at,
			     uint8_t *bytes, uint64_t len);

/*
 * Move the piece's data, op->piece bytes: beside those that follow, if there are any.
 * 0, or QCOW2_LATER.
 */
int qcow2_op_transfer_piece(struct qcow2_op *op, enum disk_op what, uint64_t at);

/* Make the file durable, then resume; if that fails, so has the image. */
void qcow2_op_sync(struct qcow2_op *op);

/* Have the op own a buffer: 0 or QCOW2_LATER. */
int qcow2_op_get_buf(struct qcow2_op *op);
void qcow2_op_put_buf(struct qcow2_op *op);
void qcow2_op_free_all(struct qcow2 *q);

/* qcow2_read.c */
int qcow2_read_step(struct qcow2_op *op);

/*
 * The slice that describes guest; NULL without a table.  For writing there is
 * qcow2_table_get().
 */
int qcow2_read_table(struct qcow2_op *op, uint64_t guest, struct qcow2_slice **ret_slice);

/*
 * qcow2_map_extent() for what the file has: clusters beyond its end are damage, not
 * zeros.  It may still end within the last one.
 */
int qcow2_read_extent(struct qcow2_op *op, const struct qcow2_slice *slice, uint64_t guest,
		      uint64_t len, struct qcow2_extent *ret_extent);

/* qcow2_compressed.c */
int qcow2_compressed_read(struct qcow2_op *op, const struct qcow2_extent *extent);

/* Decompress from to len bytes: zlib's raw deflate, or zstd. */
int qcow2_compressed_inflate(unsigned method, const uint8_t *from, size_t from_len,
			     uint8_t *to, size_t len);

/* qcow2_table.c: L2 tables that may be changed */
int qcow2_table_get(struct qcow2_op *op, uint64_t guest, struct qcow2_slice **ret_slice);

/* qcow2_write.c */
int qcow2_write_step(struct qcow2_op *op);

/* Bytes from guest on, at most len, that no other op is giving a new place. */
uint64_t qcow2_write_unclaimed(struct qcow2_op *op, uint64_t guest, uint64_t len,
			       struct qcow2_op **ret_claimer);

/* Write the piece at guest, of at most len bytes, to where it is not yet. */
int qcow2_write_anew(struct qcow2_op *op, const struct qcow2_slice *slice,
		     uint64_t guest, uint64_t len, const struct qcow2_extent *extent);

/*
 * Give up what an entry refers to.  False: data cannot be there, so that the entry is
 * wrong; what is there stays counted.
 */
bool qcow2_write_release(struct qcow2 *q, uint64_t entry, bool punch);

/* qcow2_resize.c: only ever larger */
int qcow2_resize(struct disk *disk, uint64_t size, struct err *err);

/* qcow2_zero.c: discard and write zeros */
int qcow2_zero_step(struct qcow2_op *op);

/* qcow2_cache.c */
int qcow2_cache_init(struct qcow2 *q, uint64_t len);
void qcow2_cache_fini(struct qcow2 *q);

int qcow2_cache_get(struct qcow2 *q, struct qcow2_op *op, enum qcow2_meta kind,
		    uint64_t at, struct qcow2_slice **ret_slice);
void qcow2_cache_dirty(struct qcow2_slice *slice);
struct qcow2_slice *qcow2_cache_find(const struct qcow2 *q, uint64_t at);

/* Forget what is cached of these bytes; none is dirty. */
void qcow2_cache_drop(struct qcow2 *q, uint64_t at, uint64_t len);

/* qcow2_writeback.c */
int qcow2_writeback_wait(struct qcow2_op *op);
int qcow2_writeback_flush_step(struct qcow2_op *op);
void qcow2_writeback_set_l1(struct qcow2 *q, uint64_t index, uint64_t entry);
void qcow2_writeback_end(struct qcow2 *q);	/* of its last part, the frees */

/* Make the file durable at once; if that fails, so has the image. */
int qcow2_writeback_sync(struct qcow2 *q);

/* Everything to the disk; main, with nothing in flight. */
int qcow2_writeback_all(struct qcow2 *q);

/* qcow2_refcount.c */
int qcow2_refcount_alloc(struct qcow2_op *op, uint64_t want, uint64_t *ret_host,
			 uint64_t *ret_nr, bool *ret_fresh);

/* Where the slice is that counts the cluster; 0: none does. */
uint64_t qcow2_refcount_slice_at(const struct qcow2 *q, uint64_t cluster);

/*
 * 1: clusters are counted that are beyond the end of the file; it was cut short, or a
 * power cut came between the counts and what they are for.  Main, at open.
 */
int qcow2_refcount_is_short(const struct qcow2 *q);

/* qcow2_free.c: when is that what was given up can be used again */
void qcow2_free_after_writeback(struct qcow2 *q, uint64_t at, uint64_t nr, bool punch);
void qcow2_free_unused(struct qcow2 *q, uint64_t at, uint64_t nr);

/*
 * Have an op that takes space wait for a write-back when more than max bytes that were
 * discarded are not free yet, again only if some have become free since: QCOW2_LATER, a
 * negative errno, or 0 when it need not.
 */
int qcow2_free_wait(struct qcow2_op *op, uint64_t max);

void qcow2_free_run(struct qcow2 *q);	/* ends by qcow2_writeback_end() */
int qcow2_free_all(struct qcow2 *q);	/* main, with nothing in flight */

/* qcow2_grow.c: the refcounts become able to count more clusters */
int qcow2_grow_start(struct qcow2_op *op);

/*
 * Write an L1 table with room for nr entries, more than there are, and put it into
 * the header's sector.  Once that is durable, or else the image has failed, the second
 * call takes it into use.  While nobody else lets the refcounts grow.
 */
int qcow2_grow_l1(struct qcow2 *q, uint64_t nr);
void qcow2_grow_l1_named(struct qcow2 *q);

/* qcow2_meta.c */
int qcow2_meta_load(struct qcow2 *q, const char *path, struct err *err);
void qcow2_meta_fini(struct qcow2 *q);
enum qcow2_meta qcow2_meta_kind(const struct qcow2 *q, uint64_t at);
int qcow2_meta_add(struct qcow2 *q, uint64_t at, uint64_t nr, enum qcow2_meta kind);
void qcow2_meta_remove(struct qcow2 *q, uint64_t at, uint64_t nr);

/* Is all of it of this kind? */
bool qcow2_meta_all(const struct qcow2 *q, uint64_t at, uint64_t len, enum qcow2_meta kind);

/*
 * The image contradicts itself: mark it, and never write again.  The op ends with
 * -EIO once the mark is made.  Returns QCOW2_LATER or -EIO.
 */
int qcow2_meta_corrupt(struct qcow2_op *op, const char *what, uint64_t at);

#endif
