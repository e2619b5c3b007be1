// SPDX-License-Identifier: Apache-2.0
#include "control/qmp_type.h"

#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES	256	/* of a member; a longer one is cut */

const struct qmp_type qmp_type_str = { .kind = QMP_STR };
const struct qmp_type qmp_type_int = { .kind = QMP_INT };
const struct qmp_type qmp_type_number = { .kind = QMP_NUMBER };
const struct qmp_type qmp_type_bool = { .kind = QMP_BOOL };
const struct qmp_type qmp_type_any = { .kind = QMP_ANY };
const struct qmp_type qmp_type_empty = { .kind = QMP_OBJECT };

static int check(const struct qmp_type *type, const json_t *value, const char *path,
		 struct err *err);

static int wrong(const char *path, const char *expected, struct err *err)
{
	return err_set(err, -EINVAL, "Invalid parameter type for '%s', expected: %s",
		       *path ? path : "null", expected);
}

static int check_enum(const struct qmp_type *type, const json_t *value, const char *path,
		      struct err *err)
{
	const char *word = json_string_value(value);
	const char *name = strrchr(path, '.');

	if (!word)
		return wrong(path, "string", err);
	for (const char *const *known = type->values; *known; known++)
		if (!strcmp(*known, word))
			return 0;
	/* QEMU tells where all else is wrong, but of this the name alone. */
	return err_set(err, -EINVAL, "Parameter '%s' does not accept value '%.64s'",
		       name ? name + 1 : path, word);
}

static int check_array(const struct qmp_type *type, const json_t *value, const char *path,
		       struct err *err)
{
	char item[PATH_BYTES];
	int r = 0;

	if (!json_is_array(value))
		return wrong(path, "array", err);
	for (size_t i = 0; !r && i < json_array_size(value); i++) {
		snprintf(item, sizeof(item), "%.200s[%zu]", path, i);
		r = check(type->element, json_array_get(value, i), item, err);
	}
	return r;
}

/* "at.name", or the name alone at the top. */
static const char *join(char path[PATH_BYTES], const char *at, const char *name)
{
	snprintf(path, PATH_BYTES, "%.150s%s%.64s", at, *at ? "." : "", name);
	return path;
}

static int check_members(const struct qmp_type *type, const json_t *value, const char *at,
			 struct err *err)
{
	char path[PATH_BYTES];
	int r = 0;

	for (unsigned i = 0; !r && i < type->nr_members; i++) {
		const struct qmp_member *member = &type->members[i];
		const json_t *found = json_object_get(value, member->name);

		if (found)
			r = check(member->type, found, join(path, at, member->name), err);
		else if (!member->optional)
			r = err_set(err, -EINVAL, "Parameter '%s' is missing",
				    join(path, at, member->name));
	}
	return r;
}

/* NULL when the tag's value has none. */
static const struct qmp_type *find_variant(const struct qmp_type *type, const json_t *value)
{
	const char *tag = type->tag ? json_string_value(json_object_get(value, type->tag)) : NULL;

	for (unsigned i = 0; tag && i < type->nr_variants; i++)
		if (!strcmp(type->variants[i].value, tag))
			return type->variants[i].type;
	return NULL;
}

static bool has_member(const struct qmp_type *type, const char *name)
{
	for (unsigned i = 0; type && i < type->nr_members; i++)
		if (!strcmp(type->members[i].name, name))
			return true;
	return false;
}

static int check_object(const struct qmp_type *type, const json_t *value, const char *at,
			struct err *err)
{
	const struct qmp_type *variant = find_variant(type, value);
	char path[PATH_BYTES];
	const json_t *member;
	const char *name;
	int r;

	if (!json_is_object(value))
		return wrong(at, "object", err);
	r = check_members(type, value, at, err);
	if (!r && variant)
		r = check_members(variant, value, at, err);
	if (r < 0)
		return r;
	json_object_foreach((json_t *)value, name, member) {
		if (!has_member(type, name) && !has_member(variant, name))
			return err_set(err, -EINVAL, "Parameter '%s' is unexpected",
				       join(path, at, name));
	}
	return 0;
}

static int check_alternate(const struct qmp_type *type, const json_t *value,
			   const char *path, struct err *err)
{
	struct err one;

	for (unsigned i = 0; i < type->nr_members; i++)
		if (!check(type->members[i].type, value, path, &one))
			return 0;
	return wrong(path, "one of several", err);
}

static int check(const struct qmp_type *type, const json_t *value, const char *path,
		 struct err *err)
{
	switch (type->kind) {
	case QMP_STR:
		return json_is_string(value) ? 0 : wrong(path, "string", err);
	case QMP_INT:
		return json_is_integer(value) ? 0 : wrong(path, "integer", err);
	case QMP_NUMBER:
		return json_is_number(value) ? 0 : wrong(path, "number", err);
	case QMP_BOOL:
		return json_is_boolean(value) ? 0 : wrong(path, "boolean", err);
	case QMP_ENUM:
		return check_enum(type, value, path, err);
	case QMP_ARRAY:
		return check_array(type, value, path, err);
	case QMP_OBJECT:
		return check_object(type, value, path, err);
	case QMP_ALTERNATE:
		return check_alternate(type, value, path, err);
	case QMP_ANY:
		break;
	}
	return 0;
}

int qmp_type_check(const struct qmp_type *type, const json_t *value, struct err *err)
{
	return check(type, value, "", err);
}
