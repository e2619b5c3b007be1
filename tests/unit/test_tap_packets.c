// SPDX-License-Identifier: Apache-2.0
/* test_tap_packets.c - what goes through a tap, and how. */
#include "tap_fixture.h"

/* Packets. */

static int host;
static struct loop *loop;

static int nr_come;

static void on_packet(struct netdev_user *user, unsigned pair)
{
	(void)user, (void)pair;
	nr_come++;
	loop_quit(loop);
}

static bool has_room;

static void on_room(struct netdev_user *user, unsigned pair)
{
	(void)user, (void)pair;
	has_room = true;
	loop_quit(loop);
}

static void on_link(struct netdev_user *user)
{
	(void)user;
	loop_quit(loop);
}

static struct netdev_user user = { on_packet, on_room, on_link };

static void setup_link(void)
{
	setup();
	ck_assert_int_eq(open_tap(&netdev, TAP), 0);
	set_up_link(TAP);
	host = open_host_end(TAP);
	ck_assert_int_eq(loop_new(&loop, &err), 0);
	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);
}

static void teardown_link(void)
{
	netdev_detach(netdev);
	close(host);
	teardown();
	loop = loop_free(loop);
}

/* Until the tap has something to tell; Check's timeout ends what waits in vain. */
static void wait_for_news(void)
{
	ck_assert_int_eq(loop_run(loop), 0);
}

/* The next frame of PROTOCOL: a new link also brings some of the host's own. */
static ssize_t receive_on(unsigned pair, struct packet *p)
{
	const struct iovec segs[] = { { p, 5 }, { (char *)p + 5, sizeof(*p) - 5 } };
	ssize_t len;

	for (;;) {
		len = netdev_recv(netdev, pair, segs, 2);
		if (len == -EAGAIN)
			wait_for_news();
		else if (len < 0 || p->frame.eth.h_proto == htons(PROTOCOL))
			return len;
	}
}

static ssize_t receive(struct packet *p)
{
	return receive_on(0, p);
}

START_TEST(nothing_to_receive_is_said_at_once)
{
	char buf[2048];
	const struct iovec seg = { buf, sizeof(buf) };

	ck_assert_int_eq(open_tap(&netdev, TAP), 0);

	ck_assert_int_eq(netdev_recv(netdev, 0, &seg, 1), -EAGAIN);
}
END_TEST

START_TEST(frame_from_the_host_arrives_behind_an_empty_header)
{
	static const uint8_t zeroes[sizeof(struct virtio_net_hdr)];
	struct packet out = packet(0x17), in;

	ck_assert_int_eq(write(host, &out.frame, sizeof(out.frame)), sizeof(out.frame));

	ck_assert_int_eq(receive(&in), sizeof(in));
	/* Behind it is the number of buffers, which the device writes. */
	ck_assert_mem_eq(in.header, zeroes, sizeof(zeroes));
	ck_assert_mem_eq(&in.frame, &out.frame, sizeof(in.frame));
}
END_TEST

START_TEST(frame_to_the_host_arrives_without_its_header)
{
	struct packet out = packet(0x42);
	struct frame in;
	const struct iovec segs[] = { { &out, 20 }, { (char *)&out + 20, sizeof(out) - 20 } };

	ck_assert_int_eq(netdev_send(netdev, 0, segs, 2), sizeof(out));

	ck_assert_int_eq(read(host, &in, sizeof(in)), sizeof(in));
	ck_assert_mem_eq(&in, &out.frame, sizeof(in));
}
END_TEST

START_TEST(frame_without_a_whole_header_is_refused)
{
	struct packet out = packet(0);
	const struct iovec seg = { &out, NETDEV_HEADER_LEN - 1 };

	ck_assert_int_eq(netdev_send(netdev, 0, &seg, 1), -EINVAL);
}
END_TEST

START_TEST(frame_on_a_link_that_is_down_is_refused)
{
	struct packet out = packet(0);
	const struct iovec seg = { &out, sizeof(out) };

	ck_assert_int_eq(open_tap(&netdev, TAP), 0);

	ck_assert_int_eq(netdev_send(netdev, 0, &seg, 1), -EIO);
}
END_TEST

/*
 * A frame whose sum over the payload behind SUM_FROM, to be put at SUM_AT, is
 * left to the receiver.  The kernel wants room for an IP header in front.
 */
