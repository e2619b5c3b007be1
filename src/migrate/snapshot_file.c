// SPDX-License-Identifier: Apache-2.0
#include "snapshot_file.h"

#include "base/err.h"
#include "base/folder.h"
#include "migrate/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const char *const files[] = {
	SNAPSHOT_CONFIG, SNAPSHOT_STATE, SNAPSHOT_MEMORY, SNAPSHOT_PAGES, SNAPSHOT_MANIFEST,
	SNAPSHOT_SET, SNAPSHOT_NEW_SET,
};

int snapshot_file_read_at(int fd, void *to, size_t len, uint64_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = pread(fd, (char *)to + done, len - done, (off_t)(at + done));

		if (got <= 0)
			return got ? -errno : -EIO;
		done += (size_t)got;
	}
	return 0;
}

int snapshot_file_read(int folder, const char *name, size_t max, char **ret_bytes,
		       size_t *ret_len, struct err *err)
{
	/* To open a FIFO would wait for someone who writes to it. */
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;
	char *bytes = NULL;
	struct stat st;

	if (fd < 0)
		return err_sys(err, -errno, "'%s'", name);
	r = fstat(fd, &st) ? -errno : 0;
	if (!r && ((uint64_t)st.st_size > max || !S_ISREG(st.st_mode)))
		r = -EFBIG;
	if (!r)
		bytes = malloc((size_t)st.st_size + 1);
	if (!r)
		r = bytes ? snapshot_file_read_at(fd, bytes, (size_t)st.st_size, 0) : -ENOMEM;
	close(fd);
	if (r < 0) {
		free(bytes);
		return err_sys(err, r, "'%s'", name);
	}
	*ret_bytes = bytes;
	*ret_len = (size_t)st.st_size;
	return 0;
}

int snapshot_file_write(int folder, const char *name, const void *bytes, size_t len,
			struct err *err)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r = 0;
	size_t done = 0;

	if (fd < 0)
		return err_sys(err, -errno, "cannot write '%s'", name);
	while (done < len && !r) {
		ssize_t put = write(fd, (const char *)bytes + done, len - done);

		if (put < 0)
			r = -errno;
		else
			done += (size_t)put;
	}
	if (!r && fsync(fd))
		r = -errno;
	if (close(fd) && !r)
		r = -errno;
	return r < 0 ? err_sys(err, r, "cannot write '%s'", name) : 0;
}

static uint64_t sum(const uint64_t *bitmap, uint64_t words)
{
	return crc32(0, (const Bytef *)bitmap, (uInt)(words * sizeof(*bitmap)));
}

int snapshot_file_read_set(int folder, uint64_t words, uint64_t **ret_bitmap, struct err *err)
{
	size_t want = (words + 1) * sizeof(**ret_bitmap), len;
	uint64_t *bitmap;
	char *bytes;
	int r = snapshot_file_read(folder, SNAPSHOT_SET, want, &bytes, &len, err);

	if (r < 0)
		return r;
	bitmap = (uint64_t *)(void *)bytes;
	if (len != want || bitmap[words] != sum(bitmap, words)) {
		free(bytes);
		return err_set(err, -EINVAL, "'%s' is damaged (checksum)", SNAPSHOT_SET);
	}
	*ret_bitmap = bitmap;
	return 0;
}

int snapshot_file_write_set(int folder, uint64_t *bitmap, uint64_t words, struct err *err)
{
	int r;

	bitmap[words] = sum(bitmap, words);
	unlinkat(folder, SNAPSHOT_NEW_SET, 0);
	r = snapshot_file_write(folder, SNAPSHOT_NEW_SET, bitmap,
				(words + 1) * sizeof(*bitmap), err);
	if (!r && renameat(folder, SNAPSHOT_NEW_SET, folder, SNAPSHOT_SET))
		r = err_sys(err, -errno, "cannot write '%s'", SNAPSHOT_SET);
	return r;
}

