// SPDX-License-Identifier: Apache-2.0
#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int folder_join(char joined[PATH_MAX], const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	int len = slash && name[0] != '/' ? (int)(slash + 1 - path) : 0;

	return snprintf(joined, PATH_MAX, "%.*s%s", len, path, name) < PATH_MAX ? 0 :
	       -ENAMETOOLONG;
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
