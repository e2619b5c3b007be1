// SPDX-License-Identifier: Apache-2.0
/*
 * tap_open.c - ways to a tap, and what may be wrong with it.
 *
 * One that is made here is gone when its queues are closed.
 */
#include "net/tap.h"

#include "base/err.h"
#include "net/netdev.h"
#include "tap_bridge.h"
#include "tap_link.h"
#include "tap_netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TUN_PATH "/dev/net/tun"
#define CREATE_HINT "'sudo ip tuntap add dev %s mode tap user $USER vnet_hdr%s'"
#define SEVERAL " multi_queue"
#define NAME_MADE_UP "vmm%d"	/* for the kernel to fill in */

/* How each queue is opened. */
struct way {
	const struct tap_config *config;
	char name[IFNAMSIZ];		/* what it came to be once the first is open */
	struct tap_link link;
	bool make;			/* there is none so far */
	unsigned nr;			/* queues wanted */
};

static const char *several(const struct way *way)
{
	return way->nr > 1 ? SEVERAL : "";
}

static int tell_busy(const struct way *way, struct err *err)
{
	return err_set(err, -EBUSY, "net '%s': tap '%s' is in use by another VM",
		       way->config->id, way->name);
}

/* Choosing the way. */

static int plan_new(struct way *way)
{
	way->make = true;
	way->link = (struct tap_link){
		.kind = TAP_LINK_TAP, .multi_queue = way->nr > 1,
	};
	return 0;
}

static int plan_tap(struct way *way, struct err *err)
{
	/* One of several queues could be opened again and again. */
	if (way->link.nr_queues)
		return tell_busy(way, err);
	if (way->link.multi_queue || way->nr == 1)
		return 0;
	if (way->config->exact)
		return err_set(err, -EINVAL, "net '%s': tap '%s' is one for a single queue "
			       "(create it with " CREATE_HINT ", or give queues=1)",
			       way->config->id, way->name, way->name, SEVERAL);
	way->nr = 1;
	return 0;
}

static int plan(struct way *way, struct err *err)
{
	const char *id = way->config->id, *name = way->config->name;
	int r;

	way->nr = way->config->nr_pairs;
	if (!name) {
		memcpy(way->name, NAME_MADE_UP, sizeof(NAME_MADE_UP));
		return plan_new(way);
	}
	if (!*name || strlen(name) >= IFNAMSIZ || strpbrk(name, "%/: \t\n"))
		return err_set(err, -EINVAL, "net '%s': '%s' is no name for a device: it has up "
			       "to %u characters, and no '/', ':', '%%' or space", id, name,
			       IFNAMSIZ - 1);
	memcpy(way->name, name, strlen(name) + 1);
	r = tap_link_read(&way->link, name);
	if (r == -ENODEV)
		return plan_new(way);
	if (r < 0)
		return err_sys(err, r, "net '%s': cannot ask for device '%s'", id, name);
	if (way->link.kind == TAP_LINK_OTHER)
		return err_set(err, -EINVAL, "net '%s': '%s' is no tap device", id, name);
	return way->link.kind == TAP_LINK_TAP ? plan_tap(way, err) : 0;
}

/* Opening. */

static int refused(const struct way *way, struct err *err)
{
	const char *id = way->config->id, *name = way->name;

	if (errno == EBUSY)
		return tell_busy(way, err);
	if (!way->config->name)
		return err_sys(err, -errno, "net '%s': cannot make a tap%s", id, errno == EPERM ?
			       " (needs CAP_NET_ADMIN; or give tap= one of your own)" : "");
	if (errno == EPERM && way->make)
		return err_sys(err, -EPERM, "net '%s': there is no tap device '%s', and to make "
			       "it needs CAP_NET_ADMIN (or create it with " CREATE_HINT ")", id,
			       name, name, several(way));
	if (errno == EPERM)
		return err_sys(err, -EPERM, "net '%s': tap '%s' belongs to another user "
			       "(needs CAP_NET_ADMIN, or a tap of your own: " CREATE_HINT ")",
			       id, name, name, several(way));
	return err_sys(err, -errno, "net '%s': cannot attach to tap '%s'", id, name);
}

