// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_reader.c - finds tokens and counts brackets; jansson does the rest.
 *
 * Tokens are gathered in text, with strings in double quotes and without white
 * space, until the brackets are balanced.  What is then in text is either one
 * JSON value or an error, and json_loadb() tells which.  Outside brackets each
 * token is a text of its own.
 */
#include "control/qmp_reader.h"

#include "base/bits.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_KEPT	4096	/* a larger buffer is freed after its text */
#define STRAY_SHOWN	32	/* bytes of a stray token in the message */

enum state {
	BETWEEN,		/* tokens */
	STRING,
	ESCAPE,			/* behind the backslash */
	MINUS,
	ZERO,
	DIGITS,
	POINT,
	FRACTION,
	EXPONENT,		/* behind the letter e */
	EXPONENT_SIGN,
	EXPONENT_DIGITS,
	WORD,
	RECOVERY,
};

/* What one byte leads to. */
enum step {
	TAKEN,
	AGAIN,			/* the byte belongs to what follows: judge it anew */
	ENDS,			/* taken, and with it ends the text */
	ENDED,			/* the text has ended before it */
	STRAY,
	TOO_LONG,
	TOO_DEEP,
	NO_MEMORY,
};

void qmp_reader_init(struct qmp_reader *reader)
{
	*reader = (struct qmp_reader){ .state = BETWEEN };
}

void qmp_reader_fini(struct qmp_reader *reader)
{
	free(reader->text);
	*reader = (struct qmp_reader){ .state = BETWEEN };
}

static void start_over(struct qmp_reader *reader, enum state state)
{
	if (reader->room > TEXT_KEPT) {
		free(reader->text);
		reader->text = NULL;
		reader->room = 0;
	}
	reader->len = 0;
	reader->nr_braces = reader->nr_brackets = 0;
	reader->state = (int)state;
}

static enum step append(struct qmp_reader *reader, char c)
{
	if (reader->len == QMP_READER_TEXT_MAX)
		return TOO_LONG;
	if (reader->len == reader->room) {
		size_t room = reader->room ? 2 * reader->room : 256;
		char *text = realloc(reader->text, room);

		if (!text)
			return NO_MEMORY;
		reader->text = text;
		reader->room = room;
	}
	reader->text[reader->len++] = c;
	return TAKEN;
}

static enum step append_to(struct qmp_reader *reader, char c, enum state state)
{
	reader->state = (int)state;
	return append(reader, c);
}

static bool in_brackets(const struct qmp_reader *reader)
{
	return reader->nr_braces >= 0 && reader->nr_brackets >= 0 &&
	       reader->nr_braces + reader->nr_brackets > 0;
}

/* A token has ended with this byte. */
static enum step end_with(struct qmp_reader *reader, char c)
{
	enum step step = append_to(reader, c, BETWEEN);

	return step == TAKEN && !in_brackets(reader) ? ENDS : step;
}

/*
 * 64 bits hold no such integer: let it be the nearest real number, as in QEMU.
 */
static enum step widen(struct qmp_reader *reader)
{
	enum step step = append(reader, '\0');

	if (step != TAKEN)
		return step;
	reader->len--;
	errno = 0;
	(void)strtoll(reader->text + reader->token, NULL, 10);
	if (errno != ERANGE)
		return TAKEN;
	step = append(reader, '.');
	return step == TAKEN ? append(reader, '0') : step;
}

/* A token has ended before this byte; the space keeps it apart from the next. */
static enum step end_before(struct qmp_reader *reader)
{
	bool integer = reader->state == DIGITS;
	enum step step = integer ? widen(reader) : TAKEN;

	reader->state = BETWEEN;
	if (step != TAKEN)
		return step;
	if (!in_brackets(reader))
		return ENDED;
	step = append(reader, ' ');
	return step == TAKEN ? AGAIN : step;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

/* UTF-8 has no byte 0xfe or 0xff; what else is no UTF-8 shows at the end. */
static bool is_control(char c)
{
	return (unsigned char)c < ' ' || (unsigned char)c >= 0xfe;
}

static enum step bracket(struct qmp_reader *reader, char c)
{
	reader->nr_braces += (c == '{') - (c == '}');
	reader->nr_brackets += (c == '[') - (c == ']');
	if (reader->nr_braces + reader->nr_brackets > QMP_READER_NESTING_MAX)
		return TOO_DEEP;
	return end_with(reader, c);
}

static enum step begin(struct qmp_reader *reader, char c)
{
	reader->token = reader->len;
	if (c && strchr(" \t\r\n", c))
		return TAKEN;
	if (c && strchr("{}[]", c))
		return bracket(reader, c);
	if (c == ':' || c == ',')
		return end_with(reader, c);
	if (c == '"' || c == '\'') {
		reader->quote = c;
		return append_to(reader, '"', STRING);
	}
	if (c == '-')
		return append_to(reader, c, MINUS);
	if (is_digit(c))
		return append_to(reader, c, c == '0' ? ZERO : DIGITS);
	return is_letter(c) ? append_to(reader, c, WORD) : STRAY;
}

static enum step string(struct qmp_reader *reader, char c)
{
	enum step step;

	if (c == reader->quote)
		return end_with(reader, '"');
	if (is_control(c))
		return STRAY;
	if (c == '\\') {
		reader->state = ESCAPE;
		return TAKEN;
	}
	if (c == '"') {
		step = append(reader, '\\');
		if (step != TAKEN)
			return step;
	}
	return append(reader, c);
}

static enum step escape(struct qmp_reader *reader, char c)
{
	enum step step;

