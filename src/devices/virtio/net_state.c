// SPDX-License-Identifier: Apache-2.0
/*
 * net_state.c - what a network card's driver has asked of it by commands.
 *
 * The link is the board's to keep: whoever pulled the cable is not the driver.
 */
#include "net.h"

#include "base/bits.h"
#include "base/err.h"
#include "state/state.h"

#include <errno.h>
#include <string.h>

struct table_state {
	bool all;
	uint32_t nr_bytes;		/* six each */
	uint8_t macs[NET_FILTER_MACS_MAX * 6];
};

struct net_state {
	uint8_t mac[6];			/* for which the driver wants packets */
	uint8_t told_mac[6];		/* in the configuration; zero: mac */
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	struct table_state tables[2];	/* unicast, multicast */
	uint8_t vlans[NET_FILTER_VLANS / 8];
	bool offloads_set;
	uint32_t offloads;		/* as net/netdev.h numbers them */
	uint32_t nr_used;
	bool announcing;
};

static const struct state_field table_fields[] = {
	{ STATE_ONE(struct table_state, all) },
	{ STATE_LIST(struct table_state, macs, nr_bytes) },
	STATE_END
};

static const struct state_field fields[] = {
	{ STATE_ARRAY(struct net_state, mac) },
	{ STATE_ARRAY(struct net_state, told_mac), .added = true },
	{ STATE_ONE(struct net_state, promisc) },
	{ STATE_ONE(struct net_state, allmulti) },
	{ STATE_ONE(struct net_state, alluni) },
	{ STATE_ONE(struct net_state, nomulti) },
	{ STATE_ONE(struct net_state, nouni) },
	{ STATE_ONE(struct net_state, nobcast) },
	{ STATE_STRUCTS(struct net_state, tables, table_fields) },
	{ STATE_ARRAY(struct net_state, vlans) },
	{ STATE_ONE(struct net_state, offloads_set) },
	{ STATE_ONE(struct net_state, offloads) },
	{ STATE_ONE(struct net_state, nr_used) },
	{ STATE_ONE(struct net_state, announcing) },
	STATE_END
};

static const struct state_table table = {
	.name = "virtio-net", .version = 1, .fields = fields,
};

static void save_table(struct table_state *state, const struct net_filter_table *from)
{
	state->all = from->all;
	state->nr_bytes = from->nr * 6;
	memcpy(state->macs, from->macs, state->nr_bytes);
}

static void load_table(struct net_filter_table *to, const struct table_state *state)
{
	to->all = state->all;
	to->nr = state->nr_bytes / 6;
	memcpy(to->macs, state->macs, sizeof(to->macs));
}

void net_save(const struct virtio_dev *dev, uint32_t instance, struct state_writer *writer)
{
	const struct net *net = container_of(dev, struct net, dev);
	const struct net_filter *filter = &net->filter;
	struct net_state state = {
		.promisc = filter->promisc,
		.allmulti = filter->allmulti,
		.alluni = filter->alluni,
		.nomulti = filter->nomulti,
		.nouni = filter->nouni,
		.nobcast = filter->nobcast,
		.offloads_set = net->offloads_set,
		.offloads = net->offloads,
		.nr_used = net->nr_used,
		.announcing = net->announcing,
	};

	memcpy(state.mac, filter->mac, sizeof(state.mac));
	memcpy(state.told_mac, net_told_mac(net), sizeof(state.told_mac));
	memcpy(state.vlans, filter->vlans, sizeof(state.vlans));
	save_table(&state.tables[0], &filter->unicast);
	save_table(&state.tables[1], &filter->multicast);
	state_save(writer, &table, instance, &state);
}

/* Whether it filters by VLAN at all follows from its features when it starts. */
static void load_filter(struct net_filter *filter, const struct net_state *state)
{
	filter->promisc = state->promisc;
	filter->allmulti = state->allmulti;
	filter->alluni = state->alluni;
	filter->nomulti = state->nomulti;
	filter->nouni = state->nouni;
	filter->nobcast = state->nobcast;
	memcpy(filter->mac, state->mac, sizeof(filter->mac));
	memcpy(filter->vlans, state->vlans, sizeof(filter->vlans));
	load_table(&filter->unicast, &state->tables[0]);
	load_table(&filter->multicast, &state->tables[1]);
}

/*
 * Drivers look at it when they are bound to the device, so one that is here already is sent
 * packets for the old address until it is bound again.
 */
static void load_mac(struct net *net, const struct net_state *state)
{
	static const uint8_t none[6];

	if (net->card.renewed)
		return;
	net_tell_mac(net, memcmp(state->told_mac, none, sizeof(none)) ? state->told_mac :
									state->mac);
}

int net_load(struct virtio_dev *dev, uint32_t instance, struct state_reader *reader,
	     struct err *err)
{
	struct net *net = container_of(dev, struct net, dev);
	struct net_state state = { 0 };
	int r = state_load(reader, &table, instance, &state, err);

	if (r < 0)
		return r;
	if (!state.nr_used || state.nr_used > netdev_nr_pairs(net->netdev))
		return err_set(err, -ENOTSUP,
			       "virtio-net: the guest uses %u pairs of queues, "
			       "here it has %u",
			       state.nr_used, netdev_nr_pairs(net->netdev));
	if (state.offloads_set && state.offloads & ~netdev_offloads(net->netdev))
		return err_set(err, -ENOTSUP,
			       "virtio-net: the guest uses offloads (%#x) that its "
			       "back end does not have here",
			       state.offloads);
	load_filter(&net->filter, &state);
	load_mac(net, &state);
	net->offloads_set = state.offloads_set;
	net->offloads = state.offloads;
	net->nr_used = state.nr_used;
	net_set_announcing(net, state.announcing);
	return 0;
}
