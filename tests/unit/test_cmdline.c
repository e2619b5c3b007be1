// SPDX-License-Identifier: Apache-2.0
#include "config/cmdline.h"

#include "all_kinds.h"
#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define ARGS_MAX 16

static struct all_kinds config;
static struct err err;
static char *argv[ARGS_MAX];
static int argc, rest;

static void setup(void)
{
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(option_defaults(&all_kinds_options, &config), 0);
}

static void teardown(void)
{
	option_fini(&all_kinds_options, &config);
}

static int parse_list(const char *const *arguments)
{
	argc = 1;
	argv[0] = (char *)(uintptr_t)"vmm";
	for (; *arguments; arguments++)
		argv[argc++] = (char *)(uintptr_t)*arguments;
	return cmdline_parse(&all_kinds_options, &config, argc, argv, &rest, &err);
}

#define PARSE(...) parse_list((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(long_option_takes_its_value_in_two_ways)
{
	ck_assert_int_eq(PARSE("--memory", "1G", "--cpus=4"), 0);

	ck_assert_uint_eq(config.memory, GiB);
	ck_assert_uint_eq(config.cpus, 4);
	ck_assert_int_eq(rest, argc);
}
END_TEST

START_TEST(letter_takes_its_value_in_two_ways)
{
	ck_assert_int_eq(PARSE("-m", "1G", "-c4"), 0);

	ck_assert_uint_eq(config.memory, GiB);
	ck_assert_uint_eq(config.cpus, 4);
}
END_TEST

START_TEST(bool_takes_no_argument)
{
	ck_assert_int_eq(PARSE("--direct", "off"), 0);

	ck_assert(config.direct);
	ck_assert_int_eq(rest, 2);
	ck_assert_str_eq(argv[rest], "off");
}
END_TEST

START_TEST(bool_can_be_turned_off_behind_an_equals_sign)
{
	ck_assert_int_eq(PARSE("--direct", "--direct=off"), 0);

	ck_assert(!config.direct);
}
END_TEST

START_TEST(letters_of_bools_stand_together_and_before_one_with_a_value)
{
	ck_assert_int_eq(PARSE("-dvm2G"), 0);

	ck_assert(config.direct);
	ck_assert(config.verbose);
	ck_assert_uint_eq(config.memory, 2 * GiB);
}
END_TEST

START_TEST(last_value_wins)
{
	ck_assert_int_eq(PARSE("--name=a", "--name=b"), 0);

	ck_assert_str_eq(config.name, "b");
}
END_TEST

START_TEST(value_may_be_empty_or_hold_equals_signs)
{
	ck_assert_int_eq(PARSE("--name=", "--log=a=b"), 0);

	ck_assert_str_eq(config.name, "");
	ck_assert_str_eq(config.log, "a=b");
}
END_TEST

START_TEST(options_and_arguments_may_be_mixed)
{
	ck_assert_int_eq(PARSE("one", "--memory", "1G", "two", "-d", "three"), 0);

	ck_assert_int_eq(rest, 4);
	ck_assert_str_eq(argv[4], "one");
	ck_assert_str_eq(argv[5], "two");
	ck_assert_str_eq(argv[6], "three");
}
END_TEST

START_TEST(two_dashes_end_the_options)
{
	ck_assert_int_eq(PARSE("one", "-d", "--", "--memory"), 0);

	ck_assert(config.direct);
	ck_assert_int_eq(rest, 3);
	ck_assert_str_eq(argv[3], "one");
	ck_assert_str_eq(argv[4], "--memory");
}
END_TEST

START_TEST(reordered_arguments_mean_the_same)
{
	ck_assert_int_eq(PARSE("one", "-d", "--", "-c", "--"), 0);

	ck_assert_int_eq(cmdline_parse(&all_kinds_options, &config, argc, argv, &rest, &err),
			 0);

	ck_assert_int_eq(rest, 3);
	ck_assert_str_eq(argv[3], "one");
	ck_assert_str_eq(argv[4], "-c");
	ck_assert_str_eq(argv[5], "--");
}
END_TEST

START_TEST(single_dash_is_an_argument)
{
	ck_assert_int_eq(PARSE("-", "-d"), 0);

	ck_assert_int_eq(rest, 2);
	ck_assert_str_eq(argv[2], "-");
}
END_TEST

START_TEST(no_arguments_are_fine)
{
	char *none[] = { argv[0], NULL };

	ck_assert_int_eq(cmdline_parse(&all_kinds_options, &config, 1, none, &rest, &err), 0);

	ck_assert_int_eq(rest, 1);
}
END_TEST

START_TEST(list_option_adds_an_item_each_time)
{
	ck_assert_int_eq(PARSE("--image", "path=a.img,format=qcow2,readonly,cache=1M",
			       "-ipath=b.img,readonly=off,serial=x=y"), 0);

	ck_assert_uint_eq(config.nr_images, 2);
	ck_assert_str_eq(config.images[0].path, "a.img");
	ck_assert_int_eq(config.images[0].format, FORMAT_QCOW2);
	ck_assert(config.images[0].readonly);
	ck_assert_uint_eq(config.images[0].cache, MiB);
	ck_assert_str_eq(config.images[1].path, "b.img");
	ck_assert_int_eq(config.images[1].format, FORMAT_RAW);
	ck_assert(!config.images[1].readonly);
	ck_assert_str_eq(config.images[1].serial, "x=y");
}
END_TEST

START_TEST(first_word_that_is_no_key_is_the_primary_value)
{
	ck_assert_int_eq(PARSE("--image", "disk.img,readonly"), 0);

	ck_assert_str_eq(config.images[0].path, "disk.img");
	ck_assert(config.images[0].readonly);
}
END_TEST