	reader->state = STRING;
	if (is_control(c))
		return STRAY;
	if (c == '\'')
		return append(reader, c);
	step = append(reader, '\\');
	return step == TAKEN ? append(reader, c) : step;
}

static enum step exponent_or_end(struct qmp_reader *reader, char c)
{
	return c == 'e' || c == 'E' ? append_to(reader, c, EXPONENT) : end_before(reader);
}

static enum step integer(struct qmp_reader *reader, char c)
{
	if (is_digit(c))
		return reader->state == ZERO ? STRAY : append(reader, c);
	return c == '.' ? append_to(reader, c, POINT) : exponent_or_end(reader, c);
}

/* In this state there has to be a digit. */
static enum step digit(struct qmp_reader *reader, char c, enum state state)
{
	return is_digit(c) ? append_to(reader, c, state) : STRAY;
}

static enum step recover(struct qmp_reader *reader, char c)
{
	if (c != '\t' && (is_control(c) || strchr("{}[]:,", c))) {
		reader->state = BETWEEN;
		return AGAIN;
	}
	return TAKEN;
}

static enum step judge(struct qmp_reader *reader, char c)
{
	switch ((enum state)reader->state) {
	case BETWEEN:
		return begin(reader, c);
	case STRING:
		return string(reader, c);
	case ESCAPE:
		return escape(reader, c);
	case MINUS:
		return digit(reader, c, c == '0' ? ZERO : DIGITS);
	case ZERO:
	case DIGITS:
		return integer(reader, c);
	case POINT:
		return digit(reader, c, FRACTION);
	case FRACTION:
		return is_digit(c) ? append(reader, c) : exponent_or_end(reader, c);
	case EXPONENT:
		if (c == '+' || c == '-')
			return append_to(reader, c, EXPONENT_SIGN);
		return digit(reader, c, EXPONENT_DIGITS);
	case EXPONENT_SIGN:
		return digit(reader, c, EXPONENT_DIGITS);
	case EXPONENT_DIGITS:
		return is_digit(c) ? append(reader, c) : end_before(reader);
	case WORD:
		return is_letter(c) ? append(reader, c) : end_before(reader);
	case RECOVERY:
		break;
	}
	return recover(reader, c);
}

/* jansson's reasons in QEMU's words. */
static void tell(const json_error_t *error, struct err *err)
{
	static const struct {
		const char *begins, *instead;
		bool goes_on;		/* with the text behind */
	} words[] = {
		{ "unexpected token", "expecting value", false },
		{ "invalid token near ", "invalid keyword ", true },
		{ "string or '}' expected near '}'", "expecting value", false },
		{ "string or '}' expected near ']'", "expecting value", false },
		{ "string or '}' expected near ':'", "expecting value", false },
		{ "string or '}' expected near ','", "expecting value", false },
		{ "string or '}' expected", "key is not a string in object", false },
		{ "':' expected", "missing : in object pair", false },
		{ "'}' expected", "expected separator in dict", false },
		{ "']' expected", "expected separator in list", false },
		{ "duplicate object key", "duplicate key", false },
		{ "unable to decode byte", "invalid UTF-8 sequence in string", false },
		{ "\\u0000 is not allowed", "\\u0000 is not supported", false },
		{ "invalid escape", "invalid escape sequence in string", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t len = strlen(words[i].begins);

		if (strncmp(error->text, words[i].begins, len))
			continue;
		err_set(err, -EINVAL, "JSON parse error, %s%s", words[i].instead,
			words[i].goes_on ? error->text + len : "");
		return;
	}
	err_set(err, -EINVAL, "JSON parse error, %s", error->text);
}

static enum qmp_reader_result decode(struct qmp_reader *reader, json_t **ret_json,
				     struct err *err)
{
	json_error_t error;
	json_t *json = json_loadb(reader->text, reader->len,
				  JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);

	start_over(reader, BETWEEN);
	if (!json) {
		tell(&error, err);
		return QMP_READER_BAD;
	}
	*ret_json = json;
	return QMP_READER_TEXT;
}

/* "stray 'nul!'": the token so far with the byte that does not belong to it. */
static void tell_stray(const struct qmp_reader *reader, char c, struct err *err)
{
	char shown[STRAY_SHOWN + sizeof("?")];
	size_t len = reader->len - reader->token;

	if (len > STRAY_SHOWN)
		len = STRAY_SHOWN;
	if (len)
		memcpy(shown, reader->text + reader->token, len);
	shown[len++] = c;
	shown[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (shown[i] < ' ' || shown[i] > '~')
			shown[i] = '?';
	err_set(err, -EINVAL, "JSON parse error, stray '%s'", shown);
}

static enum qmp_reader_result refuse(struct qmp_reader *reader, enum step step, char c,
				     struct err *err)
{
	if (step == STRAY)
		tell_stray(reader, c, err);
	else if (step == TOO_LONG)
		err_set(err, -EMSGSIZE, "JSON token size limit exceeded");
	else if (step == TOO_DEEP)
		err_set(err, -EMSGSIZE, "JSON nesting depth limit exceeded");
	else
		err_sys(err, -ENOMEM, "JSON parse error");
	start_over(reader, step == TOO_DEEP ? BETWEEN : RECOVERY);
	return QMP_READER_BAD;
}

enum qmp_reader_result qmp_reader_read(struct qmp_reader *reader, const char *bytes,
				       size_t len, size_t *ret_taken, json_t **ret_json,
				       struct err *err)
{
	size_t at = 0;

	while (at < len) {
		enum step step = judge(reader, bytes[at]);

		if (step == AGAIN)
			continue;
		if (step != ENDED)
			at++;
		*ret_taken = at;
		if (step == ENDS || step == ENDED)
			return decode(reader, ret_json, err);
		if (step != TAKEN)
			return refuse(reader, step, bytes[at - 1], err);
	}
	*ret_taken = len;
	return QMP_READER_MORE;
}
