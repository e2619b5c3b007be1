// SPDX-License-Identifier: Apache-2.0
/* test_tap.c - ways to a tap, and what is said of those that lead nowhere. */
#include "tap_fixture.h"

#include <sys/mount.h>
#include <sys/stat.h>

static void drop_capabilities(void)
{
	struct __user_cap_header_struct who = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	ck_assert_int_eq(syscall(SYS_capset, &who, none), 0);
}

static bool is_up(const char *name)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(ifr.ifr_name, name, strlen(name));
	ck_assert_int_eq(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	close(fd);
	return ifr.ifr_flags & IFF_UP;
}

static void refuses(const char *name, int code, const char *says)
{
	struct netdev *none = NULL;

	ck_assert_int_eq(open_tap(&none, name), code);
	ck_assert_ptr_null(none);
	ck_assert_msg(strstr(err.text, "net 'net0'") != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, name) != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
}

/* Of all, this one. */
static void refuses_one_of(const int *fds, unsigned nr, int fd, int code, const char *says)
{
	struct netdev *none = NULL;
	char which[32];

	snprintf(which, sizeof(which), "descriptor %d", fd);
	ck_assert_int_eq(tap_open_fds(&none, &inherited, fds, nr, &err), code);
	ck_assert_ptr_null(none);
	ck_assert_msg(strstr(err.text, which) != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
}

static void refuses_fd(int fd, int code, const char *says)
{
	refuses_one_of(&fd, 1, fd, code, says);
}

/* By name. */

START_TEST(missing_tap_is_made_and_goes_when_it_is_closed)
{
	ck_assert_int_eq(open_tap(&netdev, "vmmtap1"), 0);
	ck_assert(is_up("vmmtap1"));

	netdev = netdev_close(netdev);
	ck_assert_uint_eq(if_nametoindex("vmmtap1"), 0);
}
END_TEST

START_TEST(missing_tap_is_made_for_as_many_queues_as_are_wanted)
{
	ck_assert_int_eq(open_pairs(&netdev, "vmmtap1", 3, false), 0);

	ck_assert_uint_eq(netdev_nr_pairs(netdev), 3);
}
END_TEST

START_TEST(how_to_make_a_tap_is_told_to_who_may_not)
{
	drop_capabilities();

	refuses("vmmtap1", -EPERM, "CAP_NET_ADMIN");
	refuses("vmmtap1", -EPERM, "ip tuntap add dev vmmtap1 mode tap user $USER");
	ck_assert_uint_eq(if_nametoindex("vmmtap1"), 0);
}
END_TEST

/* For this test alone: there is nothing in it, and only who may do all can tell. */
static void close_folder(const char *path)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("none", path, "tmpfs", 0, "mode=0"), 0);
}

/* Whatever the tap is called, and if it has no name yet. */
static void refuses_tun(int code, const char *says)
{
	static const char *const names[] = { TAP, "vmmtap1", NULL };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		ck_assert_int_eq(open_tap(&netdev, names[i]), code);
		ck_assert_msg(strstr(err.text, "net 'net0': cannot open /dev/net/tun (") != NULL,
			      "%s", err.text);
		ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
	}
}

START_TEST(who_may_not_make_any_tap_is_told_the_way_out)
{
	close_folder("/dev/net");

	refuses_tun(-ENOENT, "sudo modprobe tun");
	drop_capabilities();
	refuses_tun(-EACCES, "sudo chmod 666 /dev/net/tun");
}
END_TEST

START_TEST(pattern_of_a_name_makes_nothing)
{
	refuses("vmmtap%d", -EINVAL, "no name for a device");
	refuses("vmm/tap", -EINVAL, "no name for a device");
}
END_TEST

START_TEST(name_that_is_too_long_is_refused)
{
	refuses("sixteen-letters-", -EINVAL, "up to 15 characters");
}
END_TEST

START_TEST(device_that_is_no_tap_is_refused)
{
	make_device("vmmtun0", IFF_TUN | IFF_NO_PI);

	refuses("lo", -EINVAL, "no tap device");
	refuses("vmmtun0", -EINVAL, "no tap device");
}
END_TEST

