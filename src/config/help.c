// SPDX-License-Identifier: Apache-2.0
#include "config/help.h"

#include "config/describe.h"
#include "config/option.h"

#include <stdbool.h>
#include <string.h>

#define COLUMNS_MIN	40U
#define LEFT_MAX	28U	/* a longer entry has its text on the next line */

/* Text that is filled into lines from column left to column right. */
struct filler {
	FILE *out;
	unsigned left, right;
	unsigned at;			/* columns of this line already used */
};

static void move_to_left(struct filler *to)
{
	if (to->at >= to->left) {
		fputc('\n', to->out);
		to->at = 0;
	}
	fprintf(to->out, "%*s", (int)(to->left - to->at), "");
	to->at = to->left;
}

static void put_words(struct filler *to, const char *text)
{
	while (*text) {
		unsigned len = (unsigned)strcspn(text, " ");

		if (to->at > to->left && to->at + 1 + len > to->right)
			move_to_left(to);
		to->at += (unsigned)fprintf(to->out, "%s%.*s",
					    to->at > to->left ? " " : "", (int)len, text);
		text += len + strspn(text + len, " ");
	}
}

static unsigned put_option(FILE *out, const struct option *row)
{
	struct describe metavar = describe_metavar(row);
	const char letter[] = { '-', row->letter, ',', ' ', '\0' };
	int len = fprintf(out, "  %s--%s", row->letter ? letter : "    ", row->key);

	if (row->kind != OPTION_KIND_BOOL)
		len += fprintf(out, " %s", metavar.text);
	return (unsigned)len;
}

static unsigned put_key(FILE *out, const struct option *row)
{
	struct describe metavar = describe_metavar(row);
	bool optional = row->kind == OPTION_KIND_BOOL;

	return (unsigned)fprintf(out, "        %s%s=%s%s", row->key, optional ? "[" : "",
				 metavar.text, optional ? "]" : "");
}

/* The right half of an entry whose left half has taken used columns. */
static void put_text(FILE *out, const struct option *row, unsigned used, unsigned columns)
{
	struct filler to = { .out = out, .left = LEFT_MAX, .right = columns, .at = used };
	struct describe notes = describe_notes(row);
	char bracketed[DESCRIBE_MAX + sizeof("()")];

	if (columns < COLUMNS_MIN + LEFT_MAX)
		to.left = COLUMNS_MIN / 4;
	if (to.at + 2 > to.left)
		to.at = to.left;	/* two spaces would not fit between the halves */
	move_to_left(&to);
	put_words(&to, row->help);
	if (notes.text[0]) {
		snprintf(bracketed, sizeof(bracketed), "(%s)", notes.text);
		put_words(&to, bracketed);
	}
	fputc('\n', out);
}

void help_print(const struct option_object *object, FILE *out, unsigned columns)
{
	if (columns < COLUMNS_MIN)
		columns = COLUMNS_MIN;
	for (uint32_t i = 0; i < object->nr_rows; i++) {
		const struct option *row = &object->rows[i];

		put_text(out, row, put_option(out, row), columns);
		for (uint32_t k = 0; row->object && k < row->object->nr_rows; k++) {
			const struct option *key = &row->object->rows[k];

			put_text(out, key, put_key(out, key), columns);
		}
	}
}
