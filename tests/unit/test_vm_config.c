// SPDX-License-Identifier: Apache-2.0
#include "machine/vm_config.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk.h"
#include "config/cmdline.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_MAX 28

static struct vm_config config;
static struct err err;

static void setup(void)
{
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(option_defaults(&vm_config_options, &config), 0);
}

static void teardown(void)
{
	option_fini(&vm_config_options, &config);
}

static int parse(const char *option, const char *value)
{
	const char *argv[] = { "run", option, value };
	int rest;

	return cmdline_parse(&vm_config_options, &config, ARRAY_LEN(argv), (char **)argv,
			     &rest, &err);
}

static void give(const char *option, const char *value)
{
	ck_assert_msg(!parse(option, value), "%s", err.text);
}

static void give_times(int nr, const char *option, const char *value)
{
	while (nr--)
		give(option, value);
}

/* Together they are refused, and the message has this in it. */
static void assert_refused(const char *text)
{
	ck_assert_int_eq(vm_config_check(&config, &err), -EINVAL);
	ck_assert_int_eq(err.code, -EINVAL);
	ck_assert_msg(strstr(err.text, text), "'%s' is not in: %s", text, err.text);
}

static void assert_fits(void)
{
	ck_assert_msg(!vm_config_check(&config, &err), "%s", err.text);
}

START_TEST(kernel_alone_is_enough)
{
	give("--kernel", "k");

	assert_fits();
	ck_assert_uint_eq(config.cpus, 1);
	ck_assert_uint_eq(config.memory, 256 * MiB);
}
END_TEST

START_TEST(kernel_is_required)
{
	assert_refused("kernel");
}
END_TEST

START_TEST(path_of_each_disk_is_required)
{
	give("--kernel", "k");
	give("--disk", "a");
	ck_assert_int_lt(parse("--disk", "readonly"), 0);

	ck_assert_ptr_nonnull(strstr(err.text, "path"));
}
END_TEST

START_TEST(memory_is_whole_pages)
{
	give("--kernel", "k");
	give("--memory", "4100K");
	assert_fits();
	give("--memory", "4101K");

	assert_refused("4199424 bytes");
}
END_TEST

START_TEST(memory_has_limits)
{
	give("--memory", "2M");
	give("--memory", "8T");

	ck_assert_int_lt(parse("--memory", "2047K"), 0);
	ck_assert_int_lt(parse("--memory", "9T"), 0);
}
END_TEST

START_TEST(cpus_have_limits)
{
	give("--cpus", "1");
	give("--cpus", "4096");

	ck_assert_int_lt(parse("--cpus", "0"), 0);
	ck_assert_int_lt(parse("--cpus", "4097"), 0);
}
END_TEST

START_TEST(disk_has_a_queue_for_each_vcpu_up_to_four_unless_told)
{
	give("--kernel", "k");
	give("--disk", "d");
	give("--disk", "d,queues=7");
	give("--cpus", "3");
	ck_assert_uint_eq(vm_config_queues(&config, config.disk[0].queues), 3);
	ck_assert_uint_eq(vm_config_queues(&config, config.disk[1].queues), 7);

	give("--cpus", "5");
	ck_assert_uint_eq(vm_config_queues(&config, config.disk[0].queues), 4);
}
END_TEST

START_TEST(disk_caches_and_stops_for_want_of_space_unless_told)
{
	give("--kernel", "k");
	give("--disk", "d");
	give("--disk", "d,cache=unsafe,rerror=stop,werror=ignore,block-size=4K");

	ck_assert_uint_eq(config.disk[0].cache, DISK_WRITEBACK);
	ck_assert_uint_eq(config.disk[0].read_error, DISK_ON_ERROR_REPORT);
	ck_assert_uint_eq(config.disk[0].write_error, DISK_ON_ERROR_ENOSPC);
	ck_assert_uint_eq(config.disk[1].cache, DISK_UNSAFE);
	ck_assert_uint_eq(config.disk[1].read_error, DISK_ON_ERROR_STOP);
	ck_assert_uint_eq(config.disk[1].write_error, DISK_ON_ERROR_IGNORE);
	ck_assert_uint_eq(config.disk[1].block_size, 4096);
}
END_TEST

