// SPDX-License-Identifier: Apache-2.0
/* ram_send.h and ram_receive.h: what one sends, the other has. */
#include "channel_fixture.h"

#include "base/bits.h"
#include "base/clock.h"
#include "memory/ram.h"
#include "migrate/pages.h"
#include "migrate/ram_receive.h"
#include "migrate/ram_send.h"

#include <errno.h>
#include <zstd.h>

/* Two pieces, and a third one that is not whole. */
#define NR_PAGES	(2 * 512 + 65)
#define NR_WORDS	((NR_PAGES + 63) / 64)
#define WORDS_A_PIECE	8
#define NR_SHARES	2

static struct ram from, to;
static uint64_t *bitmap;
static struct channel *ends[NR_SHARES][2];	/* who sends, who receives */
static struct ram_sender senders[NR_SHARES];
static struct ram_receiver receivers[NR_SHARES];
static pthread_t threads[NR_SHARES];
static int told[NR_SHARES];			/* what the receivers ended with */
static struct err reasons[NR_SHARES];
static struct ram_sent sent;
static atomic_uint_least64_t rate, received;
static atomic_bool stop;

static char *page_of(const struct ram *ram, uint64_t page)
{
	return (char *)ram->host + page * PAGES_LEN;
}

/* Every third page is zero, every fifth does not become smaller. */
static void fill_source(void)
{
	uint64_t random = 1;

	for (uint64_t page = 0; page < NR_PAGES; page++) {
		uint64_t *words = (uint64_t *)page_of(&from, page);

		if (page % 3 == 0)
			continue;
		for (unsigned i = 0; i < PAGES_LEN / sizeof(*words); i++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			words[i] = page % 5 ? page : random;
		}
	}
}

static void setup_ram(void)
{
	setup();
	ck_assert_int_eq(ram_open(&from, NR_PAGES * PAGES_LEN, NULL), 0);
	ck_assert_int_eq(ram_open(&to, NR_PAGES * PAGES_LEN, NULL), 0);
	fill_source();
	bitmap = malloc((NR_WORDS + WORDS_A_PIECE) * sizeof(*bitmap));
	memset(bitmap, 0xff, (NR_WORDS + WORDS_A_PIECE) * sizeof(*bitmap));
}

static void teardown_ram(void)
{
	for (unsigned i = 0; i < NR_SHARES; i++) {
		ram_sender_fini(&senders[i]);
		ram_receiver_fini(&receivers[i]);
		channel_close(ends[i][0]);
		channel_close(ends[i][1]);
	}
	free(bitmap);
	ram_close(&from);
	ram_close(&to);
	teardown();
}

static void open_share(unsigned i, unsigned nr_shares, bool fresh, bool pack)
{
	begin_by(2);
	connect_by(2);
	accept_one();
	listener = channel_listener_close(listener);
	ends[i][0] = sender;
	ends[i][1] = receiver;
	sender = receiver = NULL;
	senders[i] = (struct ram_sender){
		.channel = ends[i][0], .ram = &from, .share = i, .nr_shares = nr_shares,
		.fresh = fresh, .pack = pack, .rate = &rate, .stop = &stop, .sent = &sent,
	};
	receivers[i] = (struct ram_receiver){
		.channel = ends[i][1], .ram = &to, .bytes = &received,
	};
	ck_assert_int_eq(ram_sender_init(&senders[i]), 0);
	ck_assert_int_eq(ram_receiver_init(&receivers[i]), 0);
}

/* Until the end of the stream, or something that is not right. */
static void *take_all(void *arg)
{
	struct ram_receiver *one = arg;
	size_t i = (size_t)(one - receivers);
	struct message message;
	int r;

	do {
		r = message_receive(one->channel, &message, &reasons[i]);
		if (!r)
			r = ram_receiver_take(one, &message, &reasons[i]);
	} while (!r);
	told[i] = r;
	return NULL;
}

