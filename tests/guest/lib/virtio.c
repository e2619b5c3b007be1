// SPDX-License-Identifier: Apache-2.0
/*
 * virtio.c - the driver's half of virtio 1.2, sections 2.7 and 4.1.
 *
 * Only one processor drives a device here.
 */
#include "virtio.h"

#include "interrupt.h"
#include "machine.h"
#include "payload.h"
#include "pci.h"

#define ID_MODERN	0x10401af4	/* device 0x1040 + type, vendor */

#define CAP_COMMON	1
#define CAP_NOTIFY	2
#define CAP_DEVICE	4
#define CAP_NOTIFY_STRIDE 16

#define FEATURE_SELECT	0x00
#define FEATURE		0x04
#define ACCEPT_SELECT	0x08
#define ACCEPT		0x0c
#define CONFIG_VECTOR	0x10
#define STATUS		0x14
#define QUEUE_SELECT	0x16
#define QUEUE_SIZE	0x18
#define QUEUE_VECTOR	0x1a
#define QUEUE_ENABLE	0x1c
#define QUEUE_NOTIFY	0x1e
#define QUEUE_DESC	0x20
#define QUEUE_DRIVER	0x28
#define QUEUE_DEVICE	0x30

#define ACKNOWLEDGE	1
#define DRIVER		2
#define DRIVER_OK	4
#define FEATURES_OK	8

#define VERSION_1	32
#define NO_VECTOR	0xffff

#define DESC_NEXT	1
#define DESC_WRITE	2
#define NO_INTERRUPT	1

struct desc {
	uint64_t at;
	uint32_t len;
	uint16_t flags, next;
};

struct avail {
	uint16_t flags, idx, ring[VIRTIO_QUEUE_SIZE];
};

struct used {
	uint16_t flags, idx;
	struct { uint32_t id, len; } ring[VIRTIO_QUEUE_SIZE];
};

static _Alignas(16) struct desc descs[VIRTIO_QUEUE_SIZE];
static volatile struct avail avail;
static _Alignas(4) volatile struct used used;

static unsigned find(unsigned type)
{
	for (unsigned i = 0; i < PCI_PLACES; i++)
		if (read32(pci_at(pci_place(i), 0)) == ID_MODERN + (type << 16))
			return pci_place(i);
	fail("the device is on the PCI bus");
}

static unsigned find_block(unsigned slot, uint8_t type)
{
	unsigned cap = pci_next_capability(slot, 0, PCI_CAP_VENDOR);

	while (cap && read8(pci_at(slot, cap + 3)) != type)
		cap = pci_next_capability(slot, cap, PCI_CAP_VENDOR);
	return cap;
}

/* Where the capability's block of registers is, 0 when there is none. */
static uint64_t block(unsigned slot, uint8_t type)
{
	unsigned cap = find_block(slot, type);

	if (!cap)
		return 0;
	return pci_bar(slot, read8(pci_at(slot, cap + 4))) + read32(pci_at(slot, cap + 8));
}

/* The address at which the driver's queue is notified, section 4.1.4.4. */
static uint64_t notify_address(const struct virtio *v)
{
	unsigned cap = find_block(v->slot, CAP_NOTIFY);

	return block(v->slot, CAP_NOTIFY) +
	       read16(v->common + QUEUE_NOTIFY) * read32(pci_at(v->slot, cap + CAP_NOTIFY_STRIDE));
}

static void accept(const struct virtio *v, uint64_t features)
{
	for (unsigned half = 0; half < 2; half++) {
		uint32_t wanted = (uint32_t)(features >> 32 * half);

		write32(v->common + FEATURE_SELECT, half);
		expect_eq(read32(v->common + FEATURE) & wanted, wanted,
			  "the device offers the features");
		write32(v->common + ACCEPT_SELECT, half);
		write32(v->common + ACCEPT, wanted);
	}
}

