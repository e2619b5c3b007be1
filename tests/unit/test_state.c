// SPDX-License-Identifier: Apache-2.0
#include "state/state.h"

#include "base/bytes.h"
#include "base/err.h"
#include "stream_repair.h"

#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define ARCH "x86_64"

/* Where a stream has its parts. */
#define HEADER_LEN 64
#define HEADER_CRC_AT 60
#define FORMAT_AT 8
#define SECTIONS_AT 12
#define SECTION_LEN_AT 32
#define SECTION_CRC_AT 36
#define SECTION_HEAD 40

struct port {
	uint16_t number;
	bool open;
};

static const struct state_field port_fields[] = {
	{ STATE_ONE(struct port, number) },
	{ STATE_ONE(struct port, open) },
	STATE_END
};

struct box {
	uint8_t small;
	uint64_t large;
	bool lit;
	uint32_t registers[3];
	uint32_t nr_words;
	uint16_t words[4];
	uint32_t nr_ports;
	struct port ports[2];
};

static const struct state_field box_fields[] = {
	{ STATE_ONE(struct box, small) },
	{ STATE_ONE(struct box, large) },
	{ STATE_ONE(struct box, lit) },
	{ STATE_ARRAY(struct box, registers) },
	{ STATE_LIST(struct box, words, nr_words) },
	{ STATE_STRUCT_LIST(struct box, ports, nr_ports, port_fields) },
	STATE_END
};

static const struct state_table box_table = {
	.name = "box", .version = 2, .fields = box_fields,
};

static const struct box box = {
	.small = 0xa5,
	.large = UINT64_C(0x0123456789abcdef),
	.lit = true,
	.registers = { 1, UINT32_MAX, 3 },
	.nr_words = 2,
	.words = { 7, 0xffff },
	.nr_ports = 2,
	.ports = {{80, true}, {443, false}},
};

/* A struct of one member, whatever its table says. */
struct word {
	uint32_t value, more;
};

static const struct state_field word_fields[] = {
	{ STATE_ONE(struct word, value) },
	STATE_END
};

static const struct state_table word_table = { "word", 1, false, word_fields };

static struct state_writer *writer;
static struct state_reader *reader;
static uint8_t *stream;
static size_t len;
static struct err err;

static void setup(void)
{
	writer = state_writer_new(ARCH);
	ck_assert_ptr_nonnull(writer);
	reader = NULL;
	stream = NULL;
	err = (struct err){ 0 };
}

static void teardown(void)
{
	reader = state_reader_free(reader);
	writer = state_writer_free(writer);
	free(stream);
}

/* What was saved so far, in memory of its exact size. */
static void end(void)
{
	const void *bytes;

	ck_assert_int_eq(state_writer_end(writer, &bytes, &len), 0);
	free(stream);
	stream = malloc(len);
	memcpy(stream, bytes, len);
}

static int open_stream(void)
{
	reader = state_reader_free(reader);
	return state_reader_new(&reader, stream, len, &err);
}

static void save(const struct state_table *table, const void *from)
{
	state_save(writer, table, 0, from);
	end();
	ck_assert_int_eq(open_stream(), 0);
}

/* As whoever forges a stream would. */
static void put_checksums(void)
{
	uint8_t *section = stream + HEADER_LEN;
	uint32_t crc = (uint32_t)crc32(0, section, SECTION_CRC_AT);

	crc = (uint32_t)crc32(crc, section + SECTION_HEAD, get_le32(section + SECTION_LEN_AT));
	put_le32(section + SECTION_CRC_AT, crc);
	put_le32(stream + HEADER_CRC_AT, (uint32_t)crc32(0, stream, HEADER_CRC_AT));
}

static void assert_says(const char *text)
{
	ck_assert_msg(strstr(err.text, text), "'%s' lacks '%s'", err.text, text);
}

