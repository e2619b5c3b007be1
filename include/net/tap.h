/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.h - the back end that is a tap device of the host.
 *
 * id is for messages.  Main.
 */
#ifndef NET_TAP_H
#define NET_TAP_H

struct err;
struct netdev;

/* An existing tap of the host. */
int tap_open(struct netdev **ret_netdev, const char *id, const char *name, struct err *err);

/* An open tap, inherited as this descriptor, which becomes the netdev's. */
int tap_open_fd(struct netdev **ret_netdev, const char *id, int fd, struct err *err);

#endif
