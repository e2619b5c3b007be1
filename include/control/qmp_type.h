/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_type.h - what JSON a reply, an event or an argument consists of, as tables.
 *
 *	static const struct qmp_member target_members[] = {
 *		{ .name = "arch", .type = &arch_type },
 *	};
 *	static const struct qmp_type target_info = {
 *		.kind = QMP_OBJECT, QMP_MEMBERS(target_members),
 *	};
 *
 * Clients are told of these types by query-qmp-schema, and every reply is
 * checked against its own before it is sent, so neither can be untrue.
 */
#ifndef CONTROL_QMP_TYPE_H
#define CONTROL_QMP_TYPE_H

#include "base/bits.h"

#include <jansson.h>
#include <stdbool.h>

struct err;

enum qmp_kind {
	QMP_STR,
	QMP_INT,
	QMP_NUMBER,
	QMP_BOOL,
	QMP_ANY,
	QMP_ALTERNATE,	/* any of the types of members, whose names are not told */
	QMP_ENUM,	/* values */
	QMP_ARRAY,	/* element */
	QMP_OBJECT,	/* members, and those of the variant that tag selects */
};

struct qmp_member {
	const char *name;
	const struct qmp_type *type;
	bool optional;
};

struct qmp_variant {
	const char *value;			/* of the tag */
	const struct qmp_type *type;		/* an object */
};

struct qmp_type {
	enum qmp_kind kind;
	const char *const *values;		/* ends with NULL */
	const struct qmp_type *element;
	const struct qmp_member *members;
	unsigned nr_members;
	const char *tag;			/* a member that is an enum, or NULL */
	const struct qmp_variant *variants;	/* tag's other values add no member */
	unsigned nr_variants;
};

#define QMP_MEMBERS(table)	.members = (table), .nr_members = ARRAY_LEN(table)
#define QMP_VARIANTS(table)	.variants = (table), .nr_variants = ARRAY_LEN(table)

/* An array type, to be written where it is used. */
#define QMP_ARRAY_OF(type)						\
	(&(const struct qmp_type){ .kind = QMP_ARRAY, .element = (type) })

extern const struct qmp_type qmp_type_str;
extern const struct qmp_type qmp_type_int;
extern const struct qmp_type qmp_type_number;
extern const struct qmp_type qmp_type_bool;
extern const struct qmp_type qmp_type_any;
extern const struct qmp_type qmp_type_empty;	/* an object without members */

/*
 * Is value of this type, with every member that must be there and none that may
 * not?  -EINVAL with the text that QEMU has for a wrong argument.
 */
int qmp_type_check(const struct qmp_type *type, const json_t *value, struct err *err);

#endif