START_TEST(what_was_saved_is_loaded)
{
	struct box got = { 0 };

	save(&box_table, &box);

	ck_assert_int_eq(state_load(reader, &box_table, 0, &got, &err), 0);
	ck_assert_uint_eq(got.small, box.small);
	ck_assert_uint_eq(got.large, box.large);
	ck_assert(got.lit);
	ck_assert_mem_eq(got.registers, box.registers, sizeof(box.registers));
	ck_assert_uint_eq(got.nr_words, 2);
	ck_assert_mem_eq(got.words, box.words, sizeof(box.words));
	ck_assert_uint_eq(got.nr_ports, 2);
	ck_assert_uint_eq(got.ports[0].number, 80);
	ck_assert(got.ports[0].open);
	ck_assert_uint_eq(got.ports[1].number, 443);
	ck_assert(!got.ports[1].open);
	ck_assert_int_eq(state_reader_end(reader, &err), 0);
}
END_TEST

START_TEST(header_says_what_can_load_it)
{
	save(&box_table, &box);

	ck_assert_str_eq(state_reader_arch(reader), ARCH);
	ck_assert_str_eq(state_reader_release(reader), VMM_VERSION);
}
END_TEST

START_TEST(instances_are_told_apart)
{
	const struct word one = { .value = 1 }, two = { .value = 2 };
	struct word got;

	state_save(writer, &word_table, 7, &one);
	state_save(writer, &word_table, 9, &two);
	end();
	ck_assert_int_eq(open_stream(), 0);

	ck_assert(!state_has(reader, &word_table, 8));
	ck_assert(state_has(reader, &word_table, 9));
	ck_assert_int_eq(state_load(reader, &word_table, 9, &got, &err), 0);
	ck_assert_uint_eq(got.value, 2);
	ck_assert_int_eq(state_load(reader, &word_table, 8, &got, &err), -ENOENT);
	assert_says("section 'word' 8 is missing");
}
END_TEST

START_TEST(section_that_nobody_loads_is_refused)
{
	save(&box_table, &box);

	ck_assert_int_eq(state_reader_end(reader, &err), -EINVAL);
	assert_says("section 'box' 0 belongs to nothing");
}
END_TEST

START_TEST(hint_that_nobody_loads_is_left)
{
	const struct state_table hint = { "word", 1, true, word_fields };

	save(&hint, &(struct word){ 1 });

	ck_assert_int_eq(state_reader_end(reader, &err), 0);
}
END_TEST

START_TEST(section_of_a_later_version_is_refused)
{
	struct state_table later = box_table;
	struct box got;

	later.version++;
	save(&later, &box);

	ck_assert_int_eq(state_load(reader, &box_table, 0, &got, &err), -ENOTSUP);
	assert_says("version 3");
}
END_TEST

START_TEST(field_of_a_later_release_is_refused)
{
	static const struct state_field more[] = {
		{ STATE_ONE(struct word, value) },
		{ STATE_ONE(struct word, more) },
		STATE_END
	};
	const struct state_table later = { "word", 1, false, more };
	struct word got;

	save(&later, &(struct word){ 1, 2 });

	ck_assert_int_eq(state_load(reader, &word_table, 0, &got, &err), -EINVAL);
	assert_says("'more' is unknown");
}
END_TEST

START_TEST(hint_of_a_later_release_is_left)
{
	static const struct state_field more[] = {
		{ STATE_ONE(struct word, more), .hint = true },
		{ STATE_ONE(struct word, value) },
		STATE_END
	};
	const struct state_table later = { "word", 1, false, more };
	struct word got = { 0 };

	save(&later, &(struct word){ 1, 2 });

	ck_assert_int_eq(state_load(reader, &word_table, 0, &got, &err), 0);
	ck_assert_uint_eq(got.value, 1);
	ck_assert_uint_eq(got.more, 0);
}
END_TEST

START_TEST(field_that_was_added_keeps_its_preset_in_an_older_stream)
{
	static const struct state_field more[] = {
		{ STATE_ONE(struct word, value) },
		{ STATE_ONE(struct word, more), .added = true },
		STATE_END
	};
	const struct state_table later = { "word", 1, false, more };
	struct word got = { .more = 5 };

	save(&word_table, &(struct word){ 1 });

	ck_assert_int_eq(state_load(reader, &later, 0, &got, &err), 0);
	ck_assert_uint_eq(got.value, 1);
	ck_assert_uint_eq(got.more, 5);
}
END_TEST