static void begin_taking(unsigned i)
{
	ck_assert_int_eq(pthread_create(&threads[i], NULL, take_all, &receivers[i]), 0);
}

static int end_taking(unsigned i)
{
	const struct message end = { .type = MESSAGE_END };

	(void)message_send(ends[i][0], &end, NULL);
	pthread_join(threads[i], NULL);
	return told[i];
}

static int move(unsigned i)
{
	begin_taking(i);
	ck_assert_int_eq(ram_sender_send(&senders[i], bitmap), 0);
	return end_taking(i);
}

static void name_only(uint64_t page)
{
	memset(bitmap, 0, NR_WORDS * sizeof(*bitmap));
	bitmap[page / 64] |= UINT64_C(1) << page % 64;
}

/* Moving. */

static const struct {
	bool fresh, pack;
} kinds[] = { { false, false }, { true, false }, { false, true }, { true, true } };

START_TEST(all_memory_arrives)
{
	open_share(0, 1, kinds[_i].fresh, kinds[_i].pack);

	ck_assert_int_eq(move(0), 1);

	ck_assert(!memcmp(from.host, to.host, from.len));
	ck_assert_uint_eq(pages_count(bitmap, NR_WORDS), 0);
	ck_assert_uint_eq(sent.pages + sent.zeroes, NR_PAGES);
	ck_assert_uint_eq(sent.zeroes, (NR_PAGES + 2) / 3);
	ck_assert_uint_eq(sent.bytes, received);
	if (kinds[_i].pack)
		ck_assert_uint_lt(sent.bytes, sent.pages * PAGES_LEN);
}
END_TEST

START_TEST(shares_are_the_whole)
{
	for (unsigned i = 0; i < NR_SHARES; i++) {
		open_share(i, NR_SHARES, true, false);
		ck_assert_int_eq(move(i), 1);
		ck_assert_int_eq(!memcmp(from.host, to.host, from.len), i == NR_SHARES - 1);
	}

	ck_assert_uint_eq(pages_count(bitmap, NR_WORDS), 0);
	ck_assert_uint_eq(sent.pages + sent.zeroes, NR_PAGES);
}
END_TEST

START_TEST(page_that_has_become_zero_is_cleared)
{
	open_share(0, 1, false, false);
	memset(page_of(&to, 3), 'x', PAGES_LEN);
	name_only(3);

	ck_assert_int_eq(move(0), 1);

	ck_assert(pages_zero(page_of(&to, 3)));
	ck_assert_uint_eq(sent.zeroes, 1);
}
END_TEST

START_TEST(what_is_not_named_is_not_sent)
{
	open_share(0, 1, false, false);
	name_only(NR_PAGES - 1);

	ck_assert_int_eq(move(0), 1);

	ck_assert_uint_eq(sent.pages, 1);
	ck_assert(!memcmp(page_of(&from, NR_PAGES - 1), page_of(&to, NR_PAGES - 1), PAGES_LEN));
	ck_assert(pages_zero(page_of(&to, 1)));
}
END_TEST

START_TEST(nothing_is_written_behind_the_bitmap)
{
	open_share(0, 1, true, false);

	ck_assert_int_eq(move(0), 1);

	ck_assert_uint_eq(pages_count(bitmap + NR_WORDS, WORDS_A_PIECE), 64 * WORDS_A_PIECE);
}
END_TEST

START_TEST(what_was_not_sent_when_it_stopped_stays_named)
{
	open_share(0, 1, false, false);
	stop = true;

	ck_assert_int_eq(move(0), 1);

	ck_assert_uint_eq(sent.bytes, 0);
	ck_assert_uint_eq(pages_count(bitmap, NR_WORDS), 64 * NR_WORDS);
}
END_TEST

static void *stop_soon(void *arg)
{
	(void)arg;
	while (!sent.bytes)
		usleep(100);
	stop = true;
	return NULL;
}

