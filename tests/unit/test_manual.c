// SPDX-License-Identifier: Apache-2.0
#include "config/manual.h"

#include "all_kinds.h"

#include <check.h>
#include <stdlib.h>

static char *text;

static void teardown(void)
{
	free(text);
}

static void print(const struct option_object *object)
{
	size_t len;
	FILE *out = open_memstream(&text, &len);

	manual_print(object, out);
	fclose(out);
}

START_TEST(options_are_terms_with_a_paragraph_below)
{
	print(&all_kinds_options);

	ck_assert_ptr_nonnull(strstr(text, "*-m*, *--memory* _SIZE_\n"
					   "\tGuest memory. From 1M to 1T\\; default 512M.\n"
					   "\n"
					   "*-c*, *--cpus* _N_\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n*-d*, *--direct*\n"
					   "\tPass the page cache by.\n"));
}
END_TEST

START_TEST(keys_of_an_object_are_one_level_deeper)
{
	print(&all_kinds_options);

	ck_assert_ptr_nonnull(strstr(text, "*-i*, *--image* _KEY=VALUE,..._\n"
					   "\tAdd a disk image. May be repeated, at most 3 in "
					   "all.\n"
					   "\n"
					   "\t*path*=_FILE_\n"
					   "\t\tImage file or block device. Required\\; the "
					   "key may be left out.\n"
					   "\n"
					   "\t*format*=_raw\\|qcow2\\|vmdk_\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n\t*readonly*\\[=_on\\|off_\\]\n"));
}
END_TEST

START_TEST(marks_of_scdoc_in_a_text_are_escaped)
{
	static const struct option rows[] = {
		{ .key = "name", OPTION(struct all_kinds, name), .metavar = "A_B",
		  .help = "*all* of _it_ \\ #1 [x] <y> +z" },
	};
	static const struct option_object object = {
		.name = "marks", OPTION_OBJECT(struct all_kinds, rows),
	};

	print(&object);

	ck_assert_str_eq(text, "*--name* _A\\_B_\n"
			       "\t\\*all\\* of \\_it\\_ \\\\ \\#1 \\[x\\] \\<y> \\+z.\n\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("manual");
	TCase *tc = tcase_create("all kinds");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, options_are_terms_with_a_paragraph_below);
	tcase_add_test(tc, keys_of_an_object_are_one_level_deeper);
	tcase_add_test(tc, marks_of_scdoc_in_a_text_are_escaped);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
