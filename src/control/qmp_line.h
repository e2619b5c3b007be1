/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_line.h - what is sent: a JSON text as one line of ASCII that ends with CRLF.
 */
#ifndef CONTROL_QMP_LINE_H
#define CONTROL_QMP_LINE_H

#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>

struct qmp_line {
	const char *bytes;
	size_t len;
	char *owned;		/* what qmp_line_free() frees */
};

/* Without memory, or with json NULL for the lack of it, an error that says so. */
struct qmp_line qmp_line_of(const json_t *json);
void qmp_line_free(struct qmp_line *line);

/* A JSON string; what of it is no UTF-8 becomes question marks.  NULL: no memory. */
json_t *qmp_line_text(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));

#endif
