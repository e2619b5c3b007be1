/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h - a guest's disk as a row of bytes in a file or block device.
 *
 *	request --> format (raw, qcow2, vmdk) --> file I/O on the loop
 *
 * A request is embedded in an object of whoever makes it.  A raw disk allocates
 * nothing for it, except that direct I/O from or to memory that the file system
 * cannot use takes a buffer for as long as the request lasts; other formats keep
 * what so many requests at a time have once needed.
 *
 * What an image's format is follows from what the user says or from the file's
 * name, never from its content: the guest writes that.
 *
 * A disk belongs to one loop for its life.  "Owner" means that loop.
 *
 * A disk on storage that others can reach, too, goes from one process to another while
 * there is a struct disk of it in both:
 *
 *	open --> awake --disk_sleep()--> asleep --disk_wake()--> awake
 *
 * Asleep it has no file open and holds no lock, but knows what its device shows, and how
 * the file was left, if it may write it: it does not wake in one that was written since.
 * The other process is told by disk_mark() and disk_expect().
 */
#ifndef BLOCK_DISK_H
#define BLOCK_DISK_H

#include "loop/loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct disk;
struct err;
struct throttle_group;

#define DISK_SEGS_MAX	1024	/* of one request; what readv(2) takes */
#define DISK_LOG_BLOCK	UINT64_C(0x10000)	/* bytes that a bit of a log is for */

/* May an image name a file that holds what it does not? */
enum disk_backing {
	DISK_BACKING_FOLDER,	/* one that is in the image's own folder */
	DISK_BACKING_ON,
	DISK_BACKING_OFF,
};

extern const char *const disk_backing_names[];	/* as a user writes them, up to a NULL */

/* What is to be done with that file? */
enum disk_behind {
	DISK_BEHIND_READ,
	DISK_BEHIND_WRITE,	/* it can be written, too: see disk_chain_backing() */
	DISK_BEHIND_LEAVE,	/* nothing: the disk is as if the image had none */
};

/* When is a write on the medium?  Always, once a flush that came later is done. */
enum disk_cache {
	DISK_WRITEBACK,		/* some time */
	DISK_DIRECT,		/* the same, but past the host's page cache */
	DISK_WRITETHROUGH,	/* when it is done */
	DISK_UNSAFE,		/* some time, and not even a flush waits for it */
};

/* What to do when the host fails a guest's request. */
enum disk_on_error {
	DISK_ON_ERROR_REPORT,	/* tell the guest */
	DISK_ON_ERROR_STOP,	/* stop the VM, and try again when it goes on */
	DISK_ON_ERROR_IGNORE,	/* tell the guest that all is well */
	DISK_ON_ERROR_ENOSPC,	/* stop when there is no space, else report */
};

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,		/* make all that is done durable */
	DISK_DISCARD,		/* bytes nobody needs: afterwards zeros, or what they were */
	DISK_ZERO,		/* bytes that read as zeros afterwards */
	DISK_NR_OPS,
};

/* A failure of the host's, and what follows for the request. */
enum disk_verdict { DISK_REPORT, DISK_STOP, DISK_IGNORE };

struct disk_failure {
	enum disk_op op;
	int error;		/* negative errno */
	enum disk_verdict verdict;
};

/* How far a look at all tables of an image has come: told often, and of bytes.  Main. */
struct disk_progress {
	void (*show)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
};

struct disk_config {
	const char *id;		/* name in messages; NULL: path will do */
	const char *path;	/* regular file or block device */
	const char *format;	/* NULL: by the ending of path, else raw */
	bool read_only;
	enum disk_cache cache;
	uint32_t block_size;	/* bytes, at least; 0: as the file has it */
	enum disk_backing backing;
	enum disk_behind behind;
	uint64_t cache_len;	/* bytes for tables of qcow2; 0: a default */
	bool asleep;		/* only look at it, while another may write it, and let it sleep;
				 * if there is none to be written: see block/disk_arrival.h */
	const struct disk_config *overlay;	/* whose backing file it is, or NULL */
	const struct disk_progress *progress;	/* outlives the disk; NULL: none is wanted */
	enum disk_on_error read_error, write_error;

	/* Unless NULL: see disk_judge_failure().  Owner. */
	void (*failed)(void *ctx, const struct disk_failure *failure);
	void *ctx;
};

