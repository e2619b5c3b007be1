// SPDX-License-Identifier: Apache-2.0
/* fuzz_virtio_net.c - the network device, on two socket pairs. */
#include "device/fake_netdev.h"
#include "device/rig.h"
#include "devices/virtio/virtio.h"
#include "devices/virtio/virtio_net.h"
#include "guest_actions.h"

#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_MAX 16384
#define PAIRS 2

static int wires[PAIRS];

/* A packet comes, or one is taken off the wire. */
static void poke(uint32_t what, uint32_t value)
{
	int wire = wires[what / 2 % PAIRS];
	uint8_t packet[PACKET_MAX] = { 0 };
	ssize_t len;

	if (what % 2)
		len = send(wire, packet, value % PACKET_MAX, MSG_DONTWAIT);
	else
		len = recv(wire, packet, sizeof(packet), MSG_DONTWAIT);
	(void)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	static const struct virtio_net_card config = { .mac = { 2 } };
	struct rig *rig = guest_actions_rig();
	struct netdev *netdev = fake_netdev_new(FAKE_NETDEV_OFFLOADS, PAIRS, wires);
	struct virtio_dev *dev;

	if (virtio_net_new(&dev, netdev, &config, rig->mem, rig->loop, NULL))
		abort();
	rig_plug(rig, dev);
	guest_actions_run(rig, VIRTIO_ID_NET, input, len, poke);
	rig_unplug(rig);
	for (unsigned i = 0; i < PAIRS; i++)
		close(wires[i]);
	netdev_close(netdev);
	return 0;
}
