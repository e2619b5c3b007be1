// SPDX-License-Identifier: Apache-2.0
/*
 * file.c - the only place of the block layer that knows system calls.
 *
 * A read or write that the kernel cuts short goes on where it stopped, on the
 * request's own segments.  With O_DIRECT the kernel wants aligned memory; a
 * guest that offers other gets a bounce buffer, for that request alone.
 */
#include "file.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/iov.h"
#include "format.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR		512U
#define DIRECT_ALIGN	4096U		/* where the kernel does not say */

/* Since Linux 6.1; older headers lack it, and older kernels the answer. */
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000U
#endif

/* Opening. */

static int cannot_open(const struct disk_config *c, int code, struct err *err)
{
	if (!c->read_only && (code == -EACCES || code == -EROFS || code == -EPERM) &&
	    access(c->path, R_OK) == 0)
		return err_sys(err, code, "disk '%s': '%s' cannot be written (add 'readonly' "
			       "to only read it)", c->id, c->path);
	if (c->direct && code == -EINVAL)
		return err_sys(err, code, "disk '%s': '%s' lies on a file system without "
			       "direct I/O (leave out 'direct')", c->id, c->path);
	return err_sys(err, code, "disk '%s': cannot open '%s'", c->id, c->path);
}

/* Open file description locks: they end with the descriptor, whatever happens. */
static int lock(const struct file *file, const struct disk_config *c, struct err *err)
{
	struct flock range = {
		.l_type = c->read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	if (!fcntl(file->fd, F_OFD_SETLK, &range))
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return err_sys(err, -errno, "disk '%s': cannot lock '%s'", c->id, c->path);
	return err_set(err, -EBUSY, "disk '%s': '%s' is in use by another VM or tool%s",
		       c->id, c->path, c->read_only ? " that writes it" :
		       " (with 'readonly' several can share an image)");
}

static int measure_device(struct file *file, const struct disk_config *c, struct err *err)
{
	unsigned block_size;

	if (ioctl(file->fd, BLKGETSIZE64, &file->size) ||
	    ioctl(file->fd, BLKSSZGET, &block_size))
		return err_sys(err, -errno, "disk '%s': cannot measure '%s'", c->id, c->path);
	if (c->direct) {
		file->block_size = block_size;
		file->mem_align = block_size;
	}
	return 0;
}

/* The kernel's fields at the end of struct statx, which old headers lack. */
static void ask_direct_alignment(struct file *file)
{
	struct {
		struct statx known;
		char more[256];
	} st = { 0 };
	const uint32_t *dio = (const uint32_t *)((const char *)&st.known + 0x98);

	file->block_size = DIRECT_ALIGN;
	file->mem_align = DIRECT_ALIGN;
	if (statx(file->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st.known) ||
	    !(st.known.stx_mask & STATX_DIOALIGN) || !dio[0] || !dio[1])
		return;
	file->mem_align = dio[0];
	file->block_size = dio[1] > SECTOR ? dio[1] : SECTOR;
}

static int measure(struct file *file, const struct disk_config *c, struct err *err)
{
	struct stat st;

	file->block_size = SECTOR;
	file->mem_align = 1;
	if (fstat(file->fd, &st))
		return err_sys(err, -errno, "disk '%s': cannot examine '%s'", c->id, c->path);
	if (S_ISBLK(st.st_mode))
		return measure_device(file, c, err);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "disk '%s': '%s' is neither a file nor a block "
			       "device", c->id, c->path);
	file->size = (uint64_t)st.st_size;
	if (c->direct)
		ask_direct_alignment(file);
	return 0;
}

