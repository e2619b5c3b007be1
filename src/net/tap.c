// SPDX-License-Identifier: Apache-2.0
/*
 * tap.c - a tap device of the host, with its vnet header.
 *
 * See Documentation/networking/tuntap.rst; the header is the one of virtio, so
 * offloads pass through untouched.
 */
#include "tap_netdev.h"

#include "back_end.h"
#include "base/bits.h"
#include "base/err.h"
#include "loop/burst.h"
#include "loop/loop.h"
#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

/*
 * A queue that is not used is detached, so that the kernel deals out packets among
 * those that are.
 */
struct tap_queue {
	struct tap *tap;
	unsigned pair;
	int fd;
	bool detached;
	bool never_full;
	struct loop_watch watch;
};

struct tap {
	struct netdev netdev;
	struct burst *burst;		/* while attached, once there was one; or NULL */
	bool has_burst;
	struct netdev_lost lost;	/* tell may be NULL */
	struct tap_queue queues[];
};

/* While it is attached. */

static struct tap *tap_of(struct netdev *netdev)
{
	return container_of(netdev, struct tap, netdev);
}

/* A tap that is deleted stays so, whatever becomes of its name. */
static void lose(struct tap_queue *queue)
{
	struct tap *tap = queue->tap;

	loop_watch_remove(tap->netdev.loop, &queue->watch);
	if (!tap->netdev.link_down && tap->lost.tell)
		tap->lost.tell(tap->lost.ctx, "the tap is deleted");
	back_end_set_link(&tap->netdev, false);
}

static void ready(struct loop_watch *watch, unsigned events)
{
	struct tap_queue *queue = container_of(watch, struct tap_queue, watch);
	struct netdev *netdev = &queue->tap->netdev;

	if (events & (POLLERR | POLLHUP)) {
		lose(queue);
		return;
	}
	if (events & POLLIN)
		netdev->user->readable(netdev->user, queue->pair);
	if (events & POLLOUT)
		netdev->user->writable(netdev->user, queue->pair);
}

static int watch_queue(struct tap_queue *queue, unsigned events)
{
	const struct netdev *netdev = &queue->tap->netdev;

	loop_watch_remove(netdev->loop, &queue->watch);
	if (queue->detached)
		return 0;
	/* Packets are the kernel's then; that the tap is deleted is told all the same. */
	return loop_watch_add(netdev->loop, &queue->watch, queue->fd,
			      netdev->lent ? 0 : events);
}

static void tap_detach(struct netdev *netdev)
{
	struct tap *tap = tap_of(netdev);

	for (unsigned i = 0; i < netdev->nr_pairs; i++)
		loop_watch_remove(netdev->loop, &tap->queues[i].watch);
	tap->burst = burst_free(tap->burst);
	tap->has_burst = false;
}

static int tap_attach(struct netdev *netdev)
{
	struct tap *tap = tap_of(netdev);
	int r = 0;

	for (unsigned i = 0; i < netdev->nr_pairs && !r; i++)
		r = watch_queue(&tap->queues[i], POLLIN);
	if (r < 0)
		tap_detach(netdev);
	return r;
}

