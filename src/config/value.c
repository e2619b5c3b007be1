// SPDX-License-Identifier: Apache-2.0
#include "config/value.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/quote.h"
#include "config/object.h"
#include "config/option.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAC_TEXT_LEN	17	/* 52:54:00:12:34:56 */

static const char size_letters[] = "KMGT";

static uint64_t number_get(const struct option *row, const void *obj)
{
	const void *member = object_member(row, obj);

	switch (row->width) {
	case sizeof(uint16_t):
		return *(const uint16_t *)member;
	case sizeof(uint32_t):
		return *(const uint32_t *)member;
	default:
		return *(const uint64_t *)member;
	}
}

static void number_put(const struct option *row, void *obj, uint64_t value)
{
	void *member = object_member(row, obj);

	switch (row->width) {
	case sizeof(uint16_t):
		*(uint16_t *)member = (uint16_t)value;
		break;
	case sizeof(uint32_t):
		*(uint32_t *)member = (uint32_t)value;
		break;
	default:
		*(uint64_t *)member = value;
	}
}

/* The largest that the row may hold. */
static uint64_t number_max(const struct option *row)
{
	return row->max ? row->max : UINT64_MAX >> (64 - 8 * row->width);
}

static const char *number_text(const struct option *row, uint64_t value,
			       char buf[VALUE_TEXT_MAX])
{
	unsigned nr_shifts = 0;

	if (row->kind == OPTION_KIND_SIZE && value) {
		while (nr_shifts < strlen(size_letters) && value % KiB == 0) {
			value /= KiB;
			nr_shifts++;
		}
	}
	snprintf(buf, VALUE_TEXT_MAX, "%" PRIu64 "%.1s", value,
		 nr_shifts ? &size_letters[nr_shifts - 1] : "");
	return buf;
}

const char *value_limits(const struct option *row, char buf[VALUE_LIMITS_MAX])
{
	char min[VALUE_TEXT_MAX], max[VALUE_TEXT_MAX];

	number_text(row, row->min, min);
	number_text(row, row->max, max);
	if (row->min && row->max)
		snprintf(buf, VALUE_LIMITS_MAX, "from %s to %s", min, max);
	else if (row->min)
		snprintf(buf, VALUE_LIMITS_MAX, "at least %s", min);
	else if (row->max)
		snprintf(buf, VALUE_LIMITS_MAX, "at most %s", max);
	else
		buf[0] = '\0';
	return buf;
}

static int refuse_range(const struct option *row, uint64_t max, const char *text,
			struct err *err)
{
	struct option limits = *row;
	char buf[VALUE_LIMITS_MAX];

	limits.max = max;
	return err_set(err, -EINVAL, "'%s' is out of range: it must be %s",
		       quote_of(text).text, value_limits(&limits, buf));
}

/* Decimal digits.  -EINVAL without any, -ERANGE past 64 bits. */
static int parse_digits(const char *text, const char **ret_end, uint64_t *ret)
{
	const char *at = text;
	uint64_t value = 0;
	int rc = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			rc = -ERANGE;
	}
	if (at == text)
		return -EINVAL;
	*ret_end = at;
	*ret = value;
	return rc;
}

static int store_number(const struct option *row, void *obj, int rc, uint64_t value,
			const char *text, struct err *err)
{
	uint64_t max = number_max(row);

	/* The limit of the C type is news only to those who run into it. */
	if (rc == -ERANGE || value > max)
		return refuse_range(row, max, text, err);
	if (value < row->min)
		return refuse_range(row, row->max, text, err);
	number_put(row, obj, value);
	return 0;
}

static int parse_number(const struct option *row, void *obj, const char *text,
			struct err *err)
{
	const char *end = text;
	uint64_t value = 0;
	int rc = parse_digits(text, &end, &value);

	if (rc == -EINVAL || *end)
		return err_set(err, -EINVAL, "'%s' is no number: write digits, as in 4",
			       quote_of(text).text);
	return store_number(row, obj, rc, value, text, err);
}

static int parse_size(const struct option *row, void *obj, const char *text,
		      struct err *err)
{
	const char *end = text;
	const char *letter = NULL;
	uint64_t value = 0;
	int rc = parse_digits(text, &end, &value);

	if (rc != -EINVAL && *end) {
		letter = strchr(size_letters, toupper((unsigned char)*end));
		if (letter)
			end++;
	}
	if (rc == -EINVAL || *end)
		return err_set(err, -EINVAL,
			       "'%s' is no size: write a number with K, M, G or T, as in 512M",
			       quote_of(text).text);
	if (letter && __builtin_mul_overflow(
			      value, UINT64_C(1) << (10 * (letter - size_letters + 1)), &value))
		rc = -ERANGE;
	return store_number(row, obj, rc, value, text, err);
}

