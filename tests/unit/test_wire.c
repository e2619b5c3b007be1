// SPDX-License-Identifier: Apache-2.0
/* test_wire.c - packets by a stream socket, and peers that come, go and misbehave. */
#include "net/wire.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/unix_socket.h"
#include "loop/loop.h"
#include "net/netdev.h"
#include "net/peer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FRAME_MAX	(65535 + 18)
#define PACKET_MAX	(NETDEV_HEADER_LEN + FRAME_MAX)

static struct err err;
static struct loop *loop;
static struct netdev *netdev;
static int peer;
static char folder[] = "/tmp/vmm-wire-XXXXXX";
static char path[128];

static uint8_t packet[PACKET_MAX], bytes[4 + FRAME_MAX];

/* What the netdev has told. */
static unsigned nr_readable, nr_writable, nr_changes, nr_lost;
static char lost_why[128];

static void on_readable(struct netdev_user *user, unsigned pair)
{
	(void)user, (void)pair;
	nr_readable++;
	loop_quit(loop);
}

static void on_writable(struct netdev_user *user, unsigned pair)
{
	(void)user, (void)pair;
	nr_writable++;
	loop_quit(loop);
}

static void on_link(struct netdev_user *user)
{
	(void)user;
	nr_changes++;
	loop_quit(loop);
}

static void on_lost(void *ctx, const char *why)
{
	(void)ctx;
	nr_lost++;
	snprintf(lost_why, sizeof(lost_why), "%s", why);
}

static struct netdev_user user = { on_readable, on_writable, on_link };
static const struct netdev_lost lost = { on_lost, NULL };

/* Until there is something to tell; Check's timeout ends what waits in vain. */
static void wait_for_news(void)
{
	ck_assert_int_eq(loop_run(loop), 0);
}

static void wait_for_link(bool up)
{
	while (netdev_link_up(netdev) != up)
		wait_for_news();
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	ck_assert_int_eq(loop_new(&loop, &err), 0);
}

static void setup_pair(void)
{
	struct wire_config config = { .id = "net0", .peer = "Bob", .door = -1, .lost = &lost };
	int fds[2];

	setup();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	config.fd = fds[0];
	peer = fds[1];
	ck_assert_int_eq(wire_new(&netdev, &config, &err), 0);
	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);
	while (!nr_writable)		/* as after each attach */
		wait_for_news();
}

static void teardown(void)
{
	char made[128];

	if (netdev)
		netdev_detach(netdev);
	netdev = netdev_close(netdev);
	close(peer);
	loop = loop_free(loop);
	snprintf(made, sizeof(made), "%s/socket", folder);
	unlink(made);
	rmdir(folder);
}

/* Frames: each byte tells which one it is, and where. */

static uint8_t byte_of(unsigned which, size_t at)
{
	return (uint8_t)(which * 31 + at * 7 + at / 256);
}

/* As the peer speaks; how long that is. */
static size_t speak(unsigned which, size_t len)
{
	put_be32(bytes, (uint32_t)len);
	for (size_t i = 0; i < len; i++)
		bytes[4 + i] = byte_of(which, i);
	return 4 + len;
}

