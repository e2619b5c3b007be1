// SPDX-License-Identifier: Apache-2.0
#include "config/manual.h"

#include "config/describe.h"
#include "config/option.h"

#include <ctype.h>
#include <string.h>

/* With what scdoc would take for its own marks escaped. */
static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("\\*_#|[]<;+", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void put_sentence(FILE *out, const char *text)
{
	const char first[] = { (char)toupper((unsigned char)*text), '\0' };

	put_escaped(out, first);
	put_escaped(out, text + strlen(first));
	fputc('.', out);
}

/* The paragraph below an option or key. */
static void put_text(FILE *out, const struct option *row, const char *indent)
{
	struct describe notes = describe_notes(row);

	fprintf(out, "%s\t", indent);
	put_sentence(out, row->help);
	if (notes.text[0]) {
		fputc(' ', out);
		put_sentence(out, notes.text);
	}
	fputs("\n\n", out);
}

static void put_metavar(FILE *out, const struct option *row)
{
	struct describe metavar = describe_metavar(row);

	fputc('_', out);
	put_escaped(out, metavar.text);
	fputc('_', out);
}

static void put_option(FILE *out, const struct option *row)
{
	if (row->letter)
		fprintf(out, "*-%c*, ", row->letter);
	fprintf(out, "*--%s*", row->key);
	if (row->kind != OPTION_KIND_BOOL) {
		fputc(' ', out);
		put_metavar(out, row);
	}
	fputc('\n', out);
	put_text(out, row, "");
}

static void put_key(FILE *out, const struct option *row)
{
	fprintf(out, "\t*%s*", row->key);
	if (row->kind == OPTION_KIND_BOOL)
		fputs("\\[", out);
	fputc('=', out);
	put_metavar(out, row);
	if (row->kind == OPTION_KIND_BOOL)
		fputs("\\]", out);
	fputc('\n', out);
	put_text(out, row, "\t");
}

void manual_print(const struct option_object *object, FILE *out)
{
	for (uint32_t i = 0; i < object->nr_rows; i++) {
		const struct option *row = &object->rows[i];

		put_option(out, row);
		for (uint32_t k = 0; row->object && k < row->object->nr_rows; k++)
			put_key(out, &row->object->rows[k]);
	}
}
