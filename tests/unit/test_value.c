// SPDX-License-Identifier: Apache-2.0
#include "config/value.h"

#include "all_kinds.h"
#include "base/err.h"
#include "config/object.h"
#include "config/option.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

static struct all_kinds config;
static struct image image;
static struct err err;

static void setup(void)
{
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(option_defaults(&all_kinds_options, &config), 0);
	ck_assert_int_eq(option_defaults(&image_options, &image), 0);
}

static void teardown(void)
{
	option_fini(&all_kinds_options, &config);
	option_fini(&image_options, &image);
}

static int set(const char *key, const char *text)
{
	return value_parse(object_find(&all_kinds_options, key, strlen(key)), &config, text,
			   &err);
}

static int set_image(const char *key, const char *text)
{
	return value_parse(object_find(&image_options, key, strlen(key)), &image, text, &err);
}

static const char *text_of(const char *key)
{
	static char buf[VALUE_TEXT_MAX];

	return value_text(object_find(&all_kinds_options, key, strlen(key)), &config, buf);
}

struct size_case {
	const char *text;
	uint64_t bytes;
	const char *written;
};

static const struct size_case sizes[] = {
	{ "1048576", MiB, "1M" },
	{ "1048577", MiB + 1, "1048577" },
	{ "1025K", 1025 * KiB, "1025K" },
	{ "512M", 512 * MiB, "512M" },
	{ "2g", 2 * GiB, "2G" },
	{ "1T", TiB, "1T" },
	{ "1024G", TiB, "1T" },
};

START_TEST(size_is_read_and_written_in_its_largest_unit)
{
	ck_assert_int_eq(set("memory", sizes[_i].text), 0);

	ck_assert_uint_eq(config.memory, sizes[_i].bytes);
	ck_assert_str_eq(text_of("memory"), sizes[_i].written);
}
END_TEST

static const char *const no_sizes[] = {
	"", "M", "12Q", "512MB", "-1M", "+1M", " 1M", "1M ", "1.5G", "0x100000", "1@", "1 ",
};

START_TEST(malformed_size_is_refused_with_an_example)
{
	ck_assert_int_eq(set("memory", no_sizes[_i]), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "is no size: write a number with K, M, G or T, "
					       "as in 512M"));
	ck_assert_uint_eq(config.memory, 512 * MiB);
}
END_TEST

static const char *const sizes_out_of_range[] = {
	"0", "1048575", "1023K", "1025G", "1099511627777", "16777216T", "17179869184G",
	"18446744073709551616", "99999999999999999999999T",
};

START_TEST(size_out_of_range_is_refused_with_the_limits)
{
	ck_assert_int_eq(set("memory", sizes_out_of_range[_i]), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "is out of range: it must be from 1M to 1T"));
	ck_assert_uint_eq(config.memory, 512 * MiB);
}
END_TEST

START_TEST(size_without_an_upper_limit_may_be_anything_that_64_bits_hold)
{
	ck_assert_int_eq(set_image("cache", "18446744073709551615"), 0);

	ck_assert_uint_eq(image.cache, UINT64_MAX);
}
END_TEST

START_TEST(lower_limit_alone_is_named_alone)
{
	ck_assert_int_eq(set_image("cache", "4095"), -EINVAL);

	ck_assert_str_eq(err.text, "'4095' is out of range: it must be at least 4K");
}
END_TEST

START_TEST(numbers_are_read_at_the_width_of_their_member)
{
	ck_assert_int_eq(set("port", "65535"), 0);
	ck_assert_int_eq(set("cpus", "255"), 0);
	ck_assert_int_eq(set("seed", "18446744073709551615"), 0);

	ck_assert_uint_eq(config.port, 65535);
	ck_assert_uint_eq(config.cpus, 255);
	ck_assert_uint_eq(config.seed, UINT64_MAX);
	ck_assert_str_eq(text_of("port"), "65535");
	ck_assert_str_eq(text_of("cpus"), "255");
	ck_assert_str_eq(text_of("seed"), "18446744073709551615");
}
END_TEST

START_TEST(number_too_large_for_its_member_is_refused)
{
	ck_assert_int_eq(set("port", "65536"), -EINVAL);

	ck_assert_str_eq(err.text, "'65536' is out of range: it must be at most 65535");
}
END_TEST

START_TEST(number_past_64_bits_is_refused)
{
	ck_assert_int_eq(set("seed", "18446744073709551616"), -EINVAL);

	ck_assert_uint_eq(config.seed, 0);
}
END_TEST

START_TEST(number_out_of_limits_is_refused_on_both_sides)
{
	ck_assert_int_eq(set("cpus", "0"), -EINVAL);
	ck_assert_int_eq(set("cpus", "256"), -EINVAL);

	ck_assert_str_eq(err.text, "'256' is out of range: it must be from 1 to 255");
}
END_TEST

static const char *const no_numbers[] = { "", "four", "4x", "-4", "0x4", "4K", " 4" };

START_TEST(malformed_number_is_refused)
{
	ck_assert_int_eq(set("cpus", no_numbers[_i]), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "is no number: write digits, as in 4"));
}
END_TEST

static const char *const yes[] = { "on", "true", "yes" };
static const char *const no[] = { "off", "false", "no" };

START_TEST(bool_has_three_words_for_each_of_its_values)
{
	ck_assert_int_eq(set("direct", yes[_i]), 0);
	ck_assert(config.direct);
	ck_assert_str_eq(text_of("direct"), "true");

	ck_assert_int_eq(set("direct", no[_i]), 0);
	ck_assert(!config.direct);
	ck_assert_str_eq(text_of("direct"), "false");
}
END_TEST

