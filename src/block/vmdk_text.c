// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk_text.c - reads the descriptor, line by line.
 *
 * Whoever made the image chose its words, and they name files that we open.  So a
 * line is either one of those that the specification has or the image is refused,
 * except for the "disk data base", which says nothing that concerns us.
 */
#include "block/vmdk_text.h"

#include "base/err.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX	5	/* access, sectors, kind, name, place */
#define LINE_MAX_BYTES	512

static const char *const type_names[] = {
	[VMDK_MONOLITHIC_SPARSE] = "monolithicSparse",
	[VMDK_MONOLITHIC_FLAT] = "monolithicFlat",
	[VMDK_SPLIT_SPARSE] = "twoGbMaxExtentSparse",
	[VMDK_SPLIT_FLAT] = "twoGbMaxExtentFlat",
	[VMDK_STREAM_OPTIMIZED] = "streamOptimized",
};

struct parser {
	struct vmdk_text *text;
	const char *path;
	unsigned line;
	uint64_t sectors;	/* of all extents so far */
	bool has_type, has_parent;
	struct err *err;
};

static int wrong(const struct parser *p, const char *what)
{
	return err_set(p->err, -EINVAL, "'%s' is no usable vmdk image: line %u of its "
		       "descriptor %s", p->path, p->line, what);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* Cut the line into words; quotes hold one together and go.  -1: cannot be. */
static int split(char *line, char *words[WORDS_MAX])
{
	int nr = 0;

	for (char *c = line;;) {
		char end = ' ';

		while (is_space(*c))
			c++;
		if (!*c)
			return nr;
		if (nr == WORDS_MAX)
			return -1;
		if (*c == '"')
			end = *c++;
		words[nr++] = c;
		while (*c && (end == '"' ? *c != '"' : !is_space(*c)))
			c++;
		if (!*c)
			return end == '"' ? -1 : nr;
		*c++ = '\0';
	}
}

static bool parse_number(const char *word, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (!*word)
		return false;
	for (; *word; word++) {
		if (*word < '0' || *word > '9' || number > VMDK_SECTORS_MAX)
			return false;
		number = number * 10 + (uint64_t)(*word - '0');
	}
	*ret_number = number;
	return number <= VMDK_SECTORS_MAX;
}

static bool is_plain_name(const char *name)
{
	return *name && strlen(name) <= VMDK_NAME_MAX && !strchr(name, '/') &&
	       strcmp(name, ".") && strcmp(name, "..");
}

static int parse_kind(struct parser *p, const char *word, struct vmdk_line *line)
{
	if (!strcmp(word, "SPARSE"))
		line->kind = VMDK_EXTENT_SPARSE;
	else if (!strcmp(word, "FLAT"))
		line->kind = VMDK_EXTENT_FLAT;
	else if (!strcmp(word, "ZERO"))
		line->kind = VMDK_EXTENT_ZERO;
	else
		return err_set(p->err, -ENOTSUP, "'%s' has an extent of kind %.32s, which is "
			       "not supported: convert it with qemu-img", p->path, word);
	return 0;
}

static int parse_extent(struct parser *p, char *words[WORDS_MAX], int nr)
{
	struct vmdk_line *line = &p->text->lines[p->text->nr_lines];
	int r;

	if (p->text->nr_lines == VMDK_EXTENTS_MAX)
		return wrong(p, "is an extent too many");
	if (nr < 3 || !parse_number(words[1], &line->sectors) || !line->sectors)
		return wrong(p, "has no number of sectors");
	if (line->sectors >= VMDK_SECTORS_MAX - p->sectors)
		return wrong(p, "makes the disk too large");
	r = parse_kind(p, words[2], line);
	if (r < 0)
		return r;
	if (line->kind != VMDK_EXTENT_ZERO) {
		if (nr < 4 || !is_plain_name(words[3]))
			return wrong(p, "names no file of the same folder");
		memcpy(line->name, words[3], strlen(words[3]) + 1);
	}
	if (line->kind == VMDK_EXTENT_FLAT && (nr < 5 || !parse_number(words[4], &line->at)))
		return wrong(p, "does not say where its extent begins");
	p->sectors += line->sectors;
	p->text->nr_lines++;
	return 0;
}

static int parse_type(struct parser *p, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (strcmp(type_names[i], value))
			continue;
		p->text->type = (enum vmdk_type)i;
		p->has_type = true;
		return 0;
	}
	return err_set(p->err, -ENOTSUP, "'%s' is a vmdk image of type %.32s, which is not "
		       "supported: convert it with qemu-img", p->path, value);
}

