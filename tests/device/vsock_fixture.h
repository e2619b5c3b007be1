/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock_fixture.h - a rig with a socket device, its driver, and programs of the host,
 * for the tests of the device.  Each includes this once.
 */
#ifndef TESTS_DEVICE_VSOCK_FIXTURE_H
#define TESTS_DEVICE_VSOCK_FIXTURE_H

#include "devices/virtio/virtio_vsock.h"

#include "base/bytes.h"
#include "devices/virtio/virtio_pci.h"
#include "guest_driver.h"
#include "net/vsock_front.h"
#include "rig.h"

#include <check.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define RING_SIZE	64
#define SECONDS_MAX	60
#define CID		42
#define HOST_CID	2

#define GUEST_PORT	1000
#define HOST_PORT	52

#define HEADER_LEN	44
#define BUFFER_LEN	(64 * 1024u)	/* that the device tells of */
#define CONNS_MAX	1024
#define ROOM		4096u		/* of a receive buffer */
#define NR_ROOMS	16u
#define OUT_AT		DRIVER_FREE_AT
#define PAYLOAD_AT	(OUT_AT + HEADER_LEN)
#define IN_AT		RIG_SEAM

static struct rig rig;
static struct driver driver;
static struct vsock_front *front;
static struct ring *rx, *tx;
static char folder[] = "/tmp/vmm-test-XXXXXX", path[64];

/* What the guest says of its own room. */
static uint32_t my_room, my_forwarded;

/* The packet that came last. */
static struct {
	uint16_t op;
	uint32_t guest_port, host_port, len, flags, room, forwarded;
	const uint8_t *bytes;
} got;

/* The guest's half. */

static inline void offer_room(uint64_t at, uint32_t len)
{
	const struct buffer buffer = { at, len, true };

	ck_assert(ring_send(rx, &buffer, 1));
	ring_kick(rx);
}

static inline void offer_rooms(void)
{
	for (unsigned i = 0; i < NR_ROOMS; i++)
		offer_room(IN_AT + i * ROOM, ROOM);
}

static inline void start(void)
{
	ck_assert(driver_start(&driver, 0, RING_SIZE));
	offer_rooms();
}

/* As it would be if all were in order. */
static inline uint8_t *header(uint16_t op, uint32_t guest_port, uint32_t host_port, uint32_t len)
{
	uint8_t *bytes = rig_ram(&rig, OUT_AT, HEADER_LEN);

	put_le64(bytes, CID);
	put_le64(bytes + 8, HOST_CID);
	put_le32(bytes + 16, guest_port);
	put_le32(bytes + 20, host_port);
	put_le32(bytes + 24, len);
	put_le16(bytes + 28, VIRTIO_VSOCK_TYPE_STREAM);
	put_le16(bytes + 30, op);
	put_le32(bytes + 32, 0);
	put_le32(bytes + 36, my_room);
	put_le32(bytes + 40, my_forwarded);
	return bytes;
}

/* What is in RAM, header and all. */
static inline void send_packet(uint32_t len)
{
	const struct buffer buffer = { OUT_AT, len, false };
	struct vring_used_elem elem;

	ck_assert(ring_send(tx, &buffer, 1));
	ring_kick(tx);
	ck_assert(ring_wait(tx, &elem));
}

static inline void say(uint16_t op)
{
	header(op, GUEST_PORT, got.host_port, 0);
	send_packet(HEADER_LEN);
}

static inline void say_shutdown(uint32_t flags)
{
	put_le32(header(VIRTIO_VSOCK_OP_SHUTDOWN, GUEST_PORT, got.host_port, 0) + 32, flags);
	send_packet(HEADER_LEN);
}

static inline void say_bytes(const void *bytes, uint32_t len)
{
	header(VIRTIO_VSOCK_OP_RW, GUEST_PORT, got.host_port, len);
	memcpy(rig_ram(&rig, PAYLOAD_AT, len), bytes, len);
	send_packet(HEADER_LEN + len);
}

static inline void look_at(const struct vring_used_elem *elem)
{
	uint64_t at = rx->desc[elem->id].addr;
	const uint8_t *bytes = rig_ram(&rig, at, ROOM);

	ck_assert_uint_ge(elem->len, HEADER_LEN);
	ck_assert_uint_eq(get_le64(bytes), HOST_CID);
	ck_assert_uint_eq(get_le64(bytes + 8), CID);
	got.host_port = get_le32(bytes + 16);
	got.guest_port = get_le32(bytes + 20);
	got.len = get_le32(bytes + 24);
	ck_assert_uint_eq(get_le16(bytes + 28), VIRTIO_VSOCK_TYPE_STREAM);
	got.op = get_le16(bytes + 30);
	got.flags = get_le32(bytes + 32);
	got.room = get_le32(bytes + 36);
	got.forwarded = get_le32(bytes + 40);
	got.bytes = bytes + HEADER_LEN;
	ck_assert_uint_eq(got.len, elem->len - HEADER_LEN);
	offer_room(at, ROOM);
}

