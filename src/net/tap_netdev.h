/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_netdev.h - queues of a tap, however they were opened, become a back end.
 */
#ifndef NET_TAP_NETDEV_H
#define NET_TAP_NETDEV_H

#include <stdint.h>

struct err;
struct netdev;
struct tap_config;

/*
 * On success the descriptors are the netdev's.  mac: the only address whose packets come
 * this way; NULL: any.
 */
int tap_netdev_new(struct netdev **ret_netdev, const struct tap_config *config, const int *fds,
		   unsigned nr, const uint8_t *mac, struct err *err);

#endif
