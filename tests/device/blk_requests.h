/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_requests.h - a rig with a block device, and requests as a guest lays them
 * out.  The tests that include it, each once, bring the disk.
 */
#ifndef TESTS_DEVICE_BLK_REQUESTS_H
#define TESTS_DEVICE_BLK_REQUESTS_H

#include "devices/virtio/virtio_blk.h"
#include "guest_driver.h"
#include "rig.h"

#include <check.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <string.h>

#define SECTOR		512
#define NR_SECTORS	UINT64_C(256)
#define DISK_LEN	(NR_SECTORS * SECTOR)
#define SERIAL		"disk-1"
#define RING_SIZE	256
#define NR_QUEUES	2
#define SECONDS_MAX	60

#define HEADER_LEN	16
#define HEADERS_AT	DRIVER_FREE_AT			/* by request */
#define STATUSES_AT	(HEADERS_AT + RING_SIZE * HEADER_LEN)
#define TABLES_AT	(STATUSES_AT + RING_SIZE)
#define TABLE_LEN	UINT64_C(64)
#define DATA_AT		RIG_SEAM

#define NO_STATUS	0xee				/* until the device writes one */

static struct rig rig;
static struct driver driver;
static struct ring *ring;
static struct vring_used_elem elem;

static inline void open_device(struct disk *disk)
{
	struct virtio_dev *dev;

	ck_assert_int_eq(virtio_blk_new(&dev, disk, SERIAL, NR_QUEUES, rig.mem, NULL), 0);
	rig_plug(&rig, dev);
	ck_assert(driver_find(&driver, &rig, VIRTIO_ID_BLOCK));
	ring = &driver.rings[0];
}

static inline void start(uint64_t features)
{
	ck_assert(driver_start(&driver, features, RING_SIZE));
}

static inline void write_header(unsigned slot, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *header =
		rig_ram(&rig, HEADERS_AT + slot * UINT64_C(16), HEADER_LEN);

	*header = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*(uint8_t *)rig_ram(&rig, STATUSES_AT + slot, 1) = NO_STATUS;
}

static inline uint8_t status_of(unsigned slot)
{
	return *(uint8_t *)rig_ram(&rig, STATUSES_AT + slot, 1);
}

/* Send header 0 with these buffers, wait, and return the status. */
static inline uint8_t do_chain(const struct buffer *buffers, unsigned nr)
{
	ck_assert(ring_send(ring, buffers, nr));
	ring_kick(ring);
	ck_assert(ring_wait(ring, &elem));
	return status_of(0);
}

/* The usual layout: header, data, status, each in a descriptor of its own. */
static inline uint8_t do_request(uint32_t type, uint64_t sector, uint32_t len)
{
	const struct buffer buffers[] = {
		{ HEADERS_AT, HEADER_LEN, false },
		{ DATA_AT, len, type != VIRTIO_BLK_T_OUT },
		{ STATUSES_AT, 1, true },
	};

	write_header(0, type, sector);
	return do_chain(buffers, ARRAY_LEN(buffers));
}

/* One of many, by an indirect table; data of slot i lies i sectors on. */
static inline void send_slot(unsigned slot, uint32_t type, uint64_t sector)
{
	const struct buffer buffers[] = {
		{ HEADERS_AT + slot * UINT64_C(16), HEADER_LEN, false },
		{ DATA_AT + slot * UINT64_C(512), SECTOR, type != VIRTIO_BLK_T_OUT },
		{ STATUSES_AT + slot, 1, true },
	};

	write_header(slot, type, sector);
	ck_assert(ring_send_indirect(ring, TABLES_AT + slot * TABLE_LEN, buffers,
				     ARRAY_LEN(buffers)));
}

static inline void *data(uint64_t off, size_t len)
{
	return rig_ram(&rig, DATA_AT + off, len);
}

#endif
