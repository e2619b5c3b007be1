// SPDX-License-Identifier: Apache-2.0
/*
 * test_fault_qmp.c - each allocation on the way of a QMP command fails in turn.
 *
 * Whichever it is, the client gets the whole reply or an error, the next command
 * is answered as ever, and the sanitizer finds nothing that was left behind.
 * Jansson's allocations are counted as well, but for those of its parser, which
 * writes beyond its buffer where it could not make it larger (version 2.14).
 */
#include "faults.h"

#include "base/bits.h"
#include "control/fake_machine.h"
#include "control/qmp_session.h"

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_MAX	200000		/* no command needs nearly as many */

static struct fake_machine fake;
static struct qmp_session *session;
static char sent[256 * 1024];
static size_t nr_sent;

static void record(void *ctx, const char *bytes, size_t len)
{
	(void)ctx;
	if (len >= sizeof(sent) - nr_sent)
		abort();		/* an assertion would allocate */
	memcpy(sent + nr_sent, bytes, len);
	nr_sent += len;
	sent[nr_sent] = '\0';
}

static void ready(void *ctx)
{
	(void)ctx;
}

static int no_fd(void *ctx)
{
	(void)ctx;
	return -1;
}

static void drop_event(void *ctx, const struct qmp_event *event, json_t *data)
{
	(void)ctx;
	(void)event;
	json_decref(data);
}

static int open_session(void)
{
	const struct qmp_session_config config = {
		.tables = fake_machine_tables,
		.machine = &fake.machine,
		.send = record,
		.ready = ready,
		.take_fd = no_fd,
	};

	fake_machine_init(&fake);
	fake.event = drop_event;
	nr_sent = 0;
	return qmp_session_new(&session, &config);
}

/* The name is the linker's: see --wrap in ld(1). */
json_t *__real_json_loadb(const char *bytes, size_t len, size_t flags, json_error_t *error);
json_t *__wrap_json_loadb(const char *bytes, size_t len, size_t flags, json_error_t *error);

static bool parsing;

json_t *__wrap_json_loadb(const char *bytes, size_t len, size_t flags, json_error_t *error)
{
	json_t *json;

	parsing = true;
	json = __real_json_loadb(bytes, len, flags, error);
	parsing = false;
	return json;
}

static void *json_malloc(size_t len)
{
	return parsing ? aligned_alloc(16, (len + 15) & ~(size_t)15) : malloc(len);
}

static void setup(void)
{
	json_set_alloc_funcs(json_malloc, free);
}

/* All of it, as a connection hands it over. */
static void input(const char *text)
{
	size_t len = strlen(text);

	nr_sent = 0;
	sent[0] = '\0';
	while (len) {
		size_t taken = qmp_session_input(session, text, len);

		if (!taken)
			abort();
		text += taken;
		len -= taken;
	}
}

static void assert_answers(void)
{
	input("\xff{\"execute\": \"query-kvm\", \"id\": 1}");
	ck_assert_ptr_nonnull(strstr(sent, "{\"return\": {\"enabled\": true, "
					   "\"present\": true}, \"id\": 1}\r\n"));
}

/* What has been counted differs from one answer to the next. */
static void hide_numbers(char *text)
{
	char *to = text;

	for (; *text; text++)
		if (*text < '0' || *text > '9')
			*to++ = *text;
	*to = '\0';
}

/* An error, or the answer of one who has memory; nothing in between. */
static void assert_whole(const char *whole)
{
	ck_assert_uint_ge(nr_sent, 2);
	ck_assert_str_eq(sent + nr_sent - 2, "\r\n");
	hide_numbers(sent);
	ck_assert_msg(strstr(sent, "{\"error\"") || !strcmp(sent, whole), "%s", sent);
}

static const char *const commands[] = {
	"{\"execute\": \"query-status\", \"id\": {\"a\": [1, \"b\"]}}",
	"{\"execute\": \"query-version\"}",
	"{\"execute\": \"query-commands\"}",
	"{\"execute\": \"query-qmp-schema\"}",
	"{\"execute\": \"query-name\"}",
	"{\"execute\": \"query-uuid\"}",
	"{\"execute\": \"query-target\"}",
	"{\"execute\": \"query-cpus-fast\"}",
	"{\"execute\": \"query-hotpluggable-cpus\"}",
	"{\"execute\": \"query-memory-size-summary\"}",
	"{\"execute\": \"query-iothreads\"}",
	"{\"execute\": \"query-chardev\"}",
	"{\"execute\": \"query-block\"}",
	"{\"execute\": \"query-blockstats\", \"arguments\": {\"query-nodes\": true}}",
	"{\"execute\": \"query-pci\"}",
	"{\"execute\": \"query-stats-schemas\"}",
	("{\"execute\": \"query-stats\", \"arguments\": {\"target\": \"vcpu\", \"vcpus\": "
	 "[\"/machine/cpu[0]\"], \"providers\": [{\"provider\": \"kvm\"}]}}"),
	"{\"execute\": \"x-vmm-query-cpu-registers\"}",
	"{\"execute\": \"x-vmm-query-use\"}",
	"{\"execute\": \"x-vmm-query-memory-use\"}",
	"{\"execute\": \"set-action\", \"arguments\": {\"reboot\": \"reset\"}}",
	"{\"execute\": \"set-action\", \"arguments\": {\"reboot\": \"x\"}}",
	"{\"execute\": \"stop\"}",
	"{\"execute\": \"cont\"}",
	"{\"execute\": \"system_reset\"}",
	"{\"execute\": \"system_powerdown\"}",
	"{\"execute\": \"x-events\"}",
	"{\"execute\": \"nope\"}",
	"{\"execute\": 3, \"id\": 5}",
	"{\"execute\": }",
};

START_TEST(each_allocation_of_a_command_may_fail)
{
	bool failed = true;
	char *whole;
	unsigned nr;

	ck_assert_int_eq(open_session(), 0);
	input("{\"execute\": \"qmp_capabilities\"}");
	input(commands[_i]);
	hide_numbers(sent);
	whole = strdup(sent);

	/* Of thousands, not each. */
	for (nr = 0; failed && nr < FAULTS_MAX; nr += 1 + nr / 32) {
		faults_arm(nr);
		input(commands[_i]);
		failed = faults_disarm();

		assert_whole(whole);
		assert_answers();
	}

	ck_assert(!failed);
	ck_assert_uint_gt(nr, 1);
	free(whole);
	session = qmp_session_free(session);
}
END_TEST

START_TEST(each_allocation_of_a_greeting_may_fail)
{
	unsigned nr = 0;

	for (bool failed = true; failed; nr++) {
		int r;

		faults_arm(nr);
		r = open_session();
		failed = faults_disarm();
		ck_assert(!r || failed);
		if (!r)
			session = qmp_session_free(session);
	}

	ck_assert_uint_gt(nr, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault_qmp");
	TCase *tc = tcase_create("allocations");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, each_allocation_of_a_command_may_fail, 0, ARRAY_LEN(commands));
	tcase_add_test(tc, each_allocation_of_a_greeting_may_fail);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
