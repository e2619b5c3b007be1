// SPDX-License-Identifier: Apache-2.0
/*
 * The script is run by bash, as it is when a user presses the tabulator.  A
 * function of the test takes the place of compopt, which works only then.
 */
#include "config/completion.h"

#include "all_kinds.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

static const struct completion_command commands[] = {
	{ "run", &all_kinds_options },
	{ "disk create", &image_options },
	{ "disk resize", NULL },
	{ "list", NULL },
};

static const char prelude[] =
	"compopt() { printf '%s ' \"$2\"; }\n"
	"cd \"${0%/*}\" && : >kernel.img\n"
	"COMP_LINE=$1 COMP_POINT=${#1}\n";

static const char finale[] =
	"_vmm\n"
	"printf '%s ' \"${COMPREPLY[@]}\"\n";

static char folder[] = "/tmp/test_completion.XXXXXX";
static char script[sizeof(folder) + sizeof("/script")];
static char kernel[sizeof(folder) + sizeof("/kernel.img")];

static void setup(void)
{
	FILE *out;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(script, sizeof(script), "%s/script", folder);
	snprintf(kernel, sizeof(kernel), "%s/kernel.img", folder);
	out = fopen(script, "w");
	ck_assert_ptr_nonnull(out);
	fputs(prelude, out);
	completion_print("vmm", commands, ARRAY_LEN(commands), out);
	fputs(finale, out);
	fclose(out);
}

static void teardown(void)
{
	unlink(script);
	unlink(kernel);
	rmdir(folder);
}

struct completion {
	const char *typed;
	const char *offered;	/* first what compopt was told, if anything */
};

static const struct completion completions[] = {
	{ "vmm ", "run disk list " },
	{ "vmm r", "run " },
	{ "vmm disk ", "create resize " },
	{ "vmm disk cr", "create " },
	{ "vmm disk create --fo", "--format " },
	{ "vmm disk create --format q", "qcow2 " },
	{ "vmm unknown ", " " },
	{ "vmm run --m", "--memory --mac " },
	{ "vmm run --memory ", " " },
	{ "vmm run ker", "filenames kernel.img " },
	{ "vmm list ker", "filenames kernel.img " },
	{ "vmm run --log ker", "filenames kernel.img " },
	{ "vmm run --log=ker", "filenames kernel.img " },
	{ "vmm run -l ker", "filenames kernel.img " },
	{ "vmm run --image fo", "nospace format= " },
	{ "vmm run --image=fo", "nospace format= " },
	{ "vmm run --image re", "readonly " },
	{ "vmm run --image ker", "filenames kernel.img " },
	{ "vmm run --image path=ker", "filenames kernel.img " },
	{ "vmm run --image a,ker", " " },
	{ "vmm run --image path=a,fo", "nospace a,format= " },
	{ "vmm run --image=a,fo", "nospace a,format= " },
	{ "vmm run -i a,format=", "raw qcow2 vmdk " },
	{ "vmm run --direct --memory 1G kernel --clock=base=u", "utc " },
};

START_TEST(word_under_the_cursor_is_completed)
{
	char command[256], offered[256] = "";
	FILE *bash;

	snprintf(command, sizeof(command), "bash %s '%s'", script, completions[_i].typed);
	bash = popen(command, "r");
	ck_assert_ptr_nonnull(bash);
	ck_assert_ptr_nonnull(fgets(offered, sizeof(offered), bash));
	ck_assert_int_eq(pclose(bash), 0);

	ck_assert_str_eq(offered, completions[_i].offered);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("completion");
	TCase *tc = tcase_create("bash");
	SRunner *sr;
	int failed;

	if (system("bash -c :") != 0) {
		fputs("bash is missing\n", stderr);
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, word_under_the_cursor_is_completed, 0, ARRAY_LEN(completions));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