static void say(const void *from, size_t len)
{
	ck_assert_int_eq(send(peer, from, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void say_frame(unsigned which, size_t len)
{
	say(bytes, speak(which, len));
}

static ssize_t receive(void)
{
	/* As a guest's buffers are: a small one, and some more. */
	const struct iovec segs[] = {
		{ packet, 20 }, { packet + 20, 1500 }, { packet + 1520, PACKET_MAX - 1520 },
	};
	ssize_t len;

	memset(packet, 0xee, sizeof(packet));
	while ((len = netdev_recv(netdev, 0, segs, ARRAY_LEN(segs))) == -EAGAIN)
		wait_for_news();
	return len;
}

static void assert_receives(unsigned which, size_t len)
{
	static const uint8_t header[NETDEV_HEADER_LEN];

	ck_assert_int_eq(receive(), (ssize_t)(NETDEV_HEADER_LEN + len));
	ck_assert_mem_eq(packet, header, NETDEV_HEADER_LEN);
	speak(which, len);
	ck_assert_mem_eq(packet + NETDEV_HEADER_LEN, bytes + 4, len);
}

static ssize_t try_to_send(unsigned which, size_t len)
{
	const struct iovec segs[] = {
		{ packet, 7 }, { packet + 7, 13 }, { packet + 20, NETDEV_HEADER_LEN + len - 20 },
	};

	memset(packet, 0xee, NETDEV_HEADER_LEN);
	for (size_t i = 0; i < len; i++)
		packet[NETDEV_HEADER_LEN + i] = byte_of(which, i);
	return netdev_send(netdev, 0, segs, ARRAY_LEN(segs));
}

static void assert_hears(unsigned which, size_t len)
{
	static uint8_t heard[4 + FRAME_MAX];

	ck_assert_int_eq(recv(peer, heard, 4 + len, MSG_WAITALL), (ssize_t)(4 + len));
	speak(which, len);
	ck_assert_mem_eq(heard, bytes, 4 + len);
}

START_TEST(frame_arrives_behind_an_empty_header)
{
	say_frame(1, 60);

	assert_receives(1, 60);
}
END_TEST

START_TEST(nothing_to_receive_is_said_at_once)
{
	const struct iovec seg = { packet, sizeof(packet) };

	ck_assert_int_eq(netdev_recv(netdev, 0, &seg, 1), -EAGAIN);
}
END_TEST

START_TEST(frames_of_all_lengths_arrive_one_after_the_other)
{
	static const size_t lens[] = { 14, 60, FRAME_MAX, 15, 1514, 1514, 40000, 16380, 64 };

	for (unsigned i = 0; i < ARRAY_LEN(lens); i++)
		say_frame(i, lens[i]);

	for (unsigned i = 0; i < ARRAY_LEN(lens); i++)
		assert_receives(i, lens[i]);
}
END_TEST

START_TEST(frame_that_comes_in_pieces_is_whole)
{
	static const size_t cuts[] = { 1, 3, 4, 5, 100, 20000, 50000 };
	const struct iovec seg = { packet, sizeof(packet) };
	size_t len = speak(3, FRAME_MAX), at = 0;

	for (unsigned i = 0; i < ARRAY_LEN(cuts); at = cuts[i++]) {
		say(bytes + at, cuts[i] - at);
		ck_assert_int_eq(netdev_recv(netdev, 0, &seg, 1), -EAGAIN);
	}
	say(bytes + at, len - at);
	say_frame(4, 99);

	assert_receives(3, FRAME_MAX);
	assert_receives(4, 99);
}
END_TEST

START_TEST(what_does_not_fit_is_cut_off_and_the_next_frame_is_not)
{
	const struct iovec seg = { packet, NETDEV_HEADER_LEN + 100 };

	say_frame(5, 40000);
	say_frame(6, 80);

	ck_assert_int_eq(netdev_recv(netdev, 0, &seg, 1), NETDEV_HEADER_LEN + 100);
	ck_assert_uint_eq(packet[NETDEV_HEADER_LEN + 99], byte_of(5, 99));
	assert_receives(6, 80);
}
END_TEST

START_TEST(frame_that_was_read_before_a_pause_is_told_of_after_it)
{
	say_frame(1, 60);
	say_frame(2, 60);
	assert_receives(1, 60);
	netdev_detach(netdev);

	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);
	nr_readable = 0;
	while (!nr_readable)
		wait_for_news();

	assert_receives(2, 60);
}
END_TEST

START_TEST(frame_is_sent_without_its_header_behind_its_length)
{
	ck_assert_int_eq(try_to_send(7, 60), NETDEV_HEADER_LEN + 60);
	ck_assert_int_eq(try_to_send(8, FRAME_MAX), PACKET_MAX);

	assert_hears(7, 60);
	assert_hears(8, FRAME_MAX);
}
END_TEST

START_TEST(frame_that_cannot_be_is_refused)
{
	static uint8_t long_packet[PACKET_MAX + 1];
	const struct iovec one = { long_packet, sizeof(long_packet) };
	struct iovec crumbs[300];

	for (size_t i = 0; i < ARRAY_LEN(crumbs); i++)
		crumbs[i] = (struct iovec){ long_packet, 1 };

	ck_assert_int_eq(netdev_send(netdev, 0, &one, 1), -EINVAL);
	ck_assert_int_eq(try_to_send(0, 13), -EINVAL);
	ck_assert_int_eq(netdev_send(netdev, 0, crumbs, ARRAY_LEN(crumbs)), -EINVAL);
	ck_assert(netdev_link_up(netdev));
}
END_TEST

/* Large frames go in part when the socket is nearly full; small ones not at all. */
static unsigned fill_the_socket(size_t len)
{
	unsigned nr = 0;
	ssize_t sent;

	while ((sent = try_to_send(nr, len)) > 0)
		nr++;
	ck_assert_int_eq(sent, -EAGAIN);
	return nr;
}

static void check_back_pressure(size_t len)
{
	unsigned nr = fill_the_socket(len), told;

	for (unsigned i = 0; i + 1 < nr; i++)
		assert_hears(i, len);
	told = nr_writable = 0;
	while (nr_writable == told)
		wait_for_news();
	assert_hears(nr - 1, len);

	ck_assert_int_gt(try_to_send(nr, len), 0);
	assert_hears(nr, len);
}

START_TEST(room_is_told_of_once_it_was_missed)
{
	check_back_pressure(60);
}
END_TEST

START_TEST(frame_that_went_in_part_is_finished)
{
	check_back_pressure(FRAME_MAX);
}
END_TEST

START_TEST(frame_in_part_is_finished_after_a_pause)
{
	unsigned nr = fill_the_socket(FRAME_MAX);

	netdev_detach(netdev);
	for (unsigned i = 0; i + 1 < nr; i++)
		assert_hears(i, FRAME_MAX);
	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);
	nr_writable = 0;
	while (nr_writable < 2)		/* once says nothing */
		wait_for_news();

	assert_hears(nr - 1, FRAME_MAX);
}
END_TEST

static void assert_lost(const char *why)
{
	const struct iovec seg = { packet, sizeof(packet) };

	ck_assert(!netdev_link_up(netdev));
	ck_assert_uint_eq(nr_lost, 1);
	ck_assert_msg(strstr(lost_why, why) != NULL, "%s", lost_why);
	ck_assert_int_eq(try_to_send(0, 60), -EIO);
	ck_assert_int_eq(netdev_recv(netdev, 0, &seg, 1), -EAGAIN);
}

START_TEST(length_that_cannot_be_takes_the_link_down)
{
	static const uint32_t lens[] = { 0, 13, FRAME_MAX + 1, 0x80000000, UINT32_MAX };
	uint8_t length[4];

	put_be32(length, lens[_i]);
	say_frame(1, 60);
	say(length, sizeof(length));

	assert_receives(1, 60);
	ck_assert_int_eq(receive(), -EIO);
	assert_lost("Bob does not speak");
	ck_assert_uint_eq(nr_changes, 1);
}
END_TEST

START_TEST(peer_that_goes_takes_the_link_down)
{
	close(peer);
	wait_for_link(false);

	assert_lost("Bob is gone");
}
END_TEST

START_TEST(peer_that_says_no_more_takes_the_link_down)
{
	shutdown(peer, SHUT_WR);

	ck_assert_int_eq(receive(), -EIO);
	assert_lost("Bob is gone");
}
END_TEST

START_TEST(sender_that_waits_is_told_when_the_peer_goes)
{
	fill_the_socket(FRAME_MAX);
	nr_writable = 0;

	close(peer);
	while (!nr_writable)
		wait_for_news();

	assert_lost("Bob is gone");
}
END_TEST

START_TEST(offloads_are_none_and_pairs_are_one)
{
	ck_assert_uint_eq(netdev_offloads(netdev), 0);
	ck_assert_uint_eq(netdev_nr_pairs(netdev), 1);
	ck_assert_int_eq(netdev_set_pairs(netdev, 1), 0);
	ck_assert_int_eq(netdev_set_offloads(netdev, 0), 0);
	ck_assert_int_eq(netdev_set_offloads(netdev, NETDEV_CSUM), -EINVAL);
}
END_TEST

/* Peers at a path. */

static int open_at(struct netdev **ret_netdev, bool listen)
{
	const struct peer_config config = {
		.id = "net0", .path = path, .listen = listen, .lost = &lost,
	};

	return peer_open(ret_netdev, &config, &err);
}

static int connect_to(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, strlen(path));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void setup_door(void)
{
	setup();
	ck_assert_int_eq(open_at(&netdev, true), 0);
	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);
	peer = -1;
}

