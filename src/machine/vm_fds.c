// SPDX-License-Identifier: Apache-2.0
#include "machine/vm_fds.h"

#include "base/err.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* At *at, which moves behind it; -1: there is none. */
static int parse_one(const char **at)
{
	unsigned long fd;
	char *end;

	/* strtoul() takes signs and spaces. */
	if (**at < '0' || **at > '9')
		return -1;
	fd = strtoul(*at, &end, 10);
	*at = end;
	return fd > INT32_MAX ? -1 : (int)fd;
}

int vm_fds_parse(struct vm_fds *ret_fds, const char *text, struct err *err)
{
	struct vm_fds fds = { .nr = 0 };
	const char *at = text;

	do {
		int fd = parse_one(&at);

		if (fd < 0 || (*at && *at != ':'))
			return err_set(err, -EINVAL, "fd: give descriptors by number, as in "
				       "3:4:5, not '%s'", text);
		if (fds.nr == NETDEV_PAIRS_MAX)
			return err_set(err, -EINVAL, "fd: more than %u descriptors",
				       NETDEV_PAIRS_MAX);
		if (vm_fds_has(&fds, fd))
			return err_set(err, -EINVAL, "fd: descriptor %d is there twice", fd);
		fds.fds[fds.nr++] = fd;
	} while (*at++);
	*ret_fds = fds;
	return 0;
}

void vm_fds_print(const struct vm_fds *fds, char text[VM_FDS_TEXT_MAX])
{
	size_t len = 0;

	for (unsigned i = 0; i < fds->nr; i++)
		len += (size_t)snprintf(text + len, VM_FDS_TEXT_MAX - len, "%s%d",
					i ? ":" : "", fds->fds[i]);
}

bool vm_fds_has(const struct vm_fds *fds, int fd)
{
	for (unsigned i = 0; i < fds->nr; i++)
		if (fds->fds[i] == fd)
			return true;
	return false;
}