/* What of a disk is up to the device that shows it; see disk_set_use(). */
struct disk_use {
	uint32_t block_size;	/* bytes, at least; 0: as the file has it */
	bool write_through;	/* DISK_WRITETHROUGH, where it was opened as DISK_WRITEBACK */
	enum disk_on_error read_error, write_error;
};

/* How the file of a disk was left: not known where it is a device, which does not tell. */
struct disk_mark {
	uint64_t size;		/* bytes */
	uint64_t mtime;		/* ns, as fine as the file system has it */
	bool known;
};

/*
 * Which file a disk is in, by what another host sees of it as well: the inode, where the file
 * system gives it one number whoever looks, and which kind of file system that is.  Zeroes:
 * not known.
 *
 * It has neither path nor device number, which are each host's own, and so are all names of a
 * block device; nor size and time of the last write (struct disk_mark), which tell one file
 * from another only once nobody writes it any more.
 */
struct disk_identity {
	uint64_t file_system;	/* as statfs(2) has it */
	uint64_t inode;
};

/* The device that shows the disk to a guest. */
struct disk_user {
	void (*resized)(struct disk_user *user);	/* owner */
};

/* How the medium likes to be accessed; bytes, 0: not known. */
struct disk_topology {
	uint32_t physical;	/* what it writes at once */
	uint32_t offset;	/* of the first such unit */
	uint32_t min_io, opt_io;
};

/* One operation on the file below a disk; the disk's own. */
struct file_io {
	enum disk_op op;
	bool durable, unmap;	/* as in struct disk_request */
	unsigned nr_segs;
	const struct iovec *segs;
	uint64_t at, len;	/* bytes */
	void (*done)(struct file_io *io, int res);

	struct file *file;
	struct loop *loop;
	struct loop_io loop_io;
	uint64_t moved;		/* bytes done so far */
	struct iovec rest;	/* of a segment that was cut */
	void *bounce;		/* NULL where segs can be used as they are */
	int space_mode;		/* of a discard or zero: as for fallocate(2) */
	bool syncing;		/* all is done but to make it durable */
	bool pad;		/* of a read: what is beyond the end of the file is zeros */
	struct loop_task refuse;
	int refusal;
};

/*
 * at and len are multiples of disk_block_size().  To read or write, len is the
 * sum of segs, and nr_segs is at most DISK_SEGS_MAX; other operations have no
 * segs, and a flush neither at nor len.  segs and what they point to stay as they
 * are until done().
 */
struct disk_request {
	enum disk_op op;
	bool durable;			/* write, zero: when done, it is on the medium */
	bool unmap;			/* zero: the space may be given back to the host */
	bool aside;			/* not the guest's: neither limited nor counted */
	unsigned nr_segs;
	const struct iovec *segs;
	uint64_t at, len;		/* bytes */

	/* res is 0, all bytes moved, or a negative errno: any of them may have moved. */
	void (*done)(struct disk_request *request, int res);

	struct file_io io;		/* the disk's */
	struct disk *disk;		/* the disk's */
	struct disk_request *next;	/* the disk's, while it cannot start yet */
	uint64_t started;		/* the disk's: when, by loop_now() */
};

/* Of one kind of request, since the disk was opened. */
struct disk_counter {
	uint64_t nr, bytes, ns, nr_failed;
};

/*
 * Opens and locks: a writer keeps all others out, readers keep writers out.
 * *config need not outlive the call.  Main.
 */
int disk_open(struct disk **ret_disk, const struct disk_config *config,
	      struct loop *loop, struct err *err);

/*
 * Not while a request is in flight; the loop may run, for others.  -> NULL.  err
 * tells when what a format kept in memory cannot be written; the disk is closed all
 * the same.  Main.
 */
struct disk *disk_close(struct disk *disk, struct err *err);

/*
 * All that was written is durable when this returns, whatever the cache mode says; what is
 * asleep is so already.  Others may use the disk meanwhile.  Owner.
 */
int disk_flush(struct disk *disk, struct err *err);

/*
 * Write back all that is in memory, let go of the files and forget what they hold.
 * Nothing is in flight.  On failure it is awake, unless it could not be opened again
 * either; what is asleep already stays so.  Owner.
 */
int disk_sleep(struct disk *disk, struct err *err);