START_TEST(sender_that_goes_slowly_is_stopped_in_between)
{
	pthread_t other;

	open_share(0, 1, false, false);
	rate = 1;
	ck_assert_int_eq(pthread_create(&other, NULL, stop_soon, NULL), 0);

	ck_assert_int_eq(move(0), 1);

	pthread_join(other, NULL);
	ck_assert_uint_gt(pages_count(bitmap, NR_WORDS), 0);
	for (uint64_t page = 0; page < NR_PAGES; page++)
		if (!pages_named(bitmap, page))
			ck_assert(!memcmp(page_of(&from, page), page_of(&to, page), PAGES_LEN));
}
END_TEST

static void *allow_all_soon(void *arg)
{
	(void)arg;
	while (!sent.bytes)
		usleep(100);
	rate = 0;
	return NULL;
}

START_TEST(rate_can_be_raised_meanwhile)
{
	pthread_t other;

	open_share(0, 1, false, false);
	rate = 1;
	ck_assert_int_eq(pthread_create(&other, NULL, allow_all_soon, NULL), 0);

	ck_assert_int_eq(move(0), 1);

	pthread_join(other, NULL);
	ck_assert_uint_eq(pages_count(bitmap, NR_WORDS), 0);
}
END_TEST

START_TEST(single_page_of_any_share_is_sent)
{
	open_share(0, 2, false, false);
	begin_taking(0);

	ck_assert_int_eq(ram_sender_send_range(&senders[0], 512 + 2, 2), 0);

	ck_assert_int_eq(end_taking(0), 1);
	ck_assert(!memcmp(page_of(&from, 512 + 2), page_of(&to, 512 + 2), 2 * PAGES_LEN));
	ck_assert_uint_eq(pages_count(bitmap, NR_WORDS), 64 * NR_WORDS);
}
END_TEST

START_TEST(what_nobody_takes_is_no_reason_to_wait)
{
	open_share(0, 1, false, false);
	rate = 1;
	ends[0][1] = channel_close(ends[0][1]);

	ck_assert_int_eq(ram_sender_send(&senders[0], bitmap), -ECONNRESET);
}
END_TEST

/* What comes is input. */

static void put(const struct message *message, const void *bytes)
{
	ck_assert_int_eq(message_send(ends[0][0], message, bytes), 0);
}

static int taken(void)
{
	begin_taking(0);
	return end_taking(0);
}

static const struct {
	struct message message;
	const char *why;
} bad[] = {
	{ { MESSAGE_PAGES, 0, 0, 0 }, "not of this VM's memory" },
	{ { MESSAGE_PAGES, 513, 0, PAGES_LEN }, "not of this VM's memory" },
	{ { MESSAGE_PAGES, 1, NR_PAGES, PAGES_LEN }, "not of this VM's memory" },
	{ { MESSAGE_PAGES, 2, NR_PAGES - 1, 2 * PAGES_LEN }, "not of this VM's memory" },
	{ { MESSAGE_PAGES, 2, UINT64_MAX, 2 * PAGES_LEN }, "not of this VM's memory" },
	{ { MESSAGE_PAGES, 1, UINT64_C(1) << 52, PAGES_LEN }, "not of this VM's memory" },
	{ { MESSAGE_ZEROES, UINT32_MAX, 0, 0 }, "not of this VM's memory" },
	{ { MESSAGE_ZEROES, 1, NR_PAGES, 0 }, "not of this VM's memory" },
	{ { MESSAGE_MISSING, 1, NR_PAGES, 0 }, "not of this VM's memory" },
	{ { MESSAGE_PACKED, 1, NR_PAGES, 8 }, "not of this VM's memory" },
	{ { MESSAGE_PAGES, 1, 0, PAGES_LEN - 1 }, "1 pages in 4095 bytes" },
	{ { MESSAGE_PAGES, 1, 0, 2 * PAGES_LEN }, "1 pages in 8192 bytes" },
	{ { MESSAGE_PAGES, 2, 0, 0 }, "2 pages in 0 bytes" },
	{ { MESSAGE_PACKED, 1, 0, 0 }, "too short" },
	{ { MESSAGE_PACKED, 1, 0, 100 }, "damaged" },
	{ { MESSAGE_MISSING, 1, 0, 0 }, "post-copy" },
};

