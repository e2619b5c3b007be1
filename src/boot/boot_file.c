// SPDX-License-Identifier: Apache-2.0
#include "boot/boot_file.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

int boot_file_refuse(const struct boot_file *file, int code, struct err *err,
		     const char *fmt, ...)
{
	char reason[ERR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	return err_set(err, code, "%s '%s': %s", file->what, file->path, reason);
}

static int check_type(struct boot_file *file, struct err *err)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return err_sys(err, -errno, "%s '%s'", file->what, file->path);
	if (S_ISDIR(st.st_mode))
		return boot_file_refuse(file, -EISDIR, err, "is a directory");
	if (!S_ISREG(st.st_mode))
		return boot_file_refuse(file, -EINVAL, err, "is not a regular file");
	if (st.st_size == 0)
		return boot_file_refuse(file, -ENODATA, err, "is empty");
	file->len = (uint64_t)st.st_size;
	return 0;
}

int boot_file_open(struct boot_file *file, const char *what, const char *path,
		   struct err *err)
{
	int r;

	*file = (struct boot_file){ .what = what, .path = path };
	/* Non-blocking, so that a FIFO is refused and not waited for. */
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file->fd < 0)
		return err_sys(err, -errno, "%s '%s': cannot open", what, path);
	r = check_type(file, err);
	if (r < 0)
		boot_file_close(file);
	return r;
}

void boot_file_close(struct boot_file *file)
{
	close(file->fd);
	file->fd = -1;
}

static int check_range(const struct boot_file *file, uint64_t from, uint64_t len,
		       struct err *err)
{
	if (range_within(from, len, file->len))
		return 0;
	return boot_file_refuse(file, -ENOEXEC, err,
				"truncated: has %" PRIu64 " bytes, but 0x%" PRIx64
				" bytes at 0x%" PRIx64 " belong to it",
				file->len, len, from);
}

/* One read, retried when interrupted; the number of bytes, at least 1. */
static ssize_t read_some(const struct boot_file *file, const struct iovec *segs, int nr,
			 uint64_t from, struct err *err)
{
	ssize_t got;

	do
		got = preadv(file->fd, segs, nr, (off_t)from);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(err, -errno, "%s '%s': cannot read", file->what, file->path);
	if (got == 0)
		return boot_file_refuse(file, -EIO, err, "shrank while it was read");
	return got;
}

int boot_file_read(const struct boot_file *file, uint64_t from, void *dst, size_t len,
		   struct err *err)
{
	int r = check_range(file, from, len, err);

	if (r < 0)
		return r;
	while (len) {
		struct iovec seg = { .iov_base = dst, .iov_len = len };
		ssize_t got = read_some(file, &seg, 1, from, err);

		if (got < 0)
			return (int)got;
		dst = (char *)dst + got;
		from += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}

int boot_file_load(const struct boot_file *file, uint64_t from, uint64_t len,
		   struct guest_mem *mem, gpa_t at, struct err *err)
{
	struct iovec segs[GUEST_MEM_REGIONS_MAX];
	int r = check_range(file, from, len, err);

	if (r < 0)
		return r;
	while (len) {
		int nr = guest_mem_map(mem, at, len, segs, GUEST_MEM_REGIONS_MAX);
		ssize_t got;

		if (nr < 0)
			return boot_file_refuse(file, nr, err,
						"0x%" PRIx64 " bytes at 0x%" PRIx64
						" of guest memory are not all RAM",
						len, at);
		got = read_some(file, segs, nr, from, err);
		if (got < 0)
			return (int)got;
		at += (uint64_t)got;
		from += (uint64_t)got;
		len -= (uint64_t)got;
	}
	return 0;
}