int file_open(struct file *file, const struct disk_config *c, struct err *err)
{
	int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int r;

	flags |= c->read_only ? O_RDONLY : O_RDWR;
	if (c->direct)
		flags |= O_DIRECT;
	/* O_NONBLOCK is for pipes, which are refused below and would block here. */
	file->fd = open(c->path, flags);
	if (file->fd < 0)
		return cannot_open(c, -errno, err);
	file->read_only = c->read_only;
	r = measure(file, c, err);
	if (!r && (!file->size || file->size % file->block_size))
		r = err_set(err, -EINVAL, "disk '%s': the size of '%s', %llu bytes, is not a "
			    "multiple of %u (grow it with 'truncate -s %%%u')", c->id, c->path,
			    (unsigned long long)file->size, file->block_size,
			    file->block_size);
	if (!r)
		r = lock(file, c, err);
	if (r < 0)
		close(file->fd);
	return r;
}

void file_close(struct file *file)
{
	close(file->fd);
}

int file_peek(const struct file *file, void *bytes, size_t len)
{
	void *page;
	ssize_t got;

	if (posix_memalign(&page, DIRECT_ALIGN, DIRECT_ALIGN))
		return -ENOMEM;
	memset(page, 0, DIRECT_ALIGN);
	got = pread(file->fd, page, DIRECT_ALIGN, 0);
	memcpy(bytes, page, min_u64(len, DIRECT_ALIGN));
	free(page);
	return got < 0 ? -errno : 0;
}

/* Requests. */

static void finish(struct disk_request *req, int res)
{
	const struct iov all = { req->segs, req->nr_segs, req->len };

	if (req->bounce && req->op == DISK_READ && !res)
		iov_write(&all, 0, req->bounce, req->len);
	free(req->bounce);
	req->done(req, res);
}

static void go_on(struct disk_request *req)
{
	const struct file *file = req->file;
	off_t at = (off_t)(req->at + (req->len - req->left.len));

	if (req->op == DISK_FLUSH)
		loop_fdatasync(req->loop, &req->io, file->fd);
	else if (req->op == DISK_READ)
		loop_readv(req->loop, &req->io, file->fd, req->left.segs, req->left.nr, at);
	else
		loop_writev(req->loop, &req->io, file->fd, req->left.segs, req->left.nr, at,
			    req->durable ? RWF_DSYNC : 0);
}

static void io_done(struct loop_io *io, int res)
{
	struct disk_request *req = container_of(io, struct disk_request, io);

	if (res == -EINTR || res == -EAGAIN) {
		go_on(req);
		return;
	}
	if (res < 0 || req->op == DISK_FLUSH) {
		finish(req, res);
		return;
	}
	/* Nothing at all: the file has become shorter behind our back. */
	if (!res && req->left.len) {
		finish(req, -EIO);
		return;
	}
	iov_drop_front(&req->left, (uint64_t)res);
	if (req->left.len)
		go_on(req);
	else
		finish(req, 0);
}

static bool is_aligned(const struct file *file, const struct disk_request *req)
{
	uintptr_t bits = 0;

	for (unsigned i = 0; i < req->nr_segs; i++)
		bits |= (uintptr_t)req->segs[i].iov_base | req->segs[i].iov_len;
	return !(bits & (file->mem_align - 1));
}

/* The request's payload in aligned memory, with the bytes to be written. */
static int bounce(struct disk_request *req)
{
	const struct iov all = { req->segs, req->nr_segs, req->len };

	if (posix_memalign(&req->bounce, req->file->mem_align, req->len))
		return -ENOMEM;
	if (req->op == DISK_WRITE)
		iov_read(&all, 0, req->bounce, req->len);
	req->bounce_seg = (struct iovec){ req->bounce, req->len };
	req->left = (struct iov){ &req->bounce_seg, 1, req->len };
	return 0;
}

void file_submit(const struct file *file, struct loop *loop,
		 struct disk_request *req)
{
	int r;

	req->file = file;
	req->loop = loop;
	req->io.done = io_done;
	req->left = (struct iov){ req->segs, req->nr_segs, req->len };
	req->bounce = NULL;
	if (!is_aligned(file, req)) {
		r = bounce(req);
		if (r < 0) {
			disk_complete(req, loop, r);
			return;
		}
	}
	go_on(req);
}
