// SPDX-License-Identifier: Apache-2.0
#include "cli/doctor.h"

#include "base/bits.h"
#include "doctor_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char *text;
static size_t text_len;

static void free_text(void)
{
	free(text);
	text = NULL;
}

/* A report of two made-up checks. */

static const struct doctor_check checks[] = {
	{ "cpu", "processor", NULL },
	{ "disk", "disks", NULL },
};

static const struct doctor_finding fine[] = {
	{ DOCTOR_OK, "fast", "", "" },
	{ DOCTOR_OK, "two", "", "" },
};

static const struct doctor_finding noted[] = {
	{ DOCTOR_OK, "fast", "", "" },
	{ DOCTOR_NOTE, "one", "there is no spare", "buy another" },
};

static const struct doctor_finding failed[] = {
	{ DOCTOR_FAIL, "none", "nothing runs", "find \"one\"" },
	{ DOCTOR_NOTE, "one", "", "" },
};

static const struct doctor_finding asking[] = {
	{ DOCTOR_OK, "fast", "", "" },
	{ DOCTOR_NOTE, "none", "", "is it plugged in?" },
};

static void print(const struct doctor_finding *findings, bool styled)
{
	FILE *out = open_memstream(&text, &text_len);

	doctor_print(checks, findings, ARRAY_LEN(checks), styled, out);
	fclose(out);
}

START_TEST(status_tells_of_failures_but_not_of_notes)
{
	ck_assert_int_eq(doctor_status(fine, ARRAY_LEN(fine)), 0);
	ck_assert_int_eq(doctor_status(noted, ARRAY_LEN(noted)), 0);
	ck_assert_int_eq(doctor_status(failed, ARRAY_LEN(failed)), 1);
}
END_TEST

START_TEST(plain_report_has_words_in_columns)
{
	print(noted, false);

	ck_assert_str_eq(text,
			 "ok    processor         fast\n"
			 "note  disks             one\n"
			 "                        There is no spare.\n"
			 "                        -> Buy another.\n"
			 "\nVMs can run here, within the limits that the note tells of.\n");
}
END_TEST

START_TEST(failure_is_the_last_word)
{
	print(failed, false);

	ck_assert_int_eq(strncmp(text, "FAIL  processor", 15), 0);
	ck_assert_ptr_nonnull(strstr(text, "\n\nVMs cannot run here yet: 1 of 2 checks failed.\n"));
}
END_TEST

START_TEST(styled_report_has_coloured_signs)
{
	print(fine, true);

	ck_assert_str_eq(text,
			 "\033[32m\u2713\033[0m processor         fast\n"
			 "\033[32m\u2713\033[0m disks             two\n"
			 "\nVMs can run here.\n");
}
END_TEST

START_TEST(long_explanation_is_wrapped_at_words)
{
	static const struct doctor_finding wordy[] = {
		{ DOCTOR_NOTE, "much", "", "seventeen letters and then as many as it takes to "
		  "reach a second line" },
		{ DOCTOR_OK, "", "", "" },
	};

	print(wordy, false);

	ck_assert_ptr_nonnull(strstr(text,
		"                        -> Seventeen letters and then as many as it takes to\n"
		"                           reach a second line.\n"));
}
END_TEST

START_TEST(question_ends_as_one)
{
	print(asking, false);

	ck_assert_ptr_nonnull(strstr(text, "-> Is it plugged in?\n"));
}
END_TEST

START_TEST(json_report_says_the_same)
{
	FILE *out = open_memstream(&text, &text_len);
	const char *name, *state, *found, *meaning, *fix;
	json_t *report;
	int ready;

	ck_assert_int_eq(doctor_print_json(checks, failed, ARRAY_LEN(checks), out), 0);
	fclose(out);

	report = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(report);
	ck_assert_int_eq(json_array_size(json_object_get(report, "checks")), 2);
	ck_assert_int_eq(json_unpack(report, "{s:b s:[{s:s s:s s:s s:s s:s}]}", "ready", &ready,
				     "checks", "name", &name, "state", &state, "found", &found,
				     "meaning", &meaning, "fix", &fix), 0);
	ck_assert_int_eq(ready, 0);
	ck_assert_str_eq(name, "cpu");
	ck_assert_str_eq(state, "fail");
	ck_assert_str_eq(found, "none");
	ck_assert_str_eq(meaning, "nothing runs");
	ck_assert_str_eq(fix, "find \"one\"");
	json_decref(report);
}
END_TEST

START_TEST(json_report_that_cannot_be_written_is_an_error)
{
	FILE *out = fopen("/dev/full", "w");

	ck_assert_ptr_nonnull(out);

	ck_assert_int_lt(doctor_print_json(checks, fine, ARRAY_LEN(checks), out), 0);

	fclose(out);
}
END_TEST

/* Checks that look at files. */

struct setting {
	const char *text;
	enum doctor_state state;
};

static const struct setting huge_pages[] = {
	{ "[always] madvise never\n", DOCTOR_OK },
	{ "always [madvise] never\n", DOCTOR_OK },
	{ "always madvise [never]\n", DOCTOR_NOTE },
};

START_TEST(huge_pages_are_judged_by_the_mode_in_brackets)
{
	put_file("/sys/kernel/mm/transparent_hugepage/enabled", huge_pages[_i].text);

	doctor_look_huge_pages(root, &finding);

	ck_assert_int_eq(finding.state, huge_pages[_i].state);
}
END_TEST

