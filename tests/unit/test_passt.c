// SPDX-License-Identifier: Apache-2.0
/* test_passt.c - user-mode networking by the passt of this machine. */
#include "net/passt.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "loop/loop.h"
#include "net/netdev.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED		77
#define PACKET_MAX	(NETDEV_HEADER_LEN + 65535 + 18)

/* Within a packet. */
#define ETH		NETDEV_HEADER_LEN
#define IP		(ETH + 14)
#define UDP		(IP + 20)
#define DHCP		(UDP + 8)
#define DHCP_OPTIONS	(DHCP + 240)

static struct err err;
static struct loop *loop;
static struct netdev *netdev;
static unsigned port;
static char forward[64];

static uint8_t packet[PACKET_MAX];
static unsigned nr_lost;
static char lost_why[128];

static void on_event(struct netdev_user *user, unsigned pair)
{
	(void)user, (void)pair;
	loop_quit(loop);
}

static void on_link(struct netdev_user *user)
{
	(void)user;
	loop_quit(loop);
}

static void on_lost(void *ctx, const char *why)
{
	(void)ctx;
	loop_quit(loop);
	nr_lost++;
	snprintf(lost_why, sizeof(lost_why), "%s", why);
}

static struct netdev_user user = { on_event, on_event, on_link };
static const struct netdev_lost lost = { on_lost, NULL };

/* Only root can have a network that is surely there; others use the machine's. */
static void enter_network(void)
{
	if (geteuid())
		return;
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert_int_eq(system("ip link set lo up && ip link add e0 type veth peer name e1 && "
				"ip link set e0 up && ip link set e1 up && "
				"ip addr add 192.0.2.5/24 dev e0 && "
				"ip route add default via 192.0.2.1"), 0);
}

/* A port of the loopback that is bound, and which. */
static int bind_port(unsigned wanted, unsigned *ret_port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)wanted),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1)) {
		close(fd);
		return -1;
	}
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static int open_with(struct netdev **ret_netdev, const char *forwards)
{
	const struct passt_config config = {
		.id = "net0", .forwards = forwards, .mtu = 9000, .lost = &lost,
	};

	return passt_open(ret_netdev, &config, &err);
}

static void setup(void)
{
	enter_network();
	close(bind_port(0, &port));
	snprintf(forward, sizeof(forward), "tcp:127.0.0.1:%u-:22", port);
	ck_assert_int_eq(loop_new(&loop, &err), 0);
}

static void setup_open(void)
{
	setup();
	ck_assert_msg(!open_with(&netdev, forward), "%s", err.text);
	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);
}

static void teardown(void)
{
	if (netdev) {
		netdev_detach(netdev);
		netdev = netdev_close(netdev);
	}
	loop = loop_free(loop);
}

/* Until there is something to tell; Check's timeout ends what waits in vain. */
static void wait_for_news(void)
{
	ck_assert_int_eq(loop_run(loop), 0);
}

static uint16_t sum_of(const uint8_t *from, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += get_be16(from + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* RFC 2131: a client without an address asks whoever there is. */
static void discover(void)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0x11, 0x22, 0x33 };
	static const uint8_t options[] = { 53, 1, 1, 55, 3, 1, 3, 26, 255 };
	size_t len = DHCP_OPTIONS + sizeof(options);
	const struct iovec seg = { packet, len };

	memset(packet, 0, len);
	memset(packet + ETH, 0xff, 6);
	memcpy(packet + ETH + 6, mac, 6);
	put_be16(packet + ETH + 12, 0x0800);
	packet[IP] = 0x45;
	put_be16(packet + IP + 2, (uint16_t)(len - IP));
	packet[IP + 8] = 64;
	packet[IP + 9] = IPPROTO_UDP;
	memset(packet + IP + 16, 0xff, 4);
	put_be16(packet + IP + 10, sum_of(packet + IP, 20));
	put_be16(packet + UDP, 68);
	put_be16(packet + UDP + 2, 67);
	put_be16(packet + UDP + 4, (uint16_t)(len - UDP));
	packet[DHCP] = 1;
	packet[DHCP + 1] = 1;
	packet[DHCP + 2] = 6;
	put_be32(packet + DHCP + 4, 0x12345678);
	memcpy(packet + DHCP + 28, mac, 6);
	put_be32(packet + DHCP + 236, 0x63825363);
	memcpy(packet + DHCP_OPTIONS, options, sizeof(options));
	ck_assert_int_eq(netdev_send(netdev, 0, &seg, 1), (ssize_t)len);
}

