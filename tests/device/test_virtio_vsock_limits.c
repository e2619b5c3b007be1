// SPDX-License-Identifier: Apache-2.0
/* What bounds a guest and the host: credit, rules, and numbers. */
#include "vsock_fixture.h"

#include <sys/resource.h>

/* Credit. */

START_TEST(what_the_host_does_not_read_holds_up_the_guest)
{
	int fd = open_from_guest();
	uint32_t sent = fill();

	expect_silence();
	expect_filling(fd, sent);
	expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	say_bytes("more", 4);
	expect_text(fd, "more");

	close(fd);
}
END_TEST

START_TEST(guest_that_sends_more_than_there_is_room_for_is_cut_off)
{
	static const uint8_t more[BUFFER_LEN / 2 + 1];
	int fd = open_from_guest();

	/* The guest has not been told of less than a half that has become free. */
	fill();
	say_bytes(more, sizeof(more));

	expect(VIRTIO_VSOCK_OP_RST);

	close(fd);
}
END_TEST

START_TEST(guest_gets_no_more_than_it_has_room_for)
{
	uint8_t bytes[2500] = { 0 };
	int fd;

	my_room = 1000;
	fd = open_from_guest();
	ck_assert_int_eq(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	expect(VIRTIO_VSOCK_OP_RW);
	ck_assert_uint_eq(got.len, 1000);
	expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	expect_silence();

	my_forwarded = 600;
	say(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	expect(VIRTIO_VSOCK_OP_RW);
	ck_assert_uint_eq(got.len, 600);
	expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	my_forwarded = 1600;
	say(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	expect(VIRTIO_VSOCK_OP_RW);
	ck_assert_uint_eq(got.len, 900);

	close(fd);
}
END_TEST

START_TEST(guest_that_lies_about_its_room_gets_nothing)
{
	int fd = open_from_guest();

	/* More passed on than was sent. */
	my_forwarded = 1;
	say(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	ck_assert_int_eq(write(fd, "hello", 5), 5);
	expect_silence();

	my_forwarded = 0;
	say(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	expect_bytes("hello");

	close(fd);
}
END_TEST

START_TEST(room_is_told_when_asked_for)
{
	int fd = open_from_guest();

	say_bytes("12345", 5);
	say(VIRTIO_VSOCK_OP_CREDIT_REQUEST);

	expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	ck_assert_uint_eq(got.forwarded, 5);
	ck_assert_uint_eq(got.room, BUFFER_LEN);

	close(fd);
}
END_TEST

/* Guests that break the rules. */

static const uint16_t wrong_when_open[] = {
	VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RESPONSE, 8, 0xffff,
};

START_TEST(wrong_packet_ends_its_connection)
{
	int fd = open_from_guest();

	say(wrong_when_open[_i]);

	expect(VIRTIO_VSOCK_OP_RST);
	expect_end(fd);

	close(fd);
}
END_TEST

START_TEST(bytes_after_their_end_are_an_error)
{
	int fd = open_from_guest();

	say_shutdown(VIRTIO_VSOCK_SHUTDOWN_SEND);
	say_bytes("x", 1);

	expect(VIRTIO_VSOCK_OP_RST);

	close(fd);
}
END_TEST

START_TEST(bytes_before_the_answer_are_an_error)
{
	int fd = call_saying("CONNECT 1000\n");

	expect(VIRTIO_VSOCK_OP_REQUEST);
	say_bytes("x", 1);

	expect(VIRTIO_VSOCK_OP_RST);
	expect_end(fd);

	close(fd);
}
END_TEST

static const uint16_t wrong_when_unknown[] = {
	VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_RESPONSE, VIRTIO_VSOCK_OP_SHUTDOWN,
	VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_OP_CREDIT_UPDATE, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 99,
};

START_TEST(packet_of_no_connection_is_answered_by_a_reset)
{
	say(wrong_when_unknown[_i]);

	expect(VIRTIO_VSOCK_OP_RST);
}
END_TEST

START_TEST(reset_of_no_connection_is_not_answered)
{
	say(VIRTIO_VSOCK_OP_RST);

	expect_silence();
}
END_TEST

START_TEST(unknown_type_is_answered_by_a_reset)
{
	int listener = listen_at_port();

	put_le16(header(VIRTIO_VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT, 0) + 28, 2);
	send_packet(HEADER_LEN);

	expect(VIRTIO_VSOCK_OP_RST);

	close(listener);
}
END_TEST

/* Offsets of the source's and the destination's. */
static const unsigned addresses[] = { 0, 8 };

START_TEST(packet_with_a_wrong_address_is_lost)
{
	put_le64(header(VIRTIO_VSOCK_OP_RW, GUEST_PORT, HOST_PORT, 0) + addresses[_i], 7);
	send_packet(HEADER_LEN);

	expect_silence();
}
END_TEST

static const struct {
	uint32_t claimed, len;
} misfits[] = { { 1, HEADER_LEN }, { UINT32_MAX, HEADER_LEN + 8 }, { 0, HEADER_LEN - 1 } };

START_TEST(packet_shorter_than_it_says_breaks_the_device)
{
	const struct buffer buffer = { OUT_AT, misfits[_i].len, false };

	header(VIRTIO_VSOCK_OP_RW, GUEST_PORT, HOST_PORT, misfits[_i].claimed);
	ck_assert(ring_send(tx, &buffer, 1));
	ring_kick(tx);

	ck_assert(driver_must_reset(&driver));
}
END_TEST

START_TEST(bytes_beyond_the_length_of_a_packet_are_ignored)
{
	int fd = open_from_guest();

	header(VIRTIO_VSOCK_OP_RW, GUEST_PORT, HOST_PORT, 5);
	memcpy(rig_ram(&rig, PAYLOAD_AT, 10), "helloworld", 10);
	send_packet(HEADER_LEN + 10);
	say_bytes("!", 1);

	expect_text(fd, "hello!");

	close(fd);
}
END_TEST

START_TEST(receive_buffer_without_room_breaks_the_device)
{
	ck_assert(driver_start(&driver, 0, RING_SIZE));
	offer_room(IN_AT, HEADER_LEN);
	say(VIRTIO_VSOCK_OP_RW);

	ck_assert(driver_must_reset(&driver));
}
END_TEST

START_TEST(answers_without_room_for_them_hold_up_what_follows)
{
	const struct buffer buffer = { OUT_AT, HEADER_LEN, false };
	struct vring_used_elem elem;
	unsigned nr = 0;

	/* More than are kept; those beyond stay in the ring. */
	ck_assert(driver_start(&driver, 0, RING_SIZE));
	header(VIRTIO_VSOCK_OP_RW, GUEST_PORT, HOST_PORT, 0);
	for (unsigned i = 0; i < RING_SIZE; i++)
		send_packet(HEADER_LEN);
	for (unsigned i = 0; i < RING_SIZE; i++)
		ck_assert(ring_send(tx, &buffer, 1));
	ring_kick(tx);
	rig_settle(&rig);
	ck_assert(!ring_reap(tx, &elem));

	offer_rooms();
	for (; nr < 2 * RING_SIZE; nr++)
		expect(VIRTIO_VSOCK_OP_RST);
	for (nr = 0; nr < RING_SIZE; nr++)
		ck_assert(ring_wait(tx, &elem));
	expect_silence();
}
END_TEST

START_TEST(connections_have_an_end)
{
	int listener = listen_at_port(), fd;

	for (uint32_t i = 0; i < CONNS_MAX; i++) {
		header(VIRTIO_VSOCK_OP_REQUEST, GUEST_PORT + i, HOST_PORT, 0);
		send_packet(HEADER_LEN);
		expect(VIRTIO_VSOCK_OP_RESPONSE);
		ck_assert_uint_eq(got.guest_port, GUEST_PORT + i);
	}
	header(VIRTIO_VSOCK_OP_REQUEST, 1, HOST_PORT, 0);
	send_packet(HEADER_LEN);
	expect(VIRTIO_VSOCK_OP_RST);
	fd = call_saying("CONNECT 1000\n");
	expect_end(fd);
	close(fd);

	/* One ends, and another may begin. */
	say(VIRTIO_VSOCK_OP_RST);
	header(VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT, 0);
	send_packet(HEADER_LEN);
	header(VIRTIO_VSOCK_OP_REQUEST, 1, HOST_PORT, 0);
	send_packet(HEADER_LEN);
	expect(VIRTIO_VSOCK_OP_RESPONSE);

	close(listener);
}
END_TEST

/* All have a program that writes as fast as it can. */
START_TEST(connections_take_turns)
{
	static const uint8_t bytes[64 * 1024];
	int listener = listen_at_port(), fds[4];
	unsigned nr[ARRAY_LEN(fds)] = { 0 };

	for (uint32_t i = 0; i < ARRAY_LEN(fds); i++) {
		header(VIRTIO_VSOCK_OP_REQUEST, GUEST_PORT + i, HOST_PORT, 0);
		send_packet(HEADER_LEN);
		expect(VIRTIO_VSOCK_OP_RESPONSE);
		fds[i] = with_patience(accept(listener, NULL, NULL));
	}
	for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
		ck_assert_int_eq(write(fds[i], bytes, sizeof(bytes)), sizeof(bytes));
	rig_settle(&rig);
	for (unsigned i = 0; i < 40; i++) {
		expect(VIRTIO_VSOCK_OP_RW);
		nr[got.guest_port - GUEST_PORT]++;
	}

	/* Before all had bytes, the first may have been alone with all the buffers. */
	for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
		ck_assert_uint_ge(nr[i], 5);
		close(fds[i]);
	}
	close(listener);
}
END_TEST

int main(void)
{
	const struct rlimit files = { 4 * CONNS_MAX, 4 * CONNS_MAX };
	Suite *s = suite_create("virtio_vsock_limits");
	TCase *tc = tcase_create("started");
	SRunner *sr;
	int failed;

	setrlimit(RLIMIT_NOFILE, &files);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_the_host_does_not_read_holds_up_the_guest);
	tcase_add_test(tc, guest_that_sends_more_than_there_is_room_for_is_cut_off);
	tcase_add_test(tc, guest_gets_no_more_than_it_has_room_for);
	tcase_add_test(tc, guest_that_lies_about_its_room_gets_nothing);
	tcase_add_test(tc, room_is_told_when_asked_for);
	tcase_add_loop_test(tc, wrong_packet_ends_its_connection, 0,
			    ARRAY_LEN(wrong_when_open));
	tcase_add_test(tc, bytes_after_their_end_are_an_error);
	tcase_add_test(tc, bytes_before_the_answer_are_an_error);
	tcase_add_loop_test(tc, packet_of_no_connection_is_answered_by_a_reset, 0,
			    ARRAY_LEN(wrong_when_unknown));
	tcase_add_test(tc, reset_of_no_connection_is_not_answered);
	tcase_add_test(tc, unknown_type_is_answered_by_a_reset);
	tcase_add_loop_test(tc, packet_with_a_wrong_address_is_lost, 0, ARRAY_LEN(addresses));
	tcase_add_loop_test(tc, packet_shorter_than_it_says_breaks_the_device, 0,
			    ARRAY_LEN(misfits));
	tcase_add_test(tc, bytes_beyond_the_length_of_a_packet_are_ignored);
	tcase_add_test(tc, receive_buffer_without_room_breaks_the_device);
	tcase_add_test(tc, answers_without_room_for_them_hold_up_what_follows);
	tcase_add_test(tc, connections_have_an_end);
	tcase_add_test(tc, connections_take_turns);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
