// SPDX-License-Identifier: Apache-2.0
/* How connections begin and end, and what is said between. */
#include "state/state.h"
#include "vsock_fixture.h"

#include <sys/stat.h>

START_TEST(guest_knows_its_address)
{
	ck_assert_uint_eq(driver_config(&driver, 0, 4), CID);
	ck_assert_uint_eq(driver_config(&driver, 4, 4), 0);
}
END_TEST

START_TEST(only_its_owner_may_connect)
{
	struct stat st;

	ck_assert(!stat(path, &st));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

/* Connections begin. */

START_TEST(host_connects_and_both_talk)
{
	int fd = open_from_host();

	say_bytes("hello", 5);
	expect_text(fd, "hello");
	ck_assert_int_eq(write(fd, "world", 5), 5);
	expect_bytes("world");
	ck_assert_uint_eq(got.forwarded, 5);
	ck_assert_uint_eq(got.room, BUFFER_LEN);

	close(fd);
}
END_TEST

START_TEST(guest_connects_and_both_talk)
{
	int fd = open_from_guest();

	say_bytes("hello", 5);
	expect_text(fd, "hello");
	ck_assert_int_eq(write(fd, "world", 5), 5);
	expect_bytes("world");

	close(fd);
}
END_TEST

START_TEST(what_the_host_says_at_once_is_for_the_guest)
{
	int fd = call_saying("CONNECT 1000\nhello");

	expect(VIRTIO_VSOCK_OP_REQUEST);
	say(VIRTIO_VSOCK_OP_RESPONSE);

	expect_bytes("hello");

	close(fd);
}
END_TEST

START_TEST(host_may_take_its_time_to_say_where_to)
{
	int fd = call_saying("CONN");

	expect_silence();
	ck_assert_int_eq(write(fd, "ECT 1000\n", 9), 9);
	expect(VIRTIO_VSOCK_OP_REQUEST);
	ck_assert_uint_eq(got.guest_port, 1000);

	close(fd);
}
END_TEST

static const char *const nonsense[] = {
	"CONNECT\n", "CONNECT \n", "CONNECT -1\n", "CONNECT 4294967296\n", "CONNECT 10x\n",
	"connect 1000\n", "GET / HTTP/1.1\r\n", "\n",
	"CONNECT 00000000000000000000000000000000000000000000001000\n",
};

START_TEST(whoever_talks_nonsense_is_hung_up_on)
{
	int fd = call_saying(nonsense[_i]);
	char byte;

	/* What was not read makes it an error. */
	ck_assert_int_le(read(fd, &byte, 1), 0);
	expect_silence();

	close(fd);
}
END_TEST

START_TEST(too_many_who_say_nothing_are_turned_away)
{
	int silent[64], fd;

	for (unsigned i = 0; i < ARRAY_LEN(silent); i++)
		silent[i] = call();
	rig_settle(&rig);
	fd = call();

	expect_end(fd);

	close(fd);
	for (unsigned i = 0; i < ARRAY_LEN(silent); i++)
		close(silent[i]);
	rig_settle(&rig);
	close(open_from_host());
}
END_TEST

START_TEST(who_says_nothing_for_long_is_hung_up_on_and_nobody_else)
{
	int talking = open_from_host(), silent = call(), half = call_saying("CONN");
	struct pollfd pollfds[] = { { .fd = silent, .events = POLLIN },
				    { .fd = half, .events = POLLIN } };

	ck_assert_int_eq(poll(pollfds, 1, SECONDS_MAX * 1000), 1);
	ck_assert_int_eq(poll(pollfds + 1, 1, SECONDS_MAX * 1000), 1);
	expect_end(silent);

	say_bytes("still here", 10);
	expect_text(talking, "still here");
	close(open_from_host());
	close(silent);
	close(half);
	close(talking);
}
END_TEST

START_TEST(host_is_turned_away_while_there_is_no_driver)
{
	int fd;

	driver_reset(&driver);
	fd = call();

	expect_end(fd);

	close(fd);
}
END_TEST

START_TEST(guest_refuses_the_host)
{
	int fd = call_saying("CONNECT 1000\n");

	expect(VIRTIO_VSOCK_OP_REQUEST);
	say(VIRTIO_VSOCK_OP_RST);

	expect_end(fd);

	close(fd);
}
END_TEST

START_TEST(guest_finds_nobody_at_the_port)
{
	got.host_port = HOST_PORT;
	say(VIRTIO_VSOCK_OP_REQUEST);

	expect(VIRTIO_VSOCK_OP_RST);
	ck_assert_uint_eq(got.host_port, HOST_PORT);
	ck_assert_uint_eq(got.guest_port, GUEST_PORT);
}
END_TEST

START_TEST(host_gives_up_before_the_guest_answers)
{
	int fd = call_saying("CONNECT 1000\n");

	expect(VIRTIO_VSOCK_OP_REQUEST);
	close(fd);

	expect(VIRTIO_VSOCK_OP_RST);
}
END_TEST

/* Connections end. */

START_TEST(guest_ends_its_own_direction)
{
	int fd = open_from_guest();

	say_bytes("last", 4);
	say_shutdown(VIRTIO_VSOCK_SHUTDOWN_SEND);
	expect_text(fd, "last");
	expect_end(fd);
	ck_assert_int_eq(write(fd, "reply", 5), 5);
	expect_bytes("reply");

	close(fd);
	expect(VIRTIO_VSOCK_OP_SHUTDOWN);
}
END_TEST

START_TEST(guest_that_receives_no_more_still_sends)
{
	int fd = open_from_guest();

	say_shutdown(VIRTIO_VSOCK_SHUTDOWN_RCV);
	ck_assert_int_eq(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	say_bytes("hello", 5);
	expect_text(fd, "hello");

	close(fd);
	expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(got.flags, VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
}
END_TEST

START_TEST(host_ends_its_own_direction)
{
	int fd = open_from_guest();

	ck_assert_int_eq(write(fd, "last", 4), 4);
	ck_assert(!shutdown(fd, SHUT_WR));
	expect_bytes("last");
	expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(got.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	say_bytes("reply", 5);
	expect_text(fd, "reply");

	close(fd);
	expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(got.flags, VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
}
END_TEST

/* The end of the bytes may be read before the socket is known to be closed. */
static void expect_closed(void)
{
	do
		expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	while (got.flags == VIRTIO_VSOCK_SHUTDOWN_SEND);
	ck_assert_uint_eq(got.flags, VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
}

START_TEST(host_that_closes_is_heard_to_its_end)
{
	int fd = open_from_guest();

	ck_assert_int_eq(write(fd, "last", 4), 4);
	close(fd);

	expect_bytes("last");
	expect_closed();
	say_shutdown(VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
	expect(VIRTIO_VSOCK_OP_RST);
}
END_TEST

START_TEST(what_is_for_a_host_that_reads_no_more_is_lost)
{
	int fd = open_from_guest();

	ck_assert(!shutdown(fd, SHUT_RD));
	say_bytes("lost", 4);
	expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(got.flags, VIRTIO_VSOCK_SHUTDOWN_RCV);
	say_bytes("lost", 4);
	ck_assert_int_eq(write(fd, "hello", 5), 5);
	expect_bytes("hello");
	ck_assert_uint_eq(got.forwarded, 8);

	close(fd);
}
END_TEST

START_TEST(guest_closes_and_may_use_its_port_again)
{
	int fd = open_from_guest(), other;
	uint32_t sent = fill();

	say_shutdown(VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
	expect(VIRTIO_VSOCK_OP_RST);
	unlink(address_of("_52").sun_path);
	other = open_from_guest();
	say_bytes("hello", 5);
	expect_text(other, "hello");

	/* All the same the host gets all of it. */
	expect_filling(fd, sent);
	expect_end(fd);

	close(fd);
	close(other);
}
END_TEST

START_TEST(reset_by_the_guest_ends_both_directions)
{
	int fd = open_from_guest();

	say(VIRTIO_VSOCK_OP_RST);

	expect_end(fd);
	expect_silence();

	close(fd);
}
END_TEST

/* The device stops. */

START_TEST(connections_outlive_a_pause)
{
	int fd = open_from_guest(), other;

	virtio_pci_pause(rig.vp);
	ck_assert_int_eq(write(fd, "hello", 5), 5);
	other = call();
	expect_end(other);
	virtio_pci_resume(rig.vp);

	expect_bytes("hello");
	say_bytes("world", 5);
	expect_text(fd, "world");

	close(other);
	close(fd);
}
END_TEST

START_TEST(reset_ends_all_connections)
{
	int from_guest = open_from_guest(), from_host = open_from_host(), asking;

	asking = call_saying("CONNECT 7\n");
	expect(VIRTIO_VSOCK_OP_REQUEST);
	start();

	expect_end(from_guest);
	expect_end(from_host);
	expect_end(asking);
	expect_silence();

	close(from_guest);
	close(from_host);
	close(asking);
}
END_TEST

/* It goes on in another process, where they are not. */
START_TEST(guest_of_a_loaded_device_is_told_that_its_connections_are_gone)
{
	struct ring *event = &driver.rings[2];
	struct buffer room = { OUT_AT, 4, true };
	struct state_writer *writer = state_writer_new("test");
	struct state_reader *reader;
	struct vring_used_elem elem;
	struct virtio_dev *dev;
	int fd = open_from_guest();
	const void *stream;
	size_t len;

	virtio_pci_pause(rig.vp);
	virtio_pci_save(rig.vp, writer);
	ck_assert_int_eq(state_writer_end(writer, &stream, &len), 0);
	rig_unplug(&rig);
	ck_assert_int_eq(virtio_vsock_new(&dev, front, CID, rig.mem, rig.loop, NULL), 0);
	rig_plug(&rig, dev);
	ck_assert_int_eq(state_reader_new(&reader, stream, len, NULL), 0);
	ck_assert_int_eq(virtio_pci_load(rig.vp, rig.pci, reader, NULL), 0);
	virtio_pci_resume(rig.vp);

	memset(rig_ram(&rig, OUT_AT, 4), 0xff, 4);
	ck_assert(ring_send(event, &room, 1));
	ring_kick(event);
	ck_assert(ring_wait(event, &elem));
	ck_assert_uint_eq(elem.len, 4);
	ck_assert_uint_eq(get_le32(rig_ram(&rig, OUT_AT, 4)), VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);

	/* Once. */
	ck_assert(ring_send(event, &room, 1));
	ring_kick(event);
	rig_settle(&rig);
	ck_assert(!ring_reap(event, &elem));
	expect_end(fd);
	close(fd);
	state_reader_free(reader);
	state_writer_free(writer);
}
END_TEST

START_TEST(connections_end_with_the_device)
{
	int fd = open_from_guest();

	rig_unplug(&rig);

	expect_end(fd);

	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_vsock");
	TCase *tc = tcase_create("started");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, guest_knows_its_address);
	tcase_add_test(tc, only_its_owner_may_connect);
	tcase_add_test(tc, host_connects_and_both_talk);
	tcase_add_test(tc, guest_connects_and_both_talk);
	tcase_add_test(tc, what_the_host_says_at_once_is_for_the_guest);
	tcase_add_test(tc, host_may_take_its_time_to_say_where_to);
	tcase_add_loop_test(tc, whoever_talks_nonsense_is_hung_up_on, 0, ARRAY_LEN(nonsense));
	tcase_add_test(tc, too_many_who_say_nothing_are_turned_away);
	tcase_add_test(tc, who_says_nothing_for_long_is_hung_up_on_and_nobody_else);
	tcase_add_test(tc, host_is_turned_away_while_there_is_no_driver);
	tcase_add_test(tc, guest_refuses_the_host);
	tcase_add_test(tc, guest_finds_nobody_at_the_port);
	tcase_add_test(tc, host_gives_up_before_the_guest_answers);
	tcase_add_test(tc, guest_ends_its_own_direction);
	tcase_add_test(tc, guest_that_receives_no_more_still_sends);
	tcase_add_test(tc, host_ends_its_own_direction);
	tcase_add_test(tc, host_that_closes_is_heard_to_its_end);
	tcase_add_test(tc, what_is_for_a_host_that_reads_no_more_is_lost);
	tcase_add_test(tc, guest_closes_and_may_use_its_port_again);
	tcase_add_test(tc, reset_by_the_guest_ends_both_directions);
	tcase_add_test(tc, connections_outlive_a_pause);
	tcase_add_test(tc, reset_ends_all_connections);
	tcase_add_test(tc, guest_of_a_loaded_device_is_told_that_its_connections_are_gone);
	tcase_add_test(tc, connections_end_with_the_device);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
