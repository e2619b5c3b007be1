// SPDX-License-Identifier: Apache-2.0
#include "config/object.h"

#include "base/bits.h"
#include "base/err.h"
#include "config/option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void *object_member(const struct option *row, const void *obj)
{
	return (char *)obj + row->offset;
}

uint32_t *object_list_nr(const struct option *row, const void *obj)
{
	return (uint32_t *)((char *)obj + row->nr_offset);
}

void *object_item(const struct option *row, const void *obj, uint32_t i)
{
	return *(char **)object_member(row, obj) + (size_t)i * row->width;
}

const struct option *object_find(const struct option_object *object, const char *key,
				 size_t len)
{
	for (uint32_t i = 0; i < object->nr_rows; i++) {
		const char *known = object->rows[i].key;

		if (strlen(known) == len && !memcmp(known, key, len))
			return &object->rows[i];
	}
	return NULL;
}

const struct option *object_primary(const struct option_object *object)
{
	for (uint32_t i = 0; i < object->nr_rows; i++) {
		if (object->rows[i].primary)
			return &object->rows[i];
	}
	return NULL;
}

static struct option_given *given_of(const struct option_object *object, const void *obj)
{
	return (struct option_given *)((char *)obj + object->given);
}

static uint64_t bit_of(const struct option_object *object, const struct option *row)
{
	return BIT64(row - object->rows);
}

void object_mark(const struct option_object *object, void *obj, const struct option *row)
{
	given_of(object, obj)->rows |= bit_of(object, row);
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

bool object_has_value(const struct option_object *object, const void *obj,
		      const struct option *row)
{
	const uint8_t *member = object_member(row, obj);

	switch (row->kind) {
	case OPTION_KIND_STRING:
	case OPTION_KIND_PATH:
		return !is_zero(member, row->width);
	case OPTION_KIND_NUMBER:
	case OPTION_KIND_SIZE:
	case OPTION_KIND_MAC:
		return !is_zero(member, row->width) || row->preset ||
		       given_of(object, obj)->rows & bit_of(object, row);
	case OPTION_KIND_LIST:
		return *object_list_nr(row, obj) > 0;
	case OPTION_KIND_BOOL:
	case OPTION_KIND_CHOICE:
	case OPTION_KIND_GROUP:
		break;
	}
	return true;
}

int object_once(const struct option_object *object, const struct option *row,
		uint64_t *seen, struct err *err)
{
	if (*seen & bit_of(object, row))
		return err_set(err, -EINVAL, "'%s' is there twice", row->key);
	*seen |= bit_of(object, row);
	return 0;
}

int object_append(const struct option *row, void *obj, void **ret_item, struct err *err)
{
	uint32_t *nr = object_list_nr(row, obj);
	char **items = object_member(row, obj);
	char *grown;
	int rc;

	if (*nr >= (row->max ? row->max : UINT32_MAX))
		return err_set(err, -EINVAL, "there may be at most %" PRIu64, row->max);
	grown = reallocarray(*items, (size_t)*nr + 1, row->width);
	if (!grown)
		return err_sys(err, -ENOMEM, "cannot add an item");
	*items = grown;
	rc = option_defaults(row->object, object_item(row, obj, *nr));
	if (rc < 0)
		return err_sys(err, rc, "cannot add an item");
	*ret_item = object_item(row, obj, *nr);
	++*nr;
	return 0;
}