START_TEST(kernel_without_huge_pages_is_noted)
{
	doctor_look_huge_pages(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_NOTE);
}
END_TEST

START_TEST(cgroup_with_memory_is_fine)
{
	put_file("/proc/self/mounts", "proc /proc proc rw 0 0\n"
				      "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
	put_file("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");

	doctor_look_cgroup(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_OK);
	ck_assert_str_eq(finding.found, "version 2 in /sys/fs/cgroup, with memory");
}
END_TEST

START_TEST(cgroup_without_memory_is_noted)
{
	put_file("/proc/self/mounts", "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n");
	put_file("/sys/fs/cgroup/unified/cgroup.controllers", "hugetlb\n");

	doctor_look_cgroup(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_NOTE);
	ck_assert_ptr_nonnull(strstr(finding.found, "(hugetlb)"));
}
END_TEST

START_TEST(host_without_cgroup2_is_noted)
{
	put_file("/proc/self/mounts", "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n");

	doctor_look_cgroup(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_NOTE);
	ck_assert_str_eq(finding.found, "version 2 is not mounted");
}
END_TEST

/* Check forks, so that a limit ends with its test. */
static void limit(int resource, rlim_t to)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(resource, &limit), 0);
	limit.rlim_cur = to;
	ck_assert_int_eq(setrlimit(resource, &limit), 0);
}

START_TEST(few_open_files_are_noted)
{
	const struct rlimit few = { 50, 100 };

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);

	doctor_look_files(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_NOTE);
	ck_assert_str_eq(finding.found, "up to 100");
}
END_TEST

static void look_for_passt(const char *path)
{
	char *before = strdup(getenv("PATH"));

	ck_assert_int_eq(setenv("PATH", path, 1), 0);
	doctor_look_passt(root, &finding);
	ck_assert_int_eq(setenv("PATH", before, 1), 0);
	free(before);
}

START_TEST(passt_is_looked_for_in_path)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/passt", root);
	ck_assert_int_eq(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755)), 0);
	snprintf(path, sizeof(path), "/nonexistent:%s", root);

	look_for_passt(path);

	ck_assert_int_eq(finding.state, DOCTOR_OK);
	snprintf(path, sizeof(path), "%s/passt", root);
	ck_assert_str_eq(finding.found, path);
}
END_TEST

START_TEST(missing_passt_is_noted)
{
	look_for_passt("/nonexistent::");

	ck_assert_int_eq(finding.state, DOCTOR_NOTE);
	ck_assert_str_eq(finding.fix, "install the package passt");
}
END_TEST

START_TEST(little_locked_memory_is_noted)
{
	limit(RLIMIT_MEMLOCK, 64 * KiB);

	doctor_look_memlock(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_NOTE);
	ck_assert_str_eq(finding.found, "64 KiB");
}
END_TEST

START_TEST(io_uring_that_is_refused_is_a_failure)
{
	limit(RLIMIT_NOFILE, 3);	/* so that no ring can be made */

	doctor_look_io_uring(root, &finding);
	limit(RLIMIT_NOFILE, 100);

	ck_assert_int_eq(finding.state, DOCTOR_FAIL);
	ck_assert_ptr_nonnull(strstr(finding.found, "refused"));
}
END_TEST

START_TEST(every_check_of_the_table_finds_something)
{
	ck_assert_ptr_null(doctor_checks[DOCTOR_CHECKS_MAX - 1].name);
	for (const struct doctor_check *check = doctor_checks; check->name; check++) {
		finding = (struct doctor_finding){ 0 };
		check->look("", &finding);

		ck_assert_str_ne(finding.found, "");
		ck_assert_uint_le(strlen(check->title), DOCTOR_TITLE_MAX);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("doctor");
	TCase *report = tcase_create("report");
	TCase *host = tcase_create("host");
	SRunner *sr;
	int nr_failed;

	tcase_add_checked_fixture(report, NULL, free_text);
	tcase_add_test(report, status_tells_of_failures_but_not_of_notes);
	tcase_add_test(report, plain_report_has_words_in_columns);
	tcase_add_test(report, failure_is_the_last_word);
	tcase_add_test(report, styled_report_has_coloured_signs);
	tcase_add_test(report, long_explanation_is_wrapped_at_words);
	tcase_add_test(report, question_ends_as_one);
	tcase_add_test(report, json_report_says_the_same);
	tcase_add_test(report, json_report_that_cannot_be_written_is_an_error);
	suite_add_tcase(s, report);

	tcase_add_checked_fixture(host, new_root, remove_root);
	tcase_add_loop_test(host, huge_pages_are_judged_by_the_mode_in_brackets, 0,
			    ARRAY_LEN(huge_pages));
	tcase_add_test(host, kernel_without_huge_pages_is_noted);
	tcase_add_test(host, cgroup_with_memory_is_fine);
	tcase_add_test(host, cgroup_without_memory_is_noted);
	tcase_add_test(host, host_without_cgroup2_is_noted);
	tcase_add_test(host, few_open_files_are_noted);
	tcase_add_test(host, passt_is_looked_for_in_path);
	tcase_add_test(host, missing_passt_is_noted);
	tcase_add_test(host, little_locked_memory_is_noted);
	tcase_add_test(host, io_uring_that_is_refused_is_a_failure);
	tcase_add_test(host, every_check_of_the_table_finds_something);
	suite_add_tcase(s, host);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nr_failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
