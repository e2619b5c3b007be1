/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_fds.h - file descriptors that clients have given a name.
 *
 * A client sends a descriptor along with getfd, and some later command, perhaps
 * of another client, uses it by that name.
 */
#ifndef CONTROL_QMP_FDS_H
#define CONTROL_QMP_FDS_H

struct err;
struct qmp_fds;

#define QMP_FDS_MAX	64	/* more than one VM has devices to give them to */

struct qmp_fds *qmp_fds_new(void);				/* NULL: no memory */
struct qmp_fds *qmp_fds_free(struct qmp_fds *fds);		/* closes all; -> NULL */

/* Takes fd, also on failure; one of the same name is closed. */
int qmp_fds_add(struct qmp_fds *fds, const char *name, int fd, struct err *err);

/* Gives it to the caller; -ENOENT. */
int qmp_fds_take(struct qmp_fds *fds, const char *name, struct err *err);

#endif
