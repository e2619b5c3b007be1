// SPDX-License-Identifier: Apache-2.0
#include "disk_target.h"

#include "base/err.h"
#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int folder_len(const char *path)
{
	return (int)(name_of(path) - path);
}

static int exists(const char *path, struct err *err)
{
	return err_set(err, -EEXIST, "'%s' exists: add --force to replace it", path);
}

static int check_path(struct disk_target *target, const char *path, bool replace,
		      struct err *err)
{
	struct stat st;

	if (!*name_of(path))
		return err_set(err, -EINVAL, "'%s' is no name of a file", path);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, -errno, "cannot create '%s'", path);
	if (!replace)
		return exists(path, err);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "'%s' is not a regular file, and is not replaced",
			       path);
	target->replaced = disk_create_claim(path, err);
	return target->replaced < 0 ? target->replaced : 0;
}

/* As a file that is made under its final name would have. */
static void set_mode(int fd)
{
	mode_t mask = umask(0);

	umask(mask);
	fchmod(fd, 0666 & ~mask);
}

int disk_target_create(struct disk_target *target, const char *path, bool replace,
		       const struct disk_create *image, struct err *err)
{
	int fd, len, r;

	*target = (struct disk_target){ .path = path, .replaced = -1 };
	r = check_path(target, path, replace, err);
	if (r < 0)
		return r;
	len = snprintf(target->temporary, sizeof(target->temporary), "%.*s.%s.XXXXXX",
		       folder_len(path), path, name_of(path));
	if (len >= (int)sizeof(target->temporary)) {
		target->temporary[0] = '\0';
		return err_sys(err, -ENAMETOOLONG, "cannot create '%s'", path);
	}
	fd = mkostemp(target->temporary, O_CLOEXEC);
	if (fd < 0) {
		r = err_sys(err, -errno, "cannot create '%s'", path);
		target->temporary[0] = '\0';
		return r;
	}
	set_mode(fd);
	r = disk_create(fd, path, image, &target->format, err);
	close(fd);
	if (r < 0)
		disk_target_remove(target);
	return r;
}

/* A link, unlike a rename, replaces nothing that has come meanwhile. */
static int put_in_place(const struct disk_target *target)
{
	if (target->replaced >= 0)
		return rename(target->temporary, target->path);
	if (!renameat2(AT_FDCWD, target->temporary, AT_FDCWD, target->path, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (link(target->temporary, target->path) < 0)
		return -1;
	return unlink(target->temporary);
}

int disk_target_publish(struct disk_target *target, struct err *err)
{
	int fd, r;

	fd = open(target->temporary, O_RDONLY | O_CLOEXEC);
	r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		return err_sys(err, r, "cannot write '%s'", target->path);
	if (put_in_place(target) < 0)
		return errno == EEXIST ? exists(target->path, err) :
		       err_sys(err, -errno, "cannot create '%s'", target->path);
	target->temporary[0] = '\0';
	r = folder_sync(target->path);
	if (r < 0)
		return err_sys(err, r, "cannot make '%s' durable", target->path);
	return 0;
}

void disk_target_remove(struct disk_target *target)
{
	if (target->temporary[0])
		unlink(target->temporary);
	target->temporary[0] = '\0';
	if (target->path && target->replaced >= 0)
		close(target->replaced);
	target->replaced = -1;
}
