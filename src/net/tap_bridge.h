/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_bridge.h - a tap is connected: all of it needs CAP_NET_ADMIN.
 *
 * id is for messages.
 */
#ifndef NET_TAP_BRIDGE_H
#define NET_TAP_BRIDGE_H

struct err;

/* Make it a port of the bridge, if it is none. */
int tap_bridge_join(const char *id, const char *name, const char *bridge, struct err *err);

int tap_bridge_set_up(const char *id, const char *name, struct err *err);

#endif