START_TEST(what_cannot_be_is_refused)
{
	static const char bytes[2 * PAGES_LEN];

	open_share(0, 1, false, false);
	memset(page_of(&to, 0), 'x', PAGES_LEN);
	put(&bad[_i].message, bytes);

	ck_assert_int_eq(taken(), -EPROTO);

	ck_assert_msg(strstr(reasons[0].text, bad[_i].why), "%s", reasons[0].text);
}
END_TEST

/* As many pages as are said, or more, or less. */
static const struct {
	size_t pages;
	int expected;
} packed_lens[] = { { 1, -EPROTO }, { 2, 1 }, { 3, -EPROTO } };

START_TEST(what_was_compressed_is_as_long_as_is_said)
{
	char packed[3 * PAGES_LEN];
	size_t len = ZSTD_compress(packed, sizeof(packed), page_of(&from, 1),
				   packed_lens[_i].pages * PAGES_LEN, 1);

	open_share(0, 1, false, false);
	put(&(struct message){ MESSAGE_PACKED, 2, 7, len }, packed);

	ck_assert_int_eq(taken(), packed_lens[_i].expected);

	ck_assert(pages_zero(page_of(&to, 9)));
}
END_TEST

START_TEST(message_of_another_kind_is_left_to_others)
{
	open_share(0, 1, false, false);
	put(&(struct message){ .type = MESSAGE_GO }, NULL);

	ck_assert_int_eq(taken(), 1);
	ck_assert_uint_eq(received, 0);
}
END_TEST

START_TEST(pages_that_end_too_soon_are_a_loss)
{
	uint8_t header[MESSAGE_HEADER_LEN];
	const struct iovec seg = { header, sizeof(header) };

	open_share(0, 1, false, false);
	message_pack(header, &(struct message){ MESSAGE_PAGES, 1, 0, PAGES_LEN });
	ck_assert_int_eq(channel_send(ends[0][0], &seg, 1), 0);
	ends[0][0] = channel_close(ends[0][0]);
	begin_taking(0);

	pthread_join(threads[0], NULL);

	ck_assert_int_eq(told[0], -ECONNRESET);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ram_move");
	TCase *tc = tcase_create("from here to there");

	tcase_add_checked_fixture(tc, setup_ram, teardown_ram);
	tcase_add_loop_test(tc, all_memory_arrives, 0, ARRAY_LEN(kinds));
	tcase_add_test(tc, shares_are_the_whole);
	tcase_add_test(tc, page_that_has_become_zero_is_cleared);
	tcase_add_test(tc, what_is_not_named_is_not_sent);
	tcase_add_test(tc, nothing_is_written_behind_the_bitmap);
	tcase_add_test(tc, what_was_not_sent_when_it_stopped_stays_named);
	tcase_add_test(tc, sender_that_goes_slowly_is_stopped_in_between);
	tcase_add_test(tc, rate_can_be_raised_meanwhile);
	tcase_add_test(tc, single_page_of_any_share_is_sent);
	tcase_add_test(tc, what_nobody_takes_is_no_reason_to_wait);
	tcase_add_loop_test(tc, what_cannot_be_is_refused, 0, ARRAY_LEN(bad));
	tcase_add_loop_test(tc, what_was_compressed_is_as_long_as_is_said, 0,
			    ARRAY_LEN(packed_lens));
	tcase_add_test(tc, message_of_another_kind_is_left_to_others);
	tcase_add_test(tc, pages_that_end_too_soon_are_a_loss);
	suite_add_tcase(s, tc);
	return run(s);
}