START_TEST(fields_are_found_in_any_order)
{
	static const struct state_field there[] = {
		{ STATE_ONE(struct word, more) },
		{ STATE_ONE(struct word, value) },
		STATE_END
	};
	static const struct state_field here[] = {
		{ STATE_ONE(struct word, value) },
		{ STATE_ONE(struct word, more) },
		STATE_END
	};
	const struct state_table saved = { "word", 1, false, there };
	const struct state_table loaded = { "word", 1, false, here };
	struct word got;

	save(&saved, &(struct word){ 1, 2 });

	ck_assert_int_eq(state_load(reader, &loaded, 0, &got, &err), 0);
	ck_assert_uint_eq(got.value, 1);
	ck_assert_uint_eq(got.more, 2);
}
END_TEST

START_TEST(missing_field_is_named)
{
	static const struct state_field more[] = {
		{ STATE_ONE(struct word, value) },
		{ STATE_ONE(struct word, more) },
		STATE_END
	};
	const struct state_table wants = { "word", 1, false, more };
	struct word got;

	save(&word_table, &(struct word){ 1 });

	ck_assert_int_eq(state_load(reader, &wants, 0, &got, &err), -EINVAL);
	assert_says("section 'word' 0: field 'more' is missing");
}
END_TEST

START_TEST(field_that_is_there_twice_is_refused)
{
	static const struct state_field twice[] = {
		{ STATE_ONE(struct word, value) },
		{ STATE_ONE(struct word, value) },
		STATE_END
	};
	const struct state_table table = { "word", 1, false, twice };
	struct word got;

	save(&table, &(struct word){ 1 });

	ck_assert_int_eq(state_load(reader, &word_table, 0, &got, &err), -EINVAL);
	assert_says("'value' is there twice");
}
END_TEST

START_TEST(field_of_another_kind_is_refused)
{
	struct wide {
		uint64_t value;
	};
	static const struct state_field fields[] = {
		{ STATE_ONE(struct wide, value) },
		STATE_END
	};
	const struct state_table table = { "word", 1, false, fields };
	struct word got;

	save(&table, &(struct wide){ 1 });

	ck_assert_int_eq(state_load(reader, &word_table, 0, &got, &err), -EINVAL);
	assert_says("'value' is of another kind");
}
END_TEST

START_TEST(longer_list_than_there_is_room_for_is_refused)
{
	struct shorter {
		uint32_t nr_words;
		uint16_t words[1];
	};
	struct longer {
		uint32_t nr_words;
		uint16_t words[2];
	};
	static const struct state_field shorter_fields[] = {
		{ STATE_LIST(struct shorter, words, nr_words) },
		STATE_END
	};
	static const struct state_field longer_fields[] = {
		{ STATE_LIST(struct longer, words, nr_words) },
		STATE_END
	};
	const struct state_table longer = { "list", 1, false, longer_fields };
	const struct state_table shorter = { "list", 1, false, shorter_fields };
	struct shorter got;

	save(&longer, &(struct longer){2, {1, 2}});

	ck_assert_int_eq(state_load(reader, &shorter, 0, &got, &err), -EINVAL);
	assert_says("2 elements instead of at most 1");
}
END_TEST

START_TEST(array_of_another_length_is_refused)
{
	struct pair {
		uint32_t value[2];
	};
	static const struct state_field pair_fields[] = {
		{ STATE_ARRAY(struct pair, value) },
		STATE_END
	};
	const struct state_table pair = { "word", 1, false, pair_fields };
	struct pair got;

	save(&word_table, &(struct word){ 1 });

	ck_assert_int_eq(state_load(reader, &pair, 0, &got, &err), -EINVAL);
	assert_says("1 elements instead of 2");
}
END_TEST

