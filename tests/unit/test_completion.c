// SPDX-License-Identifier: Apache-2.0
/*
 * The script is run by the shell, as it is when a user presses the tabulator.
 * Functions of the test take the place of those that work only then.
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
	{ "stop", &image_options, "echo web db" },
	{ "keep", NULL, .words = "here there" },
	{ "save", NULL, "echo web db", .files = true },
	{ "save check", &image_options },
	{ "help", NULL, .of_commands = true },
	{ "ask", &image_options, "echo web; false" },
};

static const char bash_prelude[] =
	"compopt() { printf '%s ' \"$2\"; }\n"
	"cd \"${0%/*}\" && : >kernel.img\n"
	"COMP_LINE=$1 COMP_POINT=${#1}\n";

static const char bash_finale[] =
	"_vmm\n"
	"printf '%s ' \"${COMPREPLY[@]}\"\n";

static const char zsh_prelude[] =
	"compdef() { :; }\n"
	"_files() { printf 'filenames '; }\n"
	"compset() { printf 'after %s ' \"$2\"; }\n"
	"compadd() {\n"
	"	[[ $2 == -S ]] && printf 'nospace ' && shift 2\n"
	"	shift 2\n"
	"	printf '%s ' \"$@\"\n"
	"}\n"
	"words=(\"${(@s: :)1}\") CURRENT=$#words\n";

static char folder[] = "/tmp/test_completion.XXXXXX";
static char script[sizeof(folder) + sizeof("/script")];
static char kernel[sizeof(folder) + sizeof("/kernel.img")];

static void make_script(enum completion_shell shell, const char *prelude, const char *finale)
{
	FILE *out;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(script, sizeof(script), "%s/script", folder);
	snprintf(kernel, sizeof(kernel), "%s/kernel.img", folder);
	out = fopen(script, "w");
	ck_assert_ptr_nonnull(out);
	fputs(prelude, out);
	completion_print(shell, "vmm", commands, ARRAY_LEN(commands), out);
	fputs(finale, out);
	fclose(out);
}

static void setup_bash(void)
{
	make_script(COMPLETION_BASH, bash_prelude, bash_finale);
}

static void setup_zsh(void)
{
	make_script(COMPLETION_ZSH, zsh_prelude, "_vmm\necho\n");
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
	{ "vmm ", "run disk list stop keep save help ask " },
	{ "vmm r", "run " },
	{ "vmm disk ", "create resize " },
	{ "vmm disk cr", "create " },
	{ "vmm disk create --fo", "--format " },
	{ "vmm disk create --format q", "qcow2 " },
	{ "vmm unknown ", " " },
	{ "vmm run --m", "--memory --mac " },
	{ "vmm run --memory ", " " },
	{ "vmm run ker", "filenames kernel.img " },
	{ "vmm stop ", "--path --format --readonly --serial --cache --mac web db " },
	{ "vmm stop web d", "db " },
	{ "vmm stop ker", " " },
	{ "vmm keep he", "here " },
	{ "vmm keep here ker", "filenames kernel.img " },
	{ "vmm save ", "check web db " },
	{ "vmm save web ker", "filenames kernel.img " },
	{ "vmm save check --fo", "--format " },
	{ "vmm save check --format q", "qcow2 " },
	{ "vmm help ", "run disk list stop keep save help ask " },
	{ "vmm help disk ", "create resize " },
	{ "vmm help run ", " " },
	{ "vmm ask w", "web " },
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

/* Zsh takes whole words, and names of files are its own affair. */
static const struct completion zsh_completions[] = {
	{ "vmm ", "run disk list stop keep save help ask \n" },
	{ "vmm disk cr", "create \n" },
	{ "vmm disk create --format q", "qcow2 \n" },
	{ "vmm unknown ", "\n" },
	{ "vmm run --m", "--memory --mac \n" },
	{ "vmm run --memory ", " \n" },
	{ "vmm run ker", "filenames \n" },
	{ "vmm run --log=ker", "after *[=,] filenames \n" },
	{ "vmm run --image fo", "nospace format= \n" },
	{ "vmm run --image=a,fo", "nospace --image=a,format= \n" },
	{ "vmm run --image path=ker", "after *[=,] filenames \n" },
	{ "vmm run -i a,format=", "a,format=raw a,format=qcow2 a,format=vmdk \n" },
	{ "vmm run --image re", "readonly \n" },
	{ "vmm stop web d", "db \n" },
	{ "vmm run --log *", "filenames \n" },
	{ "vmm save check --fo", "--format \n" },
	{ "vmm save web ker", "filenames \n" },
	{ "vmm help disk ", "create resize \n" },
};

static void assert_offered(const char *shell, const struct completion *completion)
{
	char command[256], offered[256] = "";
	FILE *run;

	snprintf(command, sizeof(command), "%s %s '%s'", shell, script, completion->typed);
	run = popen(command, "r");
	ck_assert_ptr_nonnull(run);
	ck_assert_ptr_nonnull(fgets(offered, sizeof(offered), run));
	pclose(run);

	ck_assert_str_eq(offered, completion->offered);
}

START_TEST(word_under_the_cursor_is_completed_by_bash)
{
	assert_offered("bash", &completions[_i]);
}
END_TEST

START_TEST(word_under_the_cursor_is_completed_by_zsh)
{
	assert_offered("zsh -f", &zsh_completions[_i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("completion");
	TCase *bash = tcase_create("bash"), *zsh = tcase_create("zsh");
	SRunner *sr;
	int failed;

	if (system("bash -c : && zsh -fc :") != 0) {
		fputs("bash or zsh is missing\n", stderr);
		return 77;
	}
	tcase_add_checked_fixture(bash, setup_bash, teardown);
	tcase_add_loop_test(bash, word_under_the_cursor_is_completed_by_bash, 0,
			    ARRAY_LEN(completions));
	suite_add_tcase(s, bash);
	tcase_add_checked_fixture(zsh, setup_zsh, teardown);
	tcase_add_loop_test(zsh, word_under_the_cursor_is_completed_by_zsh, 0,
			    ARRAY_LEN(zsh_completions));
	suite_add_tcase(s, zsh);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
