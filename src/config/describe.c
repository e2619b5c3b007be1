// SPDX-License-Identifier: Apache-2.0
#include "config/describe.h"

#include "config/object.h"
#include "config/option.h"
#include "config/value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void append(struct describe *to, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void append(struct describe *to, const char *fmt, ...)
{
	size_t len = strlen(to->text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(to->text + len, sizeof(to->text) - len, fmt, args);
	va_end(args);
}

static const char *usual_metavar(enum option_kind kind)
{
	switch (kind) {
	case OPTION_KIND_STRING:
		return "TEXT";
	case OPTION_KIND_PATH:
		return "FILE";
	case OPTION_KIND_BOOL:
		return "on|off";
	case OPTION_KIND_NUMBER:
		return "N";
	case OPTION_KIND_SIZE:
		return "SIZE";
	case OPTION_KIND_MAC:
		return "ADDRESS";
	case OPTION_KIND_CHOICE:
	case OPTION_KIND_GROUP:
	case OPTION_KIND_LIST:
		break;
	}
	return "KEY=VALUE,...";
}

struct describe describe_metavar(const struct option *row)
{
	struct describe metavar = { "" };

	if (row->metavar || !row->choices) {
		append(&metavar, "%s", row->metavar ? row->metavar : usual_metavar(row->kind));
		return metavar;
	}
	for (size_t i = 0; row->choices[i]; i++)
		append(&metavar, "%s%s", i ? "|" : "", row->choices[i]);
	return metavar;
}

/* Parts are separated by semicolons. */
static const char *separator(const struct describe *notes)
{
	return notes->text[0] ? "; " : "";
}

static void append_limits(struct describe *notes, const struct option *row)
{
	char limits[VALUE_LIMITS_MAX];

	switch (row->kind) {
	case OPTION_KIND_NUMBER:
	case OPTION_KIND_SIZE:
		value_limits(row, limits);
		if (limits[0])
			append(notes, "%s%s", separator(notes), limits);
		break;
	case OPTION_KIND_STRING:
	case OPTION_KIND_PATH:
		if (row->max)
			append(notes, "%sat most %" PRIu64 " bytes", separator(notes),
			       row->max);
		break;
	case OPTION_KIND_LIST:
		append(notes, "%smay be repeated", separator(notes));
		if (row->max)
			append(notes, ", at most %" PRIu64 " in all", row->max);
		break;
	case OPTION_KIND_BOOL:
	case OPTION_KIND_CHOICE:
	case OPTION_KIND_MAC:
	case OPTION_KIND_GROUP:
		break;
	}
}

struct describe describe_notes(const struct option *row)
{
	struct describe notes = { "" };

	if (row->required)
		append(&notes, "required");
	if (row->primary)
		append(&notes, "%sthe key may be left out", separator(&notes));
	if (row->kind == OPTION_KIND_LIST && row->max == 1)
		return notes;
	append_limits(&notes, row);
	if (row->preset)
		append(&notes, "%sdefault %s", separator(&notes), row->preset);
	return notes;
}
