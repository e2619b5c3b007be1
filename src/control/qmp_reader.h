/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_reader.h - JSON texts out of a stream of bytes.
 *
 * What comes from a client is one JSON text after the other, with or without
 * white space between them and cut anywhere.  The reader finds where each ends.
 * The grammar is JSON's, except that strings may stand in single quotes, in
 * which \' is a quote.
 *
 * A byte that begins or continues no token is stray: the text so far is given
 * up, and all is skipped up to the next bracket, colon, comma or control
 * character.  So a client whose state is unknown can start over by sending one.
 * All this, and the texts of the errors, is as QEMU does it.
 */
#ifndef CONTROL_QMP_READER_H
#define CONTROL_QMP_READER_H

#include "base/err.h"

#include <jansson.h>
#include <stddef.h>

/*
 * Bytes of one text.  Clients write commands of a few KiB, and cap lines at
 * 64 KiB; jansson makes up to 45 bytes of one ("[" takes an array), so this
 * bounds what a text can cost at 12 MiB.
 */
#define QMP_READER_TEXT_MAX	(256 * 1024UL)

#define QMP_READER_NESTING_MAX	64	/* objects and arrays, together */

struct qmp_reader {
	int state;
	char quote;			/* that ends the string at hand */
	int nr_braces, nr_brackets;	/* open; negative: closed too often */
	size_t token;			/* where the token at hand begins in text */
	char *text;			/* so far, as strict JSON */
	size_t len, room;
};

enum qmp_reader_result {
	QMP_READER_MORE,	/* all bytes were taken, no text has ended */
	QMP_READER_TEXT,
	QMP_READER_BAD,		/* something that is no JSON was taken and dropped */
};

void qmp_reader_init(struct qmp_reader *reader);
void qmp_reader_fini(struct qmp_reader *reader);

/*
 * Take bytes up to the end of one text; *ret_taken is how many.  QMP_READER_TEXT
 * gives *ret_json to the caller, QMP_READER_BAD sets err.
 */
enum qmp_reader_result qmp_reader_read(struct qmp_reader *reader, const char *bytes,
				       size_t len, size_t *ret_taken, json_t **ret_json,
				       struct err *err);

#endif