#define SUM_FROM	20
#define SUM_AT		98

static void send_unsummed(void)
{
	struct virtio_net_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = sizeof(struct ethhdr) + SUM_FROM,
		.csum_offset = SUM_AT - SUM_FROM,
	};
	struct frame f = packet(0).frame;
	struct iovec segs[] = { { &hdr, sizeof(hdr) }, { &f, sizeof(f) } };
	int on = 1;

	f.payload[SUM_FROM] = 0x12;		/* the sum is ~0x1234, 0xedcb */
	f.payload[SUM_FROM + 1] = 0x34;
	ck_assert_int_eq(setsockopt(host, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	ck_assert_int_eq(writev(host, segs, 2), sizeof(hdr) + sizeof(f));
}

struct many {
	struct packet packets[BURST_MAX];
	struct iovec segs[BURST_MAX];
	struct burst_packet burst[BURST_MAX];
};

static void make_many(struct many *many)
{
	for (unsigned i = 0; i < BURST_MAX; i++) {
		many->packets[i] = packet((uint8_t)i);
		many->packets[i].frame.eth.h_dest[0] = 2;
		many->segs[i] = (struct iovec){ &many->packets[i], sizeof(many->packets[i]) };
		many->burst[i] = (struct burst_packet){ &many->segs[i], 1, 0 };
	}
}

START_TEST(burst_arrives_in_its_order)
{
	struct frame frame;
	struct many many;

	make_many(&many);
	ck_assert_uint_eq(netdev_send_burst(netdev, 0, many.burst, BURST_MAX), BURST_MAX);

	for (unsigned i = 0; i < BURST_MAX; i++) {
		ck_assert_int_eq(many.burst[i].len, sizeof(many.packets[i]));
		ck_assert_int_eq(read(host, &frame, sizeof(frame)), sizeof(frame));
		ck_assert_uint_eq(frame.payload[0], i);
	}
}
END_TEST

START_TEST(burst_of_what_the_host_has_sent_is_in_its_order)
{
	struct many many;
	unsigned nr = 0;

	make_many(&many);
	for (unsigned i = 0; i < BURST_MAX; i++)
		ck_assert_int_eq(write(host, &many.packets[i].frame, sizeof(struct frame)),
				 sizeof(struct frame));
	while (nr < BURST_MAX) {
		unsigned got = netdev_recv_burst(netdev, 0, many.burst, BURST_MAX);

		for (unsigned i = 0; i < got; i++)
			if (many.packets[i].frame.eth.h_proto == htons(PROTOCOL))
				ck_assert_uint_eq(many.packets[i].frame.payload[0], nr++);
	}
	ck_assert_uint_eq(nr, BURST_MAX);
}
END_TEST

START_TEST(checksum_is_left_to_a_guest_that_wants_that)
{
	struct packet in;

	ck_assert_int_eq(netdev_set_offloads(netdev, NETDEV_CSUM), 0);
	send_unsummed();

	ck_assert_int_eq(receive(&in), sizeof(in));
	ck_assert_uint_eq(in.header[0], VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert_mem_eq(in.frame.payload + SUM_AT, ((uint8_t[]){ 0, 0 }), 2);
}
END_TEST

START_TEST(checksum_is_made_for_a_guest_that_wants_that)
{
	struct packet in;

	ck_assert_int_eq(netdev_set_offloads(netdev, NETDEV_CSUM), 0);
	ck_assert_int_eq(netdev_set_offloads(netdev, 0), 0);
	send_unsummed();

	ck_assert_int_eq(receive(&in), sizeof(in));
	ck_assert_uint_eq(in.header[0], 0);
	ck_assert_mem_eq(in.frame.payload + SUM_AT, ((uint8_t[]){ 0xed, 0xcb }), 2);
}
END_TEST

START_TEST(offloads_that_fit_together_are_taken)
{
	ck_assert_int_eq(netdev_set_offloads(netdev, NETDEV_CSUM | NETDEV_TSO4), 0);
	ck_assert_int_eq(netdev_set_offloads(netdev, NETDEV_CSUM | NETDEV_TSO6), 0);
	ck_assert_int_eq(netdev_set_offloads(netdev, NETDEV_CSUM | NETDEV_TSO4 | NETDEV_TSO6 |
					     NETDEV_ECN), 0);
}
END_TEST

START_TEST(datagrams_are_segmented_by_those_who_can)
{
	unsigned uso = netdev_offloads(netdev) & (NETDEV_USO4 | NETDEV_USO6);

	ck_assert(uso == 0 || uso == (NETDEV_USO4 | NETDEV_USO6));
	ck_assert_int_eq(netdev_set_offloads(netdev, NETDEV_CSUM | uso), 0);
	ck_assert_int_eq(netdev_set_offloads(netdev, NETDEV_CSUM | NETDEV_USO4), 0);
}
END_TEST

START_TEST(segmentation_without_checksums_is_refused)
{
	ck_assert_int_eq(netdev_set_offloads(netdev, NETDEV_TSO4), -EINVAL);
}
END_TEST

START_TEST(deleted_tap_is_a_link_that_is_down)
{
	ck_assert(netdev_link_up(netdev));

	ck_assert_int_eq(system("ip link delete " TAP), 0);
	while (netdev_link_up(netdev))
		wait_for_news();
	ck_assert_str_eq(why_lost, "the tap is deleted");
}
END_TEST

/* As by a vhost-net, which takes the packets but does not say so. */
START_TEST(tap_that_is_lent_brings_nothing_but_that_it_is_deleted)
{
	struct packet out = packet(1);

	ck_assert_int_eq(netdev_lend(netdev), 0);
	ck_assert_int_eq(write(host, &out.frame, sizeof(out.frame)), sizeof(out.frame));
	nr_come = 0;

	ck_assert_int_eq(system("ip link delete " TAP), 0);
	while (netdev_link_up(netdev))
		wait_for_news();
	ck_assert_int_eq(nr_come, 0);
	ck_assert_str_eq(why_lost, "the tap is deleted");
}
END_TEST

static void setup_pairs(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	memset(&err, 0, sizeof(err));
	make_device(MULTI_TAP, IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE);
	ck_assert_int_eq(open_pairs(&netdev, MULTI_TAP, 2, true), 0);
	set_up_link(MULTI_TAP);
	host = open_host_end(MULTI_TAP);
	ck_assert_int_eq(loop_new(&loop, &err), 0);
	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);
}

START_TEST(packets_come_by_the_pair_that_sends_or_by_those_in_use)
{
	struct packet out = packet(1), in;
	const struct iovec seg = { &out, sizeof(out) };

	/* The kernel answers by the queue that it has seen a flow on. */
	ck_assert_int_eq(netdev_send(netdev, 1, &seg, 1), sizeof(out));
	ck_assert_int_eq(read(host, &in.frame, sizeof(in.frame)), sizeof(in.frame));
	ck_assert_int_eq(write(host, &out.frame, sizeof(out.frame)), sizeof(out.frame));
	ck_assert_int_eq(receive_on(1, &in), sizeof(in));

	ck_assert_int_eq(netdev_set_pairs(netdev, 1), 0);
	ck_assert_int_eq(write(host, &out.frame, sizeof(out.frame)), sizeof(out.frame));
	ck_assert_int_eq(receive_on(0, &in), sizeof(in));

	ck_assert_int_eq(netdev_set_pairs(netdev, 2), 0);
	ck_assert_int_eq(netdev_send(netdev, 1, &seg, 1), sizeof(out));
	ck_assert_int_eq(read(host, &in.frame, sizeof(in.frame)), sizeof(in.frame));
	ck_assert_int_eq(write(host, &out.frame, sizeof(out.frame)), sizeof(out.frame));
	ck_assert_int_eq(receive_on(1, &in), sizeof(in));
	ck_assert(netdev_link_up(netdev));
}
END_TEST

/*
 * A tap of which only a few frames may be on their way, and a port of the same bridge
 * out of which next to nothing goes.
 */
static int limited;

static void limit(void)
{
	int room = 4096;

	ck_assert_int_eq(ioctl(limited, TUNSETSNDBUF, &room), 0);
}

static void setup_unlimited(void)
{
	setup();
	ck_assert_int_eq(system("ip link add bridge0 type bridge && "
				"ip link add out type veth peer name far && "
				"ip link set " TAP " master bridge0 && "
				"ip link set out master bridge0 && "
				"ip link set bridge0 up && ip link set out up && "
				"ip link set far up && "
				"tc qdisc add dev out root tbf rate 1kbit burst 1600 "
				"limit 100000"), 0);
	set_up_link(TAP);
	limited = attach(TAP, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
}

static void open_limited(void)
{
	ck_assert_int_eq(tap_open_fds(&netdev, &inherited, &limited, 1, &err), 0);
	ck_assert_int_eq(loop_new(&loop, &err), 0);
	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);
	host = open_host_end(TAP);
}

static void setup_full(void)
{
	setup_unlimited();
	limit();
	open_limited();
}

static void setup_full_later(void)
{
	setup_unlimited();
	open_limited();
	limit();
}

/* To somebody who is not there: a bridge passes that on to others, not a copy of it. */
static ssize_t send_one(void)
{
	struct packet out = packet(0);
	const struct iovec seg = { &out, sizeof(out) };

	out.frame.eth.h_dest[0] = 2;
	return netdev_send(netdev, 0, &seg, 1);
}

START_TEST(full_tap_takes_the_beginning_of_a_burst_and_tells_of_room)
{
	struct many many;
	unsigned nr;

	do {
		make_many(&many);
		nr = netdev_send_burst(netdev, 0, many.burst, BURST_MAX);
	} while (many.burst[nr - 1].len != -EAGAIN);

	ck_assert_int_eq(system("tc qdisc delete dev out root"), 0);
	while (!has_room)
		wait_for_news();
	ck_assert_uint_ge(netdev_send_burst(netdev, 0, many.burst, BURST_MAX), 1);
	ck_assert_int_gt(many.burst[0].len, 0);
}
END_TEST

START_TEST(full_tap_tells_when_there_is_room_again)
{
	while (send_one() >= 0)
		;
	ck_assert_int_eq(send_one(), -EAGAIN);

	ck_assert_int_eq(system("tc qdisc delete dev out root"), 0);
	while (!has_room)
		wait_for_news();
	ck_assert_int_gt(send_one(), 0);
}
END_TEST

static TCase *idle_tests(void)
{
	TCase *tc = tcase_create("idle");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing_to_receive_is_said_at_once);
	tcase_add_test(tc, frame_on_a_link_that_is_down_is_refused);
	return tc;
}

