/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - one value of a row, as text and in its struct.
 *
 * For rows of every kind but groups and lists.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stddef.h>

struct err;
struct option;

#define VALUE_TEXT_MAX	sizeof("18446744073709551615")
#define VALUE_LIMITS_MAX (2 * VALUE_TEXT_MAX + sizeof("from  to "))

/*
 * Set the row's member of obj.  -EINVAL and -ENOMEM leave it as it was; the
 * message quotes the text and says what is allowed, but not which option it is.
 */
int value_parse(const struct option *row, void *obj, const char *text, struct err *err);

/*
 * The member as value_parse() would read it: in buf, or a string of the struct
 * or the table.  NULL for a string that has no value.
 */
const char *value_text(const struct option *row, const void *obj,
		       char buf[VALUE_TEXT_MAX]);

/* "from 1 to 255", "at least 1M"; empty where the table sets no limit. */
const char *value_limits(const struct option *row, char buf[VALUE_LIMITS_MAX]);

#endif