/* The next packet with this protocol of IPv4 and port, of the sender or receiver. */
static ssize_t receive(uint8_t protocol, size_t port_at, unsigned number)
{
	const struct iovec seg = { packet, sizeof(packet) };

	for (;;) {
		ssize_t len = netdev_recv(netdev, 0, &seg, 1);

		if (len == -EAGAIN)
			wait_for_news();
		else if (len < UDP + 8)
			ck_assert_int_ge(len, 0);
		else if (get_be16(packet + ETH + 12) == 0x0800 &&
			 packet[IP + 9] == protocol && get_be16(packet + port_at) == number)
			return len;
	}
}

static const uint8_t *find_option(uint8_t code, ssize_t len)
{
	ssize_t at = DHCP_OPTIONS;

	while (at + 1 < len && packet[at] != 255 && packet[at] != code)
		at += 2 + packet[at + 1];
	return at + 2 < len && packet[at] == code ? packet + at + 2 : NULL;
}

START_TEST(guest_is_offered_an_address_a_router_and_its_mtu)
{
	ssize_t len;

	discover();
	len = receive(IPPROTO_UDP, UDP, 67);

	ck_assert_uint_eq(get_be32(packet + DHCP + 4), 0x12345678);
	ck_assert_uint_ne(get_be32(packet + DHCP + 16), 0);
	ck_assert_ptr_nonnull(find_option(53, len));
	ck_assert_uint_eq(*find_option(53, len), 2);
	ck_assert_ptr_nonnull(find_option(3, len));
	ck_assert_ptr_nonnull(find_option(26, len));
	ck_assert_uint_eq(get_be16(find_option(26, len)), 9000);
}
END_TEST

START_TEST(connection_to_a_forwarded_port_reaches_the_guest)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	discover();
	receive(IPPROTO_UDP, UDP, 67);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		ck_assert_int_eq(errno, EINPROGRESS);

	receive(IPPROTO_TCP, UDP + 2, 22);
	ck_assert_uint_eq(packet[UDP + 13], 0x02);	/* SYN */
	close(fd);
}
END_TEST

/* Ours has our forward; whoever has not gone to the background yet is killed as well. */
static void kill_passt(void)
{
	char wanted[64], path[300], line[1024];
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	unsigned nr = 0;

	snprintf(wanted, sizeof(wanted), "127.0.0.1/%u:22", port);
	while ((entry = readdir(folder))) {
		ssize_t len;
		int fd;

		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		len = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);
		if (len > 0 && memmem(line, (size_t)len, wanted, strlen(wanted)))
			nr += !kill(atoi(entry->d_name), SIGKILL);
		if (fd >= 0)
			close(fd);
	}
	closedir(folder);
	ck_assert_uint_gt(nr, 0);
}

static void wait_for_link(bool up)
{
	while (netdev_link_up(netdev) != up)
		wait_for_news();
}

static void detach_and_close(void)
{
	netdev_detach(netdev);
	netdev = netdev_close(netdev);
}

START_TEST(passt_that_is_killed_takes_the_link_down_until_the_next_serves)
{
	ck_assert(netdev_link_up(netdev));

	kill_passt();
	wait_for_link(false);

	ck_assert_uint_eq(nr_lost, 1);
	ck_assert_str_eq(lost_why, "passt is gone, and is started anew");
	wait_for_link(true);
	discover();
	receive(IPPROTO_UDP, UDP, 67);
	ck_assert_uint_eq(nr_lost, 1);
}
END_TEST

