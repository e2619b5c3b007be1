// SPDX-License-Identifier: Apache-2.0
#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int folder_join(char joined[PATH_MAX], const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	int len = slash && name[0] != '/' ? (int)(slash + 1 - path) : 0;

	return snprintf(joined, PATH_MAX, "%.*s%s", len, path, name) < PATH_MAX ? 0 :
	       -ENAMETOOLONG;
}

int folder_absolute(char absolute[PATH_MAX], const char *name)
{
	char here[PATH_MAX] = "";

	if (name[0] != '/' && !getcwd(here, sizeof(here)))
		return -errno;
	return snprintf(absolute, PATH_MAX, "%s%s%s", here, here[0] ? "/" : "", name) <
			       PATH_MAX ? 0 : -ENAMETOOLONG;
}

bool folder_is_same(const char *a, const char *b)
{
	struct stat sa, sb;

	return !stat(a, &sa) && !stat(b, &sb) && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

int folder_sync(const char *path)
{
	char copy[PATH_MAX];
	int fd, r;

	if (snprintf(copy, sizeof(copy), "%s", path) >= PATH_MAX)
		return -ENAMETOOLONG;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) ? -errno : 0;
	close(fd);
	return r;
}
