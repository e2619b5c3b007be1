// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_net_limits.c - a card with limits: what is more waits, and is not lost.
 */
#include "net_fixture.h"

#include "base/err.h"

#define NEVER	1	/* byte a second: with it a packet takes minutes */
#define QUICK	100000

static const struct netdev_limits none;

static void call_limit(void *ctx)
{
	netdev_set_limits(netdev, ctx);
}

static void limit(struct netdev_limits limits)
{
	loop_call(rig.loop, call_limit, &limits);
}

static bool is_on_wire(void)
{
	struct pollfd pollfd = { .fd = wire, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

static void send_both(void)
{
	send_packet(0);
	send_packet(1);
	ring_kick(tx);
	rig_settle(&rig);
}

/* The first is let through whole; the second waits for it to have leaked out. */
static void second_waits(void)
{
	send_both();
	assert_on_wire(0);
	ck_assert(!is_on_wire());
	ck_assert_uint_eq(ring_used_idx(tx), 1);
	ck_assert_uint_eq(counts(1).drops, 0);
}

START_TEST(bytes_that_are_sent_have_a_limit)
{
	start(0);
	limit((struct netdev_limits){ .tx_bytes.avg = NEVER });

	second_waits();
}
END_TEST

START_TEST(packets_that_are_sent_have_a_limit)
{
	start(0);
	limit((struct netdev_limits){ .tx_packets.avg = NEVER });
	send_both();
	assert_on_wire(0);

	assert_on_wire(1);
	ck_assert_uint_eq(counts(1).drops, 0);
}
END_TEST

static void receive_both(void)
{
	offer_room(0);
	offer_room(1);
	ring_kick(rx);
	put_on_wire(0);
	put_on_wire(1);
	rig_settle(&rig);
}

START_TEST(packets_that_are_received_have_a_limit)
{
	start(0);
	limit((struct netdev_limits){ .rx_bytes.avg = NEVER });

	receive_both();

	assert_received(0);
	ck_assert_uint_eq(ring_used_idx(rx), 1);
}
END_TEST

START_TEST(directions_have_limits_of_their_own)
{
	start(0);
	limit((struct netdev_limits){ .rx_bytes.avg = NEVER, .rx_packets.avg = NEVER });

	send_both();

	assert_on_wire(0);
	assert_on_wire(1);
}
END_TEST

START_TEST(limits_that_end_let_go_what_waits)
{
	start(0);
	limit((struct netdev_limits){ .rx_bytes.avg = NEVER, .tx_bytes.avg = NEVER });
	second_waits();
	receive_both();
	assert_received(0);

	limit(none);

	assert_on_wire(1);
	assert_received(1);
}
END_TEST

START_TEST(limits_slow_down_and_lose_nothing)
{
	start(DRIVER_CORE_FEATURES);
	limit((struct netdev_limits){ .rx_bytes.avg = QUICK, .tx_bytes.avg = QUICK });

	for (unsigned i = 0; i < RING_SIZE; i++)
		send_packet(i);
	ring_kick(tx);
	for (unsigned i = 0; i < 32; i++) {
		offer_room(i);
		put_on_wire(i);
	}
	ring_kick(rx);

	for (unsigned i = 0; i < RING_SIZE; i++)
		assert_on_wire(i);
	for (unsigned i = 0; i < 32; i++)
		assert_received(i);
}
END_TEST

START_TEST(pause_and_reset_do_not_wait_for_limits)
{
	struct virtio_dev *dev = virtio_pci_device(rig.vp);

	start(0);
	limit((struct netdev_limits){ .rx_bytes.avg = NEVER, .tx_bytes.avg = NEVER });
	second_waits();

	virtio_pause(dev);
	virtio_resume(dev);
	rig_settle(&rig);
	ck_assert(!is_on_wire());

	start(0);
	limit(none);
	send_packet(2);
	ring_kick(tx);
	assert_on_wire(2);
}
END_TEST

START_TEST(limits_that_cannot_be_are_told_by_name)
{
	struct err err = { 0 };
	const struct netdev_limits wrong = { .tx_packets = { .avg = 2, .max = 1 } };
	const struct netdev_limits lonely = { .rx_bytes = { .max = 1 } };

	ck_assert_int_eq(netdev_check_limits(&wrong, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "pps-tx: the max is below"));
	ck_assert_int_eq(netdev_check_limits(&lonely, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "bps-rx: a max needs"));
	ck_assert_int_eq(netdev_check_limits(&none, &err), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_net_limits");
	TCase *tc = tcase_create("limits");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_test(tc, bytes_that_are_sent_have_a_limit);
	tcase_add_test(tc, packets_that_are_sent_have_a_limit);
	tcase_add_test(tc, packets_that_are_received_have_a_limit);
	tcase_add_test(tc, directions_have_limits_of_their_own);
	tcase_add_test(tc, limits_that_end_let_go_what_waits);
	tcase_add_test(tc, limits_slow_down_and_lose_nothing);
	tcase_add_test(tc, pause_and_reset_do_not_wait_for_limits);
	tcase_add_test(tc, limits_that_cannot_be_are_told_by_name);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