START_TEST(tap_that_is_in_use_is_refused)
{
	ck_assert_int_eq(open_tap(&netdev, TAP), 0);

	refuses(TAP, -EBUSY, "in use");
}
END_TEST

/* Bridges. */

static int open_port(const char *name, const char *bridge)
{
	const struct tap_config config = {
		.id = "net0", .name = name, .nr_pairs = 1, .bridge = bridge,
	};

	return tap_open(&netdev, &config, &err);
}

static void run_ip(const char *arguments)
{
	char command[200];

	snprintf(command, sizeof(command), "ip %s", arguments);
	ck_assert_int_eq(system(command), 0);
}

static unsigned master_of(const char *name)
{
	struct tap_link link;

	ck_assert_int_eq(tap_link_read(&link, name), 0);
	return link.master;
}

START_TEST(tap_becomes_a_port_of_its_bridge)
{
	run_ip("link add bridge0 type bridge");

	ck_assert_int_eq(open_port(TAP, "bridge0"), 0);
	ck_assert_uint_eq(master_of(TAP), if_nametoindex("bridge0"));
	ck_assert(is_up(TAP));

	netdev = netdev_close(netdev);
	ck_assert_int_eq(open_port(TAP, "bridge0"), 0);
}
END_TEST

START_TEST(tap_is_made_up_for_a_bridge)
{
	run_ip("link add bridge0 type bridge");

	ck_assert_int_eq(open_port(NULL, "bridge0"), 0);
	ck_assert_uint_eq(master_of("vmm0"), if_nametoindex("bridge0"));
	ck_assert(is_up("vmm0"));

	netdev = netdev_close(netdev);
	ck_assert_uint_eq(if_nametoindex("vmm0"), 0);
}
END_TEST

static void refuses_bridge(const char *bridge, int code, const char *says)
{
	ck_assert_int_eq(open_port(TAP, bridge), code);
	ck_assert_ptr_null(netdev);
	ck_assert_msg(strstr(err.text, bridge) != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
}

START_TEST(bridge_that_will_not_do_is_refused)
{
	run_ip("link add bridge0 type bridge");
	run_ip("link add bridge1 type bridge");
	run_ip("link set " TAP " master bridge1");

	refuses_bridge("bridge7", -ENODEV, "ip link add bridge7 type bridge");
	refuses_bridge("bridge-of-a-long-name", -ENODEV, "no bridge");
	refuses_bridge("lo", -EOPNOTSUPP, "is no bridge");
	refuses_bridge("bridge0", -EBUSY, "another bridge");
}
END_TEST

START_TEST(bridge_is_told_how_to_join_by_who_may_not)
{
	run_ip("link add bridge0 type bridge");
	drop_capabilities();

	refuses_bridge("bridge0", -EPERM, "CAP_NET_ADMIN");
	refuses_bridge("bridge0", -EPERM, "ip link set " TAP " master bridge0");
	ck_assert_int_eq(open_port(NULL, "bridge0"), -EPERM);
	ck_assert_msg(strstr(err.text, "CAP_NET_ADMIN") != NULL, "%s", err.text);
}
END_TEST

/* Macvtaps: their device files are shared by all namespaces, so they need a number. */

#define MACVTAP "vmmmac0"

static bool make_macvtap(void)
{
	char command[200];

	snprintf(command, sizeof(command), "ip link add under0 type veth peer name under1 && "
		 "ip link add link under0 name " MACVTAP " index %d address 02:00:00:00:00:55 "
		 "type macvtap 2> /dev/null", 1000000 + getpid());
	return !system(command);
}

START_TEST(macvtap_is_opened_by_its_name_and_says_its_mac)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x55 };

	ck_assert(make_macvtap());

	ck_assert_int_eq(open_pairs(&netdev, MACVTAP, 2, true), 0);
	ck_assert_uint_eq(netdev_nr_pairs(netdev), 2);
	ck_assert_ptr_nonnull(netdev_mac(netdev));
	ck_assert_mem_eq(netdev_mac(netdev), mac, 6);
	ck_assert_int_eq(netdev_set_pairs(netdev, 1), 0);
	ck_assert_int_eq(netdev_set_pairs(netdev, 2), 0);
	ck_assert_int_eq(netdev_set_offloads(netdev, netdev_offloads(netdev)), 0);
}
END_TEST