static TCase *link_tests(void)
{
	TCase *tc = tcase_create("link");

	tcase_add_checked_fixture(tc, setup_link, teardown_link);
	tcase_add_test(tc, frame_from_the_host_arrives_behind_an_empty_header);
	tcase_add_test(tc, frame_to_the_host_arrives_without_its_header);
	tcase_add_test(tc, frame_without_a_whole_header_is_refused);
	tcase_add_test(tc, burst_arrives_in_its_order);
	tcase_add_test(tc, burst_of_what_the_host_has_sent_is_in_its_order);
	tcase_add_test(tc, checksum_is_left_to_a_guest_that_wants_that);
	tcase_add_test(tc, checksum_is_made_for_a_guest_that_wants_that);
	tcase_add_test(tc, offloads_that_fit_together_are_taken);
	tcase_add_test(tc, datagrams_are_segmented_by_those_who_can);
	tcase_add_test(tc, segmentation_without_checksums_is_refused);
	tcase_add_test(tc, deleted_tap_is_a_link_that_is_down);
	tcase_add_test(tc, tap_that_is_lent_brings_nothing_but_that_it_is_deleted);
	return tc;
}

static TCase *pair_tests(void)
{
	TCase *tc = tcase_create("pairs");

	tcase_add_checked_fixture(tc, setup_pairs, teardown_link);
	tcase_add_test(tc, packets_come_by_the_pair_that_sends_or_by_those_in_use);
	return tc;
}

static TCase *full_tests(const char *name, void (*set_up)(void))
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set_up, teardown_link);
	tcase_add_test(tc, full_tap_takes_the_beginning_of_a_burst_and_tells_of_room);
	tcase_add_test(tc, full_tap_tells_when_there_is_room_again);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("tap_packets");
	SRunner *sr;
	int failed;

	if (!can_run())
		return SKIPPED;
	suite_add_tcase(s, idle_tests());
	suite_add_tcase(s, link_tests());
	suite_add_tcase(s, pair_tests());
	suite_add_tcase(s, full_tests("full", setup_full));
	suite_add_tcase(s, full_tests("full, by a limit that comes later", setup_full_later));

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
