// SPDX-License-Identifier: Apache-2.0
#include "machine/vm_serial.h"

#include "base/err.h"
#include "config/cmdline.h"
#include "machine/vm_config.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct vm_config vm;
static struct vm_serial serial;
static struct err err;

static void setup(void)
{
	ck_assert_int_eq(option_defaults(&vm_config_options, &vm), 0);
	err = (struct err){ 0 };
}

static void teardown(void)
{
	option_fini(&vm_config_options, &vm);
}

/* The outcome of "vmm run --serial text"; NULL: without. */
static int get(char *text)
{
	char run[] = "run", option[] = "--serial";
	char *argv[] = { run, option, text, NULL };
	int rest;

	ck_assert_int_eq(cmdline_parse(&vm_config_options, &vm, text ? 3 : 1, argv, &rest, &err),
			 0);
	return vm_serial_get(&serial, &vm, &err);
}

static void refuse(char *text, const char *why)
{
	ck_assert_int_eq(get(text), -EINVAL);

	ck_assert_msg(strstr(err.text, why), "%s", err.text);
}

START_TEST(preset_is_stdio)
{
	ck_assert_int_eq(get(NULL), 0);
	ck_assert_int_eq(serial.kind, VM_SERIAL_STDIO);
}
END_TEST

START_TEST(path_is_what_follows_the_first_colon)
{
	ck_assert_int_eq(get((char[]){ "file:/tmp/a:b" }), 0);
	ck_assert_int_eq(serial.kind, VM_SERIAL_FILE);
	ck_assert_str_eq(serial.path, "/tmp/a:b");
}
END_TEST

START_TEST(kind_without_a_path_has_none)
{
	ck_assert_int_eq(get((char[]){ "pty" }), 0);
	ck_assert_int_eq(serial.kind, VM_SERIAL_PTY);
	ck_assert_ptr_null(serial.path);
}
END_TEST

START_TEST(unknown_kind_names_the_nearest)
{
	refuse((char[]){ "unxi:/tmp/x" }, "'unix'");
}
END_TEST

START_TEST(kind_like_no_other_names_all)
{
	refuse((char[]){ "a-word-that-is-much-longer-than-any-kind" }, "file:PATH");
}
END_TEST

START_TEST(missing_path_is_asked_for)
{
	refuse((char[]){ "unix" }, "unix:PATH");
	refuse((char[]){ "file:" }, "file:PATH");
}
END_TEST

START_TEST(path_where_there_can_be_none_is_refused)
{
	refuse((char[]){ "null:/tmp/x" }, "'null' takes no path");
}
END_TEST

START_TEST(detached_vm_has_no_stdio)
{
	vm.detach = true;
	refuse((char[]){ "stdio" }, "detached");
}
END_TEST

START_TEST(preset_without_a_terminal_is_null)
{
	vm.detach = true;
	ck_assert_int_eq(get(NULL), 0);
	ck_assert_int_eq(serial.kind, VM_SERIAL_NULL);
	vm.detach = false;
	vm.daemon = true;
	ck_assert_int_eq(get(NULL), 0);
	ck_assert_int_eq(serial.kind, VM_SERIAL_NULL);
}
END_TEST

START_TEST(service_may_have_stdio)
{
	vm.daemon = true;
	ck_assert_int_eq(get((char[]){ "stdio" }), 0);
	ck_assert_int_eq(serial.kind, VM_SERIAL_STDIO);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vm_serial");
	TCase *tc = tcase_create("vm_serial");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, preset_is_stdio);
	tcase_add_test(tc, path_is_what_follows_the_first_colon);
	tcase_add_test(tc, kind_without_a_path_has_none);
	tcase_add_test(tc, unknown_kind_names_the_nearest);
	tcase_add_test(tc, kind_like_no_other_names_all);
	tcase_add_test(tc, missing_path_is_asked_for);
	tcase_add_test(tc, path_where_there_can_be_none_is_refused);
	tcase_add_test(tc, detached_vm_has_no_stdio);
	tcase_add_test(tc, preset_without_a_terminal_is_null);
	tcase_add_test(tc, service_may_have_stdio);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