START_TEST(link_is_down_until_somebody_connects)
{
	ck_assert(!netdev_link_up(netdev));

	peer = connect_to();
	say_frame(1, 60);
	wait_for_link(true);

	assert_receives(1, 60);
}
END_TEST

START_TEST(next_peer_is_taken_when_the_first_is_gone)
{
	int second;

	peer = connect_to();
	wait_for_link(true);
	say(bytes, speak(1, 60) - 1);	/* a frame that is never whole */
	second = connect_to();
	close(peer);
	wait_for_link(false);
	peer = second;
	wait_for_link(true);

	say_frame(2, 99);
	assert_receives(2, 99);
	ck_assert_uint_eq(nr_lost, 1);
}
END_TEST

START_TEST(peer_that_comes_during_a_pause_is_taken_after_it)
{
	netdev_detach(netdev);
	peer = connect_to();
	ck_assert(!netdev_link_up(netdev));

	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);
	wait_for_link(true);
}
END_TEST

START_TEST(socket_is_private_and_goes_at_the_end)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);

	netdev_detach(netdev);
	netdev = netdev_close(netdev);
	ck_assert_int_eq(stat(path, &st), -1);
}
END_TEST

START_TEST(two_of_us_talk_to_each_other)
{
	struct netdev *other;
	const struct iovec seg = { packet, NETDEV_HEADER_LEN + 60 };

	ck_assert_int_eq(open_at(&other, false), 0);
	ck_assert(netdev_link_up(other));
	wait_for_link(true);

	memset(packet, 0, sizeof(packet));
	for (size_t i = 0; i < 60; i++)
		packet[NETDEV_HEADER_LEN + i] = byte_of(9, i);
	ck_assert_int_eq(netdev_send(other, 0, &seg, 1), NETDEV_HEADER_LEN + 60);
	assert_receives(9, 60);
	netdev_close(other);
}
END_TEST

