/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_driver.h - the guest's half of virtio over PCI, as a library.
 *
 * It reaches the device as a guest does: by accesses to addresses and by what
 * it writes into RAM.  Three levels, each made of the one above:
 *
 *   registers   driver_get(), driver_set(), ring_write(): anything at all, so
 *               that a test can break any rule
 *   rings       ring_send(), ring_kick(), ring_wait(): a driver that behaves
 *   start-up    driver_start(): section 3.1.1 from reset to DRIVER_OK
 *
 * Register offsets are those of <linux/virtio_pci.h>.  One thread at a time per
 * driver; rings of one driver may each have a thread.
 */
#ifndef TESTS_DEVICE_GUEST_DRIVER_H
#define TESTS_DEVICE_GUEST_DRIVER_H

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

struct rig;
struct driver;

#define DRIVER_RINGS_MAX	5
#define DRIVER_RING_MAX		1024	/* descriptors */

/* RAM below belongs to the rings; tests put their buffers at or above. */
#define DRIVER_FREE_AT		UINT64_C(0x28000)

#define DRIVER_CORE_FEATURES						\
	(UINT64_C(1) << VIRTIO_F_VERSION_1 |				\
	 UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC |			\
	 UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX)

/* Status of a driver before and after DRIVER_OK. */
#define DRIVER_NEGOTIATED						\
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |		\
	 VIRTIO_CONFIG_S_FEATURES_OK)
#define DRIVER_READY	(DRIVER_NEGOTIATED | VIRTIO_CONFIG_S_DRIVER_OK)

struct buffer {
	uint64_t at;
	uint32_t len;
	bool writable;			/* by the device */
};

struct ring {
	struct driver *driver;
	unsigned index;
	uint16_t size;
	bool event_idx;
	uint64_t desc_at, avail_at, used_at;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint64_t kick_at;		/* notification register */
	uint32_t message;		/* its MSI data */

	uint16_t next_avail, last_used;
	uint16_t kicked;		/* next_avail at the last notify */
	uint16_t free, nr_free;
	uint16_t next[DRIVER_RING_MAX];	/* of the free list and within chains */
	uint16_t chain_len[DRIVER_RING_MAX];	/* by head */
};

struct driver {
	struct rig *rig;
	uint64_t config_at;		/* of configuration space, in ECAM */
	uint64_t bar;			/* address of BAR 0 */
	uint64_t common, notify, device, msix_table, msix_pba;
	uint32_t notify_multiplier;
	unsigned msix_cap, window_cap;	/* offsets; 0: no such capability */
	unsigned nr_vectors;
	uint32_t config_message;	/* MSI data */
	uint64_t features;		/* accepted last */
	struct ring rings[DRIVER_RINGS_MAX];
};

/* Find the function of this virtio device type on the bus; false if none is there. */
bool driver_find(struct driver *driver, struct rig *rig, unsigned type);

/* Configuration space of the function. */
uint32_t driver_pci_read(struct driver *driver, unsigned reg, unsigned size);
void driver_pci_write(struct driver *driver, unsigned reg, unsigned size, uint32_t value);

/* Move BAR 0 as an operating system would: off, written, on. */
void driver_move_bar(struct driver *driver, uint32_t at);

/* The common configuration structure. */
uint64_t driver_get(struct driver *driver, unsigned off, unsigned size);
void driver_set(struct driver *driver, unsigned off, unsigned size, uint64_t value);
uint8_t driver_status(struct driver *driver);
void driver_set_status(struct driver *driver, uint8_t status);

/* The device-specific configuration structure. */
uint64_t driver_config(struct driver *driver, unsigned off, unsigned size);
void driver_set_config(struct driver *driver, unsigned off, unsigned size, uint64_t value);

/* The same registers by way of the PCI configuration access capability. */
uint32_t driver_window_read(struct driver *driver, uint64_t at, unsigned size);
void driver_window_write(struct driver *driver, uint64_t at, unsigned size,
			 uint32_t value);

/* Start-up, step by step; driver_start() is all of it. */
void driver_reset(struct driver *driver);
uint64_t driver_offered(struct driver *driver);
void driver_accept(struct driver *driver, uint64_t features);
bool driver_negotiate(struct driver *driver, uint64_t features);
void driver_enable_msix(struct driver *driver);

/* Lay the ring out in RAM, tell the device and enable the queue. */
void driver_add_ring(struct driver *driver, unsigned index, uint16_t size);

/* VERSION_1 is added to features, size 0 means the device's; false if refused. */
bool driver_start(struct driver *driver, uint64_t features, uint16_t size);

/* Did the device ask for a reset, by status and by interrupt?  Waits for it. */
bool driver_must_reset(struct driver *driver);

/* One descriptor, whatever it is. */
void ring_write(struct ring *ring, uint16_t index, uint64_t at, uint32_t len,
		uint16_t flags, uint16_t next);

/* Put head into the next place and make it available. */
void ring_offer(struct ring *ring, uint16_t head);

/* Make available all before this index, whatever the ring says there. */
void ring_set_avail_idx(struct ring *ring, uint16_t idx);

/* A chain that is well-formed; false when descriptors have run out. */
bool ring_send(struct ring *ring, const struct buffer *buffers, unsigned nr);

/* The same through an indirect table at this address. */
bool ring_send_indirect(struct ring *ring, uint64_t table, const struct buffer *buffers,
			unsigned nr);

/* Tell the device, or only if it asked to be told.  Returns whether it did. */
void ring_kick(struct ring *ring);
bool ring_notify(struct ring *ring);

/* Take what the device gave back, if anything. */
bool ring_reap(struct ring *ring, struct vring_used_elem *ret_elem);

/* Wait for that; false when nothing came. */
bool ring_wait(struct ring *ring, struct vring_used_elem *ret_elem);

/* Interrupt me when this many have been given back in all (EVENT_IDX). */
void ring_set_used_event(struct ring *ring, uint16_t used);

uint16_t ring_used_idx(struct ring *ring);
uint16_t ring_used_flags(struct ring *ring);
uint16_t ring_avail_event(struct ring *ring);

#endif
