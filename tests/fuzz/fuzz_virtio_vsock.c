// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_virtio_vsock.c - the socket device, with programs of the host that connect,
 * talk, listen and go.
 *
 * What guest_actions.c sends as a request is seldom a packet, so one of the pokes
 * writes a header that is nearly right to where descriptors may lead.
 */
#include "base/bytes.h"
#include "device/guest_driver.h"
#include "device/rig.h"
#include "devices/virtio/virtio.h"
#include "devices/virtio/virtio_vsock.h"
#include "guest_actions.h"
#include "net/vsock_front.h"

#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CID		3
#define PORT		1
#define HEADER_LEN	44
#define PACKETS_AT	DRIVER_FREE_AT
#define NR_PEERS	4
#define BYTES_MAX	8192

static char path[64];
static int peers[NR_PEERS], listener;

static struct sockaddr_un address_of(const char *suffix)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s%s", path, suffix);
	return address;
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

static void listen_at_port(void)
{
	struct sockaddr_un address = address_of("_1");

	listener = new_socket();
	unlink(address.sun_path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 8))
		abort();
}

/* Ports are few, so that packets meet connections. */
static void write_packet(uint32_t what, uint32_t value)
{
	uint8_t *bytes = rig_ram(guest_actions_rig(), PACKETS_AT, HEADER_LEN);

	put_le64(bytes, CID);
	put_le64(bytes + 8, 2);
	put_le32(bytes + 16, PORT + value % 2);
	put_le32(bytes + 20, what & 0x100 ? UINT32_C(1) << 30 : PORT);
	put_le32(bytes + 24, value >> 8 & 0x1fff);
	put_le16(bytes + 28, 1);
	put_le16(bytes + 30, (uint16_t)(what >> 9 & 7));
	put_le32(bytes + 32, what >> 12 & 3);
	put_le32(bytes + 36, value >> 4);
	put_le32(bytes + 40, what >> 16);
}

static void poke(uint32_t what, uint32_t value)
{
	static const char hello[] = "CONNECT 1\n";
	uint8_t bytes[BYTES_MAX] = { 0 };
	int *peer = &peers[what / 8 % NR_PEERS];
	struct sockaddr_un address = address_of("");
	ssize_t len = 0;

	switch (what % 8) {
	case 0:
		close(*peer);
		*peer = new_socket();
		if (!connect(*peer, (struct sockaddr *)&address, sizeof(address)))
			len = send(*peer, hello, value % sizeof(hello), MSG_NOSIGNAL);
		break;
	case 1:
		close(*peer);
		*peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		break;
	case 2:
		len = send(*peer, bytes, value % sizeof(bytes), MSG_NOSIGNAL);
		break;
	case 3:
		len = recv(*peer, bytes, sizeof(bytes), 0);
		break;
	case 4:
		len = shutdown(*peer, (int)(value % 3));
		break;
	default:
		write_packet(what, value);
		break;
	}
	(void)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	struct rig *rig = guest_actions_rig();
	char folder[] = "/tmp/vmm-fuzz-XXXXXX";
	struct vsock_front *front;
	struct virtio_dev *dev;

	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/sock", folder);
	for (unsigned i = 0; i < NR_PEERS; i++)
		peers[i] = new_socket();
	listen_at_port();
	if (vsock_front_open(&front, path, rig->loop, NULL) ||
	    virtio_vsock_new(&dev, front, CID, rig->mem, rig->loop, NULL))
		abort();
	rig_plug(rig, dev);
	guest_actions_run(rig, VIRTIO_ID_VSOCK, input, len, poke);
	rig_unplug(rig);
	vsock_front_close(front);
	for (unsigned i = 0; i < NR_PEERS; i++)
		close(peers[i]);
	close(listener);
	unlink(address_of("_1").sun_path);
	rmdir(folder);
	return 0;
}
