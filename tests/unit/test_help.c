// SPDX-License-Identifier: Apache-2.0
#include "config/help.h"

#include "all_kinds.h"

#include <check.h>
#include <stdlib.h>

static char *text;

static void teardown(void)
{
	free(text);
}

static void print(const struct option_object *object, unsigned columns)
{
	size_t len;
	FILE *out = open_memstream(&text, &len);

	help_print(object, out, columns);
	fclose(out);
}

static size_t longest_line(void)
{
	size_t longest = 0;

	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		size_t len = strcspn(line, "\n");

		longest = len > longest ? len : longest;
	}
	return longest;
}

static const char expected[] =
	"      --config FILE         read options from this file first\n"
	"  -m, --memory SIZE         guest memory (from 1M to 1T; default 512M)\n"
	"  -c, --cpus N              number of virtual CPUs (from 1 to 255; default 1)\n"
	"      --port N              where to listen\n"
	"      --seed NUMBER         start of the random numbers\n"
	"      --name TEXT           what the machine is called (required)\n"
	"  -l, --log FILE            append messages to this file\n"
	"  -d, --direct              pass the page cache by\n"
	"  -v, --verbose             say more\n"
	"      --mac ADDRESS         address of the interface\n"
	"      --clock KEY=VALUE,...\n"
	"                            the real-time clock\n"
	"        base=utc|local      what the clock shows (default utc)\n"
	"        zone=TEXT           name of the time zone (default UTC)\n"
	"  -i, --image KEY=VALUE,...\n"
	"                            add a disk image (may be repeated, at most 3 in all)\n"
	"        path=FILE           image file or block device (required; the key may be\n"
	"                            left out)\n"
	"        format=raw|qcow2|vmdk\n"
	"                            how the image is laid out (default raw)\n"
	"        readonly[=on|off]   refuse writes\n"
	"        serial=TEXT         serial number the guest sees (at most 20 bytes)\n"
	"        cache=SIZE          memory for tables (at least 4K)\n"
	"        mac=ADDRESS         address on the wire\n";

START_TEST(entries_are_aligned_and_show_what_the_table_knows)
{
	print(&all_kinds_options, HELP_COLUMNS);

	ck_assert_str_eq(text, expected);
}
END_TEST

static const unsigned widths[] = { 40, 41, 67, 68, 69, 80, 132 };

START_TEST(no_line_is_wider_than_asked_for)
{
	print(&all_kinds_options, widths[_i]);

	ck_assert_uint_le(longest_line(), widths[_i]);
}
END_TEST

START_TEST(absurd_width_is_not_taken_at_its_word)
{
	print(&all_kinds_options, 0);

	ck_assert_uint_gt(longest_line(), 30);
	ck_assert_uint_le(longest_line(), 40);
}
END_TEST

START_TEST(list_of_one_is_not_said_to_be_repeatable)
{
	static const struct option rows[] = {
		{ .key = "disk",
		  OPTION_LIST(struct all_kinds, images, nr_images, image_options),
		  .max = 1, .help = "the disk" },
	};
	static const struct option_object object = {
		.name = "one", OPTION_OBJECT(struct all_kinds, rows),
	};

	print(&object, HELP_COLUMNS);

	ck_assert_ptr_null(strstr(text, "repeated"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("help");
	TCase *tc = tcase_create("all kinds");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, entries_are_aligned_and_show_what_the_table_knows);
	tcase_add_loop_test(tc, no_line_is_wider_than_asked_for, 0, ARRAY_LEN(widths));
	tcase_add_test(tc, absurd_width_is_not_taken_at_its_word);
	tcase_add_test(tc, list_of_one_is_not_said_to_be_repeatable);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