static inline void expect(uint16_t op)
{
	struct vring_used_elem elem;

	ck_assert(ring_wait(rx, &elem));
	look_at(&elem);
	ck_assert_uint_eq(got.op, op);
}

static inline void expect_bytes(const char *text)
{
	expect(VIRTIO_VSOCK_OP_RW);
	ck_assert_uint_eq(got.len, strlen(text));
	ck_assert_mem_eq(got.bytes, text, got.len);
}

static inline void expect_silence(void)
{
	struct vring_used_elem elem;

	rig_settle(&rig);
	ck_assert(!ring_reap(rx, &elem));
}

/* The host's half. */

static inline struct sockaddr_un address_of(const char *suffix)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s%s", path, suffix);
	return address;
}

/* Nobody waits for ever. */
static inline int with_patience(int fd)
{
	const struct timeval patience = { .tv_sec = RIG_PATIENCE_MS / 1000 };

	ck_assert_int_ge(fd, 0);
	ck_assert(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
	return fd;
}

static inline int call(void)
{
	struct sockaddr_un address = address_of("");
	int fd = with_patience(socket(AF_UNIX, SOCK_STREAM, 0));

	ck_assert(!connect(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

static inline int call_saying(const char *text)
{
	int fd = call();

	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static inline int listen_at_port(void)
{
	struct sockaddr_un address = address_of("_52");
	int fd = with_patience(socket(AF_UNIX, SOCK_STREAM, 0));

	ck_assert(!bind(fd, (struct sockaddr *)&address, sizeof(address)));
	ck_assert(!listen(fd, 2 * CONNS_MAX));
	return fd;
}

static inline void expect_text(int fd, const char *text)
{
	char bytes[64] = "";

	ck_assert_int_eq(recv(fd, bytes, strlen(text), MSG_WAITALL), strlen(text));
	ck_assert_str_eq(bytes, text);
}

static inline void expect_end(int fd)
{
	char byte;

	ck_assert_int_eq(read(fd, &byte, 1), 0);
}

/* Connections, the host's end being returned; ports are in got. */

static inline int open_from_host(void)
{
	char answer[32];
	int fd = call_saying("CONNECT 1000\n");

	expect(VIRTIO_VSOCK_OP_REQUEST);
	ck_assert_uint_eq(got.guest_port, GUEST_PORT);
	say(VIRTIO_VSOCK_OP_RESPONSE);
	snprintf(answer, sizeof(answer), "OK %u\n", got.host_port);
	expect_text(fd, answer);
	return fd;
}

static inline int open_from_guest(void)
{
	int fd, listener = listen_at_port();

	got.host_port = HOST_PORT;
	say(VIRTIO_VSOCK_OP_REQUEST);
	expect(VIRTIO_VSOCK_OP_RESPONSE);
	fd = with_patience(accept(listener, NULL, NULL));
	close(listener);
	return fd;
}

/* Until neither socket nor device takes more; returns how many bytes. */
static inline uint32_t fill(void)
{
	static uint8_t bytes[16 * 1024];
	struct vring_used_elem elem;
	uint32_t sent = 0;

	got.forwarded = 0;
	while (sent - got.forwarded < BUFFER_LEN) {
		uint32_t room = BUFFER_LEN - (sent - got.forwarded);
		uint32_t len = room < sizeof(bytes) ? room : sizeof(bytes);

		for (uint32_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)((sent + i) % 251);
		say_bytes(bytes, len);
		sent += len;
		rig_settle(&rig);
		while (ring_reap(rx, &elem)) {
			look_at(&elem);
			ck_assert_uint_eq(got.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
		}
	}
	return sent;
}

static inline void expect_filling(int fd, uint32_t len)
{
	for (uint32_t at = 0; at < len;) {
		uint8_t bytes[4096];
		ssize_t n = read(fd, bytes, sizeof(bytes));

		ck_assert_int_gt(n, 0);
		for (ssize_t i = 0; i < n; i++, at++)
			ck_assert_uint_eq(bytes[i], at % 251);
	}
}

static inline void setup(void)
{
	struct virtio_dev *dev;

	my_room = 256 * 1024;
	my_forwarded = 0;
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/sock", folder);
	rig_open(&rig, RIG_THREAD);
	ck_assert_int_eq(vsock_front_open(&front, path, rig.loop, NULL), 0);
	ck_assert_int_eq(virtio_vsock_new(&dev, front, CID, rig.mem, rig.loop, NULL), 0);
	rig_plug(&rig, dev);
	ck_assert(driver_find(&driver, &rig, VIRTIO_ID_VSOCK));
	rx = &driver.rings[0];
	tx = &driver.rings[1];
	start();
}

static inline void teardown(void)
{
	rig_unplug(&rig);
	front = vsock_front_close(front);
	rig_close(&rig);
	unlink(address_of("_52").sun_path);
	ck_assert(!rmdir(folder));
}

#endif
