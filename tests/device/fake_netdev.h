/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_netdev.h - a back end over a socket pair.
 *
 * The other end is the wire: the test reads from it what was sent and writes to
 * it what is to be received, header included.
 */
#ifndef TESTS_DEVICE_FAKE_NETDEV_H
#define TESTS_DEVICE_FAKE_NETDEV_H

#include "net/netdev.h"

#define FAKE_NETDEV_OFFLOADS	(NETDEV_CSUM | NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_ECN)

#define FAKE_NETDEV_SPEED	2500

/* can: what netdev_offloads() is to say. */
struct netdev *fake_netdev_new(unsigned can, int *ret_wire);

/* What netdev_set_offloads() is to return, and what it was last given. */
void fake_netdev_refuse_offloads(struct netdev *netdev, int result);
unsigned fake_netdev_offloads(const struct netdev *netdev);

/* The link changes by itself.  Owner. */
void fake_netdev_set_link(struct netdev *netdev, bool up);

#endif
