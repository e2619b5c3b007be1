/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_socket.h - the listening Unix socket, and who may come in by it.
 */
#ifndef CONTROL_QMP_SOCKET_H
#define CONTROL_QMP_SOCKET_H

#include <sys/types.h>

struct err;

/*
 * Make path and listen there; only its owner may connect.  A socket that nobody
 * listens at any more is replaced.  Returns a descriptor, non-blocking, or
 * -ENAMETOOLONG, -EADDRINUSE (somebody listens), -EEXIST (it is no socket) ...
 */
int qmp_socket_listen(const char *path, struct err *err);

/* Use one that is listening already and that somebody else made. */
int qmp_socket_adopt(int fd, struct err *err);

struct qmp_socket_peer {
	pid_t pid;
	uid_t uid;
};

/* Is it of our own user, or of root?  -EACCES. */
int qmp_socket_peer(int fd, struct qmp_socket_peer *ret_peer, struct err *err);

#endif
