// SPDX-License-Identifier: Apache-2.0
/*
 * tap.c - a tap device of the host, with its vnet header.
 *
 * See Documentation/networking/tuntap.rst; the header is the one of virtio, so
 * offloads pass through untouched.
 */
#include "net/tap.h"

#include "back_end.h"
#include "base/bits.h"
#include "base/err.h"
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TUN_PATH "/dev/net/tun"

struct tap {
	struct netdev netdev;
	int fd;
	struct loop_watch watch;
};

/* While it is attached. */

static struct tap *tap_of(struct netdev *netdev)
{
	return container_of(netdev, struct tap, netdev);
}

/* A tap that is deleted stays so, whatever becomes of its name. */
static void ready(struct loop_watch *watch, unsigned events)
{
	struct tap *tap = container_of(watch, struct tap, watch);
	struct netdev_user *user = tap->netdev.user;

	if (events & (POLLERR | POLLHUP)) {
		loop_watch_remove(tap->netdev.loop, watch);
		back_end_set_link(&tap->netdev, false);
		return;
	}
	if (events & POLLIN)
		user->readable(user, 0);
	if (events & POLLOUT)
		user->writable(user, 0);
}

static int tap_attach(struct netdev *netdev)
{
	struct tap *tap = tap_of(netdev);

	return loop_watch_add(netdev->loop, &tap->watch, tap->fd, POLLIN);
}

static void tap_detach(struct netdev *netdev)
{
	loop_watch_remove(netdev->loop, &tap_of(netdev)->watch);
}

/*
 * The kernel tells of room only whoever has looked for it in vain (tun_chr_poll()),
 * so a watch from before the tap was full would wait for ever.
 */
static void await_room(struct tap *tap)
{
	struct loop *loop = tap->netdev.loop;

	loop_watch_remove(loop, &tap->watch);
	if (loop_watch_add(loop, &tap->watch, tap->fd, POLLIN | POLLOUT))
		back_end_set_link(&tap->netdev, false);
}

static ssize_t tap_send(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			unsigned nr)
{
	struct tap *tap = tap_of(netdev);
	ssize_t len = writev(tap->fd, segs, (int)nr);

	(void)pair;
	if (len >= 0)
		return len;
	if (errno != EAGAIN)
		return -errno;
	await_room(tap);
	return -EAGAIN;
}

static ssize_t tap_recv(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			unsigned nr)
{
	ssize_t len = readv(tap_of(netdev)->fd, segs, (int)nr);

	(void)pair;
	return len < 0 ? -errno : len;
}

static int tap_set_offloads(struct netdev *netdev, unsigned offloads)
{
	static const struct {
		unsigned offload;
		unsigned long flag;
	} flags[] = {
		{ NETDEV_CSUM, TUN_F_CSUM },
		{ NETDEV_TSO4, TUN_F_TSO4 },
		{ NETDEV_TSO6, TUN_F_TSO6 },
		{ NETDEV_ECN, TUN_F_TSO_ECN },
	};
	unsigned long wanted = 0;

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (offloads & flags[i].offload)
			wanted |= flags[i].flag;
	return ioctl(tap_of(netdev)->fd, TUNSETOFFLOAD, wanted) ? -errno : 0;
}

static void tap_close(struct netdev *netdev)
{
	struct tap *tap = tap_of(netdev);

	close(tap->fd);
	free(tap);
}

static const struct back_end_ops tap_ops = {
	.close		= tap_close,
	.attach		= tap_attach,
	.detach		= tap_detach,
	.set_offloads	= tap_set_offloads,
	.send		= tap_send,
	.recv		= tap_recv,
};

/* Opening. */

#define CREATE_HINT "'sudo ip tuntap add dev %s mode tap user $USER vnet_hdr'"

/* Opening by name would create what does not exist, if we may; we do not want to. */
static int check_exists(const char *id, const char *name, struct err *err)
{
	if (strlen(name) >= IFNAMSIZ)
		return err_set(err, -EINVAL, "net '%s': '%s' is too long for the name of a "
			       "device", id, name);
	if (!if_nametoindex(name))
		return err_set(err, -ENODEV, "net '%s': there is no tap device '%s' (create it "
			       "with " CREATE_HINT ")", id, name, name);
	return 0;
}