/* One that connects. */

static int door;

static void open_door(void)
{
	door = unix_socket_listen("test", path, &err);
	ck_assert_msg(door >= 0, "%s", err.text);
	ck_assert_int_eq(fcntl(door, F_SETFL, 0), 0);
}

static void let_in(void)
{
	peer = accept(door, NULL, NULL);
	ck_assert_int_ge(peer, 0);
}

static void setup_caller(void)
{
	setup();
	open_door();
	ck_assert_int_eq(open_at(&netdev, false), 0);
	let_in();
	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);
}

static void teardown_caller(void)
{
	close(door);
	teardown();
}

static void shut_door(void)
{
	close(peer);
	close(door);
	wait_for_link(false);
}

START_TEST(lost_peer_is_connected_to_when_it_is_back)
{
	static const uint8_t half = 0;

	say(&half, sizeof(half));
	shut_door();
	ck_assert_uint_eq(nr_lost, 1);

	open_door();
	wait_for_link(true);
	let_in();

	say_frame(1, 60);
	assert_receives(1, 60);
	ck_assert_int_gt(try_to_send(2, 60), 0);
	assert_hears(2, 60);
	ck_assert_uint_eq(nr_lost, 1);
}
END_TEST

START_TEST(pause_does_not_end_the_wait_for_a_peer)
{
	shut_door();
	netdev_detach(netdev);
	open_door();

	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);

	wait_for_link(true);
	let_in();
}
END_TEST

/* A tenth of a second, then two, then four, and whatever it takes besides. */
START_TEST(peer_that_does_not_stay_is_connected_to_less_and_less_often)
{
	uint64_t begin = clock_ns();

	for (unsigned i = 0; i < 3; i++) {
		close(peer);
		wait_for_link(false);
		wait_for_link(true);
		let_in();
	}

	ck_assert_uint_ge(clock_ns() - begin, 7 * CLOCK_NS_PER_S / 10);
	ck_assert_uint_eq(nr_lost, 3);
}
END_TEST

