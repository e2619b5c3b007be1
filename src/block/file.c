// SPDX-License-Identifier: Apache-2.0
/*
 * file.c - opens image files: what can serve as a disk, and who else uses it.
 */
#include "block/file.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define SECTOR		512
#define BLOCK_SIZE_MAX	65536
#define PHYSICAL_MAX	4096	/* of a file: a network file system's unit says nothing */
#define MEM_ALIGN_MAX	4096	/* what file_io.c's zeros have */

/*
 * What statx(2) tells about direct I/O since Linux 6.1, for headers that are
 * older: a bit of the mask and two 32-bit members of the buffer.
 */
#define DIO_MASK		0x2000U
#define DIO_MEM_ALIGN_AT	0x98
#define DIO_OFFSET_ALIGN_AT	0x9c

static int check_type(const char *path, mode_t mode, struct err *err)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	return err_set(err, S_ISDIR(mode) ? -EISDIR : -EINVAL,
		       "'%s' is a %s, not a file or block device", path,
		       S_ISDIR(mode) ? "directory" :
		       S_ISFIFO(mode) ? "pipe" :
		       S_ISCHR(mode) ? "character device" : "socket");
}

static int open_failed(const char *path, bool read_only, int code, struct err *err)
{
	if (code == -EBUSY)
		return err_set(err, code, "'%s' is in use: is it mounted, or does another "
			       "VM have it?", path);
	if (!read_only && (code == -EACCES || code == -EPERM || code == -EROFS) &&
	    !faccessat(AT_FDCWD, path, R_OK, AT_EACCESS))
		return err_sys(err, code, "'%s' cannot be written (add 'readonly' to only "
			       "read it)", path);
	return err_sys(err, code, "cannot open '%s'", path);
}

/*
 * Locks of the open file description end with it, whoever else in this process
 * opens and closes the same file, and they work between two disks of one VM.
 */
static int lock_whole(int fd, const char *path, bool read_only, struct err *err)
{
	struct flock lock = {
		.l_type = read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};
	char who[32] = "";

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return err_sys(err, -errno, "cannot lock '%s'", path);

	/* Only a lock that belongs to a process tells which, not one like ours. */
	if (!fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK && lock.l_pid > 0)
		snprintf(who, sizeof(who), " (pid %d)", (int)lock.l_pid);
	if (read_only)
		return err_set(err, -EBUSY, "'%s' is being written by another VM or process%s: "
			       "only readers can share an image", path, who);
	return err_set(err, -EBUSY, "'%s' is in use by another VM or process%s: two must "
		       "never write one image", path, who);
}

/* Where the kernel does not tell, nothing is known. */
static void measure_device(struct file *file)
{
	struct disk_topology *topology = &file->topology;
	int logical = 0, offset = 0;

	if (!ioctl(file->fd, BLKSSZGET, &logical) && logical > SECTOR)
		file->block_size = (uint32_t)logical;
	(void)ioctl(file->fd, BLKPBSZGET, &topology->physical);
	(void)ioctl(file->fd, BLKIOMIN, &topology->min_io);
	(void)ioctl(file->fd, BLKIOOPT, &topology->opt_io);
	if (!ioctl(file->fd, BLKALIGNOFF, &offset) && offset > 0)
		topology->offset = (uint32_t)offset;
}

static int measure(struct file *file, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return err_sys(err, -errno, "cannot tell the size of '%s'", path);
	file->size = (uint64_t)st.st_size;
	file->hole_unit = (uint32_t)st.st_blksize;
	file->topology.physical = (uint32_t)min_u64((uint64_t)st.st_blksize, PHYSICAL_MAX);
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(file->fd, BLKGETSIZE64, &file->size) < 0)
			return err_sys(err, -errno, "cannot tell the size of '%s'", path);
		measure_device(file);
	}
	if (!file->size)
		return err_set(err, -EINVAL, "'%s' is empty: truncate -s SIZE gives it a size",
			       path);
	return 0;
}

/* Looked at first: to open a pipe may block, to open a device may have effects. */
static int open_path(struct file *file, const char *path, int flags, struct err *err)
{
	bool read_only = (flags & O_ACCMODE) == O_RDONLY;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return err_sys(err, -errno, "cannot open '%s'", path);
	r = check_type(path, st.st_mode, err);
	if (r < 0)
		return r;
	if (S_ISBLK(st.st_mode) && !read_only)
		flags |= O_EXCL;	/* fails for what is mounted */

	/* When it was read last is asked of each read; only its owner may leave it out. */
	*file = (struct file){ .block_size = SECTOR };
	file->fd = open(path, flags | O_CLOEXEC | O_NOATIME);
	if (file->fd < 0 && errno == EPERM)
		file->fd = open(path, flags | O_CLOEXEC);
	return file->fd < 0 ? open_failed(path, read_only, -errno, err) : 0;
}

int file_open(struct file *file, const char *path, bool read_only, struct err *err)
{
	int r = open_path(file, path, read_only ? O_RDONLY : O_RDWR, err);

	if (r < 0)
		return r;
	r = lock_whole(file->fd, path, read_only, err);
	if (r >= 0)
		r = measure(file, path, err);
	if (r < 0)
		file_close(file);
	return r;
}

int file_look(struct file *file, const char *path, bool read_only, struct err *err)
{
	int r = open_path(file, path, O_RDONLY, err);

	if (r < 0)
		return r;
	if (!read_only && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0)
		r = open_failed(path, false, -errno, err);
	else
		r = measure(file, path, err);
	if (r < 0)
		file_close(file);
	return r;
}