START_TEST(doubled_comma_belongs_to_the_value)
{
	ck_assert_int_eq(PARSE("--image", "a,,b,,,,c,,,serial=,,", "--image=path=,,,readonly"),
			 0);

	ck_assert_str_eq(config.images[0].path, "a,b,,c,");
	ck_assert_str_eq(config.images[0].serial, ",");
	ck_assert_str_eq(config.images[1].path, ",");
	ck_assert(config.images[1].readonly);
}
END_TEST

START_TEST(group_option_sets_keys_and_keeps_the_others)
{
	ck_assert_int_eq(PARSE("--clock=zone=CET", "--clock=base=local"), 0);

	ck_assert_int_eq(config.clock.base, BASE_LOCAL);
	ck_assert_str_eq(config.clock.zone, "CET");
}
END_TEST

START_TEST(empty_group_keeps_its_presets)
{
	ck_assert_int_eq(PARSE("--clock="), 0);

	ck_assert_str_eq(config.clock.zone, "UTC");
}
END_TEST

struct refusal {
	const char *arguments[3];
	const char *text;
};

static const struct refusal refusals[] = {
	{ { "--memory", "12Q" },
	  "--memory: '12Q' is no size: write a number with K, M, G or T, as in 512M" },
	{ { "-m0" }, "--memory: '0' is out of range: it must be from 1M to 1T" },
	{ { "--memory" }, "--memory needs a value: --memory SIZE" },
	{ { "-m" }, "--memory needs a value: --memory SIZE" },
	{ { "--image" }, "--image needs a value: --image KEY=VALUE,..." },
	{ { "--direct=maybe" }, "--direct: 'maybe' is neither on nor off" },
	{ { "--memroy", "1G" }, "'--memroy' is unknown: did you mean '--memory'?" },
	{ { "--memroy=1G" }, "'--memroy' is unknown: did you mean '--memory'?" },
	{ { "--=x" }, "'--' is unknown: there are --config, --memory, --cpus, --port, --seed, "
		      "--name, --log, --direct, --verbose, --mac, --clock, --image" },
	{ { "-x" }, "'-x' in '-x' is unknown: see --help" },
	{ { "-dx" }, "'-x' in '-dx' is unknown: see --help" },
	{ { "--image=readonly" }, "--image: 'path' is missing" },
	{ { "--image=" }, "--image: 'path' is missing" },
	{ { "--image=path" }, "--image: 'path' needs a value: path=FILE" },
	{ { "--image=a,format" }, "--image: 'format' needs a value: format=raw|qcow2|vmdk" },
	{ { "--image=path=" }, "--image: path: the name is empty" },
	{ { "--image=a,path=b" }, "--image: 'path' is there twice" },
	{ { "--image=a,readonly,readonly" }, "--image: 'readonly' is there twice" },
	{ { "--image=a,readnoly" },
	  "--image: 'readnoly' is unknown: did you mean 'readonly'?" },
	{ { "--image=fromat=raw" }, "--image: 'fromat' is unknown: did you mean 'format'?" },
	{ { "--image=a,format=zip" }, "--image: format: 'zip' is none of raw, qcow2, vmdk" },
	{ { "--image=a," },
	  "--image: a key is missing (a comma within a value is written twice)" },
	{ { "--image=,readonly" },
	  "--image: a key is missing (a comma within a value is written twice)" },
	{ { "--image=readonly,a" }, "--image: 'a' is unknown: there are path, format, "
				    "readonly, serial, cache, mac" },
	{ { "--clock=utc" }, "--clock: 'utc' is unknown: did you mean 'base=utc'?" },
	{ { "--clock=x" }, "--clock: 'x' is unknown: there are base, zone" },
};

START_TEST(wrong_argument_is_refused_by_name)
{
	ck_assert_int_eq(parse_list(refusals[_i].arguments), -EINVAL);

	ck_assert_str_eq(err.text, refusals[_i].text);
}
END_TEST

START_TEST(full_list_is_refused)
{
	ck_assert_int_eq(PARSE("-ia", "-ib", "-ic", "-id"), -EINVAL);

	ck_assert_str_eq(err.text, "--image: there may be at most 3");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cmdline");
	TCase *tc = tcase_create("all kinds");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, long_option_takes_its_value_in_two_ways);
	tcase_add_test(tc, letter_takes_its_value_in_two_ways);
	tcase_add_test(tc, bool_takes_no_argument);
	tcase_add_test(tc, bool_can_be_turned_off_behind_an_equals_sign);
	tcase_add_test(tc, letters_of_bools_stand_together_and_before_one_with_a_value);
	tcase_add_test(tc, last_value_wins);
	tcase_add_test(tc, value_may_be_empty_or_hold_equals_signs);
	tcase_add_test(tc, options_and_arguments_may_be_mixed);
	tcase_add_test(tc, two_dashes_end_the_options);
	tcase_add_test(tc, reordered_arguments_mean_the_same);
	tcase_add_test(tc, single_dash_is_an_argument);
	tcase_add_test(tc, no_arguments_are_fine);
	tcase_add_test(tc, list_option_adds_an_item_each_time);
	tcase_add_test(tc, first_word_that_is_no_key_is_the_primary_value);
	tcase_add_test(tc, doubled_comma_belongs_to_the_value);
	tcase_add_test(tc, group_option_sets_keys_and_keeps_the_others);
	tcase_add_test(tc, empty_group_keeps_its_presets);
	tcase_add_loop_test(tc, wrong_argument_is_refused_by_name, 0, ARRAY_LEN(refusals));
	tcase_add_test(tc, full_list_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