/*
 * Open the disk as it was opened, locks included, and read all anew.  On failure it is
 * asleep: somebody holds a lock (-EBUSY), has written the file since it was left (-ESTALE),
 * or it has another size than before.  What is awake already stays so.  Owner.
 */
int disk_wake(struct disk *disk, struct err *err);

/* How a disk that is asleep left its file: not known if it only reads it or was never awake. */
struct disk_mark disk_mark(const struct disk *disk);

/* It wakes only as another process has left it.  What is awake takes no notice.  Owner. */
void disk_expect(struct disk *disk, const struct disk_mark *mark);

/* Of the file that is open, or would be if it is asleep.  Main, while no name is given to it. */
struct disk_identity disk_identity(const struct disk *disk);

/* Are these two files for certain?  If not they may be, too. */
bool disk_identity_differs(const struct disk_identity *one, const struct disk_identity *other);

/*
 * What the next device makes of the disk, instead of what the one before it or
 * disk_open() did.  -EINVAL, and nothing has changed, where it cannot have such blocks
 * or is not open for such writes.  While it has no user; main.
 */
int disk_set_use(struct disk *disk, const struct disk_use *use, struct err *err);

/*
 * Start request; done() is called later, never from within.  Requests in flight
 * are not ordered.  Refused, without touching the file, are a range beyond the
 * end or not in whole blocks (-EINVAL), what changes a read-only disk (-EROFS), and
 * any of a disk that is asleep (-EBUSY).
 * A discard never fails for want of support: it then does nothing.  Owner.
 */
void disk_submit(struct disk *disk, struct disk_request *request);

/*
 * Share the limits of a group (block/throttle.h), instead of those it had, or NULL:
 * have none.  Flushes never wait.  Owner.
 */
void disk_set_throttle(struct disk *disk, struct throttle_group *group);

/* NULL: it has none.  Owner, or whoever has the owner make all changes. */
struct throttle_group *disk_throttle(const struct disk *disk);

/*
 * End what the limits keep waiting with -ECANCELED, from within; nothing was done of
 * it, and it may be submitted again.  Owner.
 */
void disk_withdraw(struct disk *disk);

/*
 * Note in a bitmap of disk_log_words() what requests change from now on, or NULL: do not.
 * The bit n % 64 of word n / 64 is for block n, and is set when the request is done, even if
 * it has failed.  So whoever clears it before he reads the block has missed nothing once no
 * request is in flight and it is still clear.  The disk cannot be resized meanwhile.  Owner.
 */
void disk_set_log(struct disk *disk, uint64_t *log);
uint64_t disk_log_words(const struct disk *disk);

/* Is it being noted?  Owner, or whoever has the owner make all changes. */
bool disk_is_logged(const struct disk *disk);

/*
 * A request of the guest has failed on the host, with this error: what is to become
 * of it?  config->failed() hears of it first.  Owner.
 */
enum disk_verdict disk_judge_failure(struct disk *disk, enum disk_op op, int error);

/* NULL: nobody.  Main, and so never during a disk_resize(), which main has the owner do. */
void disk_set_user(struct disk *disk, struct disk_user *user);

/*
 * Make it size bytes long, and tell the user.  A file grows; a block device must
 * have become that long.  Nothing ever shrinks.  Owner.
 */
int disk_resize(struct disk *disk, uint64_t size, struct err *err);

uint64_t disk_size(const struct disk *disk);		/* bytes; any thread */

/* Fixed from open or disk_set_use() on; any thread. */
const char *disk_id(const struct disk *disk);
struct loop *disk_loop(const struct disk *disk);
struct disk_topology disk_topology(const struct disk *disk);
bool disk_write_cache(const struct disk *disk);		/* is a write done before it is durable? */
uint32_t disk_block_size(const struct disk *disk);	/* bytes, a power of two >= 512 */
bool disk_read_only(const struct disk *disk);
const char *disk_format_name(const struct disk *disk);	/* "raw" */

/* A discard frees space in units of so many bytes; 0: it never does. */
uint32_t disk_discard_unit(const struct disk *disk);
uint64_t disk_allocated(const struct disk *disk);	/* bytes on the host; 0: not known */

/* Numbers of requests that are done; any thread, which may see them lag behind. */
struct disk_counter disk_counter(const struct disk *disk, enum disk_op op);

#endif