START_TEST(bool_is_true_or_false)
{
	struct lamp {
		uint8_t lit;
	};
	struct state_field field = { STATE_ONE(struct lamp, lit) };
	struct state_field fields[] = {
		field,
		STATE_END
	};
	const struct state_table table = { "lamp", 1, false, fields };
	struct lamp got;

	state_save(writer, &table, 0, &(struct lamp){ 2 });
	end();
	stream[HEADER_LEN + SECTION_HEAD] = STATE_BOOL;
	put_checksums();
	ck_assert_int_eq(open_stream(), 0);
	fields[0].kind = STATE_BOOL;

	ck_assert_int_eq(state_load(reader, &table, 0, &got, &err), -EINVAL);
	assert_says("neither true nor false");
}
END_TEST

START_TEST(any_flipped_bit_is_noticed)
{
	size_t refused = 0;

	save(&box_table, &box);
	for (size_t i = 0; i < len; i++) {
		stream[i] ^= (uint8_t)(1 << i % 8);
		refused += open_stream() < 0;
		stream[i] ^= (uint8_t)(1 << i % 8);
	}

	ck_assert_uint_eq(refused, len);
}
END_TEST

START_TEST(any_truncation_is_noticed)
{
	size_t whole, refused = 0;

	save(&box_table, &box);
	whole = len;
	for (len = 0; len < whole; len++)
		refused += open_stream() < 0;

	ck_assert_uint_eq(refused, whole);
}
END_TEST

/* Whoever forges checksums still reaches no byte outside. */
START_TEST(any_forged_byte_is_survived)
{
	save(&box_table, &box);
	for (size_t i = HEADER_LEN; i < len; i++)
		for (unsigned value = 0; value < 256; value += 51) {
			uint8_t was = stream[i];
			struct box got = { 0 };

			stream[i] = (uint8_t)value;
			if (get_le32(stream + HEADER_LEN + SECTION_LEN_AT) <=
			    len - HEADER_LEN - SECTION_HEAD)
				put_checksums();
			if (open_stream() == 0)
				(void)state_load(reader, &box_table, 0, &got, &err);
			ck_assert_uint_le(got.nr_words, 4);
			ck_assert_uint_le(got.nr_ports, 2);
			stream[i] = was;
			put_checksums();
		}
}
END_TEST

static size_t nr_not_shown(const char *text)
{
	size_t nr = 0;

	for (; *text; text++)
		nr += *text < ' ' || *text > '~';
	return nr;
}

START_TEST(no_message_has_what_a_terminal_obeys)
{
	uint8_t *whole;

	save(&box_table, &box);
	whole = malloc(len);
	memcpy(whole, stream, len);
	for (size_t i = 0; i < len; i++) {
		struct box got;

		stream[i] = '\033';
		stream_repair(stream, len);
		if (open_stream() == 0 && state_load(reader, &box_table, 0, &got, &err) == 0)
			(void)state_reader_end(reader, &err);
		ck_assert_msg(!nr_not_shown(err.text), "byte %zu: '%s'", i, err.text);
		memcpy(stream, whole, len);
	}
	free(whole);
}
END_TEST

START_TEST(section_that_is_there_twice_is_refused)
{
	state_save(writer, &word_table, 3, &(struct word){ 1 });
	state_save(writer, &word_table, 3, &(struct word){ 2 });
	end();

	ck_assert_int_eq(open_stream(), -EINVAL);
	assert_says("section 'word' 3 is there twice");
}
END_TEST

START_TEST(more_sections_than_can_be_are_refused)
{
	state_save(writer, &word_table, 0, &(struct word){ 1 });
	end();
	put_le32(stream + SECTIONS_AT, UINT32_MAX);
	put_checksums();

	ck_assert_int_eq(open_stream(), -EINVAL);
	assert_says("cannot have as many sections");
}
END_TEST

START_TEST(bytes_after_the_last_section_are_refused)
{
	state_save(writer, &word_table, 0, &(struct word){ 1 });
	end();
	put_le32(stream + SECTIONS_AT, 0);
	put_checksums();

	ck_assert_int_eq(open_stream(), -EINVAL);
	assert_says("goes on after its last section");
}
END_TEST

