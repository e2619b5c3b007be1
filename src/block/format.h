/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - how the bytes of a disk lie in its file.
 *
 * A format sits above the file: it turns a checked request into file I/O and
 * ends it by request->done().  One more is a file like raw.c and its name in
 * the table of format.c.
 */
#ifndef BLOCK_FORMAT_H
#define BLOCK_FORMAT_H

#include "block/disk.h"
#include "block/disk_check.h"
#include "block/disk_create.h"
#include "block/disk_map.h"
#include "block/disk_snapshot.h"
#include "block/file.h"
#include "throttle_group.h"

#include <stdbool.h>
#include <stdint.h>

struct disk_arrival;
struct err;

/* Written by the owner, read by anybody. */
struct disk_count {
	_Atomic(uint64_t) nr, bytes, ns, nr_failed;
};

struct disk {
	const struct disk_format *format;
	char *id;		/* for messages */
	struct disk_config how;	/* it was opened, and is to be again; asleep: as it is now */
	struct loop *loop;
	struct file file;
	_Atomic(uint64_t) size;	/* bytes that the guest sees; the format's open() sets it */
	uint32_t block_size;	/* the guest's; at least the file's */
	uint32_t discard_unit;	/* as disk_discard_unit(); set by open(), too */
	bool read_only;
	bool written;		/* since it was opened, by requests */
	struct disk_mark mark;	/* asleep: how the file was left */
	uint64_t inode;		/* of that file; 0: not known */
	struct disk_arrival *arrival;	/* NULL: its image was there, or is kept */
	enum disk_cache cache;
	enum disk_on_error read_error, write_error;
	void (*failed)(void *ctx, const struct disk_failure *failure);
	void *ctx;
	struct disk_user *user;
	struct throttle_member throttle;
	uint64_t *log;		/* as of disk_set_log(), or NULL */
	const struct disk_progress *progress;
	void *state;		/* the format's */
	struct disk_count counts[DISK_NR_OPS];
};

struct disk_format {
	const char *name;

	/*
	 * The file is open; nobody else uses the disk yet, so it is read by pread(2).  On
	 * failure, or if config says asleep, nothing is left to be undone; the file is not
	 * the format's.  An image that is to be asleep may be changing, and is not written.
	 * config lives as long as the disk.  Main or owner.
	 */
	int (*open)(struct disk *disk, const struct disk_config *config, struct err *err);

	/*
	 * NULL, or: write back what is only in memory, and free state.  No request is
	 * in flight, and nobody uses the disk any more.  An error is told by err, and
	 * what open() made is gone all the same.  Main or owner.
	 */
	void (*close)(struct disk *disk, struct err *err);

	/*
	 * NULL, or: become size bytes long, more than now and whole blocks.  Requests
	 * may be in flight.  Sets disk->size.  Owner.
	 */
	int (*resize)(struct disk *disk, uint64_t size, struct err *err);

	/*
	 * request lies within the disk, is not empty, and may be done.  It is ended by
	 * disk_format_done(), later and not from within.  A discard comes only where
	 * discard_unit is not 0.  Owner.
	 */
	void (*submit)(struct disk *disk, struct disk_request *request);

	/* NULL, or: will no write or flush ever succeed again?  Owner. */
	bool (*is_lost)(const struct disk *disk);

	/*
	 * Fill in all but at of the extent; len is how much of the disk there is.  As
	 * disk_map().
	 */
	int (*map)(struct disk *disk, struct disk_extent *extent);

	/* NULL, or as disk_create() and disk_create_resize(); the size has been judged. */
	int (*create)(int fd, const char *path, const struct disk_create *create,
		      struct err *err);
	int (*set_size)(struct disk *disk, uint64_t size, struct err *err);

	/* NULL, or as disk_chain.h has them. */
	struct disk *(*backing)(const struct disk *disk);
	int (*empty)(struct disk *disk, struct err *err);
	int (*set_backing)(struct disk *disk, const char *backing, const char *format,
			   struct err *err);

	/* NULL, or as disk_check(), of a file that is open. */
	int (*check)(struct disk_check *check, const struct file *file,
		     const struct disk_config *config, bool repair, struct err *err);

	/* NULL, or as disk_snapshot_change() and disk_snapshot_list(), of an open file. */
	int (*snapshot)(const struct file *file, const struct disk_config *config,
			enum disk_snapshot_change change, const char *name, struct err *err);
	int (*list_snapshots)(const struct file *file, const char *path,
			      disk_snapshot_each *each, void *ctx, struct err *err);

	/* NULL, or as disk_map_facts(). */
	void (*facts)(const struct disk *disk, disk_fact *fact, void *ctx);
};

extern const struct disk_format disk_format_qcow2, disk_format_raw, disk_format_vmdk;

/* Open the file of a disk and what is in it, or look at it, as disk->how says.  Main or owner. */
int disk_format_open_image(struct disk *disk, struct err *err);

/* Count the request and give it back; owner. */
void disk_format_done(struct disk_request *request, int res);

/* The format by the rule of disk.h; an error where it is none that we can open. */
int disk_format_choose(const struct disk_format **ret_format,
		       const struct disk_config *config, const struct file *file,
		       struct err *err);

/* As that, of an image that is yet to be made; name may be NULL. */
int disk_format_find(const struct disk_format **ret_format, const char *name,
		     const char *path, struct err *err);

#endif
