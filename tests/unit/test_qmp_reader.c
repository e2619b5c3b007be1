// SPDX-License-Identifier: Apache-2.0
#include "control/qmp_reader.h"

#include "base/bits.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct qmp_reader reader;
static struct err err;
static char story[4096];	/* what was read, a line each */

static void setup(void)
{
	qmp_reader_init(&reader);
	err = (struct err){ 0 };
	story[0] = '\0';
}

static void teardown(void)
{
	qmp_reader_fini(&reader);
}

static void tell(const char *text)
{
	size_t len = strlen(story);

	snprintf(story + len, sizeof(story) - len, "%s\n", text);
}

static void tell_json(json_t *json)
{
	char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);

	tell(text);
	free(text);
	json_decref(json);
}

static void feed(const char *bytes, size_t len)
{
	while (len) {
		json_t *json = NULL;
		size_t taken;

		switch (qmp_reader_read(&reader, bytes, len, &taken, &json, &err)) {
		case QMP_READER_TEXT:
			tell_json(json);
			break;
		case QMP_READER_BAD:
			tell(err.text);
			break;
		case QMP_READER_MORE:
			ck_assert_uint_eq(taken, len);
			break;
		}
		ck_assert_uint_le(taken, len);
		bytes += taken;
		len -= taken;
	}
}

static const struct {
	const char *input, *story;
} cases[] = {
	{ "{\"a\": [1, -2.5e1, true]}", "{\"a\":[1,-25.0,true]}\n" },
	{ "{}{}[] \"a\"", "{}\n{}\n[]\n\"a\"\n" },
	{ "1 23\nnull{", "1\n23\nnull\n" },
	{ "{'it\\'s': '\"'}", "{\"it's\":\"\\\"\"}\n" },
	{ "{\"a\": \"it\\'s 'x'\"}", "{\"a\":\"it's 'x'\"}\n" },
	{ "{\"a\": \"\\\\\\\"\\n\"}", "{\"a\":\"\\\\\\\"\\n\"}\n" },
	{ "[1 2]", "JSON parse error, expected separator in list\n" },
	{ "[9223372036854775807, 9223372036854775808]",
	  "[9223372036854775807,9.2233720368547758e18]\n" },
	{ "}{}", "JSON parse error, expecting value\n{}\n" },
	{ "{]{}", "JSON parse error, expecting value\n{}\n" },
	{ "nul ", "JSON parse error, invalid keyword 'nul'\n" },
	{ "{\"a\":1,\"a\":2}", "JSON parse error, duplicate key\n" },
	{ "\"\\u0000\"", "JSON parse error, \\u0000 is not supported\n" },
	{ "\"\xc3(\"", "JSON parse error, invalid UTF-8 sequence in string\n" },
	{ "@ x {}", "JSON parse error, stray '@'\n{}\n" },
	{ "01 {}", "JSON parse error, stray '01'\n{}\n" },
	{ "{\"a\":\001\"b\"\n{}", "JSON parse error, stray '?'\n{}\n" },
	{ "\"a\n[]", "JSON parse error, stray '\"a?'\n[]\n" },
	{ "\"\\\n[]", "JSON parse error, stray '\"?'\n[]\n" },
	{ "[\"a\\u00e9\xc3\xa9\"]", "[\"a\xc3\xa9\xc3\xa9\"]\n" },
	{ "1.5 1e+3 0 -0 ", "1.5\n1000.0\n0\n0\n" },
	{ "1.x[]", "JSON parse error, stray '1.x'\n[]\n" },
	{ "1e+x[]", "JSON parse error, stray '1e+x'\n[]\n" },
	{ "-x[]", "JSON parse error, stray '-x'\n[]\n" },
};

START_TEST(texts_are_found_and_mistakes_told)
{
	feed(cases[_i].input, strlen(cases[_i].input));

	ck_assert_str_eq(story, cases[_i].story);
}
END_TEST

START_TEST(the_same_comes_of_bytes_one_at_a_time)
{
	for (const char *c = cases[_i].input; *c; c++)
		feed(c, 1);

	ck_assert_str_eq(story, cases[_i].story);
}
END_TEST

START_TEST(reading_stops_behind_a_text)
{
	json_t *json = NULL;
	size_t taken;

	ck_assert_int_eq(qmp_reader_read(&reader, "{} {}", 5, &taken, &json, &err),
			 QMP_READER_TEXT);

	ck_assert_uint_eq(taken, 2);
	json_decref(json);
}
END_TEST

START_TEST(nesting_up_to_the_limit_is_read)
{
	char text[2 * QMP_READER_NESTING_MAX];

	memset(text, '[', QMP_READER_NESTING_MAX);
	memset(text + QMP_READER_NESTING_MAX, ']', QMP_READER_NESTING_MAX);
	feed(text, sizeof(text));

	ck_assert_uint_eq(strlen(story), sizeof(text) + 1);
	ck_assert_int_eq(story[0], '[');
}
END_TEST

START_TEST(nesting_past_the_limit_is_refused)
{
	char text[QMP_READER_NESTING_MAX + 1];

	memset(text, '[', sizeof(text));
	feed(text, sizeof(text));

	ck_assert_str_eq(story, "JSON nesting depth limit exceeded\n");
}
END_TEST

/* A string that takes len bytes with its quotes. */
static void feed_string(size_t len)
{
	char *text = malloc(len);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', len);
	text[0] = text[len - 1] = '"';
	feed(text, len);
	free(text);
}

START_TEST(text_up_to_the_limit_is_read)
{
	feed_string(QMP_READER_TEXT_MAX);

	ck_assert_int_eq(story[0], '"');
}
END_TEST

START_TEST(text_past_the_limit_is_dropped_up_to_the_next_bracket)
{
	feed_string(QMP_READER_TEXT_MAX + 1);
	feed("x{}", 3);

	ck_assert_str_eq(story, "JSON token size limit exceeded\n{}\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qmp_reader");
	TCase *tc = tcase_create("texts");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, texts_are_found_and_mistakes_told, 0, ARRAY_LEN(cases));
	tcase_add_loop_test(tc, the_same_comes_of_bytes_one_at_a_time, 0, ARRAY_LEN(cases));
	tcase_add_test(tc, reading_stops_behind_a_text);
	tcase_add_test(tc, nesting_up_to_the_limit_is_read);
	tcase_add_test(tc, nesting_past_the_limit_is_refused);
	tcase_add_test(tc, text_up_to_the_limit_is_read);
	tcase_add_test(tc, text_past_the_limit_is_dropped_up_to_the_next_bracket);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
