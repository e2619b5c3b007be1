// SPDX-License-Identifier: Apache-2.0
/*
 * sequence.c - a guest that sends packets with the numbers from 0 on, several at each tick of
 * its timer.  For each byte that it receives it tells how many have been; at 'q'
 * it awaits those under way, says "sent" and how many, and switches off.  Not a test by itself:
 * snapshots and migration are tested with it.
 */
#include "interrupt.h"
#include "machine.h"
#include "payload.h"
#include "polled.h"
#include "virtio.h"

#define UNDER_WAY	16
#define HEADER_LEN	12
#define FRAME_LEN	60
#define NUMBER_AT	14		/* in a frame, 64 bits */

static struct polled_queue tx;
static uint8_t packets[UNDER_WAY][HEADER_LEN + FRAME_LEN];
static uint64_t nr_offered, nr_taken;

static void open_card(void)
{
	struct polled_device card;

	polled_open(&card, VIRTIO_NET, 0);
	polled_add(&card, VIRTIO_NET_TRANSMIT, &tx);
	polled_ready(&card);
}

/* To nobody in particular, of the Ethernet type for tests. */
static void make_packets(void)
{
	static const uint8_t header[NUMBER_AT] = {
		0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x88, 0xb5,
	};

	for (unsigned i = 0; i < UNDER_WAY; i++) {
		memcpy(packets[i] + HEADER_LEN, header, sizeof(header));
		tx.ring[i] = (struct polled_desc){ (uint64_t)packets[i], sizeof(packets[i]),
						   0, 0 };
	}
}

static void take_back(void)
{
	uint16_t head;
	uint32_t len;

	while (polled_take(&tx, &head, &len))
		expect_eq(head, nr_taken++ % UNDER_WAY, "packets are taken in order");
}

static void send(void)
{
	for (; nr_offered - nr_taken < UNDER_WAY; nr_offered++) {
		uint16_t i = nr_offered % UNDER_WAY;

		memcpy(packets[i] + HEADER_LEN + NUMBER_AT, &nr_offered, sizeof(nr_offered));
		polled_offer(&tx, i);
	}
	polled_kick(&tx);
}

static void tell(const char *what)
{
	print(what);
	print_number(nr_taken);
	print("\n");
}

void payload(void)
{
	uint8_t byte = 0;

	make_packets();
	open_card();
	interrupt_start_timer();
	print("READY\n");
	while (byte != 'q') {
		take_back();
		send();
		if (take_byte(&byte))
			tell("round ");
		interrupt_wait(MACHINE_TIMER_VECTOR, interrupt_count(MACHINE_TIMER_VECTOR) + 1);
	}
	while (nr_taken < nr_offered)
		take_back();
	tell("sent ");
}
