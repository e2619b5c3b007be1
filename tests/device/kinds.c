// SPDX-License-Identifier: Apache-2.0
#include "kinds.h"

#include "block/disk.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_net.h"
#include "devices/virtio/virtio_rng.h"
#include "devices/virtio/virtio_vsock.h"
#include "echo.h"
#include "fake_netdev.h"
#include "net/vsock_front.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DISK_LEN	(64 * KiB)
#define PACKET_LEN	60
#define VSOCK_CID	3

#define FIRST_AT	DRIVER_FREE_AT
#define SECOND_AT	(DRIVER_FREE_AT + 0x1000)
#define THIRD_AT	(DRIVER_FREE_AT + 0x2000)

static struct disk *disk;
static struct netdev *netdev;
static int wire;
static struct vsock_front *front;
static char front_folder[32];

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void plug_rng(struct rig *rig)
{
	struct virtio_dev *dev;

	must(!virtio_rng_new(&dev, rig->mem, rig->loop, NULL));
	rig_plug(rig, dev);
}

static unsigned rng_request(struct rig *rig, struct buffer *buffers)
{
	(void)rig;
	buffers[0] = (struct buffer){ FIRST_AT, 32, true };
	return 1;
}

static void plug_echo(struct rig *rig)
{
	rig_plug(rig, &echo_new(rig->mem, rig->loop)->dev);
}

static unsigned echo_request(struct rig *rig, struct buffer *buffers)
{
	(void)rig;
	buffers[0] = (struct buffer){ FIRST_AT, 32, false };
	buffers[1] = (struct buffer){ SECOND_AT, 32, true };
	return 2;
}

static void plug_blk(struct rig *rig)
{
	char path[] = "/tmp/vmm-test-XXXXXX";
	struct disk_config config = { .id = "test", .path = path };
	struct virtio_dev *dev;
	int fd = mkstemp(path);

	must(fd >= 0 && !ftruncate(fd, DISK_LEN));
	must(!disk_open(&disk, &config, rig->loop, NULL));
	close(fd);
	unlink(path);
	must(!virtio_blk_new(&dev, disk, "serial", 1, rig->mem, NULL));
	rig_plug(rig, dev);
}

static void unplugged_blk(void)
{
	disk = disk_close(disk, NULL);
}

static unsigned blk_request(struct rig *rig, struct buffer *buffers)
{
	struct virtio_blk_outhdr *header = rig_ram(rig, FIRST_AT, sizeof(*header));

	*header = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN };
	buffers[0] = (struct buffer){ FIRST_AT, sizeof(*header), false };
	buffers[1] = (struct buffer){ SECOND_AT, 4096, true };
	buffers[2] = (struct buffer){ THIRD_AT, 1, true };
	return 3;
}

static void plug_net(struct rig *rig)
{
	static const struct virtio_net_card config = { .mac = { 2, 0, 0, 0, 0, 1 } };
	struct virtio_dev *dev;

	netdev = fake_netdev_new(FAKE_NETDEV_OFFLOADS, 1, &wire);
	must(!virtio_net_new(&dev, netdev, &config, rig->mem, rig->loop, NULL));
	rig_plug(rig, dev);
}

static void unplugged_net(void)
{
	netdev = netdev_close(netdev);
	close(wire);
}

static unsigned net_request(struct rig *rig, struct buffer *buffers)
{
	memset(rig_ram(rig, FIRST_AT, NETDEV_HEADER_LEN), 0, NETDEV_HEADER_LEN);
	buffers[0] = (struct buffer){ FIRST_AT, NETDEV_HEADER_LEN, false };
	buffers[1] = (struct buffer){ SECOND_AT, PACKET_LEN, false };
	return 2;
}

static void plug_vsock(struct rig *rig)
{
	struct virtio_dev *dev;
	char path[64];

	snprintf(front_folder, sizeof(front_folder), "/tmp/vmm-test-XXXXXX");
	must(mkdtemp(front_folder));
	snprintf(path, sizeof(path), "%s/sock", front_folder);
	must(!vsock_front_open(&front, path, rig->loop, NULL));
	must(!virtio_vsock_new(&dev, front, VSOCK_CID, rig->mem, rig->loop, NULL));
	rig_plug(rig, dev);
}

static void unplugged_vsock(void)
{
	front = vsock_front_close(front);
	must(!rmdir(front_folder));
}

/* The reset of a connection that there is not. */
static unsigned vsock_request(struct rig *rig, struct buffer *buffers)
{
	struct virtio_vsock_hdr *header = rig_ram(rig, FIRST_AT, sizeof(*header));

	*header = (struct virtio_vsock_hdr){
		.src_cid = VSOCK_CID, .dst_cid = 2,
		.type = VIRTIO_VSOCK_TYPE_STREAM, .op = VIRTIO_VSOCK_OP_RST,
	};
	buffers[0] = (struct buffer){ FIRST_AT, sizeof(*header), false };
	return 1;
}

const struct kind kinds[KINDS_NR] = {
	{ "virtio-rng", VIRTIO_ID_RNG, 0, 0, plug_rng, NULL, rng_request },
	{ "virtio-blk", VIRTIO_ID_BLOCK, 0, 60, plug_blk, unplugged_blk, blk_request },
	{ "virtio-net", VIRTIO_ID_NET, 1, 17, plug_net, unplugged_net, net_request },
	{ "virtio-vsock", VIRTIO_ID_VSOCK, 1, 8, plug_vsock, unplugged_vsock, vsock_request },
	{ "echo", ECHO_TYPE, 0, ECHO_CONFIG_LEN, plug_echo, NULL, echo_request },
};
