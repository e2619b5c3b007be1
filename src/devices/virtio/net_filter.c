// SPDX-License-Identifier: Apache-2.0
#include "net_filter.h"

#include "base/bytes.h"

#include <string.h>

#define FRAME_TYPE	12
#define FRAME_TCI	14	/* behind the type that says so: 802.1Q */
#define TYPE_VLAN	0x8100
#define TCI_ID		0xfff

void net_filter_reset(struct net_filter *filter, const uint8_t mac[6])
{
	*filter = (struct net_filter){ .promisc = true };
	memcpy(filter->mac, mac, 6);
}

void net_filter_set_vlan(struct net_filter *filter, unsigned id, bool wanted)
{
	uint8_t bit = (uint8_t)(1u << id % 8);

	if (wanted)
		filter->vlans[id / 8] |= bit;
	else
		filter->vlans[id / 8] &= (uint8_t)~bit;
}

static bool wants_vlan(const struct net_filter *filter, const uint8_t *frame)
{
	unsigned id = get_be16(frame + FRAME_TCI) & TCI_ID;

	if (!filter->by_vlan || get_be16(frame + FRAME_TYPE) != TYPE_VLAN)
		return true;
	return filter->vlans[id / 8] >> id % 8 & 1;
}

static bool has(const struct net_filter_table *table, const uint8_t *mac)
{
	for (unsigned i = 0; i < table->nr; i++)
		if (!memcmp(table->macs[i], mac, 6))
			return true;
	return table->all;
}

static bool wants_address(const struct net_filter *filter, const uint8_t *mac)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (!memcmp(mac, broadcast, 6))
		return !filter->nobcast;
	if (mac[0] & 1)
		return !filter->nomulti && (filter->allmulti || has(&filter->multicast, mac));
	return !filter->nouni && (filter->alluni || !memcmp(mac, filter->mac, 6) ||
				  has(&filter->unicast, mac));
}

bool net_filter_wants(const struct net_filter *filter,
		      const uint8_t frame[NET_FILTER_FRAME_LEN])
{
	return filter->promisc || (wants_vlan(filter, frame) && wants_address(filter, frame));
}
