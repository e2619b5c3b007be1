// SPDX-License-Identifier: Apache-2.0
#include "guest_driver.h"

#include "rig.h"

#include <endian.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#define VENDOR_VIRTIO	0x1af4
#define DEVICE_MODERN	0x1040
#define NR_SLOTS	32
#define FUNCTION_LEN	0x1000		/* of ECAM */
#define SLOT_LEN	(8 * FUNCTION_LEN)

/* Where a ring's three parts lie within its share of RAM. */
#define RING_SHARE	0x8000
#define AVAIL_OFF	0x4000
#define USED_OFF	0x5000

#define MSI_ADDR	0xfee00000
#define MSI_DATA	0x40		/* plus the vector */
#define VECTOR_CONFIG	0
#define VECTOR_QUEUE(n)	(1 + (n))

/* Registers. */

uint32_t driver_pci_read(struct driver *driver, unsigned reg, unsigned size)
{
	return (uint32_t)rig_read(driver->rig, driver->config_at + reg, size);
}

void driver_pci_write(struct driver *driver, unsigned reg, unsigned size, uint32_t value)
{
	rig_write(driver->rig, driver->config_at + reg, size, value);
}

uint64_t driver_get(struct driver *driver, unsigned off, unsigned size)
{
	return rig_read(driver->rig, driver->common + off, size);
}

void driver_set(struct driver *driver, unsigned off, unsigned size, uint64_t value)
{
	rig_write(driver->rig, driver->common + off, size, value);
}

uint8_t driver_status(struct driver *driver)
{
	return (uint8_t)driver_get(driver, VIRTIO_PCI_COMMON_STATUS, 1);
}

void driver_set_status(struct driver *driver, uint8_t status)
{
	driver_set(driver, VIRTIO_PCI_COMMON_STATUS, 1, status);
}

uint64_t driver_config(struct driver *driver, unsigned off, unsigned size)
{
	return rig_read(driver->rig, driver->device + off, size);
}

void driver_set_config(struct driver *driver, unsigned off, unsigned size, uint64_t value)
{
	rig_write(driver->rig, driver->device + off, size, value);
}

static void point_window(struct driver *driver, uint64_t at, unsigned size)
{
	unsigned cap = driver->window_cap;

	driver_pci_write(driver, cap + VIRTIO_PCI_CAP_BAR, 1, 0);
	driver_pci_write(driver, cap + VIRTIO_PCI_CAP_OFFSET, 4,
			 (uint32_t)(at - driver->bar));
	driver_pci_write(driver, cap + VIRTIO_PCI_CAP_LENGTH, 4, size);
}

uint32_t driver_window_read(struct driver *driver, uint64_t at, unsigned size)
{
	point_window(driver, at, size);
	return driver_pci_read(driver, driver->window_cap + sizeof(struct virtio_pci_cap),
			       size);
}

void driver_window_write(struct driver *driver, uint64_t at, unsigned size,
			 uint32_t value)
{
	point_window(driver, at, size);
	driver_pci_write(driver, driver->window_cap + sizeof(struct virtio_pci_cap), size,
			 value);
}

/* Finding the device. */

