// SPDX-License-Identifier: Apache-2.0
#include "machine/machine_parts.h"

#include "base/err.h"
#include "net/netdev.h"
#include "net/peer.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static struct vm_config vm = { .name = (char *)"vm" };
static struct machine machine = { .config = { .vm = &vm } };
static struct machine_part part;
static struct err err;
static bool no_chance;

/* In place of the C library's. */
ssize_t getrandom(void *bytes, size_t len, unsigned flags)
{
	static uint8_t next;

	(void)flags;
	if (no_chance) {
		errno = ENOSYS;
		return -1;
	}
	memset(bytes, ++next, len);
	return (ssize_t)len;
}

static void setup(void)
{
	const struct netdev_lost nobody_cares = { 0 };
	const struct peer_config nowhere = { .id = "net0", .lost = &nobody_cares };

	part = (struct machine_part){ .id = (char *)"net0", .machine = &machine };
	no_chance = false;
	ck_assert_int_eq(peer_open(&part.device.netdev, &nowhere, &err), 0);
}

static void teardown(void)
{
	part.device.netdev = netdev_close(part.device.netdev);
}

/* The card's mac, another one than any before or not. */
static const uint8_t *made(bool renewed)
{
	part.net.renewed = renewed;
	ck_assert_int_eq(machine_part_make_mac(&part, "", 0, &err), 0);
	return part.device.net_card.mac;
}

START_TEST(mac_stays_the_same_from_run_to_run)
{
	uint8_t first[6];

	memcpy(first, made(false), sizeof(first));

	ck_assert_mem_eq(made(false), first, sizeof(first));
}
END_TEST

START_TEST(renewed_mac_is_another_each_time)
{
	uint8_t old[6], first[6];

	memcpy(old, made(false), sizeof(old));
	memcpy(first, made(true), sizeof(first));

	ck_assert_mem_ne(first, old, sizeof(old));
	ck_assert_mem_ne(made(true), first, sizeof(first));
}
END_TEST

START_TEST(mac_that_cannot_be_renewed_is_refused)
{
	const uint8_t none[6] = { 0 };

	no_chance = true;
	part.net.renewed = true;

	ck_assert_int_eq(machine_part_make_mac(&part, "", 0, &err), -ENOSYS);

	ck_assert_str_eq(err.text, "net 'net0': cannot make up a new mac: Function not "
			 "implemented");
	ck_assert_mem_eq(part.device.net_card.mac, none, sizeof(none));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("machine_parts");
	TCase *tc = tcase_create("macs");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, mac_stays_the_same_from_run_to_run);
	tcase_add_test(tc, renewed_mac_is_another_each_time);
	tcase_add_test(tc, mac_that_cannot_be_renewed_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