static void set_up_queue(struct virtio *v)
{
	uint16_t entry = v->vector == VIRTIO_POLL ? NO_VECTOR : 0;

	descs[0] = (struct desc){ 0 };
	avail.idx = 0;
	avail.flags = v->vector == VIRTIO_POLL ? NO_INTERRUPT : 0;
	used.idx = 0;
	write16(v->common + QUEUE_SELECT, (uint16_t)v->queue);
	v->notify = notify_address(v);
	write16(v->common + QUEUE_SIZE, VIRTIO_QUEUE_SIZE);
	write16(v->common + CONFIG_VECTOR, NO_VECTOR);
	write16(v->common + QUEUE_VECTOR, entry);
	expect_eq(read16(v->common + QUEUE_VECTOR), entry, "the device takes the vector");
	write32(v->common + QUEUE_DESC, (uint32_t)(uint64_t)descs);
	write32(v->common + QUEUE_DESC + 4, 0);
	write32(v->common + QUEUE_DRIVER, (uint32_t)(uint64_t)&avail);
	write32(v->common + QUEUE_DRIVER + 4, 0);
	write32(v->common + QUEUE_DEVICE, (uint32_t)(uint64_t)&used);
	write32(v->common + QUEUE_DEVICE + 4, 0);
	write16(v->common + QUEUE_ENABLE, 1);
}

void virtio_open_queue(struct virtio *v, unsigned type, unsigned queue, unsigned vector,
		       uint64_t features)
{
	*v = (struct virtio){ .slot = find(type), .queue = queue, .vector = vector };
	write16(pci_at(v->slot, PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	v->common = block(v->slot, CAP_COMMON);
	v->config = block(v->slot, CAP_DEVICE);
	expect(v->common && find_block(v->slot, CAP_NOTIFY), "the device has its registers");

	write8(v->common + STATUS, 0);
	write8(v->common + STATUS, ACKNOWLEDGE | DRIVER);
	accept(v, features | UINT64_C(1) << VERSION_1);
	write8(v->common + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	expect(read8(v->common + STATUS) & FEATURES_OK, "the device agrees to the features");
	if (vector != VIRTIO_POLL)
		pci_enable_message(v->slot, v->vector);
	set_up_queue(v);
	write8(v->common + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	expect_eq(read8(v->common + STATUS), ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK,
		  "the device is ready");
}

static void wait(struct virtio *v)
{
	v->nr_done++;
	if (v->vector != VIRTIO_POLL)
		interrupt_wait(v->vector, v->nr_done);
	while (used.idx != (uint16_t)v->nr_done)
		relax();
	ordered();
}

uint32_t virtio_request(struct virtio *v, const struct virtio_part *parts,
			unsigned nr_out, unsigned nr_in)
{
	unsigned nr = nr_out + nr_in;

	for (unsigned i = 0; i < nr; i++)
		descs[i] = (struct desc){
			.at = (uint64_t)parts[i].at,
			.len = parts[i].len,
			.flags = (uint16_t)((i < nr_out ? 0 : DESC_WRITE) |
					    (i + 1 < nr ? DESC_NEXT : 0)),
			.next = (uint16_t)(i + 1),
		};
	avail.ring[avail.idx % VIRTIO_QUEUE_SIZE] = 0;
	ordered();
	avail.idx++;
	ordered();
	write16(v->notify, (uint16_t)v->queue);
	wait(v);
	return used.ring[(uint16_t)(used.idx - 1) % VIRTIO_QUEUE_SIZE].len;
}

uint8_t virtio_blk(struct virtio *v, uint32_t type, uint64_t sector, void *data,
		   uint32_t len)
{
	struct { uint32_t type, reserved; uint64_t sector; } header = { type, 0, sector };
	uint8_t status = 0xff;
	bool out = type == VIRTIO_BLK_WRITE;
	struct virtio_part parts[3] = { { &header, sizeof(header) } };
	unsigned nr = 1;

	if (len)
		parts[nr++] = (struct virtio_part){ data, len };
	parts[nr] = (struct virtio_part){ &status, 1 };
	virtio_request(v, parts, out ? nr : 1, out ? 1 : nr);
	return *(volatile uint8_t *)&status;
}
