// SPDX-License-Identifier: Apache-2.0
#include "net/peer.h"

#include "base/err.h"
#include "base/unix_socket.h"
#include "wire.h"

#include <errno.h>
#include <unistd.h>

static int connect_to(const struct peer_config *config, struct err *err)
{
	int fd = unix_socket_connect(config->path);

	return fd >= 0 ? fd :
	       err_sys(err, fd, "net '%s': cannot connect to '%s'%s", config->id, config->path,
		       fd == -ENOENT || fd == -ECONNREFUSED ?
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
		wire.path = config->path;
		r = unix_socket_listen("net", config->path, err);
		if (r < 0)
			return err_at(err, r, "net '%s'", config->id);
	} else if (config->path) {
		wire.path = config->path;
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
