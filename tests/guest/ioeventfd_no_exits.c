// SPDX-License-Identifier: Apache-2.0
/*
 * ioeventfd_no_exits.c - requests=N requests to a disk and frames=N frames out of a
 * network card, by MSI-X.  run.py looks at how many exits to user space they cost:
 * none.
 */
#include "payload.h"
#include "virtio.h"

#define DISK_VECTOR	0x30
#define NET_VECTOR	0x31

#define HEADER_LEN	12		/* of the packet, virtio 1.2 section 5.1.6 */
#define FRAME_LEN	60

static void read_disk(uint64_t nr)
{
	static uint8_t sector[512];
	struct virtio disk;

	virtio_open(&disk, VIRTIO_BLK, DISK_VECTOR, 0);
	for (uint64_t i = 0; i < nr; i++)
		expect_eq(virtio_blk(&disk, VIRTIO_BLK_READ, 0, sector, 512), VIRTIO_BLK_OK,
			  "read");
}

/* To everybody, of a type that nobody has a use for. */
static void send_frames(uint64_t nr)
{
	static uint8_t packet[HEADER_LEN + FRAME_LEN] = {
		[HEADER_LEN] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x88, 0xb5,
	};
	const struct virtio_part part = { packet, sizeof(packet) };
	struct virtio net;

	if (!nr)
		return;
	virtio_open_queue(&net, VIRTIO_NET, VIRTIO_NET_TRANSMIT, NET_VECTOR, 0);
	for (uint64_t i = 0; i < nr; i++)
		virtio_request(&net, &part, 1, 0);
}

void payload(void)
{
	read_disk(cmdline_number("requests"));
	send_frames(cmdline_number("frames"));
}
