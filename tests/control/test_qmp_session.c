// SPDX-License-Identifier: Apache-2.0
/*
 * What the tests through a socket cannot bring about: answers at chosen moments,
 * a session that ends first, and any input in one piece.
 */
#include "control/qmp_session.h"

#include "control/qmp_command.h"
#include "control/qmp_event.h"
#include "fake_machine.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NEGOTIATION	"{\"execute\": \"qmp_capabilities\"}"

static struct fake_machine fake;
static struct qmp_session *session;
static struct qmp_call *kept;
static char sent[8192];
static size_t nr_sent;
static int nr_ready;

static void record(void *ctx, const char *bytes, size_t len)
{
	(void)ctx;
	ck_assert_uint_lt(nr_sent + len, sizeof(sent));
	memcpy(sent + nr_sent, bytes, len);
	nr_sent += len;
	sent[nr_sent] = '\0';
}

static void count_ready(void *ctx)
{
	(void)ctx;
	nr_ready++;
}

static int no_fd(void *ctx)
{
	(void)ctx;
	return -1;
}

static void run_keep(struct qmp_call *call)
{
	kept = call;
}

static const struct qmp_command commands[] = {
	{ .name = "keep", .run = run_keep },
};
static const struct qmp_table table = { QMP_COMMANDS(commands) };

static const struct qmp_table *tables[32] = { &table };

static void setup(void)
{
	const struct qmp_session_config config = {
		.tables = tables,
		.machine = &fake.machine,
		.send = record,
		.ready = count_ready,
		.take_fd = no_fd,
	};

	fake_machine_init(&fake);
	for (size_t i = 0; fake_machine_tables[i]; i++)
		tables[i + 1] = fake_machine_tables[i];
	nr_ready = 0;
	nr_sent = 0;
	ck_assert_int_eq(qmp_session_new(&session, &config), 0);
	nr_sent = 0;
	sent[0] = '\0';
}

static void teardown(void)
{
	session = qmp_session_free(session);
}

static size_t input(const char *text)
{
	return qmp_session_input(session, text, strlen(text));
}

static void negotiate(void)
{
	input(NEGOTIATION);
	ck_assert_str_eq(sent, "{\"return\": {}}\r\n");
	nr_sent = 0;
	sent[0] = '\0';
}

START_TEST(one_message_is_taken_at_a_time)
{
	ck_assert_uint_eq(input(NEGOTIATION NEGOTIATION), strlen(NEGOTIATION));

	ck_assert_str_eq(sent, "{\"return\": {}}\r\n");
}
END_TEST

START_TEST(no_input_is_taken_until_the_call_is_answered)
{
	negotiate();
	input("{\"execute\": \"keep\", \"id\": 1}");

	ck_assert(qmp_session_busy(session));
	ck_assert_uint_eq(input("{}"), 0);
	ck_assert_str_eq(sent, "");
	qmp_call_done(kept);
	ck_assert(!qmp_session_busy(session));
	ck_assert_str_eq(sent, "{\"return\": {}, \"id\": 1}\r\n");
	ck_assert_int_eq(nr_ready, 1);
}
END_TEST

START_TEST(call_may_be_answered_when_the_session_is_gone)
{
	negotiate();
	input("{\"execute\": \"keep\"}");
	session = qmp_session_free(session);

	ck_assert_ptr_null(kept->session);
	qmp_call_done(kept);
	ck_assert_str_eq(sent, "");
}
END_TEST

START_TEST(call_may_fail_when_the_session_is_gone)
{
	negotiate();
	input("{\"execute\": \"keep\"}");
	session = qmp_session_free(session);

	qmp_call_fail(kept, QMP_DEVICE_NOT_FOUND, "Device '%s' not found", "zz");

	ck_assert_str_eq(sent, "");
}
END_TEST

START_TEST(error_has_the_class_and_text_of_the_command)
{
	negotiate();
	input("{\"execute\": \"keep\"}");
	qmp_call_fail(kept, QMP_DEVICE_NOT_FOUND, "Device '%s' not found", "\xff");

	ck_assert_str_eq(sent, "{\"error\": {\"class\": \"DeviceNotFound\", "
			       "\"desc\": \"Device '?' not found\"}}\r\n");
}
END_TEST

START_TEST(no_value_is_an_error_and_no_silence)
{
	negotiate();
	input("{\"execute\": \"keep\"}");
	qmp_call_return(kept, NULL);

	ck_assert_str_eq(sent, "{\"error\": {\"class\": \"GenericError\", "
			       "\"desc\": \"out of memory\"}}\r\n");
}
END_TEST

START_TEST(event_is_sent_once_there_was_a_negotiation)
{
	qmp_session_event(session, "event", 5);
	ck_assert_str_eq(sent, "");
	negotiate();

	qmp_session_event(session, "event", 5);

	ck_assert_str_eq(sent, "event");
}
END_TEST