START_TEST(unknown_format_names_the_way_out)
{
	end();
	put_le32(stream + FORMAT_AT, 2);
	put_le32(stream + HEADER_CRC_AT, (uint32_t)crc32(0, stream, HEADER_CRC_AT));

	ck_assert_int_eq(open_stream(), -ENOTSUP);
	assert_says("format 2");
}
END_TEST

START_TEST(anything_else_is_no_state)
{
	static const uint8_t text[] =
		"config: [nothing of the kind], whatever one may think of it, for long";

	ck_assert_int_eq(state_reader_new(&reader, text, sizeof(text), &err), -EINVAL);
	assert_says("not the saved state of a VM");
}
END_TEST

START_TEST(fields_can_be_seen_without_a_table)
{
	struct state_section section;
	struct state_seen seen;
	const uint8_t *at;

	save(&word_table, &(struct word){ .value = 77 });

	ck_assert(state_reader_section(reader, 0, &section));
	ck_assert(!state_reader_section(reader, 1, &section));
	ck_assert_str_eq(section.name, "word");
	at = section.bytes;
	ck_assert_int_eq(state_see(&at, section.bytes + section.len, &seen), 1);
	ck_assert_int_eq(seen.kind, STATE_U32);
	ck_assert_mem_eq(seen.name, "value", seen.name_len);
	ck_assert_uint_eq(seen.nr, 1);
	ck_assert_uint_eq(state_seen_number(&seen, 0), 77);
	ck_assert_int_eq(state_see(&at, section.bytes + section.len, &seen), 0);
}
END_TEST

START_TEST(stream_has_a_limit)
{
	static struct blob {
		uint8_t bytes[32 << 20];
	} blob;
	static const struct state_field fields[] = {
		{ STATE_ARRAY(struct blob, bytes) },
		STATE_END
	};
	const struct state_table table = { "blob", 1, false, fields };
	const void *bytes;

	state_save(writer, &table, 0, &blob);
	state_save(writer, &table, 1, &blob);

	ck_assert_int_eq(state_writer_end(writer, &bytes, &len), -EFBIG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state");
	TCase *tc = tcase_create("state");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_saved_is_loaded);
	tcase_add_test(tc, header_says_what_can_load_it);
	tcase_add_test(tc, instances_are_told_apart);
	tcase_add_test(tc, section_that_nobody_loads_is_refused);
	tcase_add_test(tc, hint_that_nobody_loads_is_left);
	tcase_add_test(tc, section_of_a_later_version_is_refused);
	tcase_add_test(tc, field_of_a_later_release_is_refused);
	tcase_add_test(tc, hint_of_a_later_release_is_left);
	tcase_add_test(tc, field_that_was_added_keeps_its_preset_in_an_older_stream);
	tcase_add_test(tc, fields_are_found_in_any_order);
	tcase_add_test(tc, missing_field_is_named);
	tcase_add_test(tc, field_that_is_there_twice_is_refused);
	tcase_add_test(tc, field_of_another_kind_is_refused);
	tcase_add_test(tc, longer_list_than_there_is_room_for_is_refused);
	tcase_add_test(tc, array_of_another_length_is_refused);
	tcase_add_test(tc, bool_is_true_or_false);
	tcase_add_test(tc, any_flipped_bit_is_noticed);
	tcase_add_test(tc, any_truncation_is_noticed);
	tcase_add_test(tc, any_forged_byte_is_survived);
	tcase_add_test(tc, no_message_has_what_a_terminal_obeys);
	tcase_add_test(tc, section_that_is_there_twice_is_refused);
	tcase_add_test(tc, more_sections_than_can_be_are_refused);
	tcase_add_test(tc, bytes_after_the_last_section_are_refused);
	tcase_add_test(tc, unknown_format_names_the_way_out);
	tcase_add_test(tc, anything_else_is_no_state);
	tcase_add_test(tc, fields_can_be_seen_without_a_table);
	tcase_add_test(tc, stream_has_a_limit);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
