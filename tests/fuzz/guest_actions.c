// SPDX-License-Identifier: Apache-2.0
#include "guest_actions.h"

#include "base/bytes.h"
#include "device/guest_driver.h"
#include "device/rig.h"
#include "memory/guest_mem.h"

#include <linux/pci_regs.h>
#include <stdlib.h>

#define STEP_LEN	16
#define BAR_LEN		0x8000u
#define COMMON_LEN	0x40u

#define HEADER_AT	DRIVER_FREE_AT
#define HEADER_LEN	16u
#define STATUS_AT	(HEADER_AT + HEADER_LEN)
#define TABLE_AT	(HEADER_AT + 0x1000)
#define TABLE_SIZE	256u			/* descriptors */
#define DATA_AT		(HEADER_AT + 0x2000)
#define DATA_MAX	0x2000u

enum action {
	COMMON_WRITE,
	BAR_ACCESS,
	CONFIG_ACCESS,
	MEMORY_WRITE,
	DESCRIPTOR,
	TABLE_ENTRY,
	RING_ENTRY,
	RING_INDEX,
	OFFER,
	REQUEST,
	INDIRECT_REQUEST,
	KICK,
	SETTLE,
	RESTART,
	POKE,
	NR_ACTIONS,
};

struct step {
	uint8_t what, ring;
	uint16_t a;
	uint32_t b, c, d;
};

struct guest {
	struct rig *rig;
	struct driver driver;
	uint32_t bar;
	void (*poke)(uint32_t what, uint32_t value);
};

struct rig *guest_actions_rig(void)
{
	static struct rig rig;

	if (!rig.loop)
		rig_open(&rig, RIG_INLINE);
	else
		rig_clear_ram(&rig);
	return &rig;
}

/* Mostly RAM; else the seam, the other region, or anywhere at all. */
static uint64_t address(uint32_t pick, uint32_t more)
{
	switch (pick >> 28) {
	case 15:
		return (uint64_t)pick << 32 | more;
	case 14:
		return RIG_SEAM - pick % 64;
	case 13:
		return RIG_HIGH_AT + pick % RIG_HIGH_LEN;
	case 12:
		return RIG_RAM_LEN - pick % 64;
	default:
		return pick % RIG_RAM_LEN;
	}
}

static void access_address(struct rig *rig, uint64_t at, const struct step *step)
{
	unsigned size = 1u << (step->a & 3);

	if (step->a & 4)
		rig_read(rig, at, size);
	else
		rig_write(rig, at, size, (uint64_t)step->d << 32 | step->c);
}

static void access_config(struct driver *driver, const struct step *step)
{
	unsigned size = 1u << step->a % 3, reg = step->b % 256 & ~(size - 1);

	if (step->a & 4)
		driver_pci_read(driver, reg, size);
	else
		driver_pci_write(driver, reg, size, step->c);
}

/* A request as block and network devices know them, cut into three. */
static void request(struct guest *guest, struct ring *ring, const struct step *step)
{
	uint8_t header[HEADER_LEN] = { 0 };
	const struct buffer buffers[] = {
		{ HEADER_AT, HEADER_LEN, false },
		{ DATA_AT, step->c % DATA_MAX, step->a & 8 },
		{ STATUS_AT, 1, true },
	};
	const struct buffer *first = buffers + (step->a >> 5) % 3;
	unsigned nr = (unsigned)(buffers + 3 - first);

	put_le32(header, step->b);
	put_le64(header + 8, step->a & 16 ? (uint64_t)step->d << 32 | step->c : step->d);
	guest_mem_write(guest->rig->mem, HEADER_AT, header, sizeof(header));
	if (step->what % NR_ACTIONS == REQUEST)
		ring_send(ring, first, nr);
	else
		ring_send_indirect(ring, TABLE_AT, first, nr);
}

static void restart(struct guest *guest, const struct step *step)
{
	struct driver *driver = &guest->driver;
	uint64_t features = (uint64_t)step->c << 32 | step->b;

	/* Wherever the guest has put the BAR, and if it was switched off. */
	driver_move_bar(driver, guest->bar);
	driver_start(driver, step->a & 0x8000 ? features :
		     features & driver_offered(driver), (uint16_t)(1u << step->a % 11));
}

