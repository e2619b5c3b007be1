/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_netdev.h - a back end over socket pairs, one for each pair of queues.
 *
 * The other end of each is a wire: the test reads from it what was sent and writes to
 * it what is to be received, header included.
 */
#ifndef TESTS_DEVICE_FAKE_NETDEV_H
#define TESTS_DEVICE_FAKE_NETDEV_H

#include "net/netdev.h"

#define FAKE_NETDEV_OFFLOADS						\
	(NETDEV_CSUM | NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_ECN | NETDEV_USO4 | NETDEV_USO6)

#define FAKE_NETDEV_SPEED	2500

/* can: what netdev_offloads() is to say.  ret_wires: of each pair. */
struct netdev *fake_netdev_new(unsigned can, unsigned nr_pairs, int *ret_wires);

/* What netdev_set_pairs() is to return, and what it was last given; 0: nothing. */
void fake_netdev_refuse_pairs(struct netdev *netdev, int result);
unsigned fake_netdev_pairs(const struct netdev *netdev);

/* What netdev_set_offloads() is to return, and what it was last given. */
void fake_netdev_refuse_offloads(struct netdev *netdev, int result);
unsigned fake_netdev_offloads(const struct netdev *netdev);

/* In the next burst so many find nothing before the first packet comes.  Any thread. */
void fake_netdev_come_late(struct netdev *netdev, unsigned nr);

/* The link changes by itself.  Owner. */
void fake_netdev_set_link(struct netdev *netdev, bool up);

#endif
