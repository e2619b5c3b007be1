// SPDX-License-Identifier: Apache-2.0
#include "tap_bridge.h"

#include "base/err.h"
#include "tap_link.h"

#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* An ioctl of network devices; 0 or a negative errno. */
static int request(unsigned long number, struct ifreq *ifr)
{
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	if (sock < 0)
		return -errno;
	r = ioctl(sock, number, ifr) ? -errno : 0;
	close(sock);
	return r;
}

int tap_bridge_join(const char *id, const char *name, const char *bridge, struct err *err)
{
	struct ifreq ifr = { 0 };
	struct tap_link link;
	int r = tap_link_read(&link, name);

	if (r < 0)
		return err_sys(err, r, "net '%s': cannot ask for device '%s'", id, name);
	if (strlen(bridge) >= IFNAMSIZ || !if_nametoindex(bridge))
		return err_set(err, -ENODEV, "net '%s': there is no bridge '%s' (create it with "
			       "'sudo ip link add %s type bridge')", id, bridge, bridge);
	if (link.master == if_nametoindex(bridge))
		return 0;
	memcpy(ifr.ifr_name, bridge, strlen(bridge));
	ifr.ifr_ifindex = (int)link.index;
	r = request(SIOCBRADDIF, &ifr);
	switch (r) {
	case 0:
		return 0;
	case -EPERM:
		return err_sys(err, r, "net '%s': cannot make '%s' a port of bridge '%s' (needs "
			       "CAP_NET_ADMIN; or do so before: 'sudo ip link set %s master "
			       "%s')", id, name, bridge, name, bridge);
	case -EOPNOTSUPP:
		return err_set(err, r, "net '%s': '%s' is no bridge", id, bridge);
	case -EBUSY:
		return err_set(err, r, "net '%s': '%s' is a port of another bridge than '%s'",
			       id, name, bridge);
	default:
		return err_sys(err, r, "net '%s': cannot make '%s' a port of bridge '%s'", id,
			       name, bridge);
	}
}

int tap_bridge_set_up(const char *id, const char *name, struct err *err)
{
	struct ifreq ifr = { 0 };
	int r;

	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	r = request(SIOCGIFFLAGS, &ifr);
	if (!r && !(ifr.ifr_flags & IFF_UP)) {
		ifr.ifr_flags |= IFF_UP;
		r = request(SIOCSIFFLAGS, &ifr);
	}
	return r < 0 ? err_sys(err, r, "net '%s': cannot bring '%s' up%s", id, name,
			       r == -EPERM ? " (needs CAP_NET_ADMIN)" : "") : 0;
}
