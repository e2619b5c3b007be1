// SPDX-License-Identifier: Apache-2.0
/*
 * net_load.c - a guest that has its network card busy, by a driver in user mode.
 *
 *	mode=N		1: send, 2: receive what waits at the host, 3: send and await what
 *			comes back, 4: send one after the other, then await all of them
 *	len=N		of a frame; what is longer than the wire carries is to be segmented
 *	buffer=N	length of each buffer that is received into
 *	nr=N		receive: how many frames; else: how many at most under way
 *	ticks=N		send, and await: how long, by the time-stamp counter
 *	pair=N		of queues that it uses
 *
 * It says "ready" when the card is, and goes on when a byte has come from the serial
 * port; says "begin", and at last "end" with frames, ticks and kicks.  After both it stays
 * for a moment, so that the monitor can be looked at.
 */
#include "machine.h"
#include "payload.h"
#include "polled.h"
#include "virtio.h"

#define F_CSUM		(UINT64_C(1) << 0)
#define F_GUEST_CSUM	(UINT64_C(1) << 1)
#define F_GUEST_TSO4	(UINT64_C(1) << 7)
#define F_HOST_TSO4	(UINT64_C(1) << 11)
#define F_MRG_RXBUF	(UINT64_C(1) << 15)
#define F_CTRL_VQ	(UINT64_C(1) << 17)
#define F_MQ		(UINT64_C(1) << 22)

#define MAX_PAIRS	8		/* of the configuration */

#define HEADER_LEN	12
#define WIRE_MAX	1514
#define PACKET_MAX	65536
#define BUFFERS_MAX	(POLLED_SIZE * 4096)

/* A frame is of this Ethernet type, or TCP over IPv4 from here to there. */
#define TYPE_TEST	0x88b5
#define TYPE_IPV4	0x0800
#define HEADERS_LEN	54		/* Ethernet, IPv4, TCP */

#define LINGER_MAX	(UINT64_C(1) << 30)	/* ticks */
#define SINGLY_TICKS	3000		/* what it takes a system to send a packet */

enum mode { SEND = 1, RECEIVE, ROUND_TRIP, SEND_SINGLY };

static struct polled_queue rx, tx, control;
static _Alignas(4096) uint8_t buffers[BUFFERS_MAX];
static _Alignas(4096) uint8_t packets[POLLED_SIZE][PACKET_MAX];

static unsigned buffer_len, frame_len, pair;
static uint64_t nr, nr_ticks, nr_done, ticks_taken;
static bool failed;

/* Section 5.1.6.5.5: as many pairs are used as it takes for ours. */
static void use_pairs(void)
{
	static uint8_t command[4] = { 4, 0 }, answer = 0xff;
	uint32_t len;
	uint16_t i;

	command[2] = (uint8_t)(pair + 1);
	control.ring[0] = (struct polled_desc){ (uint64_t)command, sizeof(command),
						POLLED_NEXT, 1 };
	control.ring[1] = (struct polled_desc){ (uint64_t)&answer, 1, POLLED_WRITE, 0 };
	polled_offer(&control, 0);
	polled_kick(&control);
	while (!polled_take(&control, &i, &len))
		relax();
	expect_eq(*(volatile uint8_t *)&answer, 0, "there are so many pairs");
}

/* Short frames are sent by any card. */
static void open_card(bool needs_offloads)
{
	struct polled_device card;

	polled_open(&card, VIRTIO_NET, F_MRG_RXBUF | (needs_offloads ? F_CSUM | F_GUEST_CSUM |
		    F_GUEST_TSO4 | F_HOST_TSO4 : 0) | (pair ? F_CTRL_VQ | F_MQ : 0));
	polled_add(&card, 2 * pair, &rx);
	polled_add(&card, 2 * pair + 1, &tx);
	if (pair)
		polled_add(&card, 2 * read16(card.config + MAX_PAIRS), &control);
	polled_ready(&card);
	if (pair)
		use_pairs();
}

/* Of struct virtio_net_hdr, section 5.1.6: have the checksum filled in, and cut it. */
static void ask_for_segments(uint8_t *packet)
{
	const uint8_t wanted[10] = { 1, 1, HEADERS_LEN, 0, 1448 & 0xff, 1448 >> 8, 34, 0, 16, 0 };

	memcpy(packet, wanted, sizeof(wanted));
}

/* To nobody in particular, from an address that is not the card's: it is learnt by none. */
static void make_frame(uint8_t *frame)
{
	static const uint8_t addresses[12] = { 0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1 };
	unsigned ip_len = frame_len - 14;
	uint8_t *ip = frame + 14, *tcp = ip + 20;

	memcpy(frame, addresses, sizeof(addresses));
	frame[12] = TYPE_TEST >> 8, frame[13] = TYPE_TEST & 0xff;
	if (frame_len <= WIRE_MAX)
		return;
	frame[12] = TYPE_IPV4 >> 8, frame[13] = TYPE_IPV4 & 0xff;
	ip[0] = 0x45, ip[2] = (uint8_t)(ip_len >> 8), ip[3] = (uint8_t)ip_len;
	ip[8] = 64, ip[9] = 6, ip[12] = 10, ip[16] = 10, ip[19] = 1;
	tcp[12] = 5 << 4, tcp[13] = 0x10;
}