START_TEST(other_words_are_no_bool)
{
	ck_assert_int_eq(set("direct", "1"), -EINVAL);

	ck_assert_str_eq(err.text, "'1' is neither on nor off");
}
END_TEST

START_TEST(choice_is_one_of_its_names)
{
	ck_assert_int_eq(set_image("format", "vmdk"), 0);

	ck_assert_int_eq(image.format, FORMAT_VMDK);
}
END_TEST

START_TEST(other_names_are_refused_with_a_list)
{
	ck_assert_int_eq(set_image("format", "RAW"), -EINVAL);

	ck_assert_str_eq(err.text, "'RAW' is none of raw, qcow2, vmdk");
}
END_TEST

START_TEST(mac_address_is_read_in_either_case)
{
	const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0xab, 0xcd, 0xef };

	ck_assert_int_eq(set("mac", "52:54:00:ab:CD:eF"), 0);

	ck_assert_mem_eq(config.mac, mac, sizeof(mac));
	ck_assert_str_eq(text_of("mac"), "52:54:00:ab:cd:ef");
}
END_TEST

static const char *const no_macs[] = {
	"", "52:54:00:12:34", "52:54:00:12:34:5", "52:54:00:12:34:56:", "52-54-00-12-34-56",
	"52:54:00:12:34:5g", "525:4:00:12:34:56", "52:54:00:12:34:56:78",
	"52:=4:00:12:34:56", "5\":54:00:12:34:56",
};

START_TEST(malformed_mac_address_is_refused)
{
	ck_assert_int_eq(set("mac", no_macs[_i]), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "is no MAC address"));
}
END_TEST

static const char *const no_unicast[] = {
	"01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00",
};

START_TEST(mac_address_of_no_single_interface_is_refused)
{
	ck_assert_int_eq(set("mac", no_unicast[_i]), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "is no address of one interface"));
}
END_TEST

START_TEST(string_is_copied_and_replaces_the_one_before)
{
	char text[] = "first";

	ck_assert_int_eq(set("name", text), 0);
	text[0] = 'F';
	ck_assert_str_eq(config.name, "first");

	ck_assert_int_eq(set("name", ""), 0);
	ck_assert_str_eq(config.name, "");
	ck_assert_str_eq(text_of("name"), "");
}
END_TEST

START_TEST(string_may_be_as_long_as_its_limit)
{
	ck_assert_int_eq(set_image("serial", "12345678901234567890"), 0);
}
END_TEST

START_TEST(string_past_its_limit_is_refused)
{
	ck_assert_int_eq(set_image("serial", "123456789012345678901"), -EINVAL);

	ck_assert_str_eq(err.text, "'123456789012345678901' is too long: 21 bytes where at "
				   "most 20 are possible");
	ck_assert_ptr_null(image.serial);
}
END_TEST

START_TEST(path_must_not_be_empty)
{
	ck_assert_int_eq(set("log", ""), -EINVAL);

	ck_assert_str_eq(err.text, "the name is empty");
}
END_TEST

START_TEST(message_stays_one_line_whatever_was_written)
{
	ck_assert_int_eq(set("cpus", "a\nb\x1b[2J"), -EINVAL);

	ck_assert_str_eq(err.text, "'a?b?[2J' is no number: write digits, as in 4");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("value");
	TCase *tc = tcase_create("every kind");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, size_is_read_and_written_in_its_largest_unit, 0,
			    ARRAY_LEN(sizes));
	tcase_add_loop_test(tc, malformed_size_is_refused_with_an_example, 0,
			    ARRAY_LEN(no_sizes));
	tcase_add_loop_test(tc, size_out_of_range_is_refused_with_the_limits, 0,
			    ARRAY_LEN(sizes_out_of_range));
	tcase_add_test(tc, size_without_an_upper_limit_may_be_anything_that_64_bits_hold);
	tcase_add_test(tc, lower_limit_alone_is_named_alone);
	tcase_add_test(tc, numbers_are_read_at_the_width_of_their_member);
	tcase_add_test(tc, number_too_large_for_its_member_is_refused);
	tcase_add_test(tc, number_past_64_bits_is_refused);
	tcase_add_test(tc, number_out_of_limits_is_refused_on_both_sides);
	tcase_add_loop_test(tc, malformed_number_is_refused, 0, ARRAY_LEN(no_numbers));
	tcase_add_loop_test(tc, bool_has_three_words_for_each_of_its_values, 0, ARRAY_LEN(yes));
	tcase_add_test(tc, other_words_are_no_bool);
	tcase_add_test(tc, choice_is_one_of_its_names);
	tcase_add_test(tc, other_names_are_refused_with_a_list);
	tcase_add_test(tc, mac_address_is_read_in_either_case);
	tcase_add_loop_test(tc, malformed_mac_address_is_refused, 0, ARRAY_LEN(no_macs));
	tcase_add_loop_test(tc, mac_address_of_no_single_interface_is_refused, 0,
			    ARRAY_LEN(no_unicast));
	tcase_add_test(tc, string_is_copied_and_replaces_the_one_before);
	tcase_add_test(tc, string_may_be_as_long_as_its_limit);
	tcase_add_test(tc, string_past_its_limit_is_refused);
	tcase_add_test(tc, path_must_not_be_empty);
	tcase_add_test(tc, message_stays_one_line_whatever_was_written);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
