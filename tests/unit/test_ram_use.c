// SPDX-License-Identifier: Apache-2.0
#include "memory/ram_use.h"

#include "base/bits.h"
#include "base/err.h"
#include "memory/ram.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct ram_use guest, rest;

static void read_text(const char *text, const struct ram *ram)
{
	FILE *smaps = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	ck_assert_ptr_nonnull(smaps);
	ram_use_read(smaps, ram, &guest, &rest);
	fclose(smaps);
}

START_TEST(mappings_within_the_ram_are_the_guests)
{
	const struct ram ram = { (void *)0x7f0000000000, 0x400000 };

	read_text("5500000000-5500001000 r-xp 00000000 00:00 0 /usr/bin/vmm\n"
		  "Size: 4 kB\nRss: 4 kB\nPss: 2 kB\n"
		  "7f0000000000-7f0000200000 rw-p 00000000 00:00 0\n"
		  "Rss:                2048 kB\nPss:                1024 kB\nPss_Dirty: 7 kB\n"
		  "7f0000200000-7f0000400000 rw-p 00000000 00:00 0\n"
		  "Rss: 1 kB\nPss: 1 kB\n"
		  "7f0000400000-7f0000500000 rw-p 00000000 00:00 0\n"
		  "Rss: 16 kB\nPss: 16 kB\n", &ram);

	ck_assert_uint_eq(guest.resident, 2049 * KiB);
	ck_assert_uint_eq(guest.proportional, 1025 * KiB);
	ck_assert_uint_eq(rest.resident, 20 * KiB);
	ck_assert_uint_eq(rest.proportional, 18 * KiB);
}
END_TEST

START_TEST(long_name_of_a_file_is_no_line_of_its_own)
{
	const struct ram ram = { (void *)0x1000, 0x1000 };
	char text[600];
	size_t len;

	memset(text, ' ', sizeof(text));
	memcpy(text, "5500000000-5500001000 r-xp", 26);
	snprintf(text + 255, sizeof(text) - 255, "1000-2000 rw\nRss: 4 kB\n");
	len = strlen(text);
	ck_assert_uint_gt(len, 256);

	read_text(text, &ram);

	ck_assert_uint_eq(guest.resident, 0);
	ck_assert_uint_eq(rest.resident, 4 * KiB);
}
END_TEST

START_TEST(touched_ram_is_resident)
{
	struct ram_use more_guest, more_rest;
	struct ram ram;

	ck_assert_int_eq(ram_open(&ram, 16 * MiB, NULL), 0);
	ck_assert_int_eq(ram_use_ask(&ram, &guest, &rest, NULL), 0);
	memset(ram.host, 1, 8 * MiB);
	ck_assert_int_eq(ram_use_ask(&ram, &more_guest, &more_rest, NULL), 0);
	ram_close(&ram);

	ck_assert_uint_eq(guest.resident, 0);
	ck_assert_uint_ge(more_guest.resident, 8 * MiB);
	ck_assert_uint_le(more_guest.resident, 16 * MiB);
	ck_assert_uint_gt(rest.resident, 0);	/* how much more is up to sanitizers */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ram_use");
	TCase *tc = tcase_create("use");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, mappings_within_the_ram_are_the_guests);
	tcase_add_test(tc, long_name_of_a_file_is_no_line_of_its_own);
	tcase_add_test(tc, touched_ram_is_resident);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