/* As by the shell: nothing was asked for but the file. */
START_TEST(macvtap_that_was_just_opened_has_as_many_queues)
{
	char path[32];
	int fds[2];

	ck_assert(make_macvtap());
	snprintf(path, sizeof(path), "/dev/tap%u", if_nametoindex(MACVTAP));
	fds[0] = open(path, O_RDWR | O_CLOEXEC);
	fds[1] = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(tap_open_fds(&netdev, &inherited, fds, 2, &err), 0);
	ck_assert_uint_eq(netdev_nr_pairs(netdev), 2);
	ck_assert_ptr_nonnull(netdev_mac(netdev));
	ck_assert_int_eq(netdev_set_pairs(netdev, 1), 0);
	ck_assert_int_eq(netdev_set_pairs(netdev, 2), 0);
}
END_TEST

START_TEST(macvtap_whose_file_is_for_others_is_told_with_the_way_out)
{
	char path[32], hint[64];

	ck_assert(make_macvtap());
	snprintf(path, sizeof(path), "/dev/tap%u", if_nametoindex(MACVTAP));
	snprintf(hint, sizeof(hint), "'sudo chown $USER %s'", path);
	ck_assert_int_eq(chmod(path, 0), 0);
	drop_capabilities();

	refuses(MACVTAP, -EACCES, hint);
}
END_TEST

START_TEST(macvtap_that_is_in_use_is_refused)
{
	ck_assert(make_macvtap());
	ck_assert_int_eq(open_tap(&netdev, MACVTAP), 0);

	refuses(MACVTAP, -EBUSY, "in use");
}
END_TEST

/* Several queues. */

START_TEST(tap_for_several_queues_has_as_many_as_are_wanted)
{
	make_device(MULTI_TAP, IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE);

	ck_assert_int_eq(open_pairs(&netdev, MULTI_TAP, 3, true), 0);
	ck_assert_uint_eq(netdev_nr_pairs(netdev), 3);
	netdev = netdev_close(netdev);
	ck_assert_int_eq(open_pairs(&netdev, MULTI_TAP, 1, true), 0);
	ck_assert_uint_eq(netdev_nr_pairs(netdev), 1);
}
END_TEST

START_TEST(tap_for_one_queue_has_one_unless_that_is_not_enough)
{
	struct netdev *none;

	ck_assert_int_eq(open_pairs(&none, TAP, 3, true), -EINVAL);
	ck_assert_msg(strstr(err.text, "multi_queue") != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, "queues=1") != NULL, "%s", err.text);

	ck_assert_int_eq(open_pairs(&netdev, TAP, 3, false), 0);
	ck_assert_uint_eq(netdev_nr_pairs(netdev), 1);
}
END_TEST

START_TEST(tap_for_several_queues_is_for_one_vm_all_the_same)
{
	make_device(MULTI_TAP, IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE);
	ck_assert_int_eq(open_pairs(&netdev, MULTI_TAP, 2, true), 0);
	ck_assert_int_eq(netdev_set_pairs(netdev, 1), 0);

	refuses(MULTI_TAP, -EBUSY, "in use");
}
END_TEST

START_TEST(closing_lets_go_of_the_tap)
{
	ck_assert_int_eq(open_tap(&netdev, TAP), 0);
	netdev = netdev_close(netdev);
	ck_assert_ptr_null(netdev);

	ck_assert_int_eq(open_tap(&netdev, TAP), 0);
}
END_TEST