static unsigned nr_rings(const struct driver *driver)
{
	unsigned nr = 1;

	while (nr < DRIVER_RINGS_MAX && driver->rings[nr].size)
		nr++;
	return nr;
}

static void take_step(struct guest *guest, const struct step *step)
{
	struct rig *rig = guest->rig;
	struct driver *driver = &guest->driver;
	struct ring *ring = &driver->rings[step->ring % nr_rings(driver)];
	uint8_t bytes[8];

	switch ((enum action)(step->what % NR_ACTIONS)) {
	case COMMON_WRITE:
		access_address(rig, driver->common + step->b % COMMON_LEN, step);
		break;
	case BAR_ACCESS:
		access_address(rig, driver->bar + step->b % BAR_LEN, step);
		break;
	case CONFIG_ACCESS:
		access_config(driver, step);
		break;
	case MEMORY_WRITE:
		put_le64(bytes, (uint64_t)step->d << 32 | step->c);
		guest_mem_write(rig->mem, address(step->b, step->c), bytes, 1u << (step->a & 3));
		break;
	case DESCRIPTOR:
		ring_write(ring, step->a % ring->size, address(step->b, step->c), step->c,
			   step->d & 7, (uint16_t)(step->d >> 16));
		break;
	case TABLE_ENTRY:
		put_le64(bytes, (uint64_t)(step->d >> 16) << 48 | (step->d & 7ull) << 32 |
			 step->c);
		guest_mem_write(rig->mem, TABLE_AT + step->a % TABLE_SIZE * 16 + 8, bytes, 8);
		put_le64(bytes, address(step->b, step->c));
		guest_mem_write(rig->mem, TABLE_AT + step->a % TABLE_SIZE * 16, bytes, 8);
		break;
	case RING_ENTRY:
		put_le16(bytes, (uint16_t)step->b);
		guest_mem_write(rig->mem, ring->avail_at + 4 + step->a % (ring->size + 1) * 2,
				bytes, 2);
		break;
	case RING_INDEX:
		ring_set_avail_idx(ring, (uint16_t)(step->a & 0x8000 ? step->b :
						    ring->next_avail + step->b % 4));
		break;
	case OFFER:
		ring_offer(ring, (uint16_t)(step->a % (ring->size + 1)));
		break;
	case REQUEST:
	case INDIRECT_REQUEST:
		request(guest, ring, step);
		break;
	case KICK:
		ring_kick(ring);
		if (step->a & 1)
			rig_settle(rig);
		break;
	case SETTLE:
		rig_settle(rig);
		for (struct vring_used_elem elem; ring_reap(ring, &elem);)
			;
		break;
	case RESTART:
		restart(guest, step);
		break;
	case POKE:
		if (guest->poke)
			guest->poke(step->b, step->c);
		break;
	case NR_ACTIONS:
		break;
	}
}

void guest_actions_run(struct rig *rig, unsigned type, const uint8_t *input, size_t len,
		       void (*poke)(uint32_t what, uint32_t value))
{
	struct guest guest = { .rig = rig, .poke = poke };
	uint64_t features;

	if (len < 2 || !driver_find(&guest.driver, rig, type))
		return;
	guest.bar = (uint32_t)guest.driver.bar;
	features = driver_offered(&guest.driver);
	if (input[0] & 1)
		features &= ~(UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX);
	if (input[0] & 2)
		features &= ~(UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC);
	if (!driver_start(&guest.driver, features, (uint16_t)(1u << input[1] % 7)))
		abort();

	for (input += 2, len -= 2; len >= STEP_LEN; input += STEP_LEN, len -= STEP_LEN) {
		const struct step step = {
			.what = input[0], .ring = input[1], .a = get_le16(input + 2),
			.b = get_le32(input + 4), .c = get_le32(input + 8),
			.d = get_le32(input + 12),
		};

		take_step(&guest, &step);
	}
	rig_settle(rig);
}