START_TEST(disk_has_the_limits_that_it_is_given)
{
	const struct throttle_limits *limits;

	give("--kernel", "k");
	give("--disk", "d,bps-rd=10M,bps-wr=5,bps-wr-max=6,bps-wr-max-length=7,iops=8,"
		       "iops-size=4K,group=g");
	assert_fits();

	limits = &config.disk[0].limits;
	ck_assert_uint_eq(limits->of[THROTTLE_BPS_RD].avg, 10 * MiB);
	ck_assert_uint_eq(limits->of[THROTTLE_BPS_WR].avg, 5);
	ck_assert_uint_eq(limits->of[THROTTLE_BPS_WR].max, 6);
	ck_assert_uint_eq(limits->of[THROTTLE_BPS_WR].length, 7);
	ck_assert_uint_eq(limits->of[THROTTLE_IOPS].avg, 8);
	ck_assert_uint_eq(limits->iops_size, 4096);
	ck_assert_str_eq(config.disk[0].group, "g");
}
END_TEST

START_TEST(limits_that_contradict_each_other_are_refused)
{
	give("--kernel", "k");
	give("--disk", "d");
	give("--disk", "d,iops=5,iops-rd=5");

	assert_refused("disk 1: bps/iops/max total values and read/write values");
}
END_TEST

START_TEST(bus_can_be_filled)
{
	give("--kernel", "k");
	give_times(DEVICES_MAX - 1, "--disk", "d");
	give("--net", "tap=t");

	assert_fits();
}
END_TEST

START_TEST(disks_and_cards_together_may_not_exceed_the_bus)
{
	give("--kernel", "k");
	give_times(DEVICES_MAX, "--disk", "d");
	give("--net", "tap=t");

	assert_refused("28 disks and 1 network cards");
}
END_TEST

START_TEST(dump_of_the_device_tree_starts_no_guest)
{
	give("--kernel", "k");
	give("--dump-dtb", "dtb");
	assert_fits();

	config.detach = true;

	assert_refused("dump-dtb starts no guest");
}
END_TEST

START_TEST(card_needs_a_back_end)
{
	give("--kernel", "k");
	give("--net", "tap=t");
	give("--net", "id=lan");

	assert_refused("net 1: where to?");
}
END_TEST

START_TEST(card_has_one_back_end)
{
	give("--kernel", "k");
	give("--net", "tap=t,fd=0");

	assert_refused("net 0: give tap= or fd=, not both");
}
END_TEST

START_TEST(places_of_a_card_do_not_mix)
{
	static const struct {
		const char *net, *says;
	} bad[] = {
		{ "bridge=b,fd=0", "net 0: give bridge= or fd=, not both" },
		{ "tap=t,socket=s", "net 0: give tap= or socket=, not both" },
		{ "socket=s,none", "net 0: give socket= or none, not both" },
		{ "user,fd=0", "net 0: give fd= or user, not both" },
		{ "tap=t,hostfwd=tcp:1-:1", "net 0: hostfwd= goes with user" },
		{ "user,hostfwd=tcp", "net 0: hostfwd: 'tcp' is none" },
		{ "user,queues=2", "net 0: only a tap or a bridge has several queues" },
		{ "tap=t,listen", "net 0: listen goes with socket=" },
		{ "socket=s,queues=2", "net 0: only a tap or a bridge has several queues" },
		{ "fd=3,queues=2", "net 0: queues=2 needs as many descriptors, fd= has 1" },
		{ "fd=3:4:5,queues=2", "net 0: queues=2 needs as many descriptors, fd= has 3" },
		{ "fd=3:4:3", "net 0: fd: descriptor 3 is there twice" },
		{ "fd=", "net 0: fd: give descriptors by number" },
	};

	give("--kernel", "k");
	give("--net", bad[_i].net);

	assert_refused(bad[_i].says);
}
END_TEST