static int use_queue(struct tap_queue *queue, bool used)
{
	struct netdev *netdev = &queue->tap->netdev;
	struct ifreq ifr = { .ifr_flags = used ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	if (queue->detached == !used)
		return 0;
	if (!used && netdev->user)
		loop_watch_remove(netdev->loop, &queue->watch);
	if (ioctl(queue->fd, TUNSETQUEUE, &ifr))
		return -errno;
	queue->detached = !used;
	return netdev->user ? watch_queue(queue, POLLIN) : 0;
}

static int tap_set_pairs(struct netdev *netdev, unsigned nr)
{
	int r = 0;

	for (unsigned i = 0; i < netdev->nr_pairs && !r; i++)
		r = use_queue(&tap_of(netdev)->queues[i], i < nr);
	return r;
}

/*
 * The kernel tells of room only whoever has looked for it in vain (tun_chr_poll()),
 * so a watch from before the tap was full would wait for ever.
 */
static void await_room(struct tap_queue *queue)
{
	if (watch_queue(queue, POLLIN | POLLOUT))
		back_end_set_link(&queue->tap->netdev, false);
}

static ssize_t tap_send(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			unsigned nr)
{
	struct tap_queue *queue = &tap_of(netdev)->queues[pair];
	ssize_t len = writev(queue->fd, segs, (int)nr);

	if (len >= 0)
		return len;
	if (errno != EAGAIN)
		return -errno;
	await_room(queue);
	return -EAGAIN;
}

static ssize_t tap_recv(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			unsigned nr)
{
	ssize_t len = readv(tap_of(netdev)->queues[pair].fd, segs, (int)nr);

	return len < 0 ? -errno : len;
}

/* By whoever it is to be for: the loop's thread. */
static struct burst *burst_of(struct tap *tap)
{
	if (!tap->has_burst)
		tap->burst = burst_new();
	tap->has_burst = true;
	return tap->burst;
}

/* Whoever else has the tap may give it a limit; what that costs at first is lost. */
static unsigned send_all(struct tap_queue *queue, struct burst *burst,
			 struct burst_packet *packets, unsigned nr)
{
	burst_write_all(burst, queue->fd, packets, nr);
	for (unsigned i = 0; i < nr; i++) {
		if (packets[i].len != -EAGAIN)
			continue;
		packets[i].len = -ENOBUFS;
		queue->never_full = false;
	}
	return nr;
}

static unsigned tap_send_burst(struct netdev *netdev, unsigned pair,
			       struct burst_packet *packets, unsigned nr)
{
	struct tap *tap = tap_of(netdev);
	struct tap_queue *queue = &tap->queues[pair];
	struct burst *burst = nr > 1 ? burst_of(tap) : NULL;

	if (queue->never_full)
		return send_all(queue, burst, packets, nr);
	nr = burst_write(burst, queue->fd, packets, nr);
	if (packets[nr - 1].len == -EAGAIN)
		await_room(queue);
	return nr;
}

static unsigned tap_recv_burst(struct netdev *netdev, unsigned pair,
			       struct burst_packet *packets, unsigned nr)
{
	struct tap *tap = tap_of(netdev);

	return burst_read(nr > 1 ? burst_of(tap) : NULL, tap->queues[pair].fd, packets, nr);
}

static int tap_fd(const struct netdev *netdev, unsigned pair)
{
	return container_of(netdev, const struct tap, netdev)->queues[pair].fd;
}

/* Since Linux 6.2, and only both of them. */
#define TUN_F_USO	(0x20 | 0x40)
#define USO		(NETDEV_USO4 | NETDEV_USO6)

static int set_offloads(int fd, unsigned offloads)
{
	static const struct {
		unsigned offload;
		unsigned long flag;
	} flags[] = {
		{ NETDEV_CSUM, TUN_F_CSUM },
		{ NETDEV_TSO4, TUN_F_TSO4 },
		{ NETDEV_TSO6, TUN_F_TSO6 },
		{ NETDEV_ECN, TUN_F_TSO_ECN },
		{ USO, TUN_F_USO },
	};
	unsigned long wanted = 0;

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if ((offloads & flags[i].offload) == flags[i].offload)
			wanted |= flags[i].flag;
	return ioctl(fd, TUNSETOFFLOAD, wanted) ? -errno : 0;
}

static int tap_set_offloads(struct netdev *netdev, unsigned offloads)
{
	return set_offloads(tap_of(netdev)->queues[0].fd, offloads);
}

static void tap_close(struct netdev *netdev)
{
	struct tap *tap = tap_of(netdev);

	for (unsigned i = 0; i < netdev->nr_pairs; i++)
		close(tap->queues[i].fd);
	free(tap);
}

static const struct back_end_ops tap_ops = {
	.close		= tap_close,
	.attach		= tap_attach,
	.detach		= tap_detach,
	.set_pairs	= tap_set_pairs,
	.set_offloads	= tap_set_offloads,
	.send		= tap_send,
	.recv		= tap_recv,
	.send_burst	= tap_send_burst,
	.recv_burst	= tap_recv_burst,
	.fd		= tap_fd,
};

/* Life. */

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

/* As a tap is made: what is sent has no limit then.  A macvtap has one. */
static bool is_never_full(int fd)
{
	int room;

	return !ioctl(fd, TUNGETSNDBUF, &room) && room == INT_MAX;
}

static unsigned find_offloads(int fd)
{
	unsigned offloads = NETDEV_CSUM | NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_ECN;

	if (!set_offloads(fd, NETDEV_CSUM | USO) && !set_offloads(fd, 0))
		offloads |= USO;
	return offloads;
}

int tap_netdev_new(struct netdev **ret_netdev, const struct tap_config *config, const int *fds,
		   unsigned nr, const uint8_t *mac, struct err *err)
{
	const char *id = config->id;
	struct tap *tap;
	int r = 0;

	for (unsigned i = 0; i < nr && !r; i++)
		r = set_up(fds[i], id, err);
	if (r < 0)
		return r;
	tap = calloc(1, sizeof(*tap) + nr * sizeof(tap->queues[0]));
	if (!tap)
		return err_sys(err, -ENOMEM, "net '%s'", id);
	tap->netdev = (struct netdev){
		.ops = &tap_ops,
		.nr_pairs = nr,
		.offloads = find_offloads(fds[0]),
		.speed = speed_of(fds[0]),
		.has_mac = mac,
	};
	if (config->lost)
		tap->lost = *config->lost;
	if (mac)
		memcpy(tap->netdev.mac, mac, sizeof(tap->netdev.mac));
	for (unsigned i = 0; i < nr; i++)
		tap->queues[i] = (struct tap_queue){
			.tap = tap, .pair = i, .fd = fds[i], .watch.ready = ready,
			.never_full = is_never_full(fds[i]),
		};
	*ret_netdev = &tap->netdev;
	return 0;
}
