// SPDX-License-Identifier: Apache-2.0
#include "control/qmp_type.h"

#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

static const char *const words[] = { "file", "null", NULL };
static const struct qmp_type word = { .kind = QMP_ENUM, .values = words };
static const struct qmp_member file_members[] = {
	{ .name = "path", .type = &qmp_type_str },
};
static const struct qmp_type file = { .kind = QMP_OBJECT, QMP_MEMBERS(file_members) };
static const struct qmp_variant variants[] = {
	{ .value = "file", .type = &file },
};
static const struct qmp_member one_of[] = { { .type = &qmp_type_int }, { .type = &file } };
static const struct qmp_type alternate = { .kind = QMP_ALTERNATE, QMP_MEMBERS(one_of) };
static const struct qmp_member members[] = {
	{ .name = "driver", .type = &word },
	{ .name = "size", .type = &qmp_type_int, .optional = true },
	{ .name = "rate", .type = &qmp_type_number, .optional = true },
	{ .name = "on", .type = &qmp_type_bool, .optional = true },
	{ .name = "any", .type = &qmp_type_any, .optional = true },
	{ .name = "list", .type = QMP_ARRAY_OF(&file), .optional = true },
	{ .name = "either", .type = &alternate, .optional = true },
};
static const struct qmp_type type = {
	.kind = QMP_OBJECT, QMP_MEMBERS(members), .tag = "driver", QMP_VARIANTS(variants),
};

static const struct {
	const char *text, *message;	/* "": there is nothing wrong */
} cases[] = {
	{ "{\"driver\": \"null\"}", "" },
	{ "{\"driver\": \"null\", \"size\": 1, \"rate\": 1.5, \"on\": true, \"any\": [null]}",
	  "" },
	{ "{\"driver\": \"null\", \"rate\": 1}", "" },
	{ "{\"driver\": \"file\", \"path\": \"a\"}", "" },
	{ "{\"driver\": \"null\", \"list\": [{\"path\": \"a\"}]}", "" },
	{ "{\"driver\": \"null\", \"either\": 1}", "" },
	{ "{\"driver\": \"null\", \"either\": {\"path\": \"a\"}}", "" },
	{ "{\"driver\": \"null\", \"either\": {\"path\": 1}}",
	  "Invalid parameter type for 'either', expected: one of several" },
	{ "[]", "Invalid parameter type for 'null', expected: object" },
	{ "{}", "Parameter 'driver' is missing" },
	{ "{\"driver\": 1}", "Invalid parameter type for 'driver', expected: string" },
	{ "{\"driver\": \"x\"}", "Parameter 'driver' does not accept value 'x'" },
	{ "{\"driver\": \"file\"}", "Parameter 'path' is missing" },
	{ "{\"driver\": \"null\", \"path\": \"a\"}", "Parameter 'path' is unexpected" },
	{ "{\"driver\": \"null\", \"size\": 1.5}",
	  "Invalid parameter type for 'size', expected: integer" },
	{ "{\"driver\": \"null\", \"rate\": \"1\"}",
	  "Invalid parameter type for 'rate', expected: number" },
	{ "{\"driver\": \"null\", \"on\": 1}",
	  "Invalid parameter type for 'on', expected: boolean" },
	{ "{\"driver\": \"null\", \"list\": {}}",
	  "Invalid parameter type for 'list', expected: array" },
	{ "{\"driver\": \"null\", \"list\": [{\"path\": \"a\"}, {\"path\": 1}]}",
	  "Invalid parameter type for 'list[1].path', expected: string" },
	{ "{\"driver\": \"null\", \"list\": [{\"path\": \"a\", \"b\": 1}]}",
	  "Parameter 'list[0].b' is unexpected" },
};

START_TEST(value_is_of_the_type_or_it_is_told_where_not)
{
	json_t *json = json_loads(cases[_i].text, 0, NULL);
	struct err err = { 0 };
	int r = qmp_type_check(&type, json, &err);

	ck_assert_int_eq(r, *cases[_i].message ? -EINVAL : 0);
	ck_assert_str_eq(err.text, cases[_i].message);
	json_decref(json);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qmp_type");
	TCase *tc = tcase_create("a union of all kinds");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, value_is_of_the_type_or_it_is_told_where_not, 0,
			    ARRAY_LEN(cases));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
