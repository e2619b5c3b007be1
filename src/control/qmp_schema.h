/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_schema.h - the tables of commands and events as clients can read them.
 */
#ifndef CONTROL_QMP_SCHEMA_H
#define CONTROL_QMP_SCHEMA_H

#include <jansson.h>

struct qmp_table;
struct qmp_type;

/* Of an entry of the list. */
extern const struct qmp_type qmp_schema_info;

/*
 * Everything that tables, which end with NULL, can be asked and can say.  Types
 * other than the built-in ones are numbered, since their names mean nothing to
 * clients.  NULL without memory.
 */
json_t *qmp_schema_of(const struct qmp_table *const *tables);

#endif
