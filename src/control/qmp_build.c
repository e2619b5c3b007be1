// SPDX-License-Identifier: Apache-2.0
#include "qmp_build.h"

#include <stdlib.h>
#include <string.h>

json_t *qmp_build_string(const char *text)
{
	json_t *json = json_string(text);
	char *copy = json ? NULL : strdup(text);

	if (!copy)
		return json;
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	json = json_string(copy);
	free(copy);
	return json;
}

static void drop(json_t **whole)
{
	json_decref(*whole);
	*whole = NULL;
}

void qmp_build_item(json_t **list, json_t *item)
{
	if (json_array_append_new(*list, item))
		drop(list);
}

void qmp_build_member(json_t **object, const char *key, json_t *value)
{
	if (json_object_set_new(*object, key, value))
		drop(object);
}

void qmp_build_text(json_t **object, const char *key, const char *text)
{
	if (text)
		qmp_build_member(object, key, qmp_build_string(text));
}