START_TEST(card_leads_to_a_socket_or_nowhere)
{
	give("--kernel", "k");
	give("--net", "socket=a,listen");
	give("--net", "socket=b");
	give("--net", "none");
	give("--net", "tap=t,bridge=b,queues=2");

	assert_fits();
}
END_TEST

START_TEST(forwards_of_a_card_are_one_text)
{
	give("--kernel", "k");
	give("--net", "user,hostfwd=tcp:2222-:22,mtu=9000,hostfwd=udp:53-:53 tcp:80-:80");

	assert_fits();
	ck_assert_str_eq(config.net[0].hostfwd, "tcp:2222-:22 udp:53-:53 tcp:80-:80");
}
END_TEST

START_TEST(descriptor_0_is_a_back_end)
{
	give("--kernel", "k");
	give("--net", "fd=0");
	give("--net", "tap=t");

	assert_fits();
}
END_TEST

START_TEST(cards_do_not_share_a_descriptor)
{
	give("--kernel", "k");
	give("--net", "fd=3");
	give("--net", "fd=4");
	give("--net", "fd=3");

	assert_refused("net 0 and net 2 have the same fd, 3");
}
END_TEST

START_TEST(cards_do_not_share_one_of_several_descriptors)
{
	give("--kernel", "k");
	give("--net", "fd=3:4:5,queues=3");
	give("--net", "fd=6:7:8");
	assert_fits();

	give("--net", "fd=9:7");

	assert_refused("net 1 and net 2 have the same fd, 7");
}
END_TEST

START_TEST(dump_is_refused_with_vhost)
{
	give("--kernel", "k");
	give("--net", "tap=a,vhost=on");
	give("--net", "tap=b,vhost=on,dump=f");

	assert_refused("net 1: vhost moves packets past dump=");
}
END_TEST

START_TEST(vhost_is_of_taps)
{
	give("--kernel", "k");
	give("--net", "user,vhost=on");

	assert_refused("net 0: only a tap or a bridge has vhost");
}
END_TEST

START_TEST(limits_are_refused_with_vhost)
{
	give("--kernel", "k");
	give("--net", "tap=a,vhost=on,pps-tx=5");

	assert_refused("net 0: vhost moves packets past limits");
}
END_TEST

START_TEST(multicast_mac_is_refused)
{
	ck_assert_int_lt(parse("--net", "tap=t,mac=03:00:00:00:00:01"), 0);

	ck_assert_ptr_nonnull(strstr(err.text, "03:00:00:00:00:01"));
}
END_TEST

START_TEST(cards_do_not_share_a_mac)
{
	give("--kernel", "k");
	give("--net", "tap=a,mac=02:00:00:00:00:01");
	give("--net", "tap=b");
	give("--net", "tap=c");
	give("--net", "tap=d,mac=02:00:00:00:00:01");

	assert_refused("net 0 and net 3 have the same mac");
}
END_TEST

