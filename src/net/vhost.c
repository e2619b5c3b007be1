// SPDX-License-Identifier: Apache-2.0
/*
 * vhost.c - what <linux/vhost.h> has for network cards.
 *
 * The kernel serves one pair of queues for each time that its device is opened.
 */
#include "net/vhost.h"

#include "base/bits.h"
#include "base/err.h"
#include "net/netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VHOST_PATH	"/dev/vhost-net"

/* Of what a guest may have negotiated, that which changes rings or packets. */
#define FEATURES								\
	(BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX) |	\
	 BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_NET_F_MRG_RXBUF))

struct vhost {
	int breach_fd;
	unsigned nr_pairs;
	int fds[NETDEV_PAIRS_MAX];
};

static int open_pair(struct err *err)
{
	int fd = open(VHOST_PATH, O_RDWR | O_CLOEXEC), code = errno;

	if (fd >= 0)
		return fd;
	return err_sys(err, -code, "cannot open " VHOST_PATH "%s",
		       code == ENOENT || code == ENODEV || code == ENXIO ?
		       " (is the module 'vhost_net' loaded?)" :
		       code == EACCES || code == EPERM ?
		       " (let this user read and write it)" : "");
}

static int own(int fd, int breach_fd, struct err *err)
{
	struct vhost_vring_file first = { .index = 0, .fd = breach_fd };
	struct vhost_vring_file second = { .index = 1, .fd = breach_fd };
	uint64_t features = 0;

	if (ioctl(fd, VHOST_SET_OWNER) || ioctl(fd, VHOST_GET_FEATURES, &features) ||
	    ioctl(fd, VHOST_SET_VRING_ERR, &first) || ioctl(fd, VHOST_SET_VRING_ERR, &second))
		return err_sys(err, -errno, "cannot use " VHOST_PATH);
	if (FEATURES & ~features)
		return err_set(err, -ENOTSUP, VHOST_PATH " of this kernel lacks features %#llx",
			       (unsigned long long)(FEATURES & ~features));
	return 0;
}

static int open_pairs(struct vhost *vhost, unsigned nr, struct err *err)
{
	vhost->breach_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vhost->breach_fd < 0)
		return err_sys(err, -errno, "cannot use " VHOST_PATH);
	while (vhost->nr_pairs < nr) {
		int fd = open_pair(err), r;

		if (fd < 0)
			return fd;
		vhost->fds[vhost->nr_pairs++] = fd;
		r = own(fd, vhost->breach_fd, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int vhost_open(struct vhost **ret_vhost, unsigned nr_pairs, struct err *err)
{
	struct vhost *vhost = calloc(1, sizeof(*vhost));
	int r;

	if (!vhost)
		return err_sys(err, -ENOMEM, "cannot use " VHOST_PATH);
	r = open_pairs(vhost, nr_pairs, err);
	if (r < 0) {
		vhost_close(vhost);
		return r;
	}
	*ret_vhost = vhost;
	return 0;
}

struct vhost *vhost_close(struct vhost *vhost)
{
	if (!vhost)
		return NULL;
	for (unsigned i = 0; i < vhost->nr_pairs; i++)
		close(vhost->fds[i]);
	if (vhost->breach_fd >= 0)
		close(vhost->breach_fd);
	free(vhost);
	return NULL;
}

int vhost_set_up(struct vhost *vhost, uint64_t features, const struct vhost_region *regions,
		 unsigned nr)
{
	struct vhost_memory *memory = calloc(1, sizeof(*memory) +
					     nr * sizeof(memory->regions[0]));
	int r = 0;

	if (!memory)
		return -ENOMEM;
	features &= FEATURES;
	memory->nregions = nr;
	for (unsigned i = 0; i < nr; i++)
		memory->regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = regions[i].at,
			.memory_size = regions[i].len,
			.userspace_addr = (uintptr_t)regions[i].host,
		};
	for (unsigned i = 0; i < vhost->nr_pairs && !r; i++)
		if (ioctl(vhost->fds[i], VHOST_SET_FEATURES, &features) ||
		    ioctl(vhost->fds[i], VHOST_SET_MEM_TABLE, memory))
			r = -errno;
	free(memory);
	return r;
}

int vhost_breach_fd(const struct vhost *vhost)
{
	return vhost->breach_fd;
}

int vhost_start(struct vhost *vhost, unsigned queue, const struct vhost_ring *ring, int tap)
{
	unsigned index = queue % 2;
	struct vhost_vring_state size = { .index = index, .num = ring->size };
	struct vhost_vring_state next = { .index = index, .num = ring->next_avail };
	struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uintptr_t)ring->desc,
		.avail_user_addr = (uintptr_t)ring->avail,
		.used_user_addr = (uintptr_t)ring->used,
	};
	struct vhost_vring_file kick = { .index = index, .fd = ring->kick_fd };
	struct vhost_vring_file call = { .index = index, .fd = ring->call_fd };
	struct vhost_vring_file backend = { .index = index, .fd = tap };
	int fd = vhost->fds[queue / 2];

	if (ioctl(fd, VHOST_SET_VRING_NUM, &size) || ioctl(fd, VHOST_SET_VRING_BASE, &next) ||
	    ioctl(fd, VHOST_SET_VRING_ADDR, &addr) || ioctl(fd, VHOST_SET_VRING_KICK, &kick) ||
	    ioctl(fd, VHOST_SET_VRING_CALL, &call) ||
	    ioctl(fd, VHOST_NET_SET_BACKEND, &backend)) {
		int r = -errno;

		vhost_stop(vhost, queue);
		return r;
	}
	/* The driver may have offered something without a kick, or before anybody looked. */
	eventfd_write(ring->kick_fd, 1);
	return 0;
}

uint16_t vhost_stop(struct vhost *vhost, unsigned queue)
{
	struct vhost_vring_file none = { .index = queue % 2, .fd = -1 };
	struct vhost_vring_state next = { .index = queue % 2 };
	int fd = vhost->fds[queue / 2];

	/* None of these fails for a queue that there is. */
	(void)ioctl(fd, VHOST_NET_SET_BACKEND, &none);
	(void)ioctl(fd, VHOST_GET_VRING_BASE, &next);
	(void)ioctl(fd, VHOST_SET_VRING_KICK, &none);
	(void)ioctl(fd, VHOST_SET_VRING_CALL, &none);
	return (uint16_t)next.num;
}
