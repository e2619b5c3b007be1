// SPDX-License-Identifier: Apache-2.0
#include "config/option.h"

#include "base/err.h"
#include "config/object.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the C types of a table cannot say. */
static void assert_sound(const struct option_object *object)
{
	assert(object->nr_rows <= OPTION_ROWS_MAX);
	for (uint32_t i = 0; i < object->nr_rows; i++) {
		const struct option *row = &object->rows[i];

		assert(object_find(object, row->key, strlen(row->key)) == row);
		if (!row->object)
			continue;
		assert(row->width == row->object->size);
		for (uint32_t k = 0; k < row->object->nr_rows; k++)
			assert(!row->object->rows[k].object);
	}
}

int option_defaults(const struct option_object *object, void *obj)
{
	int rc = 0;

	assert_sound(object);
	memset(obj, 0, object->size);
	for (uint32_t i = 0; !rc && i < object->nr_rows; i++) {
		const struct option *row = &object->rows[i];

		if (row->kind == OPTION_KIND_GROUP)
			rc = option_defaults(row->object, object_member(row, obj));
		else if (row->preset)
			rc = value_parse(row, obj, row->preset, NULL);
	}
	assert(rc == 0 || rc == -ENOMEM);	/* else a preset is no value of its row */
	if (rc)
		option_fini(object, obj);
	return rc;
}

static void fini_list(const struct option *row, void *obj)
{
	for (uint32_t i = 0; i < *object_list_nr(row, obj); i++)
		option_fini(row->object, object_item(row, obj, i));
	free(*(void **)object_member(row, obj));
}

void option_fini(const struct option_object *object, void *obj)
{
	for (uint32_t i = 0; i < object->nr_rows; i++) {
		const struct option *row = &object->rows[i];

		switch (row->kind) {
		case OPTION_KIND_STRING:
		case OPTION_KIND_PATH:
			free(*(char **)object_member(row, obj));
			break;
		case OPTION_KIND_GROUP:
			option_fini(row->object, object_member(row, obj));
			break;
		case OPTION_KIND_LIST:
			fini_list(row, obj);
			break;
		case OPTION_KIND_BOOL:
		case OPTION_KIND_NUMBER:
		case OPTION_KIND_SIZE:
		case OPTION_KIND_CHOICE:
		case OPTION_KIND_MAC:
			break;
		}
	}
	memset(obj, 0, object->size);
}

static int copy_list(const struct option *row, void *to, const void *from)
{
	uint32_t nr = *object_list_nr(row, from);
	void **list = object_member(row, to);
	int rc = 0;

	*object_list_nr(row, to) = 0;
	*list = NULL;
	if (!nr)
		return 0;
	*list = calloc(nr, row->width);
	if (!*list)
		return -ENOMEM;
	for (uint32_t i = 0; !rc && i < nr; i++) {
		rc = option_copy(row->object, object_item(row, to, i),
				 object_item(row, from, i));
		*object_list_nr(row, to) = i + 1;
	}
	return rc;
}

static int copy_text(char **text, const char *from)
{
	*text = from ? strdup(from) : NULL;
	return from && !*text ? -ENOMEM : 0;
}

/* Every row is visited, also after a failure: what is not copied may not stay. */
int option_copy(const struct option_object *object, void *to, const void *from)
{
	int failed = 0;

	memcpy(to, from, object->size);
	for (uint32_t i = 0; i < object->nr_rows; i++) {
		const struct option *row = &object->rows[i];
		int rc = 0;

		if (row->kind == OPTION_KIND_STRING || row->kind == OPTION_KIND_PATH)
			rc = copy_text(object_member(row, to),
				       *(char **)object_member(row, from));
		else if (row->kind == OPTION_KIND_GROUP)
			rc = option_copy(row->object, object_member(row, to),
					 object_member(row, from));
		else if (row->kind == OPTION_KIND_LIST)
			rc = copy_list(row, to, from);
		if (rc)
			failed = rc;
	}
	if (failed)
		option_fini(object, to);
	return failed;
}

const char *option_missing(const struct option_object *object, const void *obj)
{
	for (uint32_t i = 0; i < object->nr_rows; i++) {
		const struct option *row = &object->rows[i];

		if (row->required && !object_has_value(object, obj, row))
			return row->key;
	}
	return NULL;
}

static int check_within(const void *obj, const struct option *row, struct err *err)
{
	int rc = 0;

	if (row->kind == OPTION_KIND_GROUP)
		rc = option_check(row->object, object_member(row, obj), err);
	if (row->kind == OPTION_KIND_LIST) {
		for (uint32_t i = 0; !rc && i < *object_list_nr(row, obj); i++)
			rc = option_check(row->object, object_item(row, obj, i), err);
	}
	return rc ? err_at(err, rc, "%s", row->key) : 0;
}

int option_check(const struct option_object *object, const void *obj, struct err *err)
{
	const char *missing = option_missing(object, obj);
	int rc = 0;

	if (missing)
		return err_set(err, -EINVAL, "'%s' is missing", missing);
	for (uint32_t i = 0; !rc && i < object->nr_rows; i++)
		rc = check_within(obj, &object->rows[i], err);
	return rc;
}

bool option_given(const struct option_object *object, const void *obj, const void *member)
{
	const struct option_given *given =
		(const struct option_given *)((const char *)obj + object->given);

	uint32_t i = 0;

	while (i < object->nr_rows && object_member(&object->rows[i], obj) != member)
		i++;
	assert(i < object->nr_rows);
	return given->rows & BIT64(i);
}
