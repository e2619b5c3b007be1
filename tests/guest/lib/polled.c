// SPDX-License-Identifier: Apache-2.0
#include "polled.h"

#include "payload.h"
#include "pci.h"

#define ID_MODERN	0x10401af4	/* device 0x1040 + type, vendor */
#define BAR_ROOM	0x00100000
#define BARS		6

/* virtio 1.2: capabilities in section 4.1.4, registers in 4.1.4.3. */
#define CAP_COMMON	1
#define CAP_NOTIFY	2
#define CAP_DEVICE	4
#define CAP_NOTIFY_STRIDE 16
#define FEATURE_SELECT	0x00
#define FEATURE		0x04
#define ACCEPT_SELECT	0x08
#define ACCEPT		0x0c
#define STATUS		0x14
#define QUEUE_SELECT	0x16
#define QUEUE_SIZE	0x18
#define QUEUE_ENABLE	0x1c
#define QUEUE_NOTIFY	0x1e
#define QUEUE_DESC	0x20
#define QUEUE_DRIVER	0x28
#define QUEUE_DEVICE	0x30

#define READY		0x0f		/* acknowledge, driver, features, driver ok */
#define EVENT_IDX	(UINT64_C(1) << 29)
#define VERSION_1	(UINT64_C(1) << 32)

static unsigned find(unsigned type)
{
	for (unsigned i = 0; i < PCI_PLACES; i++)
		if (read32(pci_at(pci_place(i), 0)) == ID_MODERN + (type << 16))
			return pci_place(i);
	fail("the device is on the PCI bus");
}

/* A 64-bit BAR is followed by its upper half, which reads zero in the type bits. */
static void place_bars(unsigned slot)
{
	write16(pci_at(slot, PCI_COMMAND), 0);
	for (unsigned i = 0; i < BARS; i++) {
		uint64_t bar = pci_at(slot, PCI_BAR0 + 4 * i);

		write32(bar, MACHINE_BARS_AT + i * BAR_ROOM);
		if (!(read32(bar) & 4))
			continue;
		write32(bar + 4, 0);
		i++;
	}
	write16(pci_at(slot, PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static unsigned capability(unsigned slot, uint8_t type)
{
	unsigned cap = pci_next_capability(slot, 0, PCI_CAP_VENDOR);

	while (cap && read8(pci_at(slot, cap + 3)) != type)
		cap = pci_next_capability(slot, cap, PCI_CAP_VENDOR);
	expect(cap, "the device has its capabilities");
	return cap;
}

static uint64_t registers(unsigned slot, uint8_t type)
{
	unsigned cap = capability(slot, type), bar = read8(pci_at(slot, cap + 4));

	return (read32(pci_at(slot, PCI_BAR0 + 4 * bar)) & ~UINT32_C(0xf)) +
	       read32(pci_at(slot, cap + 8));
}

static void write_address(uint64_t reg, const volatile void *at)
{
	write32(reg, (uint32_t)(uint64_t)at);
	write32(reg + 4, 0);
}

void polled_open(struct polled_device *device, unsigned type, uint64_t features)
{
	uint64_t common, wanted = features | EVENT_IDX | VERSION_1;
	unsigned slot = find(type);

	place_bars(slot);
	common = registers(slot, CAP_COMMON);
	*device = (struct polled_device){ slot, common, registers(slot, CAP_DEVICE) };
	write8(common + STATUS, 0);
	write8(common + STATUS, 3);
	for (unsigned half = 0; half < 2; half++) {
		uint32_t bits = (uint32_t)(wanted >> 32 * half);

		write32(common + FEATURE_SELECT, half);
		expect_eq(read32(common + FEATURE) & bits, bits, "the features are there");
		write32(common + ACCEPT_SELECT, half);
		write32(common + ACCEPT, bits);
	}
	write8(common + STATUS, 3 | 8);
}

void polled_add(struct polled_device *device, unsigned index, struct polled_queue *queue)
{
	unsigned slot = device->slot, cap = capability(slot, CAP_NOTIFY);
	uint64_t common = device->common;

	write16(common + QUEUE_SELECT, (uint16_t)index);
	write16(common + QUEUE_SIZE, POLLED_SIZE);
	write_address(common + QUEUE_DESC, queue->ring);
	write_address(common + QUEUE_DRIVER, &queue->avail);
	write_address(common + QUEUE_DEVICE, &queue->used);
	write16(common + QUEUE_ENABLE, 1);
	queue->notify = registers(slot, CAP_NOTIFY) + read16(common + QUEUE_NOTIFY) *
			read32(pci_at(slot, cap + CAP_NOTIFY_STRIDE));
	queue->avail.used_event = UINT16_MAX;
}

void polled_ready(struct polled_device *device)
{
	write8(device->common + STATUS, READY);
	expect_eq(read8(device->common + STATUS), READY, "the device is ready");
}

void polled_linger(uint64_t ticks)
{
	uint64_t end = machine_ticks() + ticks;

	while (machine_ticks() < end)
		relax();
}

/* Section 2.7.10.2. */
void polled_kick(struct polled_queue *q)
{
	uint16_t old = q->kicked, new = q->avail.idx;

	q->kicked = new;
	ordered_with_loads();
	if (new == old || (uint16_t)(new - q->used.avail_event - 1) >= (uint16_t)(new - old))
		return;
	q->nr_kicks++;
	write16(q->notify, 0);
}