int file_claim(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), r;

	if (fd < 0)
		return open_failed(path, true, -errno, err);
	r = lock_whole(fd, path, false, err);
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

bool file_is_at(const struct file *file, const char *path)
{
	struct stat open, found;

	if (fstat(file->fd, &open) < 0 || stat(path, &found) < 0)
		return false;
	if (S_ISBLK(open.st_mode))
		return S_ISBLK(found.st_mode) && found.st_rdev == open.st_rdev;
	return found.st_dev == open.st_dev && found.st_ino == open.st_ino;
}

struct disk_mark file_mark(const char *path, uint64_t *ret_inode)
{
	struct stat st;

	*ret_inode = 0;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return (struct disk_mark){ 0 };
	*ret_inode = st.st_ino;
	return (struct disk_mark){
		.size = (uint64_t)st.st_size,
		.mtime = (uint64_t)st.st_mtim.tv_sec * CLOCK_NS_PER_S +
			 (uint64_t)st.st_mtim.tv_nsec,
		.known = true,
	};
}

/*
 * On these an inode's number is kept with the file, or by the server, so all that look at the
 * file see the same one.  FUSE, 9p and overlayfs may make numbers up for each mount.
 */
static bool keeps_inodes(uint64_t file_system)
{
	switch (file_system) {
	case BTRFS_SUPER_MAGIC:
	case CEPH_SUPER_MAGIC:
	case EXT4_SUPER_MAGIC:
	case NFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case XFS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

struct disk_identity file_identity(const struct file *file, const char *path)
{
	const struct disk_identity unknown = { 0 };
	int fd = file->fd;
	struct statfs fs;
	struct stat st;

	if (fd >= 0 ? fstat(fd, &st) || fstatfs(fd, &fs) : stat(path, &st) || statfs(path, &fs))
		return unknown;
	if (!S_ISREG(st.st_mode) || !keeps_inodes((uint64_t)fs.f_type))
		return unknown;
	return (struct disk_identity){ (uint64_t)fs.f_type, st.st_ino };
}

void file_forget(const struct file *file)
{
	struct stat st;

	if (!fstat(file->fd, &st) && S_ISBLK(st.st_mode))
		(void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
}

int file_grow(struct file *file, uint64_t size, struct err *err)
{
	uint64_t now;

	if (!ioctl(file->fd, BLKGETSIZE64, &now)) {
		if (now < size)
			return err_set(err, -EINVAL, "the block device has %llu bytes",
				       (unsigned long long)now);
	} else if (size > INT64_MAX || ftruncate(file->fd, (off_t)size) < 0) {
		return err_sys(err, size > INT64_MAX ? -EFBIG : -errno,
			       "cannot make its file larger");
	}
	file->size = size;
	return 0;
}

/*
 * Unlocked first: io_uring may hold on to an open file for a moment longer, and
 * whoever wants the image next should not find it in use.
 */
void file_close(struct file *file)
{
	struct flock all = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	fcntl(file->fd, F_OFD_SETLK, &all);
	close(file->fd);
	file->fd = -1;
}

int file_read_head(const struct file *file, void *buf, size_t len)
{
	ssize_t got = pread(file->fd, buf, len, 0);

	return got < 0 ? -errno : (int)got;
}

/* Ask the kernel; false where it does not know. */
static bool ask_alignment(struct file *file)
{
	struct statx stx;
	char bytes[sizeof(stx)];

	if (statx(file->fd, "", AT_EMPTY_PATH, DIO_MASK, &stx) < 0 ||
	    !(stx.stx_mask & DIO_MASK))
		return false;
	memcpy(bytes, &stx, sizeof(stx));
	memcpy(&file->mem_align, bytes + DIO_MEM_ALIGN_AT, sizeof(uint32_t));
	memcpy(&file->block_size, bytes + DIO_OFFSET_ALIGN_AT, sizeof(uint32_t));
	return true;
}

/* The smallest read that works; 0 where none does. */
static uint32_t try_alignment(int fd)
{
	_Alignas(4096) char buf[2 * 4096];

	for (uint32_t size = SECTOR; size <= 4096; size *= 8)
		if (pread(fd, buf + size, size, 0) >= 0)
			return size;
	return 0;
}

int file_bypass_cache(const struct file *file, bool bypass)
{
	int flags = fcntl(file->fd, F_GETFL);

	flags = bypass ? flags | O_DIRECT : flags & ~O_DIRECT;
	return fcntl(file->fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int file_set_direct(struct file *file, const char *path, struct err *err)
{
	int r = file_bypass_cache(file, true);

	if (r < 0)
		return err_sys(err, r, "'%s' cannot be used with direct", path);
	if (!ask_alignment(file)) {
		file->block_size = try_alignment(file->fd);
		file->mem_align = file->block_size;
	}
	if (!is_power_of_two(file->block_size) || !is_power_of_two(file->mem_align) ||
	    file->block_size > BLOCK_SIZE_MAX || file->mem_align > MEM_ALIGN_MAX)
		return err_set(err, -EOPNOTSUPP, "'%s' cannot be used with direct: its file "
			       "system has no direct I/O", path);
	if (file->block_size < SECTOR)
		file->block_size = SECTOR;
	file->direct = true;
	return 0;
}
