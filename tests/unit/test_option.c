// SPDX-License-Identifier: Apache-2.0
#include "config/option.h"

#include "all_kinds.h"
#include "base/err.h"
#include "config/cmdline.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

static struct all_kinds config;
static struct err err;

static void setup(void)
{
	memset(&config, 0xa5, sizeof(config));
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(option_defaults(&all_kinds_options, &config), 0);
}

static void teardown(void)
{
	option_fini(&all_kinds_options, &config);
}

static void give(const char *argument)
{
	const char *argv[] = { "vmm", argument };
	int rest;

	ck_assert_int_eq(cmdline_parse(&all_kinds_options, &config, 2, (char **)argv, &rest,
				       &err), 0);
}

START_TEST(defaults_are_the_presets)
{
	ck_assert_uint_eq(config.memory, 512 * MiB);
	ck_assert_uint_eq(config.cpus, 1);
	ck_assert_int_eq(config.clock.base, BASE_UTC);
	ck_assert_str_eq(config.clock.zone, "UTC");
}
END_TEST

START_TEST(what_has_no_preset_is_zero_whatever_the_memory_held)
{
	ck_assert_ptr_null(config.name);
	ck_assert_ptr_null(config.images);
	ck_assert_uint_eq(config.nr_images, 0);
	ck_assert_uint_eq(config.seed, 0);
	ck_assert(!config.direct);
}
END_TEST

START_TEST(a_preset_does_not_count_as_given)
{
	ck_assert(!option_given(&all_kinds_options, &config, &config.memory));
}
END_TEST

START_TEST(a_value_equal_to_the_preset_counts_as_given)
{
	give("--memory=512M");

	ck_assert(option_given(&all_kinds_options, &config, &config.memory));
	ck_assert(!option_given(&all_kinds_options, &config, &config.cpus));
}
END_TEST

START_TEST(keys_of_a_group_are_given_on_their_own)
{
	give("--clock=base=local");

	ck_assert(option_given(&wall_clock_options, &config.clock, &config.clock.base));
	ck_assert(!option_given(&wall_clock_options, &config.clock, &config.clock.zone));
}
END_TEST

START_TEST(check_names_the_required_row_without_a_value)
{
	ck_assert_int_eq(option_check(&all_kinds_options, &config, &err), -EINVAL);

	ck_assert_str_eq(err.text, "'name' is missing");
}
END_TEST

START_TEST(check_accepts_a_value_that_the_program_put_there)
{
	config.name = strdup("guest");

	ck_assert_int_eq(option_check(&all_kinds_options, &config, &err), 0);
}
END_TEST

START_TEST(check_looks_into_the_items_of_lists)
{
	give("--name=guest");
	give("--image=disk.img");
	free(config.images[0].path);
	config.images[0].path = NULL;

	ck_assert_int_eq(option_check(&all_kinds_options, &config, &err), -EINVAL);

	ck_assert_str_eq(err.text, "image: 'path' is missing");
}
END_TEST

START_TEST(fini_leaves_an_empty_struct_that_can_be_finished_again)
{
	static const struct all_kinds empty;

	give("--image=disk.img,serial=7");
	option_fini(&all_kinds_options, &config);

	ck_assert_mem_eq(&config, &empty, sizeof(empty));
}
END_TEST

START_TEST(a_copy_has_all_and_shares_nothing)
{
	struct all_kinds copy;

	give("--name=guest");
	give("--image=disk.img,serial=7");
	ck_assert_int_eq(option_copy(&all_kinds_options, &copy, &config), 0);
	option_fini(&all_kinds_options, &config);

	ck_assert_str_eq(copy.name, "guest");
	ck_assert_uint_eq(copy.nr_images, 1);
	ck_assert_str_eq(copy.images[0].path, "disk.img");
	ck_assert_str_eq(copy.images[0].serial, "7");
	ck_assert(option_given(&all_kinds_options, &copy, &copy.name));
	option_fini(&all_kinds_options, &copy);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("option");
	TCase *tc = tcase_create("all kinds");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, defaults_are_the_presets);
	tcase_add_test(tc, what_has_no_preset_is_zero_whatever_the_memory_held);
	tcase_add_test(tc, a_preset_does_not_count_as_given);
	tcase_add_test(tc, a_value_equal_to_the_preset_counts_as_given);
	tcase_add_test(tc, keys_of_a_group_are_given_on_their_own);
	tcase_add_test(tc, check_names_the_required_row_without_a_value);
	tcase_add_test(tc, check_accepts_a_value_that_the_program_put_there);
	tcase_add_test(tc, check_looks_into_the_items_of_lists);
	tcase_add_test(tc, fini_leaves_an_empty_struct_that_can_be_finished_again);
	tcase_add_test(tc, a_copy_has_all_and_shares_nothing);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
