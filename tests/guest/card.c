// SPDX-License-Identifier: Apache-2.0
/*
 * card.c - for each byte that it receives it tells its card's address, and whether it was
 * told, by an interrupt and a new generation of the configuration, that this has changed
 * since; its driver begins anew at 'b', and it switches off at 'q'.  Not a test by itself:
 * snapshots are tested with it.
 */
#include "interrupt.h"
#include "machine.h"
#include "payload.h"
#include "virtio.h"

#define VECTOR		0x30

#define CONFIG_VECTOR	0x10		/* of the common configuration */
#define GENERATION	0x15

#define NET_F_MAC	(UINT64_C(1) << 5)

static void tell_address(const struct virtio *card)
{
	uint64_t address = 0;

	for (unsigned i = 0; i < 6; i++)
		address = address << 8 | read8(card->config + i);
	print_hex(address);
}

static uint8_t open_card(struct virtio *card)
{
	virtio_open(card, VIRTIO_NET, VECTOR, NET_F_MAC);
	write16(card->common + CONFIG_VECTOR, 0);
	return read8(card->common + GENERATION);
}

void payload(void)
{
	struct virtio card;
	uint32_t times = 0;
	uint8_t byte, generation;

	generation = open_card(&card);
	print("READY\n");
	do {
		byte = await_byte();
		if (byte == 'b')
			generation = open_card(&card);
		tell_address(&card);
		if (read8(card.common + GENERATION) != generation) {
			generation = read8(card.common + GENERATION);
			interrupt_wait(VECTOR, ++times);
			print(" new\n");
		} else {
			print(" same\n");
		}
	} while (byte != 'q');
}
