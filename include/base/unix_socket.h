/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix_socket.h - a listening Unix socket, who may come in by it, and how.
 */
#ifndef BASE_UNIX_SOCKET_H
#define BASE_UNIX_SOCKET_H

#include <sys/types.h>

struct err;
struct stat;

/*
 * Make path and listen there; only its owner may connect.  A socket that nobody
 * listens at any more is replaced.  what is the name of such a socket in
 * messages, "QMP".  Returns a descriptor, non-blocking, or -ENAMETOOLONG,
 * -EADDRINUSE (somebody listens, or it is no socket) ...
 */
int unix_socket_listen(const char *what, const char *path, struct err *err);

/*
 * Connect to who listens there: a descriptor, non-blocking, or a negative errno; -EAGAIN:
 * too many wait there already.
 */
int unix_socket_connect(const char *path);

/* Remove the file at path if it is still the one that lstat(2) told of. */
void unix_socket_remove(const char *path, const struct stat *made);

/* Use one that is listening already and that somebody else made. */
int unix_socket_adopt(const char *what, int fd, struct err *err);

struct unix_socket_peer {
	pid_t pid;
	uid_t uid;
};

/* Is it of our own user, or of root?  -EACCES. */
int unix_socket_peer(const char *what, int fd, struct unix_socket_peer *ret_peer,
		     struct err *err);

#endif