/* Whatever else lies in a folder of that name is not ours to replace. */
static int look_at_place(struct snapshot_folder *folder, bool replace, struct err *err)
{
	char manifest[PATH_MAX];
	struct stat st;

	if (lstat(folder->path, &st))
		return errno == ENOENT ? 0 : err_sys(err, -errno, "'%s'", folder->path);
	snprintf(manifest, sizeof(manifest), "%s/%s", folder->path, SNAPSHOT_MANIFEST);
	if (!S_ISDIR(st.st_mode) || access(manifest, F_OK))
		return err_set(err, -EEXIST, "'%s' exists, and is no snapshot", folder->path);
	if (!replace)
		return err_set(err, -EEXIST, "'%s' exists: --force replaces it", folder->path);
	folder->replaces = true;
	return 0;
}

/* A new folder beside path. */
static int make_beside(char made[PATH_MAX], const char *path)
{
	size_t len = strlen(path);
	int r;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len > PATH_MAX - sizeof(".XXXXXX"))
		return -ENAMETOOLONG;
	snprintf(made, PATH_MAX, "%.*s.XXXXXX", (int)len, path);
	if (mkdtemp(made))
		return 0;
	r = -errno;
	made[0] = 0;
	return r;
}

int snapshot_folder_create(struct snapshot_folder *folder, const char *path, bool replace,
			   struct err *err)
{
	int r;

	*folder = (struct snapshot_folder){ .path = path, .fd = -1 };
	r = look_at_place(folder, replace, err);
	if (r < 0)
		return r;
	r = make_beside(folder->temporary, path);
	if (r < 0)
		return err_sys(err, r, "cannot make '%s'", path);
	folder->fd = open(folder->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd < 0) {
		r = err_sys(err, -errno, "'%s'", folder->temporary);
		snapshot_folder_close(folder);
		return r;
	}
	return 0;
}

/* In two steps; what a rename replaces is an empty folder. */
static int exchange(struct snapshot_folder *folder)
{
	char aside[PATH_MAX];
	int r = make_beside(aside, folder->path);

	if (r < 0)
		return r;
	if (rename(folder->path, aside)) {
		r = -errno;
		rmdir(aside);
		return r;
	}
	if (rename(folder->temporary, folder->path)) {
		r = -errno;
		(void)rename(aside, folder->path);
		return r;
	}
	memcpy(folder->temporary, aside, sizeof(aside));
	return 0;
}

static int move(struct snapshot_folder *folder)
{
	unsigned flags = folder->replaces ? RENAME_EXCHANGE : RENAME_NOREPLACE;
	struct stat st;

	if (!renameat2(AT_FDCWD, folder->temporary, AT_FDCWD, folder->path, flags))
		return 0;
	/* NFS and 9p, among others, know no flags. */
	if (errno != EINVAL)
		return -errno;
	if (folder->replaces)
		return exchange(folder);
	if (!lstat(folder->path, &st))
		return -EEXIST;
	return rename(folder->temporary, folder->path) ? -errno : 0;
}

int snapshot_folder_publish(struct snapshot_folder *folder, struct err *err)
{
	int r;

	if (fsync(folder->fd))
		return err_sys(err, -errno, "cannot write '%s'", folder->temporary);
	r = move(folder);
	if (r < 0)
		return err_sys(err, r, "cannot rename '%s' to '%s'", folder->temporary,
			       folder->path);
	/* What has that name now is the old one, or nothing. */
	if (!folder->replaces)
		folder->temporary[0] = 0;
	r = folder_sync(folder->path);
	return r < 0 ? err_sys(err, r, "cannot write the folder of '%s'", folder->path) : 0;
}

void snapshot_remove(const char *path)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char file[PATH_MAX + 32];

		snprintf(file, sizeof(file), "%s/%s", path, files[i]);
		unlink(file);
	}
	rmdir(path);
}

void snapshot_folder_close(struct snapshot_folder *folder)
{
	if (folder->fd >= 0)
		close(folder->fd);
	folder->fd = -1;
	if (folder->temporary[0])
		snapshot_remove(folder->temporary);
	folder->temporary[0] = 0;
}
