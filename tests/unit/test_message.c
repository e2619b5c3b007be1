// SPDX-License-Identifier: Apache-2.0
#include "migrate/message.h"

#include "channel_fixture.h"

#include "base/bits.h"
#include "state/state.h"

#include <errno.h>

static struct message got;

static void setup_both(void)
{
	setup();
	begin_by(2);
	connect_by(2);
	accept_one();
}

static void send_it(enum message_type type, const char *bytes)
{
	const struct message message = {
		.type = type, .nr = 3, .at = UINT64_C(0x123456789a), .len = strlen(bytes),
	};

	ck_assert_int_eq(message_send(sender, &message, bytes), 0);
}

/* Just a header, of a message that has so many bytes. */
static void claim(uint32_t type, uint64_t len)
{
	const struct message message = { .type = (enum message_type)type, .len = len };
	uint8_t header[MESSAGE_HEADER_LEN];
	const struct iovec seg = { header, sizeof(header) };

	message_pack(header, &message);
	ck_assert_int_eq(channel_send(sender, &seg, 1), 0);
}

START_TEST(message_arrives_as_it_was)
{
	void *bytes;

	send_it(MESSAGE_PLAN, "how to build it");

	ck_assert_int_eq(message_receive(receiver, &got, &err), 0);
	ck_assert_int_eq(message_receive_bytes(receiver, &got, &bytes, &err), 0);

	ck_assert_uint_eq(got.type, MESSAGE_PLAN);
	ck_assert_uint_eq(got.nr, 3);
	ck_assert_uint_eq(got.at, UINT64_C(0x123456789a));
	ck_assert_str_eq(bytes, "how to build it");
	free(bytes);
}
END_TEST

static const uint32_t unknown[] = { MESSAGE_NONE, MESSAGE_TYPES, 0x47455420, UINT32_MAX };

START_TEST(unknown_type_is_refused)
{
	claim(unknown[_i], 0);

	ck_assert_int_eq(message_receive(receiver, &got, &err), -EPROTO);

	ck_assert_ptr_nonnull(strstr(err.text, "is no vmm"));
}
END_TEST

static const struct {
	enum message_type type;
	uint64_t len;
} longest[] = {
	{ MESSAGE_PLAN, STATE_LEN_MAX },
	{ MESSAGE_STREAM, MESSAGE_SESSION_LEN },
	{ MESSAGE_RESUME, MESSAGE_SESSION_LEN },
	{ MESSAGE_PAGES, MESSAGE_PIECE },
	{ MESSAGE_ZEROES, 0 },
	{ MESSAGE_PACKED, MESSAGE_PIECE },
	{ MESSAGE_MISSING, 0 },
	{ MESSAGE_END, 0 },
	{ MESSAGE_STATE, STATE_LEN_MAX },
	{ MESSAGE_GO, 0 },
	{ MESSAGE_BYE, 0 },
	{ MESSAGE_READY, 0 },
	{ MESSAGE_LOADED, 0 },
	{ MESSAGE_RUNS, 0 },
	{ MESSAGE_ASK, 0 },
	{ MESSAGE_DONE, 0 },
	{ MESSAGE_FAILED, 1000 },
	{ MESSAGE_DISK, MESSAGE_DISK_PIECE },
	{ MESSAGE_DISK_ZEROES, 8 },
};

START_TEST(message_is_as_long_as_its_type_may_be)
{
	ck_assert_uint_eq(ARRAY_LEN(longest), MESSAGE_TYPES - 1);
	claim(longest[_i].type, longest[_i].len);
	claim(longest[_i].type, longest[_i].len + 1);
	claim(longest[_i].type, UINT64_MAX);

	ck_assert_int_eq(message_receive(receiver, &got, &err), 0);
	ck_assert_uint_eq(got.len, longest[_i].len);
	ck_assert_int_eq(message_receive(receiver, &got, &err), -EPROTO);
	ck_assert_ptr_nonnull(strstr(err.text, "too much"));
	ck_assert_int_eq(message_receive(receiver, &got, &err), -EPROTO);
}
END_TEST

START_TEST(stream_that_ends_is_told_as_a_loss)
{
	void *bytes = NULL;

	claim(MESSAGE_STATE, STATE_LEN_MAX);
	sender = channel_close(sender);

	ck_assert_int_eq(message_receive(receiver, &got, &err), 0);
	ck_assert_int_eq(message_receive_bytes(receiver, &got, &bytes, &err), -ECONNRESET);
	ck_assert_ptr_nonnull(strstr(err.text, "closed the connection"));
	ck_assert_int_eq(message_receive(receiver, &got, &err), -ECONNRESET);
	ck_assert_ptr_null(bytes);
}
END_TEST

START_TEST(reason_of_the_other_side_is_told)
{
	send_it(MESSAGE_FAILED, "no room");
	ck_assert_int_eq(message_receive(receiver, &got, &err), 0);

	ck_assert_int_eq(message_receive_failure(receiver, &got, &err), -EREMOTEIO);

	ck_assert_str_eq(err.text, "the other side: no room");
}
END_TEST

START_TEST(reason_does_nothing_to_a_terminal)
{
	send_it(MESSAGE_FAILED, "a\033]0;b\007\n\177c");
	ck_assert_int_eq(message_receive(receiver, &got, &err), 0);

	ck_assert_int_eq(message_receive_failure(receiver, &got, &err), -EREMOTEIO);

	ck_assert_str_eq(err.text, "the other side: a?]0;b???c");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("message");
	TCase *tc = tcase_create("between two");

	tcase_add_checked_fixture(tc, setup_both, teardown);
	tcase_add_test(tc, message_arrives_as_it_was);
	tcase_add_loop_test(tc, unknown_type_is_refused, 0, ARRAY_LEN(unknown));
	tcase_add_loop_test(tc, message_is_as_long_as_its_type_may_be, 0, ARRAY_LEN(longest));
	tcase_add_test(tc, stream_that_ends_is_told_as_a_loss);
	tcase_add_test(tc, reason_of_the_other_side_is_told);
	tcase_add_test(tc, reason_does_nothing_to_a_terminal);
	suite_add_tcase(s, tc);
	return run(s);
}