static int attach(int fd, const char *id, const char *name, struct err *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	memcpy(ifr.ifr_name, name, strlen(name));
	if (!ioctl(fd, TUNSETIFF, &ifr))
		return 0;
	switch (errno) {
	case EBUSY:
		return err_sys(err, -EBUSY, "net '%s': tap '%s' is in use by another VM", id,
			       name);
	case EPERM:
		return err_sys(err, -EPERM, "net '%s': tap '%s' belongs to another user "
			       "(needs CAP_NET_ADMIN, or a tap of your own: " CREATE_HINT ")",
			       id, name, name);
	case EINVAL:
		return err_set(err, -EINVAL, "net '%s': '%s' is no tap device for one queue "
			       "with a vnet header (create one with " CREATE_HINT ")", id,
			       name, name);
	default:
		return err_sys(err, -errno, "net '%s': cannot attach to tap '%s'", id, name);
	}
}

/* Both ways of opening end here. */
static int set_up(int fd, const char *id, struct err *err)
{
	int len = NETDEV_HEADER_LEN, flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return err_sys(err, -errno, "net '%s': descriptor %d", id, fd);
	if (ioctl(fd, TUNSETVNETHDRSZ, &len))
		return err_sys(err, -errno, "net '%s': cannot set the length of the packet "
			       "header", id);
	return 0;
}

/* What ethtool(8) says: the tap's owner can set it there. */
static uint32_t speed_of(int fd)
{
	struct ethtool_cmd cmd = { .cmd = ETHTOOL_GSET };
	struct ifreq ifr = { 0 };
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t speed = 0;

	if (sock < 0)
		return 0;
	if (!ioctl(fd, TUNGETIFF, &ifr)) {
		ifr.ifr_data = (char *)&cmd;
		if (!ioctl(sock, SIOCETHTOOL, &ifr))
			speed = ethtool_cmd_speed(&cmd);
	}
	close(sock);
	return speed == (uint32_t)SPEED_UNKNOWN ? 0 : speed;
}

static int new_tap(struct netdev **ret_netdev, int fd, const char *id, struct err *err)
{
	struct tap *tap;
	int r = set_up(fd, id, err);

	if (r < 0)
		return r;
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return err_sys(err, -ENOMEM, "net '%s'", id);
	tap->netdev = (struct netdev){
		.ops = &tap_ops,
		.nr_pairs = 1,
		.offloads = NETDEV_CSUM | NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_ECN,
		.speed = speed_of(fd),
	};
	tap->fd = fd;
	tap->watch.ready = ready;
	*ret_netdev = &tap->netdev;
	return 0;
}

int tap_open(struct netdev **ret_netdev, const char *id, const char *name, struct err *err)
{
	int fd, r = check_exists(id, name, err);

	if (r < 0)
		return r;
	fd = open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(err, -errno, "net '%s': cannot open " TUN_PATH "%s", id,
			       errno == ENOENT ? " (is the module 'tun' loaded?)" : "");
	r = attach(fd, id, name, err);
	if (!r)
		r = new_tap(ret_netdev, fd, id, err);
	if (r < 0)
		close(fd);
	return r;
}

int tap_open_fd(struct netdev **ret_netdev, const char *id, int fd, struct err *err)
{
	struct ifreq ifr = { 0 };

	if (fcntl(fd, F_GETFD) < 0)
		return err_sys(err, -errno, "net '%s': descriptor %d is not open", id, fd);
	if (ioctl(fd, TUNGETIFF, &ifr) || !(ifr.ifr_flags & IFF_TAP))
		return err_set(err, -EINVAL, "net '%s': descriptor %d is no tap device", id,
			       fd);
	if (!(ifr.ifr_flags & IFF_VNET_HDR))
		return err_set(err, -EINVAL, "net '%s': the tap at descriptor %d was opened "
			       "without IFF_VNET_HDR", id, fd);
	return new_tap(ret_netdev, fd, id, err);
}
