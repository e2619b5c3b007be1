/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h - what every reader of values does with a struct and its table.
 */
#ifndef CONFIG_OBJECT_H
#define CONFIG_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct option;
struct option_object;

/* The member of obj that a row describes. */
void *object_member(const struct option *row, const void *obj);

uint32_t *object_list_nr(const struct option *row, const void *obj);

/* The item of a list row; i is below its length. */
void *object_item(const struct option *row, const void *obj, uint32_t i);

/* NULL when no row has this key of len bytes. */
const struct option *object_find(const struct option_object *object, const char *key,
				 size_t len);

const struct option *object_primary(const struct option_object *object);

/* Note that a user has set this row. */
void object_mark(const struct option_object *object, void *obj, const struct option *row);

/*
 * Is there anything to show?  A string or list that is not empty, a number or
 * address that is given, preset or not zero; the other kinds always.
 */
bool object_has_value(const struct option_object *object, const void *obj,
		      const struct option *row);

/*
 * Which rows one mapping, or one value of KEY=VALUE pairs, has named so far.
 * -EINVAL for the second time.
 */
int object_once(const struct option_object *object, const struct option *row,
		uint64_t *seen, struct err *err);

/* Append an item of presets.  -ENOMEM; -EINVAL when the list may not grow. */
int object_append(const struct option *row, void *obj, void **ret_item, struct err *err);

#endif
