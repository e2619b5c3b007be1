// SPDX-License-Identifier: Apache-2.0
#include "net/peer.h"

#include "base/err.h"
#include "base/unix_socket.h"
#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to(const struct peer_config *config, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(config->path);
	int fd, r;

	if (len >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "net '%s': the path of a socket has at most "
			       "%zu bytes", config->id, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, config->path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, -errno, "net '%s': cannot make a socket", config->id);
	if (!connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return fd;
	r = -errno;
	close(fd);
	return err_sys(err, r, "net '%s': cannot connect to '%s'%s", config->id, config->path,
		       r == -ENOENT || r == -ECONNREFUSED ?
		       " (start first who has 'listen')" : "");
}

int peer_open(struct netdev **ret_netdev, const struct peer_config *config, struct err *err)
{
	struct wire_config wire = {
		.id = config->id,
		.peer = "the other end",
		.fd = -1,
		.door = -1,
		.lost = config->lost,
	};
	int r = 0, *fd = config->listen ? &wire.door : &wire.fd;

	if (config->listen) {
		wire.door_path = config->path;
		r = unix_socket_listen("net", config->path, err);
		if (r < 0)
			return err_at(err, r, "net '%s'", config->id);
	} else if (config->path) {
		r = connect_to(config, err);
	}
	if (r < 0)
		return r;
	if (config->path)
		*fd = r;
	r = wire_new(ret_netdev, &wire, err);
	if (r < 0 && *fd >= 0)
		close(*fd);
	return r;
}