static int attach(int fd, struct way *way, struct err *err)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
			     (way->link.multi_queue ? IFF_MULTI_QUEUE : 0),
	};

	memcpy(ifr.ifr_name, way->name, IFNAMSIZ);
	if (ioctl(fd, TUNSETIFF, &ifr))
		return refused(way, err);
	memcpy(way->name, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

static int open_file(const char *path)
{
	return open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

/* As vmm doctor has it. */
static const char *tun_hint(int code)
{
	switch (code) {
	case ENOENT:
	case ENODEV:
		return " (load the module: 'sudo modprobe tun'; containers: --device " TUN_PATH
		       ")";
	case EACCES:
	case EPERM:
		return " (let everyone open it: 'sudo chmod 666 " TUN_PATH "'; containers: "
		       "--device " TUN_PATH ")";
	default:
		return "";
	}
}

static int open_tap_queue(struct way *way, struct err *err)
{
	int r, fd = open_file(TUN_PATH);

	if (fd < 0)
		return err_sys(err, -errno, "net '%s': cannot open " TUN_PATH "%s",
			       way->config->id, tun_hint(errno));
	r = attach(fd, way, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* Each has a device file; its number may be of another network namespace. */
static int open_macvtap_queue(struct way *way, struct err *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE };
	struct ifreq is = { 0 };
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/tap%u", way->link.index);
	fd = open_file(path);
	if (fd < 0 && errno == EACCES)
		return err_sys(err, -EACCES, "net '%s': cannot open %s of macvtap '%s' (make it "
			       "yours: 'sudo chown $USER %s')", way->config->id, path, way->name,
			       path);
	if (fd < 0)
		return err_sys(err, -errno, "net '%s': cannot open %s of macvtap '%s'",
			       way->config->id, path, way->name);
	if (ioctl(fd, TUNSETIFF, &ifr) || ioctl(fd, TUNGETIFF, &is) ||
	    strncmp(is.ifr_name, way->name, IFNAMSIZ)) {
		close(fd);
		return err_set(err, -ENXIO, "net '%s': %s is not of macvtap '%s'",
			       way->config->id, path, way->name);
	}
	return fd;
}

static int open_queues(struct way *way, int *fds, unsigned *ret_nr, struct err *err)
{
	while (*ret_nr < way->nr) {
		int fd = way->link.kind == TAP_LINK_MACVTAP ? open_macvtap_queue(way, err) :
							      open_tap_queue(way, err);

		if (fd < 0)
			return fd;
		fds[(*ret_nr)++] = fd;
	}
	return 0;
}

/* If somebody else has opened it at the same time, both of us find too many queues. */
static int check_alone(const struct way *way, int fd, struct err *err)
{
	struct tap_link link;

	if (way->link.kind == TAP_LINK_MACVTAP)
		return flock(fd, LOCK_EX | LOCK_NB) ? tell_busy(way, err) : 0;
	if (!tap_link_read(&link, way->name) && link.nr_queues > way->nr)
		return tell_busy(way, err);
	return 0;
}

/* Whoever makes a tap has to bring it up. */
static int place(const struct way *way, struct err *err)
{
	const char *bridge = way->config->bridge;
	int r = 0;

	if (bridge)
		r = tap_bridge_join(way->config->id, way->name, bridge, err);
	if (!r && (bridge || way->make))
		r = tap_bridge_set_up(way->config->id, way->name, err);
	return r;
}

int tap_open(struct netdev **ret_netdev, const struct tap_config *config, struct err *err)
{
	struct way way = { .config = config };
	int fds[NETDEV_PAIRS_MAX], r;
	unsigned nr = 0;

	r = plan(&way, err);
	if (!r)
		r = open_queues(&way, fds, &nr, err);
	if (!r)
		r = check_alone(&way, fds[0], err);
	if (!r)
		r = place(&way, err);
	if (!r)
		r = tap_netdev_new(ret_netdev, config, fds, nr,
				   way.link.kind == TAP_LINK_MACVTAP ? way.link.mac : NULL, err);
	while (r < 0 && nr)
		close(fds[--nr]);
	return r;
}

/* What a descriptor is open to, as TUNGETIFF has it. */
static int ask_fd(struct ifreq *ret_ifr, const char *id, int fd, struct err *err)
{
	*ret_ifr = (struct ifreq){ 0 };
	if (fcntl(fd, F_GETFD) < 0)
		return err_sys(err, -errno, "net '%s': descriptor %d is not open", id, fd);
	if (ioctl(fd, TUNGETIFF, ret_ifr) || !(ret_ifr->ifr_flags & IFF_TAP))
		return err_set(err, -EINVAL, "net '%s': descriptor %d is no tap device", id,
			       fd);
	if (!(ret_ifr->ifr_flags & IFF_VNET_HDR))
		return err_set(err, -EINVAL, "net '%s': the tap at descriptor %d was opened "
			       "without IFF_VNET_HDR", id, fd);
	return 0;
}

/* A macvtap has several queues without being asked for them. */
static int check_several(const char *id, const int *fds, unsigned nr, bool is_macvtap,
			 struct err *err)
{
	struct ifreq first, ifr;
	int r = ask_fd(&first, id, fds[0], err);

	for (unsigned i = 0; i < nr && !r; i++) {
		r = ask_fd(&ifr, id, fds[i], err);
		if (!r && strncmp(ifr.ifr_name, first.ifr_name, IFNAMSIZ))
			r = err_set(err, -EINVAL, "net '%s': descriptor %d is of tap '%s', and "
				    "descriptor %d of '%s': a card has one tap", id, fds[0],
				    first.ifr_name, fds[i], ifr.ifr_name);
		if (!r && !is_macvtap && !(ifr.ifr_flags & IFF_MULTI_QUEUE))
			r = err_set(err, -EINVAL, "net '%s': the tap at descriptor %d was opened "
				    "without IFF_MULTI_QUEUE: it has a single queue", id,
				    fds[i]);
	}
	return r;
}

/*
 * Whoever had them before may have left some detached.  Once all are, each can be attached,
 * unless it is the queue of another descriptor as well.
 */
static int use_all(const char *id, const int *fds, unsigned nr, struct err *err)
{
	struct ifreq off = { .ifr_flags = IFF_DETACH_QUEUE };
	struct ifreq on = { .ifr_flags = IFF_ATTACH_QUEUE };

	for (unsigned i = 0; i < nr; i++)
		(void)ioctl(fds[i], TUNSETQUEUE, &off);
	for (unsigned i = 0; i < nr; i++)
		if (ioctl(fds[i], TUNSETQUEUE, &on))
			return err_sys(err, -errno, "net '%s': cannot attach descriptor %d to its "
				       "tap (is it a copy of another?)", id, fds[i]);
	return 0;
}

int tap_open_fds(struct netdev **ret_netdev, const struct tap_config *config, const int *fds,
		 unsigned nr, struct err *err)
{
	struct tap_link link;
	struct ifreq ifr;
	bool is_macvtap;
	int r = ask_fd(&ifr, config->id, fds[0], err);

	if (r < 0)
		return r;
	is_macvtap = !tap_link_read(&link, ifr.ifr_name) && link.kind == TAP_LINK_MACVTAP;
	if (nr > 1)
		r = check_several(config->id, fds, nr, is_macvtap, err);
	if (!r && (is_macvtap || ifr.ifr_flags & IFF_MULTI_QUEUE))
		r = use_all(config->id, fds, nr, err);
	if (r < 0)
		return r;
	return tap_netdev_new(ret_netdev, config, fds, nr, is_macvtap ? link.mac : NULL, err);
}