START_TEST(name_is_fit_for_a_folder)
{
	static const char *const good[] = { "a", "0", "web-1.example_org", "A" };
	static const char *const bad[] = {
		"", ".", "..", ".a", "-a", "_a", "a/b", "a b", "\303\244", "a\n",
		"12345678901234567890123456789012345678901234567890123456789012345",
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_assert_int_eq(vm_config_check_name(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_int_eq(vm_config_check_name(bad[i], NULL), -EINVAL);
	give("--kernel", "vmlinuz");
	give("--name", "../up");
	assert_refused("name: '../up' is none for a VM");
}
END_TEST

START_TEST(qmp_socket_is_a_path_or_a_descriptor)
{
	give("--kernel", "vmlinuz");
	give("--qmp", "a.sock");
	give("--qmp", "fd=0");
	assert_fits();
	ck_assert_str_eq(config.qmp[0].path, "a.sock");

	give("--qmp", "path=b.sock,fd=3");
	assert_refused("qmp 2: give path= or fd=, not both");
}
END_TEST

START_TEST(qmp_socket_somewhere_is_asked_where)
{
	give("--kernel", "vmlinuz");
	give("--qmp", "");

	assert_refused("qmp 0: where?");
}
END_TEST

START_TEST(guest_has_cid_3_on_its_vsock_unless_told)
{
	give("--kernel", "vmlinuz");
	give("--vsock", "a.sock");
	assert_fits();

	ck_assert_uint_eq(config.nr_vsock, 1);
	ck_assert_str_eq(config.vsock[0].path, "a.sock");
	ck_assert_uint_eq(config.vsock[0].cid, 3);
}
END_TEST

static const char *const wrong_cids[] = {
	"a.sock,cid=2", "a.sock,cid=4294967295", "a.sock,cid=4294967299",
};

START_TEST(cid_of_the_host_or_of_anyone_is_not_a_guests)
{
	ck_assert_int_eq(parse("--vsock", wrong_cids[_i]), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "cid"));
}
END_TEST

START_TEST(vm_has_one_vsock)
{
	give("--vsock", "a.sock");

	ck_assert_int_eq(parse("--vsock", "b.sock"), -EINVAL);
}
END_TEST

START_TEST(vsock_is_asked_for_its_path)
{
	ck_assert_int_eq(parse("--vsock", "cid=4"), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "'path' is missing"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vm_config");
	TCase *tc = tcase_create("check");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, kernel_alone_is_enough);
	tcase_add_test(tc, kernel_is_required);
	tcase_add_test(tc, path_of_each_disk_is_required);
	tcase_add_test(tc, memory_is_whole_pages);
	tcase_add_test(tc, memory_has_limits);
	tcase_add_test(tc, cpus_have_limits);
	tcase_add_test(tc, disk_has_a_queue_for_each_vcpu_up_to_four_unless_told);
	tcase_add_test(tc, disk_caches_and_stops_for_want_of_space_unless_told);
	tcase_add_test(tc, disk_has_the_limits_that_it_is_given);
	tcase_add_test(tc, limits_that_contradict_each_other_are_refused);
	tcase_add_test(tc, bus_can_be_filled);
	tcase_add_test(tc, disks_and_cards_together_may_not_exceed_the_bus);
	tcase_add_test(tc, dump_of_the_device_tree_starts_no_guest);
	tcase_add_test(tc, card_needs_a_back_end);
	tcase_add_test(tc, card_has_one_back_end);
	tcase_add_loop_test(tc, places_of_a_card_do_not_mix, 0, 13);
	tcase_add_test(tc, card_leads_to_a_socket_or_nowhere);
	tcase_add_test(tc, forwards_of_a_card_are_one_text);
	tcase_add_test(tc, descriptor_0_is_a_back_end);
	tcase_add_test(tc, cards_do_not_share_a_descriptor);
	tcase_add_test(tc, cards_do_not_share_one_of_several_descriptors);
	tcase_add_test(tc, dump_is_refused_with_vhost);
	tcase_add_test(tc, vhost_is_of_taps);
	tcase_add_test(tc, limits_are_refused_with_vhost);
	tcase_add_test(tc, multicast_mac_is_refused);
	tcase_add_test(tc, cards_do_not_share_a_mac);
	tcase_add_test(tc, name_is_fit_for_a_folder);
	tcase_add_test(tc, qmp_socket_is_a_path_or_a_descriptor);
	tcase_add_test(tc, qmp_socket_somewhere_is_asked_where);
	tcase_add_test(tc, guest_has_cid_3_on_its_vsock_unless_told);
	tcase_add_loop_test(tc, cid_of_the_host_or_of_anyone_is_not_a_guests, 0,
			    ARRAY_LEN(wrong_cids));
	tcase_add_test(tc, vm_has_one_vsock);
	tcase_add_test(tc, vsock_is_asked_for_its_path);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