static void note_virtio_cap(struct driver *driver, unsigned cap)
{
	uint64_t at = driver->bar + driver_pci_read(driver, cap + VIRTIO_PCI_CAP_OFFSET, 4);

	switch (driver_pci_read(driver, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		driver->common = at;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		driver->notify = at;
		driver->notify_multiplier =
			driver_pci_read(driver, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		driver->device = at;
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		driver->window_cap = cap;
		break;
	}
}

static void note_msix_cap(struct driver *driver, unsigned cap)
{
	driver->msix_cap = cap;
	driver->nr_vectors = 1 + (driver_pci_read(driver, cap + PCI_MSIX_FLAGS, 2) &
				  PCI_MSIX_FLAGS_QSIZE);
	driver->msix_table = driver->bar + driver_pci_read(driver, cap + PCI_MSIX_TABLE, 4);
	driver->msix_pba = driver->bar + driver_pci_read(driver, cap + PCI_MSIX_PBA, 4);
}

static void walk_capabilities(struct driver *driver)
{
	unsigned cap = driver_pci_read(driver, PCI_CAPABILITY_LIST, 1);

	driver->bar = driver_pci_read(driver, PCI_BASE_ADDRESS_0, 4) &
		      (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	while (cap) {
		unsigned id = driver_pci_read(driver, cap, 1);

		if (id == PCI_CAP_ID_VNDR)
			note_virtio_cap(driver, cap);
		else if (id == PCI_CAP_ID_MSIX)
			note_msix_cap(driver, cap);
		cap = driver_pci_read(driver, cap + 1, 1);
	}
}

bool driver_find(struct driver *driver, struct rig *rig, unsigned type)
{
	*driver = (struct driver){ .rig = rig };
	for (unsigned slot = 0; slot < NR_SLOTS; slot++) {
		driver->config_at = RIG_ECAM_AT + (uint64_t)slot * SLOT_LEN;
		if (driver_pci_read(driver, PCI_VENDOR_ID, 2) != VENDOR_VIRTIO ||
		    driver_pci_read(driver, PCI_DEVICE_ID, 2) != DEVICE_MODERN + type)
			continue;
		walk_capabilities(driver);
		driver_pci_write(driver, PCI_COMMAND, 2,
				 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		return true;
	}
	return false;
}

void driver_move_bar(struct driver *driver, uint32_t at)
{
	driver_pci_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	driver_pci_write(driver, PCI_BASE_ADDRESS_0, 4, at);
	driver_pci_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	walk_capabilities(driver);
	for (unsigned i = 0; i < DRIVER_RINGS_MAX; i++)
		driver->rings[i].kick_at =
			driver->notify + (uint64_t)i * driver->notify_multiplier;
}

/* Start-up. */

void driver_reset(struct driver *driver)
{
	driver_set_status(driver, 0);
}

uint64_t driver_offered(struct driver *driver)
{
	uint64_t low;

	driver_set(driver, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	low = driver_get(driver, VIRTIO_PCI_COMMON_DF, 4);
	driver_set(driver, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	return low | driver_get(driver, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

void driver_accept(struct driver *driver, uint64_t features)
{
	driver->features = features;
	driver_set(driver, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	driver_set(driver, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)features);
	driver_set(driver, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	driver_set(driver, VIRTIO_PCI_COMMON_GF, 4, features >> 32);
}

bool driver_negotiate(struct driver *driver, uint64_t features)
{
	driver_set_status(driver, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	driver_set_status(driver, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	driver_accept(driver, features);
	driver_set_status(driver, DRIVER_NEGOTIATED);
	return driver_status(driver) & VIRTIO_CONFIG_S_FEATURES_OK;
}

void driver_enable_msix(struct driver *driver)
{
	driver_pci_write(driver, driver->msix_cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned v = 0; v < driver->nr_vectors; v++) {
		uint64_t entry = driver->msix_table + (uint64_t)v * PCI_MSIX_ENTRY_SIZE;

		rig_write(driver->rig, entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4, MSI_ADDR);
		rig_write(driver->rig, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 4, 0);
		rig_write(driver->rig, entry + PCI_MSIX_ENTRY_DATA, 4, MSI_DATA + v);
		rig_write(driver->rig, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	}
	driver->config_message = MSI_DATA + VECTOR_CONFIG;
	driver_set(driver, VIRTIO_PCI_COMMON_MSIX, 2, VECTOR_CONFIG);
}

static void set_address(struct driver *driver, unsigned off, uint64_t at)
{
	driver_set(driver, off, 4, (uint32_t)at);
	driver_set(driver, off + 4, 4, at >> 32);
}

static void init_ring(struct ring *ring, struct driver *driver, unsigned index,
		      uint16_t size)
{
	uint64_t at = (uint64_t)index * RING_SHARE;
	size_t extra = sizeof(uint16_t);	/* used_event, avail_event */
	uint16_t off = (uint16_t)driver_get(driver, VIRTIO_PCI_COMMON_Q_NOFF, 2);

	*ring = (struct ring){
		.driver = driver, .index = index, .size = size, .nr_free = size,
		.desc_at = at, .avail_at = at + AVAIL_OFF, .used_at = at + USED_OFF,
		.kick_at = driver->notify + (uint64_t)off * driver->notify_multiplier,
		.message = MSI_DATA + VECTOR_QUEUE(index),
		.event_idx = driver->features >> VIRTIO_RING_F_EVENT_IDX & 1,
	};
	memset(rig_ram(driver->rig, at, RING_SHARE), 0, RING_SHARE);
	ring->desc = rig_ram(driver->rig, ring->desc_at, size * sizeof(*ring->desc));
	ring->avail = rig_ram(driver->rig, ring->avail_at,
			      sizeof(*ring->avail) + size * sizeof(uint16_t) + extra);
	ring->used = rig_ram(driver->rig, ring->used_at,
			     sizeof(*ring->used) + size * sizeof(*ring->used->ring) + extra);
	for (uint16_t i = 0; i < size; i++)
		ring->next[i] = (uint16_t)(i + 1);
}

void driver_add_ring(struct driver *driver, unsigned index, uint16_t size)
{
	struct ring *ring = &driver->rings[index];

	driver_set(driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	init_ring(ring, driver, index, size);
	driver_set(driver, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	driver_set(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, VECTOR_QUEUE(index));
	set_address(driver, VIRTIO_PCI_COMMON_Q_DESCLO, ring->desc_at);
	set_address(driver, VIRTIO_PCI_COMMON_Q_AVAILLO, ring->avail_at);
	set_address(driver, VIRTIO_PCI_COMMON_Q_USEDLO, ring->used_at);
	driver_set(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

bool driver_start(struct driver *driver, uint64_t features, uint16_t size)
{
	unsigned nr_queues = (unsigned)driver_get(driver, VIRTIO_PCI_COMMON_NUMQ, 2);

	driver_reset(driver);
	if (!driver_negotiate(driver, features | UINT64_C(1) << VIRTIO_F_VERSION_1))
		return false;
	driver_enable_msix(driver);
	for (unsigned i = 0; i < nr_queues; i++) {
		driver_set(driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		driver_add_ring(driver, i, size ? size :
				(uint16_t)driver_get(driver, VIRTIO_PCI_COMMON_Q_SIZE, 2));
	}
	driver_set_status(driver, DRIVER_READY);
	return driver_status(driver) == DRIVER_READY;
}

bool driver_must_reset(struct driver *driver)
{
	return rig_wait_interrupts(driver->rig, driver->config_message) == 1 &&
	       driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/*
 * Rings.  Indices, flags and events are stored and loaded in one order that all
 * agree on, where a guest's driver has full barriers.
 */

static uint16_t load16(const uint16_t *from)
{
	return le16toh(__atomic_load_n(from, __ATOMIC_SEQ_CST));
}

static void store16(uint16_t *to, uint16_t value)
{
	__atomic_store_n(to, htole16(value), __ATOMIC_SEQ_CST);
}

static uint16_t *avail_event(struct ring *ring)
{
	return (uint16_t *)(void *)&ring->used->ring[ring->size];
}

void ring_write(struct ring *ring, uint16_t index, uint64_t at, uint32_t len,
		uint16_t flags, uint16_t next)
{
	ring->desc[index] = (struct vring_desc){
		.addr = htole64(at), .len = htole32(len),
		.flags = htole16(flags), .next = htole16(next),
	};
}

void ring_offer(struct ring *ring, uint16_t head)
{
	store16(&ring->avail->ring[ring->next_avail % ring->size], head);
	ring_set_avail_idx(ring, (uint16_t)(ring->next_avail + 1));
}

void ring_set_avail_idx(struct ring *ring, uint16_t idx)
{
	ring->next_avail = idx;
	store16(&ring->avail->idx, idx);
}

static uint16_t flags_of(const struct buffer *buffer, bool last)
{
	return (uint16_t)((buffer->writable ? VRING_DESC_F_WRITE : 0) |
			  (last ? 0 : VRING_DESC_F_NEXT));
}

/* The first nr of the free list; they stay linked through next[]. */
static uint16_t take(struct ring *ring, unsigned nr)
{
	uint16_t head = ring->free;

	for (unsigned i = 0; i < nr; i++)
		ring->free = ring->next[ring->free];
	ring->nr_free = (uint16_t)(ring->nr_free - nr);
	ring->chain_len[head] = (uint16_t)nr;
	return head;
}

static void give_back(struct ring *ring, uint16_t head)
{
	uint16_t last = head;

	for (unsigned i = 1; i < ring->chain_len[head]; i++)
		last = ring->next[last];
	ring->next[last] = ring->free;
	ring->free = head;
	ring->nr_free = (uint16_t)(ring->nr_free + ring->chain_len[head]);
	ring->chain_len[head] = 0;
}

bool ring_send(struct ring *ring, const struct buffer *buffers, unsigned nr)
{
	uint16_t head, at;

	if (nr > ring->nr_free)
		return false;
	head = at = take(ring, nr);
	for (unsigned i = 0; i < nr; i++, at = ring->next[at])
		ring_write(ring, at, buffers[i].at, buffers[i].len,
			   flags_of(&buffers[i], i == nr - 1), ring->next[at]);
	ring_offer(ring, head);
	return true;
}

bool ring_send_indirect(struct ring *ring, uint64_t table, const struct buffer *buffers,
			unsigned nr)
{
	uint32_t len = (uint32_t)(nr * sizeof(struct vring_desc));
	struct vring_desc *desc = rig_ram(ring->driver->rig, table, len);
	uint16_t head;

	if (!ring->nr_free)
		return false;
	for (unsigned i = 0; i < nr; i++)
		desc[i] = (struct vring_desc){
			.addr = htole64(buffers[i].at), .len = htole32(buffers[i].len),
			.flags = htole16(flags_of(&buffers[i], i == nr - 1)),
			.next = htole16((uint16_t)(i + 1)),
		};
	head = take(ring, 1);
	ring_write(ring, head, table, len, VRING_DESC_F_INDIRECT, 0);
	ring_offer(ring, head);
	return true;
}

void ring_kick(struct ring *ring)
{
	ring->kicked = ring->next_avail;
	rig_write(ring->driver->rig, ring->kick_at, 2, ring->index);
}

bool ring_notify(struct ring *ring)
{
	uint16_t old = ring->kicked;

	if (ring->event_idx ?
	    !vring_need_event(ring_avail_event(ring), ring->next_avail, old) :
	    ring_used_flags(ring) & VRING_USED_F_NO_NOTIFY) {
		ring->kicked = ring->next_avail;
		return false;
	}
	ring_kick(ring);
	return true;
}

bool ring_reap(struct ring *ring, struct vring_used_elem *ret_elem)
{
	struct vring_used_elem elem;

	if (ring_used_idx(ring) == ring->last_used)
		return false;
	elem = ring->used->ring[ring->last_used % ring->size];
	ring->last_used++;
	ret_elem->id = le32toh(elem.id);
	ret_elem->len = le32toh(elem.len);
	if (ret_elem->id < ring->size && ring->chain_len[ret_elem->id])
		give_back(ring, (uint16_t)ret_elem->id);
	return true;
}

bool ring_wait(struct ring *ring, struct vring_used_elem *ret_elem)
{
	for (;;) {
		if (ring_reap(ring, ret_elem))
			return true;
		/* Ask for the next one, then look again before going to sleep. */
		ring_set_used_event(ring, ring->last_used);
		if (ring_reap(ring, ret_elem))
			return true;
		if (!rig_wait_interrupts(ring->driver->rig, ring->message))
			return ring_reap(ring, ret_elem);
	}
}

void ring_set_used_event(struct ring *ring, uint16_t used)
{
	if (ring->event_idx)
		store16(&ring->avail->ring[ring->size], used);
}

uint16_t ring_used_idx(struct ring *ring)
{
	return load16(&ring->used->idx);
}

uint16_t ring_used_flags(struct ring *ring)
{
	return load16(&ring->used->flags);
}

uint16_t ring_avail_event(struct ring *ring)
{
	return load16(avail_event(ring));
}