static int parse_bool(const struct option *row, void *obj, const char *text,
		      struct err *err)
{
	static const char *const words[] = { "off", "on", "false", "true", "no", "yes" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!strcmp(text, words[i])) {
			*(bool *)object_member(row, obj) = i % 2;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "'%s' is neither on nor off", quote_of(text).text);
}

static int parse_choice(const struct option *row, void *obj, const char *text,
			struct err *err)
{
	char known[ERR_TEXT_MAX / 2] = "";
	size_t len = 0;

	for (unsigned i = 0; row->choices[i]; i++) {
		if (!strcmp(text, row->choices[i])) {
			*(unsigned *)object_member(row, obj) = i;
			return 0;
		}
		if (len < sizeof(known))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
						i ? ", " : "", row->choices[i]);
	}
	return err_set(err, -EINVAL, "'%s' is none of %s", quote_of(text).text, known);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int parse_mac(const struct option *row, void *obj, const char *text, struct err *err)
{
	static const uint8_t zero[6];
	uint8_t mac[6];
	bool ok = strlen(text) == MAC_TEXT_LEN;

	for (size_t i = 0; ok && i < sizeof(mac); i++) {
		const char *at = text + 3 * i;
		int high = hex_digit(at[0]), low = hex_digit(at[1]);

		ok = high >= 0 && low >= 0 && (i == 5 || at[2] == ':');
		mac[i] = (uint8_t)(high * 16 + low);
	}
	if (!ok)
		return err_set(err, -EINVAL,
			       "'%s' is no MAC address: write it as in 52:54:00:12:34:56",
			       quote_of(text).text);
	/* IEEE 802: the low bit of the first byte marks a group of interfaces. */
	if (mac[0] & 1 || !memcmp(mac, zero, sizeof(mac)))
		return err_set(err, -EINVAL,
			       "'%s' is no address of one interface: the first byte must be "
			       "even and not all may be zero", text);
	memcpy(object_member(row, obj), mac, sizeof(mac));
	return 0;
}

static int parse_string(const struct option *row, void *obj, const char *text,
			struct err *err)
{
	char **member = object_member(row, obj);
	char *copy;

	if (row->kind == OPTION_KIND_PATH && !*text)
		return err_set(err, -EINVAL, "the name is empty");
	if (row->max && strlen(text) > row->max)
		return err_set(err, -EINVAL,
			       "'%s' is too long: %zu bytes where at most %" PRIu64
			       " are possible",
			       quote_of(text).text, strlen(text), row->max);
	if (!row->joined || !*member)
		copy = strdup(text);
	else if (asprintf(&copy, "%s %s", *member, text) < 0)
		copy = NULL;
	if (!copy)
		return err_sys(err, -ENOMEM, "cannot keep the value");
	free(*member);
	*member = copy;
	return 0;
}

int value_parse(const struct option *row, void *obj, const char *text, struct err *err)
{
	switch (row->kind) {
	case OPTION_KIND_STRING:
	case OPTION_KIND_PATH:
		return parse_string(row, obj, text, err);
	case OPTION_KIND_BOOL:
		return parse_bool(row, obj, text, err);
	case OPTION_KIND_NUMBER:
		return parse_number(row, obj, text, err);
	case OPTION_KIND_SIZE:
		return parse_size(row, obj, text, err);
	case OPTION_KIND_CHOICE:
		return parse_choice(row, obj, text, err);
	case OPTION_KIND_MAC:
		return parse_mac(row, obj, text, err);
	case OPTION_KIND_GROUP:
	case OPTION_KIND_LIST:
		break;
	}
	return err_set(err, -EINVAL, "'%s' cannot be all of it", quote_of(text).text);
}

const char *value_text(const struct option *row, const void *obj, char buf[VALUE_TEXT_MAX])
{
	const void *member = object_member(row, obj);
	const uint8_t *mac = member;

	switch (row->kind) {
	case OPTION_KIND_STRING:
	case OPTION_KIND_PATH:
		return *(char *const *)member;
	case OPTION_KIND_BOOL:
		return *(const bool *)member ? "true" : "false";
	case OPTION_KIND_NUMBER:
	case OPTION_KIND_SIZE:
		return number_text(row, number_get(row, obj), buf);
	case OPTION_KIND_CHOICE:
		return row->choices[*(const unsigned *)member];
	case OPTION_KIND_MAC:
		snprintf(buf, VALUE_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
			 mac[1], mac[2], mac[3], mac[4], mac[5]);
		return buf;
	case OPTION_KIND_GROUP:
	case OPTION_KIND_LIST:
		break;
	}
	return NULL;
}