/* Without quotes and the spaces round them. */
static char *trim(char *word)
{
	size_t len;

	while (is_space(*word) || *word == '"')
		word++;
	len = strlen(word);
	while (len && (is_space(word[len - 1]) || word[len - 1] == '"'))
		word[--len] = '\0';
	return word;
}

static int parse_setting(struct parser *p, char *key, char *value)
{
	key = trim(key);
	value = trim(value);
	if (!strcmp(key, "version") && strcmp(value, "1") && strcmp(value, "2") &&
	    strcmp(value, "3"))
		return wrong(p, "says a version that is unknown");
	if (!strcmp(key, "createType"))
		return parse_type(p, value);
	if (strcmp(key, "parentCID"))
		return 0;
	p->has_parent = true;
	if (!strcasecmp(value, "ffffffff"))
		return 0;
	return err_set(p->err, -ENOTSUP, "'%s' is a snapshot: it holds only what differs from "
		       "another vmdk image (parentCID %.16s), which is not supported: convert "
		       "it with qemu-img", p->path, value);
}

/* Extents that nobody may read are none that we know. */
static bool is_extent(const char *line)
{
	return !strncmp(line, "RW ", 3) || !strncmp(line, "RDONLY ", 7);
}

static int parse_line(struct parser *p, char *line)
{
	char *words[WORDS_MAX], *equals;
	int nr;

	while (is_space(*line))
		line++;
	if (!*line || *line == '#')
		return 0;
	if (is_extent(line)) {
		nr = split(line, words);
		return nr < 0 ? wrong(p, "has too many words") : parse_extent(p, words, nr);
	}
	equals = strchr(line, '=');
	if (!equals)
		return wrong(p, "is neither an extent nor a setting");
	*equals = '\0';
	return parse_setting(p, line, equals + 1);
}

static int parse_lines(struct parser *p, const char *bytes, size_t len)
{
	while (len) {
		const char *end = memchr(bytes, '\n', len);
		size_t line_len = end ? (size_t)(end - bytes) : len;
		size_t used = end ? line_len + 1 : len;
		char line[LINE_MAX_BYTES];
		int r;

		p->line++;
		if (line_len && bytes[line_len - 1] == '\r')
			line_len--;
		if (line_len >= sizeof(line))
			return wrong(p, "is too long");
		memcpy(line, bytes, line_len);
		line[line_len] = '\0';
		r = parse_line(p, line);
		if (r < 0)
			return r;
		bytes += used;
		len -= used;
	}
	return 0;
}

static int check_all(const struct parser *p)
{
	const char *lacks = !p->has_type ? "createType" :
			    !p->has_parent ? "parentCID" :
			    !p->text->nr_lines ? "an extent" : NULL;

	if (!lacks)
		return 0;
	return err_set(p->err, -EINVAL, "'%s' is no usable vmdk image: its descriptor lacks "
		       "%s", p->path, lacks);
}

int vmdk_text_parse(struct vmdk_text *text, const char *path, const char *bytes, size_t len,
		    struct err *err)
{
	struct parser p = { .text = text, .path = path, .err = err };
	int r;

	*text = (struct vmdk_text){ 0 };
	text->lines = calloc(VMDK_EXTENTS_MAX, sizeof(*text->lines));
	if (!text->lines)
		return err_sys(err, -ENOMEM, "cannot open '%s'", path);
	r = parse_lines(&p, bytes, strnlen(bytes, len));
	if (!r)
		r = check_all(&p);
	if (r < 0)
		vmdk_text_fini(text);
	return r;
}

void vmdk_text_fini(struct vmdk_text *text)
{
	free(text->lines);
	*text = (struct vmdk_text){ 0 };
}

const char *vmdk_text_type_name(enum vmdk_type type)
{
	return type_names[type];
}