static void refuses(bool listen, int code, const char *says)
{
	struct netdev *none = NULL;

	ck_assert_int_eq(open_at(&none, listen), code);
	ck_assert_ptr_null(none);
	ck_assert_msg(strstr(err.text, "net 'net0'") != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
}

START_TEST(path_that_will_not_do_is_refused)
{
	refuses(false, -ENOENT, "start first who has 'listen'");
	ck_assert_int_eq(open_at(&netdev, true), 0);
	refuses(true, -EADDRINUSE, "another process listens");
	netdev_close(netdev);
	netdev = NULL;

	snprintf(path, sizeof(path), "/nowhere/socket");
	refuses(true, -ENOENT, "cannot make");
	refuses(false, -ENOENT, "cannot connect");
	memset(path, 'x', sizeof(path) - 1);
	refuses(true, -ENAMETOOLONG, "choose a shorter one");
	refuses(false, -ENAMETOOLONG, "File name too long");
}
END_TEST

START_TEST(card_that_leads_nowhere_has_no_link)
{
	const struct peer_config config = { .id = "net0", .lost = &lost };
	const struct iovec seg = { packet, sizeof(packet) };

	ck_assert_int_eq(peer_open(&netdev, &config, &err), 0);
	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);

	ck_assert(!netdev_link_up(netdev));
	ck_assert_int_eq(try_to_send(0, 60), -EIO);
	ck_assert_int_eq(netdev_recv(netdev, 0, &seg, 1), -EAGAIN);
}
END_TEST

static TCase *frame_tests(void)
{
	TCase *tc = tcase_create("frames");

	tcase_add_checked_fixture(tc, setup_pair, teardown);
	tcase_add_test(tc, frame_arrives_behind_an_empty_header);
	tcase_add_test(tc, nothing_to_receive_is_said_at_once);
	tcase_add_test(tc, frames_of_all_lengths_arrive_one_after_the_other);
	tcase_add_test(tc, frame_that_comes_in_pieces_is_whole);
	tcase_add_test(tc, what_does_not_fit_is_cut_off_and_the_next_frame_is_not);
	tcase_add_test(tc, frame_that_was_read_before_a_pause_is_told_of_after_it);
	tcase_add_test(tc, frame_is_sent_without_its_header_behind_its_length);
	tcase_add_test(tc, frame_that_cannot_be_is_refused);
	tcase_add_test(tc, room_is_told_of_once_it_was_missed);
	tcase_add_test(tc, frame_that_went_in_part_is_finished);
	tcase_add_test(tc, frame_in_part_is_finished_after_a_pause);
	tcase_add_loop_test(tc, length_that_cannot_be_takes_the_link_down, 0, 5);
	tcase_add_test(tc, peer_that_goes_takes_the_link_down);
	tcase_add_test(tc, peer_that_says_no_more_takes_the_link_down);
	tcase_add_test(tc, sender_that_waits_is_told_when_the_peer_goes);
	tcase_add_test(tc, offloads_are_none_and_pairs_are_one);
	return tc;
}

static TCase *door_tests(void)
{
	TCase *tc = tcase_create("door");

	tcase_add_checked_fixture(tc, setup_door, teardown);
	tcase_add_test(tc, link_is_down_until_somebody_connects);
	tcase_add_test(tc, next_peer_is_taken_when_the_first_is_gone);
	tcase_add_test(tc, peer_that_comes_during_a_pause_is_taken_after_it);
	tcase_add_test(tc, socket_is_private_and_goes_at_the_end);
	tcase_add_test(tc, two_of_us_talk_to_each_other);
	return tc;
}

static TCase *caller_tests(void)
{
	TCase *tc = tcase_create("one that connects");

	tcase_add_checked_fixture(tc, setup_caller, teardown_caller);
	tcase_add_test(tc, lost_peer_is_connected_to_when_it_is_back);
	tcase_add_test(tc, pause_does_not_end_the_wait_for_a_peer);
	tcase_add_test(tc, peer_that_does_not_stay_is_connected_to_less_and_less_often);
	return tc;
}

static TCase *open_tests(void)
{
	TCase *tc = tcase_create("open");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, path_that_will_not_do_is_refused);
	tcase_add_test(tc, card_that_leads_nowhere_has_no_link);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("wire");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, frame_tests());
	suite_add_tcase(s, door_tests());
	suite_add_tcase(s, caller_tests());
	suite_add_tcase(s, open_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
