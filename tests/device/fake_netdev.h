/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_netdev.h - netdev.h over a socket pair, in place of src/net.
 *
 * The other end is the wire: the test reads from it what was sent and writes to
 * it what is to be received, header included.
 */
#ifndef TESTS_DEVICE_FAKE_NETDEV_H
#define TESTS_DEVICE_FAKE_NETDEV_H

#include "net/netdev.h"

struct netdev *fake_netdev_new(int *ret_wire);

/* What netdev_set_offloads() is to return, and what it was last given. */
void fake_netdev_refuse_offloads(struct netdev *netdev, int result);
unsigned fake_netdev_offloads(const struct netdev *netdev);

#endif