START_TEST(actions_that_were_not_given_stay)
{
	negotiate();
	input("{\"execute\": \"set-action\", \"arguments\": {\"panic\": \"pause\"}}");
	ck_assert_int_eq(fake.reboot, -1);

	input("{\"execute\": \"set-action\", \"arguments\": {\"reboot\": \"reset\"}}");

	ck_assert_int_eq(fake.reboot, QMP_REBOOT_RESET);
}
END_TEST

START_TEST(name_of_any_length_is_told_back)
{
	char request[3000];
	char name[2000];

	negotiate();
	memset(name, 'x', sizeof(name));
	snprintf(request, sizeof(request), "{\"execute\": \"%.*s\"}", (int)sizeof(name), name);
	input(request);

	ck_assert_uint_gt(nr_sent, sizeof(name));
}
END_TEST

START_TEST(reason_of_the_machine_is_told)
{
	negotiate();
	fake.nmi_fails = true;
	input("{\"execute\": \"inject-nmi\"}");

	ck_assert_str_eq(sent, "{\"error\": {\"class\": \"GenericError\", "
			       "\"desc\": \"the guest cannot be interrupted\"}}\r\n");
}
END_TEST

START_TEST(kernel_without_statistics_has_none_to_tell)
{
	negotiate();
	fake.stats_error = -ENOTSUP;
	input("{\"execute\": \"query-stats-schemas\"}");
	ck_assert_str_eq(sent, "{\"return\": []}\r\n");
	nr_sent = 0;

	input("{\"execute\": \"query-stats\", \"arguments\": {\"target\": \"vcpu\"}}");

	ck_assert_str_eq(sent, "{\"return\": []}\r\n");
}
END_TEST

static const char *const counting[] = {
	"{\"execute\": \"query-stats-schemas\"}",
	"{\"execute\": \"query-stats\", \"arguments\": {\"target\": \"vm\"}}",
	("{\"execute\": \"query-stats\", \"arguments\": {\"target\": \"vcpu\", "
	 "\"providers\": [{\"provider\": \"kvm\"}]}}"),
	"{\"execute\": \"x-vmm-query-memory-use\"}",
};

START_TEST(statistics_that_cannot_be_read_are_an_error)
{
	negotiate();
	fake.stats_error = -EIO;

	input(counting[_i]);

	ck_assert_str_eq(sent, "{\"error\": {\"class\": \"GenericError\", "
			       "\"desc\": \"nothing is counted\"}}\r\n");
}
END_TEST

static const struct {
	const char *address, *told;
} places[] = {
	{ "tcp:127.0.0.1:4444", ("\"socket-address\": [{\"type\": \"inet\", "
				 "\"host\": \"127.0.0.1\", \"port\": \"4444\"}], ") },
	{ "tls:[::1]:4444", ("\"socket-address\": [{\"type\": \"inet\", "
			     "\"host\": \"::1\", \"port\": \"4444\"}], ") },
	{ "unix:/a:b", "\"socket-address\": [{\"type\": \"unix\", \"path\": \"/a:b\"}], " },
	{ "fd:5", "" },
};

START_TEST(place_where_it_waits_is_told_as_a_socket)
{
	char expected[256];

	negotiate();
	fake.address = places[_i].address;
	input("{\"execute\": \"query-migrate\"}");

	snprintf(expected, sizeof(expected), "{\"return\": {%s\"x-vmm-address\": \"%s\"}}\r\n",
		 places[_i].told, places[_i].address);
	ck_assert_str_eq(sent, expected);
}
END_TEST

START_TEST(why_it_cannot_be_moved_is_told_before_it_is_tried)
{
	negotiate();
	fake.blocked = "it has moved";
	input("{\"execute\": \"query-migrate\"}");

	ck_assert_str_eq(sent, "{\"return\": {\"blocked-reasons\": [\"it has moved\"]}}\r\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qmp_session");
	TCase *tc = tcase_create("a session");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, one_message_is_taken_at_a_time);
	tcase_add_test(tc, no_input_is_taken_until_the_call_is_answered);
	tcase_add_test(tc, call_may_be_answered_when_the_session_is_gone);
	tcase_add_test(tc, call_may_fail_when_the_session_is_gone);
	tcase_add_test(tc, error_has_the_class_and_text_of_the_command);
	tcase_add_test(tc, no_value_is_an_error_and_no_silence);
	tcase_add_test(tc, event_is_sent_once_there_was_a_negotiation);
	tcase_add_test(tc, actions_that_were_not_given_stay);
	tcase_add_test(tc, name_of_any_length_is_told_back);
	tcase_add_test(tc, reason_of_the_machine_is_told);
	tcase_add_test(tc, kernel_without_statistics_has_none_to_tell);
	tcase_add_loop_test(tc, statistics_that_cannot_be_read_are_an_error, 0,
			    ARRAY_LEN(counting));
	tcase_add_loop_test(tc, place_where_it_waits_is_told_as_a_socket, 0, ARRAY_LEN(places));
	tcase_add_test(tc, why_it_cannot_be_moved_is_told_before_it_is_tried);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
