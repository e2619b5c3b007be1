// SPDX-License-Identifier: Apache-2.0
#include "config/option_json.h"

#include "base/err.h"
#include "base/quote.h"
#include "config/object.h"
#include "config/option.h"
#include "config/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Tables are two levels deep: a path is two keys of 32 bytes at most, and an index. */
#define PATH_BYTES	160

static int load_object(const struct option_object *object, void *obj, const json_t *json,
		       const char *prefix, struct err *err);

static int wrong_type(const char *path, const char *expected, struct err *err)
{
	return err_set(err, -EINVAL, "Invalid parameter type for '%s', expected: %s", path,
		       expected);
}

static bool is_choice(const struct option *row, const char *word)
{
	for (unsigned i = 0; row->choices[i]; i++)
		if (!strcmp(row->choices[i], word))
			return true;
	return false;
}

static int load_text(const struct option *row, void *obj, const char *text,
		     const char *path, struct err *err)
{
	int r = value_parse(row, obj, text, err);

	return r < 0 ? err_at(err, r, "Parameter '%s'", path) : 0;
}

static int load_string(const struct option *row, void *obj, const json_t *json,
		       const char *path, struct err *err)
{
	if (!json_is_string(json))
		return wrong_type(path, "string", err);
	if (row->kind == OPTION_KIND_CHOICE && !is_choice(row, json_string_value(json)))
		return err_set(err, -EINVAL, "Parameter '%s' does not accept value '%s'", path,
			       quote_of(json_string_value(json)).text);
	return load_text(row, obj, json_string_value(json), path, err);
}

static int load_integer(const struct option *row, void *obj, const json_t *json,
			const char *path, struct err *err)
{
	char text[sizeof("-9223372036854775808")];

	if (!json_is_integer(json))
		return wrong_type(path, "integer", err);
	snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(json));
	return load_text(row, obj, text, path, err);
}

static int load_bool(const struct option *row, void *obj, const json_t *json,
		     const char *path, struct err *err)
{
	if (!json_is_boolean(json))
		return wrong_type(path, "boolean", err);
	*(bool *)object_member(row, obj) = json_is_true(json);
	return 0;
}

static int load_group(const struct option *row, void *obj, const json_t *json,
		      const char *path, struct err *err)
{
	char prefix[PATH_BYTES];

	if (!json_is_object(json))
		return wrong_type(path, "object", err);
	snprintf(prefix, sizeof(prefix), "%.100s.", path);
	return load_object(row->object, object_member(row, obj), json, prefix, err);
}

static int load_item(const struct option *row, void *obj, const json_t *json,
		     const char *path, struct err *err)
{
	char prefix[PATH_BYTES];
	void *item;
	int r;

	if (!json_is_object(json))
		return wrong_type(path, "object", err);
	r = object_append(row, obj, &item, err);
	if (r < 0)
		return err_at(err, r, "Parameter '%s'", path);
	snprintf(prefix, sizeof(prefix), "%.100s.", path);
	return load_object(row->object, item, json, prefix, err);
}

static int load_list(const struct option *row, void *obj, const json_t *json,
		     const char *path, struct err *err)
{
	char item_path[PATH_BYTES];
	int r = 0;

	if (!json_is_array(json))
		return wrong_type(path, "array", err);
	for (size_t i = 0; !r && i < json_array_size(json); i++) {
		snprintf(item_path, sizeof(item_path), "%.100s[%zu]", path, i);
		r = load_item(row, obj, json_array_get(json, i), item_path, err);
	}
	return r;
}

static int load_row(const struct option *row, void *obj, const json_t *json,
		    const char *path, struct err *err)
{
	switch (row->kind) {
	case OPTION_KIND_STRING:
	case OPTION_KIND_PATH:
	case OPTION_KIND_CHOICE:
	case OPTION_KIND_MAC:
		return load_string(row, obj, json, path, err);
	case OPTION_KIND_NUMBER:
	case OPTION_KIND_SIZE:
		return load_integer(row, obj, json, path, err);
	case OPTION_KIND_BOOL:
		return load_bool(row, obj, json, path, err);
	case OPTION_KIND_GROUP:
		return load_group(row, obj, json, path, err);
	case OPTION_KIND_LIST:
		break;
	}
	return load_list(row, obj, json, path, err);
}

/* QEMU's order: what is wrong with known members first, then unknown ones. */
static int load_object(const struct option_object *object, void *obj, const json_t *json,
		       const char *prefix, struct err *err)
{
	char path[PATH_BYTES];
	const json_t *value;
	const char *key;

	for (uint32_t i = 0; i < object->nr_rows; i++) {
		const struct option *row = &object->rows[i];
		int r;

		value = json_object_get(json, row->key);
		if (!value && !row->required)
			continue;
		snprintf(path, sizeof(path), "%.120s%.32s", prefix, row->key);
		if (!value)
			return err_set(err, -EINVAL, "Parameter '%s' is missing", path);
		r = load_row(row, obj, value, path, err);
		if (r < 0)
			return r;
		object_mark(object, obj, row);
	}
	json_object_foreach((json_t *)json, key, value) {
		if (!object_find(object, key, strlen(key)))
			return err_set(err, -EINVAL, "Parameter '%s%s' is unexpected", prefix,
				       quote_of(key).text);
	}
	return 0;
}

int option_json_load(const struct option_object *object, void *obj, const json_t *json,
		     struct err *err)
{
	return load_object(object, obj, json, "", err);
}
