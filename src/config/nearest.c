// SPDX-License-Identifier: Apache-2.0
#include "config/nearest.h"

#include "base/err.h"
#include "base/quote.h"
#include "config/option.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX	32

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/*
 * How many letters must be typed, dropped, replaced or swapped with their
 * neighbour to get from one word to the other ("optimal string alignment").
 * rows[i % 3] holds the distances of the first i letters of a.
 */
static unsigned distance(const char *a, size_t len_a, const char *b, size_t len_b)
{
	unsigned rows[3][WORD_MAX + 1];

	for (size_t k = 0; k <= len_b; k++)
		rows[0][k] = (unsigned)k;
	for (size_t i = 1; i <= len_a; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3];

		row[0] = (unsigned)i;
		for (size_t k = 1; k <= len_b; k++) {
			row[k] = min3(above[k] + 1, row[k - 1] + 1,
				      above[k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				row[k] = min3(row[k], rows[(i + 1) % 3][k - 2] + 1, row[k]);
		}
	}
	return rows[len_a % 3][len_b];
}

/* A word that was cut short, or went on, is one slip however long the rest. */
static unsigned slips(const char *word, const char *key)
{
	size_t len_word = strlen(word), len_key = strlen(key);
	size_t len = len_word < len_key ? len_word : len_key;

	if (len_word > WORD_MAX || len_key > WORD_MAX)
		return WORD_MAX;
	if (len >= 3 && !strncmp(word, key, len))
		return 1;
	return distance(word, len_word, key, len_key);
}

/* The best of the candidates so far, and what the next one must beat. */
struct search {
	const char *word, *nearest;
	unsigned best;
};

static struct search search_for(const char *word)
{
	unsigned len = (unsigned)strlen(word);
	unsigned best = 2 + len / 4;	/* one more than is likely */

	/* Something of the word must be right. */
	return (struct search){ .word = word, .best = best < len ? best : len };
}

static void consider(struct search *search, const char *candidate)
{
	unsigned n = slips(search->word, candidate);

	if (n < search->best) {
		search->best = n;
		search->nearest = candidate;
	}
}

const char *nearest_word(const char *const *words, size_t nr, const char *word)
{
	struct search search = search_for(word);

	for (size_t i = 0; i < nr; i++)
		consider(&search, words[i]);
	return search.nearest;
}

const char *nearest_key(const struct option_object *object, const char *word)
{
	struct search search = search_for(word);

	for (uint32_t i = 0; i < object->nr_rows; i++)
		consider(&search, object->rows[i].key);
	return search.nearest;
}

/* The row that has this word for a value, as "direct" of cache=direct; or NULL. */
static const struct option *row_of_value(const struct option_object *object, const char *word)
{
	for (uint32_t i = 0; i < object->nr_rows; i++) {
		const char *const *choice = object->rows[i].choices;

		while (choice && *choice && strcmp(*choice, word))
			choice++;
		if (choice && *choice)
			return &object->rows[i];
	}
	return NULL;
}

int nearest_refuse(const struct option_object *object, const char *dashes,
		   const char *word, struct err *err)
{
	static const char rest[] = ", ...";
	const char *nearest = nearest_key(object, word);
	const struct option *row = row_of_value(object, word);
	char known[ERR_TEXT_MAX / 2] = "";
	size_t len = 0;

	if (row)
		return err_set(err, -EINVAL, "'%s%s' is unknown: did you mean '%s%s=%s'?",
			       dashes, word, dashes, row->key, word);
	if (nearest)
		return err_set(err, -EINVAL, "'%s%s' is unknown: did you mean '%s%s'?",
			       dashes, quote_of(word).text, dashes, nearest);
	for (uint32_t i = 0; i < object->nr_rows && len < sizeof(known); i++)
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s%s",
					i ? ", " : "", dashes, object->rows[i].key);
	if (len >= sizeof(known)) {
		known[sizeof(known) - sizeof(rest)] = 0;
		memcpy(strrchr(known, ','), rest, sizeof(rest));
	}
	return err_set(err, -EINVAL, "'%s%s' is unknown: there are %s", dashes,
		       quote_of(word).text, known);
}
