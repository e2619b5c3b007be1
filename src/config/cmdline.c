// SPDX-License-Identifier: Apache-2.0
#include "config/cmdline.h"

#include "base/err.h"
#include "base/quote.h"
#include "config/describe.h"
#include "config/nearest.h"
#include "config/object.h"
#include "config/option.h"
#include "config/value.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * Cut the first pair off the rest of an object's value, undoubling its commas
 * in place.  *rest becomes NULL after the last.
 */
static char *next_pair(char **rest)
{
	char *pair = *rest, *from = pair, *to = pair;

	for (; *from; from++) {
		if (*from == ',' && *++from != ',') {
			*to = '\0';
			*rest = from;
			return pair;
		}
		*to++ = *from;
	}
	*to = '\0';
	*rest = NULL;
	return pair;
}

/* Which row a pair is for, and where its value is; cuts the pair at the '='. */
static const struct option *split_pair(const struct option_object *object, char *pair,
				       bool first, const char **ret_value, struct err *err)
{
	const struct option *row;
	char *equals = strchr(pair, '=');

	if (equals)
		*equals = '\0';
	row = object_find(object, pair, strlen(pair));
	*ret_value = equals ? equals + 1 : NULL;
	if (!row && !equals && first && object_primary(object)) {
		*ret_value = pair;
		return object_primary(object);
	}
	if (!row) {
		nearest_refuse(object, "", pair, err);
		return NULL;
	}
	if (!equals && row->kind == OPTION_KIND_BOOL)
		*ret_value = "on";
	if (!*ret_value) {
		struct describe metavar = describe_metavar(row);

		err_set(err, -EINVAL, "'%s' needs a value: %s=%s", row->key, row->key,
			metavar.text);
		return NULL;
	}
	return row;
}

static int set_pair(const struct option_object *object, void *obj, char *pair, bool first,
		    uint64_t *seen, struct err *err)
{
	const struct option *row;
	const char *value;
	int rc;

	if (!*pair)
		return err_set(err, -EINVAL,
			       "a key is missing (a comma within a value is written twice)");
	row = split_pair(object, pair, first, &value, err);
	if (!row)
		return -EINVAL;
	rc = row->joined ? 0 : object_once(object, row, seen, err);
	if (rc < 0)
		return rc;
	rc = value_parse(row, obj, value, err);
	if (rc < 0)
		return err_at(err, rc, "%s", row->key);
	object_mark(object, obj, row);
	return 0;
}

static int set_object(const struct option_object *object, void *obj, const char *value,
		      struct err *err)
{
	char *copy = strdup(value);
	char *rest = *value ? copy : NULL;
	uint64_t seen = 0;
	bool first = true;
	int rc = 0;

	if (!copy)
		return err_sys(err, -ENOMEM, "cannot read the value");
	while (!rc && rest) {
		rc = set_pair(object, obj, next_pair(&rest), first, &seen, err);
		first = false;
	}
	free(copy);
	return rc;
}

static int set_item(const struct option *row, void *obj, const char *value, struct err *err)
{
	void *item;
	int rc = object_append(row, obj, &item, err);

	if (rc < 0)
		return rc;
	rc = set_object(row->object, item, value, err);
	if (rc < 0)
		return rc;
	return option_check(row->object, item, err);
}

static int set_row(const struct option_object *object, void *obj, const struct option *row,
		   const char *value, struct err *err)
{
	int rc;

	if (row->kind == OPTION_KIND_LIST)
		rc = set_item(row, obj, value, err);
	else if (row->kind == OPTION_KIND_GROUP)
		rc = set_object(row->object, object_member(row, obj), value, err);
	else
		rc = value_parse(row, obj, value, err);
	if (rc < 0)
		return err_at(err, rc, "--%s", row->key);
	object_mark(object, obj, row);
	return 0;
}

static int refuse_no_value(const struct option *row, struct err *err)
{
	struct describe metavar = describe_metavar(row);

	return err_set(err, -EINVAL, "--%s needs a value: --%s %s", row->key, row->key,
		       metavar.text);
}

/* Returns how many arguments it took, 1 or 2; next may be NULL. */
static int take_long(const struct option_object *object, void *obj, const char *arg,
		     const char *next, struct err *err)
{
	const char *key = arg + strlen("--");
	size_t len = strcspn(key, "=");
	const struct option *row = object_find(object, key, len);
	const char *value = key[len] ? key + len + 1 : NULL;
	int rc, taken = 1;

	if (!row) {
		char *word = strndup(key, len);

		rc = nearest_refuse(object, "--", word ? word : key, err);
		free(word);
		return rc;
	}
	if (!value && row->kind == OPTION_KIND_BOOL) {
		value = "on";
	} else if (!value) {
		value = next;
		taken = 2;
	}
	if (!value)
		return refuse_no_value(row, err);
	rc = set_row(object, obj, row, value, err);
	return rc < 0 ? rc : taken;
}

static const struct option *find_letter(const struct option_object *object, char letter)
{
	for (uint32_t i = 0; i < object->nr_rows; i++) {
		if (object->rows[i].letter == letter)
			return &object->rows[i];
	}
	return NULL;
}

/* As take_long(), for -m512M, -m 512M and -dv. */
static int take_letters(const struct option_object *object, void *obj, const char *arg,
			const char *next, struct err *err)
{
	const struct option *row = NULL;
	const char *value = "";
	int rc, taken = 1;

	for (const char *at = arg + 1; *at; at++) {
		row = find_letter(object, *at);
		if (!row)
			return err_set(err, -EINVAL, "'-%c' in '%s' is unknown: see --help",
				       quote_of((char[]){ *at, '\0' }).text[0],
				       quote_of(arg).text);
		value = at + 1;
		if (row->kind != OPTION_KIND_BOOL)
			break;
		rc = set_row(object, obj, row, "on", err);
		if (rc < 0)
			return rc;
	}
	if (row->kind == OPTION_KIND_BOOL)
		return taken;
	if (!*value) {
		value = next;
		taken = 2;
	}
	if (!value)
		return refuse_no_value(row, err);
	rc = set_row(object, obj, row, value, err);
	return rc < 0 ? rc : taken;
}

/* Move nr arguments, 1 or 2, from one place to an earlier one. */
static void move_forward(char **argv, int from, int to, int nr)
{
	char *moved[2] = { argv[from], argv[from + nr - 1] };

	memmove(argv + to + nr, argv + to, (size_t)(from - to) * sizeof(*argv));
	memcpy(argv + to, moved, (size_t)nr * sizeof(*argv));
}

int cmdline_parse(const struct option_object *object, void *obj, int argc, char **argv,
		  int *ret_rest, struct err *err)
{
	bool ended = false;
	int rest = 1;		/* behind the options that have been moved */
	int taken;

	for (int i = 1; i < argc && !ended; i += taken) {
		const char *arg = argv[i];
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;

		taken = 1;
		if (arg[0] != '-' || !arg[1])
			continue;
		ended = !strcmp(arg, "--");
		if (!ended && arg[1] == '-')
			taken = take_long(object, obj, arg, next, err);
		else if (!ended)
			taken = take_letters(object, obj, arg, next, err);
		if (taken < 0)
			return taken;
		move_forward(argv, i, rest, taken);
		rest += taken;
	}
	*ret_rest = rest < argc ? rest : argc;
	return 0;
}
