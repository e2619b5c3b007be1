// SPDX-License-Identifier: Apache-2.0
#include "config/option_json.h"

#include "all_kinds.h"

#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

static struct all_kinds all;
static struct err err;
static json_t *json;

static void setup(void)
{
	ck_assert_int_eq(option_defaults(&all_kinds_options, &all), 0);
	err = (struct err){ 0 };
	json = NULL;
}

static void teardown(void)
{
	json_decref(json);
	option_fini(&all_kinds_options, &all);
}

static int load(const char *text)
{
	json = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(json);
	return option_json_load(&all_kinds_options, &all, json, &err);
}

static void assert_refused(const char *text, const char *message)
{
	ck_assert_int_eq(load(text), -EINVAL);
	ck_assert_str_eq(err.text, message);
}

START_TEST(every_kind_is_read)
{
	ck_assert_int_eq(load("{\"name\": \"vm\", \"memory\": 1048576, \"cpus\": 2, \"port\": 0,"
			      " \"direct\": true, \"log\": \"l\","
			      " \"mac\": \"52:54:00:12:34:56\", \"clock\": {\"base\": \"local\"},"
			      " \"image\": [{\"path\": \"a\"}, {\"path\": \"b\"}]}"), 0);

	ck_assert_str_eq(all.name, "vm");
	ck_assert_uint_eq(all.memory, MiB);
	ck_assert_uint_eq(all.cpus, 2);
	ck_assert(all.direct);
	ck_assert_str_eq(all.log, "l");
	ck_assert_uint_eq(all.mac[5], 0x56);
	ck_assert_int_eq(all.clock.base, BASE_LOCAL);
	ck_assert_uint_eq(all.nr_images, 2);
	ck_assert_str_eq(all.images[1].path, "b");
}
END_TEST

START_TEST(what_is_not_there_keeps_its_preset_and_is_not_given)
{
	ck_assert_int_eq(load("{\"name\": \"vm\"}"), 0);

	ck_assert_uint_eq(all.memory, 512 * MiB);
	ck_assert(option_given(&all_kinds_options, &all, &all.name));
	ck_assert(!option_given(&all_kinds_options, &all, &all.memory));
}
END_TEST

static const struct {
	const char *text, *message;
} wrong[] = {
	{ "{}", "Parameter 'name' is missing" },
	{ "{\"name\": \"vm\", \"foo\": 1}", "Parameter 'foo' is unexpected" },
	{ "{\"name\": 1}", "Invalid parameter type for 'name', expected: string" },
	{ "{\"name\": null}", "Invalid parameter type for 'name', expected: string" },
	{ "{\"name\": \"\", \"cpus\": \"2\"}",
	  "Invalid parameter type for 'cpus', expected: integer" },
	{ "{\"name\": \"\", \"cpus\": 2.0}",
	  "Invalid parameter type for 'cpus', expected: integer" },
	{ "{\"name\": \"\", \"memory\": \"1M\"}",
	  "Invalid parameter type for 'memory', expected: integer" },
	{ "{\"name\": \"\", \"direct\": 1}",
	  "Invalid parameter type for 'direct', expected: boolean" },
	{ "{\"name\": \"\", \"clock\": []}",
	  "Invalid parameter type for 'clock', expected: object" },
	{ "{\"name\": \"\", \"clock\": {\"base\": \"x\"}}",
	  "Parameter 'clock.base' does not accept value 'x'" },
	{ "{\"name\": \"\", \"clock\": {\"base\": 1}}",
	  "Invalid parameter type for 'clock.base', expected: string" },
	{ "{\"name\": \"\", \"clock\": {\"x\": 1}}", "Parameter 'clock.x' is unexpected" },
	{ "{\"name\": \"\", \"image\": {}}",
	  "Invalid parameter type for 'image', expected: array" },
	{ "{\"name\": \"\", \"image\": [1]}",
	  "Invalid parameter type for 'image[0]', expected: object" },
	{ "{\"name\": \"\", \"image\": [{\"path\": \"a\"}, {}]}",
	  "Parameter 'image[1].path' is missing" },
	{ "{\"name\": \"\", \"cpus\": 256}",
	  "Parameter 'cpus': '256' is out of range: it must be from 1 to 255" },
	{ "{\"name\": \"\", \"cpus\": -1}",
	  "Parameter 'cpus': '-1' is no number: write digits, as in 4" },
	{ "{\"name\": \"\", \"log\": \"\"}", "Parameter 'log': the name is empty" },
	{ "{\"name\": \"\", \"image\": [{\"path\": \"a\"}, {\"path\": \"a\"},"
	  " {\"path\": \"a\"}, {\"path\": \"a\"}]}",
	  "Parameter 'image[3]': there may be at most 3" },
	{ "{\"name\": \"\", \"a\\nb\": 1}", "Parameter 'a?b' is unexpected" },
};

START_TEST(what_is_wrong_is_named_by_its_path)
{
	assert_refused(wrong[_i].text, wrong[_i].message);
}
END_TEST

START_TEST(unknown_member_is_told_after_what_is_wrong_with_known_ones)
{
	assert_refused("{\"foo\": 1, \"cpus\": \"2\"}",
		       "Invalid parameter type for 'cpus', expected: integer");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("option_json");
	TCase *tc = tcase_create("every kind");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_kind_is_read);
	tcase_add_test(tc, what_is_not_there_keeps_its_preset_and_is_not_given);
	tcase_add_loop_test(tc, what_is_wrong_is_named_by_its_path, 0, ARRAY_LEN(wrong));
	tcase_add_test(tc, unknown_member_is_told_after_what_is_wrong_with_known_ones);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
