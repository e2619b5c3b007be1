// SPDX-License-Identifier: Apache-2.0
#include "base/unix_socket.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A non-blocking connect fails when it is full, so as many as are let in. */
#define BACKLOG	64

#define LOCK_MS		100
#define LOCK_RETRY_MS	1

static int address_of(struct sockaddr_un *address, const char *what, const char *path,
		      struct err *err)
{
	size_t len = strlen(path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!len)
		return err_set(err, -EINVAL, "the path of a %s socket is empty", what);
	if (len >= sizeof(address->sun_path))
		return err_set(err, -ENAMETOOLONG,
			       "%s socket '%.64s...': the path has %zu bytes, and sockets "
			       "take %zu: choose a shorter one", what, path, len,
			       sizeof(address->sun_path) - 1);
	memcpy(address->sun_path, path, len);
	return 0;
}

static int new_socket(const char *what, struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? err_sys(err, -errno, "cannot make a %s socket", what) : fd;
}

int unix_socket_connect(const char *path)
{
	struct sockaddr_un address;
	int r = address_of(&address, "Unix", path, NULL), fd;

	if (r < 0)
		return r;
	fd = new_socket("Unix", NULL);
	if (fd < 0)
		return fd;
	if (!connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/*
 * Does a connect get through to anyone?  A full backlog (EAGAIN) is somebody's.
 * 1, 0 or a negative errno.
 */
static int is_served(const char *what, const struct sockaddr_un *address, struct err *err)
{
	int fd = unix_socket_connect(address->sun_path);

	if (fd >= 0)
		close(fd);
	if (fd >= 0 || fd == -EAGAIN)
		return 1;
	return fd == -ECONNREFUSED || fd == -ENOENT ? 0 :
	       err_sys(err, fd, "%s socket '%s'", what, address->sun_path);
}

/* What is there is a socket that nobody serves, or the reason why it stays. */
static int remove_stale(const char *what, const struct sockaddr_un *address, struct err *err)
{
	const char *path = address->sun_path;
	struct stat st;
	int r;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 :
		       err_sys(err, -errno, "%s socket '%s'", what, path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EADDRINUSE, "%s socket '%s': there is something else: "
			       "choose another path", what, path);
	r = is_served(what, address, err);
	if (r < 0)
		return r;
	if (r)
		return err_set(err, -EADDRINUSE, "%s socket '%s': another process listens "
			       "there", what, path);
	if (unlink(path) && errno != ENOENT)
		return err_sys(err, -errno, "cannot remove the stale %s socket '%s'",
			       what, path);
	return 0;
}

/* Linux gives the file the mode of the unbound socket, so it is never wider. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
	if (fchmod(fd, 0600) ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)))
		return -errno;
	return 0;
}

/*
 * Two that start at once must not both find the file stale, or one would remove
 * the other's.  A folder that cannot be locked leaves that to luck; so does one that
 * is held for longer than any of us does: whoever can read a folder can lock it.
 */
static int lock_folder(const char *path)
{
	const struct timespec pause = { .tv_nsec = LOCK_RETRY_MS * 1000000 };
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int left = LOCK_MS / LOCK_RETRY_MS;

	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK && left--)
		nanosleep(&pause, NULL);
	free(copy);
	return fd;
}

static int bind_at(const char *what, int fd, const struct sockaddr_un *address,
		   struct err *err)
{
	int folder = lock_folder(address->sun_path);
	int r = bind_private(fd, address);

	if (r == -EADDRINUSE) {
		r = remove_stale(what, address, err);
		if (r < 0)
			goto out;
		r = bind_private(fd, address);
	}
	if (!r && listen(fd, BACKLOG))
		r = -errno;
	if (r < 0)
		err_sys(err, r, "cannot make %s socket '%s'", what, address->sun_path);
out:
	if (folder >= 0)
		close(folder);
	return r;
}

int unix_socket_listen(const char *what, const char *path, struct err *err)
{
	struct sockaddr_un address;
	int r = address_of(&address, what, path, err);
	int fd;

	if (r < 0)
		return r;
	fd = new_socket(what, err);
	if (fd < 0)
		return fd;
	r = bind_at(what, fd, &address, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

void unix_socket_remove(const char *path, const struct stat *made)
{
	struct stat st;

	if (!lstat(path, &st) && st.st_ino == made->st_ino && st.st_dev == made->st_dev)
		unlink(path);
}

static bool has_option(int fd, int option, int wanted)
{
	socklen_t len = sizeof(int);
	int value;

	return !getsockopt(fd, SOL_SOCKET, option, &value, &len) && value == wanted;
}

int unix_socket_adopt(const char *what, int fd, struct err *err)
{
	if (!has_option(fd, SO_DOMAIN, AF_UNIX) || !has_option(fd, SO_TYPE, SOCK_STREAM) ||
	    !has_option(fd, SO_ACCEPTCONN, 1))
		return err_set(err, -EINVAL,
			       "descriptor %d is no Unix stream socket that listens", fd);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC))
		return err_sys(err, -errno, "cannot use descriptor %d for %s", fd, what);
	return fd;
}

int unix_socket_peer(const char *what, int fd, struct unix_socket_peer *ret_peer,
		     struct err *err)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return err_sys(err, -errno, "cannot tell who a %s client is", what);
	*ret_peer = (struct unix_socket_peer){ .pid = peer.pid, .uid = peer.uid };
	if (peer.uid && peer.uid != geteuid())
		return err_set(err, -EACCES, "user %u may not use our %s socket",
			       (unsigned)peer.uid, what);
	return 0;
}
