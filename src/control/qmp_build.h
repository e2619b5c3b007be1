/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_build.h - replies that are built step by step.
 *
 *	json_t *list = json_array();
 *
 *	while (...)
 *		qmp_build_item(&list, json_pack(...));
 *	qmp_call_return(call, list);
 *
 * Where there is no memory for a part, the whole is freed and becomes NULL, and
 * stays so: a list never ends early as if it were complete.
 */
#ifndef CONTROL_QMP_BUILD_H
#define CONTROL_QMP_BUILD_H

#include <jansson.h>

/* What of it is no UTF-8 becomes question marks; a path may be anything.  NULL: no memory. */
json_t *qmp_build_string(const char *text);

/* Both take the value, which is NULL where there was no memory for it. */
void qmp_build_item(json_t **list, json_t *item);
void qmp_build_member(json_t **object, const char *key, json_t *value);

/* A member that is optional: text NULL adds none. */
void qmp_build_text(json_t **object, const char *key, const char *text);

#endif
