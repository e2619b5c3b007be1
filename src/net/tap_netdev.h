/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_netdev.h - queues of a tap, however they were opened, become a back end.
 */
#ifndef NET_TAP_NETDEV_H
#define NET_TAP_NETDEV_H

struct err;
struct netdev;

/* On success the descriptors are the netdev's. */
int tap_netdev_new(struct netdev **ret_netdev, const char *id, const int *fds, unsigned nr,
		   struct err *err);

#endif
