// SPDX-License-Identifier: Apache-2.0
#include "base/made_file.h"

#include <errno.h>
#include <fcntl.h>

int made_file_open(const char *path, int flags, mode_t mode, bool *ret_made)
{
	int fd = open(path, flags | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	*ret_made = fd >= 0;
	/* What a link that leads nowhere names is made, too, but not to be found by path. */
	if (fd < 0 && errno == EEXIST)
		fd = open(path, flags | O_CREAT | O_CLOEXEC, mode);
	return fd < 0 ? -errno : fd;
}
