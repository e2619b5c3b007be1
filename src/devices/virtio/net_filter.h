/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_filter.h - which packets a driver wants to get, sections 5.1.6.5.1 to 5.1.6.5.3.
 *
 * As long as it has said nothing it gets all.  Owner.
 */
#ifndef DEVICES_VIRTIO_NET_FILTER_H
#define DEVICES_VIRTIO_NET_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_FILTER_MACS_MAX	64
#define NET_FILTER_VLANS	4096

/* Bytes of a frame that are looked at: addresses, and a VLAN's tag. */
#define NET_FILTER_FRAME_LEN	16

struct net_filter_table {
	bool all;		/* of this kind; there were more than fit */
	unsigned nr;
	uint8_t macs[NET_FILTER_MACS_MAX][6];
};

struct net_filter {
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	uint8_t mac[6];		/* the card's own */
	struct net_filter_table unicast, multicast;
	bool by_vlan;		/* only those in the set; else all */
	uint8_t vlans[NET_FILTER_VLANS / 8];
};

void net_filter_reset(struct net_filter *filter, const uint8_t mac[6]);

/* id is below NET_FILTER_VLANS. */
void net_filter_set_vlan(struct net_filter *filter, unsigned id, bool wanted);

/* frame: its first bytes, and zeroes where it is shorter. */
bool net_filter_wants(const struct net_filter *filter,
		      const uint8_t frame[NET_FILTER_FRAME_LEN]);

#endif
