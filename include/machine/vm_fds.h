/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_fds.h - descriptors of a tap, one for each pair of queues: what fd= of --net says.
 */
#ifndef MACHINE_VM_FDS_H
#define MACHINE_VM_FDS_H

#include "net/netdev.h"

#include <stdbool.h>

struct err;

#define VM_FDS_TEXT_MAX	(NETDEV_PAIRS_MAX * sizeof("2147483647:"))

struct vm_fds {
	int fds[NETDEV_PAIRS_MAX];
	unsigned nr;			/* one at least */
};

/* Of "3:4:5"; -EINVAL. */
int vm_fds_parse(struct vm_fds *ret_fds, const char *text, struct err *err);

/* What vm_fds_parse() reads. */
void vm_fds_print(const struct vm_fds *fds, char text[VM_FDS_TEXT_MAX]);

bool vm_fds_has(const struct vm_fds *fds, int fd);

#endif
