// SPDX-License-Identifier: Apache-2.0
/*
 * tap.c - a tap device of the host, with its vnet header.
 *
 * See Documentation/networking/tuntap.rst; the header is the one of virtio, so
 * offloads pass through untouched.
 */
#include "net/netdev.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TUN_PATH "/dev/net/tun"

struct netdev {
	int fd;
};

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

static int new_netdev(struct netdev **ret_netdev, int fd, const char *id, struct err *err)
{
	struct netdev *netdev;
	int r = set_up(fd, id, err);

	if (r < 0)
		return r;
	netdev = malloc(sizeof(*netdev));
	if (!netdev)
		return err_sys(err, -ENOMEM, "net '%s'", id);
	netdev->fd = fd;
	*ret_netdev = netdev;
	return 0;
}

int netdev_open_tap(struct netdev **ret_netdev, const char *id, const char *name,
		    struct err *err)
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
		r = new_netdev(ret_netdev, fd, id, err);
	if (r < 0)
		close(fd);
	return r;
}

int netdev_open_fd(struct netdev **ret_netdev, const char *id, int fd, struct err *err)
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
	return new_netdev(ret_netdev, fd, id, err);
}

struct netdev *netdev_close(struct netdev *netdev)
{
	if (netdev) {
		close(netdev->fd);
		free(netdev);
	}
	return NULL;
}

int netdev_set_offloads(struct netdev *netdev, unsigned offloads)
{
	unsigned long flags = 0;

	if (offloads & NETDEV_CSUM)
		flags |= TUN_F_CSUM;
	if (offloads & NETDEV_TSO4)
		flags |= TUN_F_TSO4;
	if (offloads & NETDEV_TSO6)
		flags |= TUN_F_TSO6;
	if (offloads & NETDEV_ECN)
		flags |= TUN_F_TSO_ECN;
	return ioctl(netdev->fd, TUNSETOFFLOAD, flags) ? -errno : 0;
}

int netdev_fd(const struct netdev *netdev)
{
	return netdev->fd;
}

ssize_t netdev_send(struct netdev *netdev, const struct iovec *segs, unsigned nr)
{
	ssize_t len = writev(netdev->fd, segs, (int)nr);

	return len < 0 ? -errno : len;
}

ssize_t netdev_recv(struct netdev *netdev, const struct iovec *segs, unsigned nr)
{
	ssize_t len = readv(netdev->fd, segs, (int)nr);

	return len < 0 ? -errno : len;
}