static void make_packets(void)
{
	for (unsigned i = 0; i < POLLED_SIZE; i++) {
		if (frame_len > WIRE_MAX)
			ask_for_segments(packets[i]);
		make_frame(packets[i] + HEADER_LEN);
		tx.ring[i] = (struct polled_desc){ (uint64_t)packets[i], HEADER_LEN + frame_len,
						   0, 0 };
	}
}

static void make_buffers(void)
{
	expect(buffer_len <= BUFFERS_MAX / POLLED_SIZE, "buffers are not too long");
	for (unsigned i = 0; i < POLLED_SIZE; i++)
		rx.ring[i] = (struct polled_desc){ (uint64_t)buffers + i * buffer_len, buffer_len,
						   POLLED_WRITE, 0 };
}

/* In user mode. */

static void send_packets(void)
{
	uint64_t begin = machine_ticks(), end = begin + nr_ticks;
	unsigned under_way = 0;
	uint32_t len;
	uint16_t i;

	for (i = 0; i < nr; i++, under_way++)
		polled_offer(&tx, i);
	while (under_way) {
		bool over = machine_ticks() >= end;

		polled_kick(&tx);
		while (polled_take(&tx, &i, &len)) {
			nr_done++;
			if (over)
				under_way--;
			else
				polled_offer(&tx, i);
		}
		relax();
	}
	ticks_taken = machine_ticks() - begin;
}

/* As a system does that has not heard of the next packet when it offers one. */
static void send_singly(void)
{
	uint64_t begin = machine_ticks(), end = begin + nr_ticks;
	uint32_t len;
	uint16_t i;

	while (machine_ticks() < end) {
		for (i = 0; i < nr; i++) {
			polled_offer(&tx, i);
			polled_kick(&tx);
			polled_linger(SINGLY_TICKS);
		}
		for (uint64_t left = nr; left; left -= polled_take(&tx, &i, &len))
			relax();
		nr_done += nr;
	}
	ticks_taken = machine_ticks() - begin;
}

static void offer_buffers(void)
{
	for (uint16_t i = 0; i < POLLED_SIZE; i++)
		polled_offer(&rx, i);
	polled_kick(&rx);
}

/* A packet may have several buffers; its first says how many. */
static unsigned take_packets(void)
{
	static unsigned more;
	unsigned taken = 0;
	uint32_t len;
	uint16_t i;

	while (polled_take(&rx, &i, &len)) {
		const uint8_t *at = buffers + i * buffer_len;

		if (!more)
			more = at[10] | (unsigned)at[11] << 8;
		if (!more--)
			failed = true;
		taken += !more;
		polled_offer(&rx, i);
	}
	polled_kick(&rx);
	return taken;
}

static void receive_packets(void)
{
	uint64_t begin = machine_ticks();

	offer_buffers();
	while (nr_done < nr && !failed) {
		nr_done += take_packets();
		relax();
	}
	ticks_taken = machine_ticks() - begin;
}

static void await_packets(void)
{
	uint64_t begin = machine_ticks(), end = begin + nr_ticks;
	uint16_t sent = 0;
	uint32_t len;
	uint16_t i;

	offer_buffers();
	for (unsigned credit = (unsigned)nr; machine_ticks() < end && !failed;) {
		for (; credit; credit--)
			polled_offer(&tx, sent++ % POLLED_SIZE);
		polled_kick(&tx);
		while (polled_take(&tx, &i, &len))
			;
		credit = take_packets();
		nr_done += credit;
		relax();
	}
	ticks_taken = machine_ticks() - begin;
}

static void linger(void)
{
	polled_linger(nr_ticks / 8 < LINGER_MAX ? nr_ticks / 8 : LINGER_MAX);
}

void payload(void)
{
	static void (*const modes[])(void) = {
		[SEND] = send_packets, [RECEIVE] = receive_packets, [ROUND_TRIP] = await_packets,
		[SEND_SINGLY] = send_singly,
	};
	uint64_t mode = cmdline_number("mode");

	expect(mode >= SEND && mode <= SEND_SINGLY, "there is such a mode");
	frame_len = (unsigned)cmdline_number("len");
	buffer_len = (unsigned)cmdline_number("buffer");
	nr = cmdline_number("nr");
	nr_ticks = cmdline_number("ticks");
	pair = (unsigned)cmdline_number("pair");
	expect(frame_len >= HEADERS_LEN && frame_len <= PACKET_MAX - HEADER_LEN,
	       "frames have such a length");
	expect(mode == RECEIVE || nr <= POLLED_SIZE, "so many have room in the queue");
	make_packets();
	make_buffers();
	open_card(mode == RECEIVE || mode == ROUND_TRIP || frame_len > WIRE_MAX);
	print("ready\n");
	await_byte();
	print("begin\n");
	user_call(linger);
	user_call(modes[mode]);
	expect(!failed, "packets come whole");
	print("end ");
	print_number(nr_done);
	print(" ");
	print_number(ticks_taken);
	print(" ");
	print_number(rx.nr_kicks + tx.nr_kicks);
	print("\n");
	user_call(linger);
}