START_TEST(passt_that_was_started_anew_is_no_child_once_it_is_closed)
{
	for (int i = 0; i < 2; i++) {
		kill_passt();
		wait_for_link(false);
		wait_for_link(true);
		discover();
		receive(IPPROTO_UDP, UDP, 67);
	}

	detach_and_close();

	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

static void look_again(struct loop_timer *timer)
{
	(void)timer;
	loop_quit(loop);
}

static bool has_children(void)
{
	siginfo_t info;

	return !waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
}

/* It goes to the background, and who was started for that ends. */
START_TEST(passt_that_was_started_anew_leaves_no_zombie_while_it_serves)
{
	struct loop_timer timer = { .fired = look_again };

	kill_passt();
	wait_for_link(false);
	wait_for_link(true);
	discover();
	receive(IPPROTO_UDP, UDP, 67);

	while (has_children()) {
		loop_timer_set(loop, &timer, loop_now(loop) + CLOCK_NS_PER_S / 100);
		wait_for_news();
	}

	loop_timer_clear(loop, &timer);
	ck_assert(netdev_link_up(netdev));
}
END_TEST

START_TEST(passt_that_cannot_be_started_anew_is_tried_again)
{
	char *path = strdup(getenv("PATH"));
	int fd;

	setenv("PATH", "/nowhere", 1);
	kill_passt();
	while (!strstr(lost_why, "passt cannot be started: No such file"))
		wait_for_news();
	fd = bind_port(port, &port);
	setenv("PATH", path, 1);
	wait_for_link(true);
	wait_for_link(false);
	close(fd);

	wait_for_link(true);
	discover();
	receive(IPPROTO_UDP, UDP, 67);
	free(path);
}
END_TEST

START_TEST(ports_are_free_again_once_it_is_closed)
{
	unsigned same;
	int fd = bind_port(port, &same);

	ck_assert_int_lt(fd, 0);

	detach_and_close();

	fd = bind_port(port, &same);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

static void refuses(const char *forwards, int code, const char *says)
{
	struct netdev *none = NULL;

	ck_assert_int_eq(open_with(&none, forwards), code);
	ck_assert_ptr_null(none);
	ck_assert_msg(strstr(err.text, "net 'net0'") != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
	ck_assert_msg(!strchr(err.text, '\n'), "%s", err.text);
}

START_TEST(what_passt_refuses_is_told_in_its_words)
{
	int fd = bind_port(port, &port);

	refuses(forward, -EIO, "passt: ");
	refuses(forward, -EIO, "bind");
	close(fd);
}
END_TEST

START_TEST(missing_passt_is_told_with_its_package)
{
	setenv("PATH", "/nowhere", 1);

	refuses(NULL, -ENOENT, "install the package passt");
}
END_TEST

/* What is taken for passt until the test ends or sets PATH. */
static void replace_passt(const char *script)
{
	static char folder[] = "/tmp/vmm-test-XXXXXX";
	char path[64];
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/passt", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	ck_assert_int_eq(dprintf(fd, "#!/bin/sh\n%s\n", script), (int)strlen(script) + 11);
	close(fd);
	setenv("PATH", folder, 1);
}

static void remove_passt(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/passt", getenv("PATH"));
	unlink(path);
	rmdir(getenv("PATH"));
}

START_TEST(passt_that_fails_in_silence)
{
	replace_passt("exit 3");

	refuses(NULL, -EIO, "does not say why");
	remove_passt();
}
END_TEST

/* As that of Debian 12 does, whose frames then begin anywhere. */
START_TEST(passt_that_loses_its_place_in_the_stream_is_started_anew)
{
	const struct iovec seg = { packet, sizeof(packet) };
	char *path = strdup(getenv("PATH"));

	replace_passt("(printf '\\001nonsense'; until /bin/cat > /dev/null; do /bin/sleep 0.1; "
		      "done) <&3 >&3 &");
	ck_assert_msg(!open_with(&netdev, forward), "%s", err.text);
	remove_passt();
	setenv("PATH", path, 1);
	ck_assert_int_eq(netdev_attach(netdev, loop, &user), 0);

	while (netdev_recv(netdev, 0, &seg, 1) == -EAGAIN)
		wait_for_news();

	ck_assert(!netdev_link_up(netdev));
	ck_assert_str_eq(lost_why, "passt does not speak the protocol, and is started anew");
	wait_for_link(true);
	discover();
	receive(IPPROTO_UDP, UDP, 67);
	free(path);
}
END_TEST

START_TEST(odd_forwards_are_refused)
{
	static const struct {
		const char *words, *says;
	} bad[] = {
		{ "tcp", "'tcp' is none" },
		{ "2222-:22", "'2222-:22' is none" },
		{ "sctp:1-:2", "'sctp:1-:2' is none" },
		{ "tcp:2222", "is none" },
		{ "tcp:2222-", "is none" },
		{ "tcp:-:22", "is none" },
		{ "tcp:0-:22", "is none" },
		{ "tcp:22-:65536", "is none" },
		{ "tcp:99999999999999999999-:22", "is none" },
		{ "tcp:+22-:22", "is none" },
		{ "tcp:22x-:22", "is none" },
		{ "tcp:1.2.3:22-:22", "is none" },
		{ "tcp:[::1:22-:22", "is none" },
		{ "tcp:[]:22-:22", "is none" },
		{ "tcp:[:22-:22", "is none" },
		{ "tcp:::1:22-:22", "is none" },
		{ "tcp:22-10.0.2.15:22", "names an address of the guest" },
		{ "udp:1-:1 tcp:nonsense", "'tcp:nonsense' is none" },
	};

	ck_assert_int_eq(passt_check_forwards(bad[_i].words, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "%s", err.text);
}
END_TEST

START_TEST(good_forwards_are_taken)
{
	ck_assert_int_eq(passt_check_forwards("", NULL), 0);
	ck_assert_int_eq(passt_check_forwards("tcp:2222-:22", NULL), 0);
	ck_assert_int_eq(passt_check_forwards("tcp::2222-:22", NULL), 0);
	ck_assert_int_eq(passt_check_forwards("tcp:2222-22  udp:127.0.0.1:5353-:53", NULL), 0);
	ck_assert_int_eq(passt_check_forwards("tcp:[::1]:2222-:22 ", NULL), 0);
}
END_TEST

START_TEST(forwards_are_64_at_most)
{
	char words[65 * 10 + 1] = "";

	for (size_t i = 0; i < 65; i++)
		memcpy(words + i * 10, "tcp:1-:22 ", 10);

	ck_assert_int_eq(passt_check_forwards(words, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "at most 64") != NULL, "%s", err.text);
	words[64 * 10] = '\0';
	ck_assert_int_eq(passt_check_forwards(words, &err), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("passt");
	TCase *served = tcase_create("served"), *refused = tcase_create("refused");
	TCase *words = tcase_create("forwards");
	SRunner *sr;
	int failed;

	if (system("command -v passt > /dev/null")) {
		fprintf(stderr, "skipped: there is no passt\n");
		return SKIPPED;
	}
	tcase_add_checked_fixture(served, setup_open, teardown);
	tcase_set_timeout(served, 60);
	tcase_add_test(served, guest_is_offered_an_address_a_router_and_its_mtu);
	tcase_add_test(served, connection_to_a_forwarded_port_reaches_the_guest);
	tcase_add_test(served, passt_that_is_killed_takes_the_link_down_until_the_next_serves);
	tcase_add_test(served, passt_that_was_started_anew_leaves_no_zombie_while_it_serves);
	tcase_add_test(served, passt_that_was_started_anew_is_no_child_once_it_is_closed);
	tcase_add_test(served, passt_that_cannot_be_started_anew_is_tried_again);
	tcase_add_test(served, ports_are_free_again_once_it_is_closed);
	suite_add_tcase(s, served);
	tcase_add_checked_fixture(refused, setup, teardown);
	tcase_set_timeout(refused, 60);
	tcase_add_test(refused, what_passt_refuses_is_told_in_its_words);
	tcase_add_test(refused, missing_passt_is_told_with_its_package);
	tcase_add_test(refused, passt_that_fails_in_silence);
	tcase_add_test(refused, passt_that_loses_its_place_in_the_stream_is_started_anew);
	suite_add_tcase(s, refused);
	tcase_add_loop_test(words, odd_forwards_are_refused, 0, 18);
	tcase_add_test(words, good_forwards_are_taken);
	tcase_add_test(words, forwards_are_64_at_most);
	suite_add_tcase(s, words);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