START_TEST(tap_of_another_user_is_refused)
{
	int fd = attach(TAP, IFF_TAP | IFF_NO_PI);

	ck_assert_int_eq(ioctl(fd, TUNSETGROUP, SOMEBODY), 0);
	close(fd);
	drop_capabilities();

	refuses(TAP, -EPERM, "CAP_NET_ADMIN");
}
END_TEST

/* By descriptor. */

START_TEST(inherited_tap_serves)
{
	int fd = attach(TAP, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);

	ck_assert_int_eq(tap_open_fds(&netdev, &inherited, &fd, 1, &err), 0);

	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	netdev = netdev_close(netdev);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

static void attach_pair(int fds[2], int flags)
{
	fds[0] = attach(MULTI_TAP, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags);
	fds[1] = attach(MULTI_TAP, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags);
}

START_TEST(inherited_queues_of_a_tap_are_pairs_each)
{
	int fds[2];

	attach_pair(fds, IFF_MULTI_QUEUE);

	ck_assert_int_eq(tap_open_fds(&netdev, &inherited, fds, 2, &err), 0);
	ck_assert_uint_eq(netdev_nr_pairs(netdev), 2);
	ck_assert_int_eq(netdev_fd(netdev, 0), fds[0]);
	ck_assert_int_eq(netdev_fd(netdev, 1), fds[1]);
	ck_assert_int_eq(netdev_set_pairs(netdev, 1), 0);
	ck_assert_int_eq(netdev_set_pairs(netdev, 2), 0);

	netdev = netdev_close(netdev);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
	ck_assert_int_eq(fcntl(fds[1], F_GETFD), -1);
}
END_TEST

START_TEST(queues_that_were_left_detached_are_used_again)
{
	struct tap_link link;
	int fds[2], kept;

	attach_pair(fds, IFF_MULTI_QUEUE);
	kept = dup(fds[1]);
	ck_assert_int_eq(tap_open_fds(&netdev, &inherited, fds, 2, &err), 0);
	ck_assert_int_eq(netdev_set_pairs(netdev, 1), 0);
	netdev = netdev_close(netdev);

	ck_assert_int_eq(tap_open_fds(&netdev, &inherited, &kept, 1, &err), 0);
	ck_assert_int_eq(ioctl(kept, TUNSETQUEUE,
			       &(struct ifreq){ .ifr_flags = IFF_DETACH_QUEUE }), 0);
	ck_assert_int_eq(tap_link_read(&link, MULTI_TAP), 0);
	ck_assert_uint_eq(link.nr_queues, 1);
}
END_TEST

START_TEST(copy_of_a_descriptor_is_no_further_queue)
{
	int fds[3];

	attach_pair(fds, IFF_MULTI_QUEUE);
	fds[2] = dup(fds[0]);

	refuses_one_of(fds, 3, fds[2], -EINVAL, "is it a copy of another?");
}
END_TEST

START_TEST(descriptors_of_several_taps_are_refused)
{
	int fds[3];

	attach_pair(fds, IFF_MULTI_QUEUE);
	fds[2] = attach("vmmtap3", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);

	refuses_one_of(fds, 3, fds[0], -EINVAL, "is of tap 'vmmtap2'");
	refuses_one_of(fds, 3, fds[2], -EINVAL, "of 'vmmtap3': a card has one tap");
	ck_assert_int_ge(fcntl(fds[2], F_GETFD), 0);
}
END_TEST

START_TEST(one_of_several_that_is_no_tap_is_refused)
{
	int fds[3];

	attach_pair(fds, IFF_MULTI_QUEUE);
	fds[2] = STDERR_FILENO;

	refuses_one_of(fds, 3, STDERR_FILENO, -EINVAL, "is no tap device");
}
END_TEST

START_TEST(tap_of_a_single_queue_is_one_descriptor)
{
	int fds[2];

	fds[0] = attach(TAP, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	fds[1] = dup(fds[0]);

	refuses_one_of(fds, 2, fds[0], -EINVAL, "without IFF_MULTI_QUEUE");
}
END_TEST

START_TEST(descriptor_that_is_no_tap_is_refused)
{
	int fd = attach("vmmtun0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);

	refuses_fd(fd, -EINVAL, "is no tap device");
	refuses_fd(STDERR_FILENO, -EINVAL, "is no tap device");
	close(fd);
	refuses_fd(fd, -EBADF, "is not open");
}
END_TEST

START_TEST(tap_without_the_header_is_refused)
{
	int fd = attach(TAP, IFF_TAP | IFF_NO_PI);

	refuses_fd(fd, -EINVAL, "without IFF_VNET_HDR");
	close(fd);
}
END_TEST

START_TEST(speed_is_what_the_owner_has_set)
{
	struct ethtool_cmd cmd = { .cmd = ETHTOOL_SSET };
	struct ifreq ifr = { .ifr_name = TAP, .ifr_data = (char *)&cmd };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ethtool_cmd_speed_set(&cmd, 2500);
	ck_assert_int_eq(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);

	ck_assert_int_eq(open_tap(&netdev, TAP), 0);

	ck_assert_uint_eq(netdev_speed(netdev), 2500);
}
END_TEST

static TCase *open_tests(void)
{
	TCase *tc = tcase_create("open");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, missing_tap_is_made_and_goes_when_it_is_closed);
	tcase_add_test(tc, missing_tap_is_made_for_as_many_queues_as_are_wanted);
	tcase_add_test(tc, how_to_make_a_tap_is_told_to_who_may_not);
	tcase_add_test(tc, who_may_not_make_any_tap_is_told_the_way_out);
	tcase_add_test(tc, pattern_of_a_name_makes_nothing);
	tcase_add_test(tc, tap_becomes_a_port_of_its_bridge);
	tcase_add_test(tc, tap_is_made_up_for_a_bridge);
	tcase_add_test(tc, bridge_that_will_not_do_is_refused);
	tcase_add_test(tc, bridge_is_told_how_to_join_by_who_may_not);
	tcase_add_test(tc, name_that_is_too_long_is_refused);
	tcase_add_test(tc, device_that_is_no_tap_is_refused);
	tcase_add_test(tc, tap_that_is_in_use_is_refused);
	tcase_add_test(tc, tap_for_several_queues_has_as_many_as_are_wanted);
	tcase_add_test(tc, tap_for_one_queue_has_one_unless_that_is_not_enough);
	tcase_add_test(tc, tap_for_several_queues_is_for_one_vm_all_the_same);
	tcase_add_test(tc, closing_lets_go_of_the_tap);
	if (is_root)	/* others have no second group to give it to */
		tcase_add_test(tc, tap_of_another_user_is_refused);
	tcase_add_test(tc, inherited_tap_serves);
	tcase_add_test(tc, inherited_queues_of_a_tap_are_pairs_each);
	tcase_add_test(tc, queues_that_were_left_detached_are_used_again);
	tcase_add_test(tc, copy_of_a_descriptor_is_no_further_queue);
	tcase_add_test(tc, descriptors_of_several_taps_are_refused);
	tcase_add_test(tc, one_of_several_that_is_no_tap_is_refused);
	tcase_add_test(tc, tap_of_a_single_queue_is_one_descriptor);
	tcase_add_test(tc, descriptor_that_is_no_tap_is_refused);
	tcase_add_test(tc, tap_without_the_header_is_refused);
	tcase_add_test(tc, speed_is_what_the_owner_has_set);
	return tc;
}

/* Of a kernel that has them; their files are for root. */
static TCase *macvtap_tests(void)
{
	TCase *tc = tcase_create("macvtap");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, macvtap_is_opened_by_its_name_and_says_its_mac);
	tcase_add_test(tc, macvtap_that_was_just_opened_has_as_many_queues);
	tcase_add_test(tc, macvtap_whose_file_is_for_others_is_told_with_the_way_out);
	tcase_add_test(tc, macvtap_that_is_in_use_is_refused);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("tap");
	SRunner *sr;
	int failed;

	if (!can_run())
		return SKIPPED;
	suite_add_tcase(s, open_tests());
	if (is_root && make_macvtap())
		suite_add_tcase(s, macvtap_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
