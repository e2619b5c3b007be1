// SPDX-License-Identifier: Apache-2.0
/* tap_open.c - ways to a tap, and what may be wrong with it. */
#include "net/tap.h"

#include "base/err.h"
#include "net/netdev.h"
#include "tap_link.h"
#include "tap_netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TUN_PATH "/dev/net/tun"
#define CREATE_HINT "'sudo ip tuntap add dev %s mode tap user $USER vnet_hdr%s'"
#define SEVERAL " multi_queue"

static int tell_busy(const struct tap_config *config, struct err *err)
{
	return err_set(err, -EBUSY, "net '%s': tap '%s' is in use by another VM", config->id,
		       config->name);
}

static int look(struct tap_link *link, const struct tap_config *config, struct err *err)
{
	const char *id = config->id, *name = config->name;
	int r;

	if (strlen(name) >= IFNAMSIZ)
		return err_set(err, -EINVAL, "net '%s': '%s' is too long for the name of a "
			       "device", id, name);
	r = tap_link_read(link, name);
	if (r == -ENODEV)
		return err_set(err, r, "net '%s': there is no tap device '%s' (create it with "
			       CREATE_HINT ")", id, name, name,
			       config->nr_pairs > 1 ? SEVERAL : "");
	if (r < 0)
		return err_sys(err, r, "net '%s': cannot ask for device '%s'", id, name);
	if (link->kind != TAP_LINK_TAP)
		return err_set(err, -EINVAL, "net '%s': '%s' is no tap device", id, name);
	/* One of several queues could be opened again and again. */
	if (link->nr_queues)
		return tell_busy(config, err);
	if (!link->multi_queue && config->exact && config->nr_pairs > 1)
		return err_set(err, -EINVAL, "net '%s': tap '%s' is one for a single queue "
			       "(create it with " CREATE_HINT ", or give queues=1)", id, name,
			       name, SEVERAL);
	return 0;
}

static int attach(int fd, const struct tap_config *config, bool multi_queue, struct err *err)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
			     (multi_queue ? IFF_MULTI_QUEUE : 0),
	};
	const char *id = config->id, *name = config->name;

	memcpy(ifr.ifr_name, name, strlen(name));
	if (!ioctl(fd, TUNSETIFF, &ifr))
		return 0;
	switch (errno) {
	case EBUSY:
		return tell_busy(config, err);
	case EPERM:
		return err_sys(err, -EPERM, "net '%s': tap '%s' belongs to another user "
			       "(needs CAP_NET_ADMIN, or a tap of your own: " CREATE_HINT ")",
			       id, name, name, multi_queue ? SEVERAL : "");
	default:
		return err_sys(err, -errno, "net '%s': cannot attach to tap '%s'", id, name);
	}
}

static int open_queue(const struct tap_config *config, bool multi_queue, struct err *err)
{
	int r, fd = open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_sys(err, -errno, "net '%s': cannot open " TUN_PATH "%s", config->id,
			       errno == ENOENT ? " (is the module 'tun' loaded?)" : "");
	r = attach(fd, config, multi_queue, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* If somebody else has opened it at the same time, both of us find too many queues. */
static int check_alone(const struct tap_config *config, unsigned nr, struct err *err)
{
	struct tap_link link;

	return !tap_link_read(&link, config->name) && link.nr_queues > nr ?
	       tell_busy(config, err) : 0;
}

int tap_open(struct netdev **ret_netdev, const struct tap_config *config, struct err *err)
{
	int fds[NETDEV_PAIRS_MAX], r;
	unsigned wanted, nr = 0;
	struct tap_link link;

	r = look(&link, config, err);
	if (r < 0)
		return r;
	wanted = link.multi_queue ? config->nr_pairs : 1;
	while (nr < wanted) {
		r = open_queue(config, link.multi_queue, err);
		if (r < 0)
			break;
		fds[nr++] = r;
	}
	if (r >= 0)
		r = check_alone(config, nr, err);
	if (!r)
		r = tap_netdev_new(ret_netdev, config->id, fds, nr, err);
	while (r < 0 && nr)
		close(fds[--nr]);
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
	return tap_netdev_new(ret_netdev, id, &fd, 1, err);
}
