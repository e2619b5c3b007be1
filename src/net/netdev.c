// SPDX-License-Identifier: Apache-2.0
/* netdev.c - what all back ends have in common. */
#include "back_end.h"

#include <stddef.h>

struct netdev *netdev_close(struct netdev *netdev)
{
	if (netdev)
		netdev->ops->close(netdev);
	return NULL;
}

unsigned netdev_nr_pairs(const struct netdev *netdev)
{
	return netdev->nr_pairs;
}

unsigned netdev_offloads(const struct netdev *netdev)
{
	return netdev->offloads;
}

uint32_t netdev_speed(const struct netdev *netdev)
{
	return netdev->speed;
}

const uint8_t *netdev_mac(const struct netdev *netdev)
{
	return netdev->has_mac ? netdev->mac : NULL;
}

int netdev_attach(struct netdev *netdev, struct loop *loop, struct netdev_user *user)
{
	int r;

	netdev->loop = loop;
	netdev->user = user;
	r = netdev->ops->attach(netdev);
	if (r < 0)
		netdev->user = NULL;
	return r;
}

void netdev_detach(struct netdev *netdev)
{
	netdev->ops->detach(netdev);
	netdev->user = NULL;
}

int netdev_set_pairs(struct netdev *netdev, unsigned nr)
{
	return netdev->ops->set_pairs(netdev, nr);
}

int netdev_set_offloads(struct netdev *netdev, unsigned offloads)
{
	return netdev->ops->set_offloads(netdev, offloads);
}

bool netdev_link_up(const struct netdev *netdev)
{
	return !netdev->link_down;
}

void back_end_set_link(struct netdev *netdev, bool up)
{
	if (netdev->link_down == !up)
		return;
	netdev->link_down = !up;
	if (netdev->user)
		netdev->user->link_changed(netdev->user);
}

ssize_t netdev_send(struct netdev *netdev, unsigned pair, const struct iovec *segs, unsigned nr)
{
	return netdev->ops->send(netdev, pair, segs, nr);
}

ssize_t netdev_recv(struct netdev *netdev, unsigned pair, const struct iovec *segs, unsigned nr)
{
	return netdev->ops->recv(netdev, pair, segs, nr);
}
