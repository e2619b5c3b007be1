// SPDX-License-Identifier: Apache-2.0
#include "qmp_line.h"

#include "qmp_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char no_memory[] =
	"{\"error\": {\"class\": \"GenericError\", \"desc\": \"out of memory\"}}\r\n";

struct qmp_line qmp_line_of(const json_t *json)
{
	size_t len = json ? json_dumpb(json, NULL, 0, JSON_ENSURE_ASCII) : 0;
	char *bytes = len ? malloc(len + 2) : NULL;

	/* Jansson allocates as it writes, the second time too. */
	if (!bytes || json_dumpb(json, bytes, len, JSON_ENSURE_ASCII) != len) {
		free(bytes);
		return (struct qmp_line){ .bytes = no_memory, .len = sizeof(no_memory) - 1 };
	}
	memcpy(bytes + len, "\r\n", 2);
	return (struct qmp_line){ .bytes = bytes, .len = len + 2, .owned = bytes };
}

void qmp_line_free(struct qmp_line *line)
{
	free(line->owned);
	*line = (struct qmp_line){ 0 };
}

json_t *qmp_line_text(const char *fmt, va_list args)
{
	char *text;
	json_t *json;

	if (vasprintf(&text, fmt, args) < 0)
		return NULL;
	json = qmp_build_string(text);
	free(text);
	return json;
}
