// SPDX-License-Identifier: Apache-2.0
/*
 * yaml_load.c - a YAML file into a struct.
 *
 * The events of the parser are followed with the table in hand: what comes next
 * is always known, and anything else is an error at its place.  So the depth of
 * the file is that of the table, and nothing is built that the table has no
 * room for.
 */
#include "config/yaml.h"

#include "base/err.h"
#include "config/nearest.h"
#include "config/object.h"
#include "config/option.h"
#include "config/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

struct loader {
	yaml_parser_t parser;
	yaml_event_t event;		/* the current one, owned */
	const char *name;		/* of the file, for messages */
	struct err *err;
};

/* Put file:line:column in front of a reason already recorded. */
static int fail_at(struct loader *ld, yaml_mark_t mark, int rc)
{
	return err_at(ld->err, rc, "%s:%zu:%zu", ld->name, mark.line + 1, mark.column + 1);
}

static int fail(struct loader *ld, const char *reason)
{
	return fail_at(ld, ld->event.start_mark, err_set(ld->err, -EINVAL, "%s", reason));
}

/* libyaml speaks of a "character that cannot start any token". */
static bool is_at_tab(const yaml_parser_t *parser)
{
	return parser->error == YAML_SCANNER_ERROR && *parser->buffer.pointer == '\t';
}

static int parser_failed(struct loader *ld)
{
	const yaml_parser_t *parser = &ld->parser;

	if (parser->error == YAML_MEMORY_ERROR)
		return err_sys(ld->err, -ENOMEM, "%s", ld->name);
	if (parser->error == YAML_READER_ERROR)
		return err_set(ld->err, -EINVAL, "%s: %s at byte %zu", ld->name,
			       parser->problem, parser->problem_offset);
	return fail_at(ld, parser->problem_mark,
		       err_set(ld->err, -EINVAL, "%s", is_at_tab(parser) ?
			       "a tab cannot be here: YAML allows only spaces for indentation" :
			       parser->problem));
}

/* Anchors and tags would let a file mean more than it shows. */
static int refuse_decorated(struct loader *ld)
{
	const yaml_event_t *event = &ld->event;
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return fail(ld, "aliases are not supported: write the value again");
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		return fail(ld, "anchors are not supported: quote a leading '&'");
	if (tag)
		return fail(ld, "tags are not supported: quote a leading '!'");
	return 0;
}

/* Make the next event the current one. */
static int next(struct loader *ld)
{
	yaml_event_delete(&ld->event);
	if (!yaml_parser_parse(&ld->parser, &ld->event))
		return parser_failed(ld);
	return refuse_decorated(ld);
}

/* The current scalar as a string of C; NULL if it is none. */
static const char *scalar(struct loader *ld)
{
	const char *text = (const char *)ld->event.data.scalar.value;

	if (strlen(text) == ld->event.data.scalar.length)
		return text;
	fail(ld, "a value cannot hold a NUL character");
	return NULL;
}

/* "key:" with nothing behind it. */
static bool is_blank(const yaml_event_t *event)
{
	return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0 &&
	       event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* The same with the key whose value is wrong. */
static int fail_row(struct loader *ld, const struct option *row, yaml_mark_t mark, int rc)
{
	return fail_at(ld, mark, err_at(ld->err, rc, "%s", row->key));
}

static int refuse_row(struct loader *ld, const struct option *row, const char *reason)
{
	return fail_row(ld, row, ld->event.start_mark,
			err_set(ld->err, -EINVAL, "%s", reason));
}

static int load_mapping(struct loader *ld, const struct option_object *object, void *obj);

static int load_item(struct loader *ld, const struct option *row, void *obj)
{
	yaml_mark_t mark = ld->event.start_mark;
	void *item;
	int rc;

	if (ld->event.type != YAML_MAPPING_START_EVENT)
		return refuse_row(ld, row, "an item is a mapping, as in '- key: value'");
	rc = object_append(row, obj, &item, ld->err);
	if (rc < 0)
		return fail_row(ld, row, mark, rc);
	rc = load_mapping(ld, row->object, item);
	if (rc < 0)
		return rc;
	rc = option_check(row->object, item, ld->err);
	return rc < 0 ? fail_row(ld, row, mark, rc) : 0;
}

static int load_list(struct loader *ld, const struct option *row, void *obj)
{
	int rc;

	if (ld->event.type != YAML_SEQUENCE_START_EVENT)
		return refuse_row(ld, row, "a list is needed: put '- ' before each item");
	rc = next(ld);
	while (!rc && ld->event.type != YAML_SEQUENCE_END_EVENT) {
		rc = load_item(ld, row, obj);
		if (!rc)
			rc = next(ld);
	}
	return rc;
}

static int load_group(struct loader *ld, const struct option *row, void *obj)
{
	if (ld->event.type != YAML_MAPPING_START_EVENT)
		return refuse_row(ld, row, "a mapping of keys is needed");
	return load_mapping(ld, row->object, object_member(row, obj));
}

static int load_scalar(struct loader *ld, const struct option *row, void *obj)
{
	const char *text;
	int rc;

	if (ld->event.type != YAML_SCALAR_EVENT)
		return refuse_row(ld, row, "one value is needed, not a list or a mapping");
	text = scalar(ld);
	if (!text)
		return -EINVAL;
	rc = value_parse(row, obj, text, ld->err);
	return rc < 0 ? fail_row(ld, row, ld->event.start_mark, rc) : 0;
}

static int load_row(struct loader *ld, const struct option *row, void *obj)
{
	if (is_blank(&ld->event))
		return refuse_row(ld, row, "there is no value (an empty string is \"\")");
	if (row->kind == OPTION_KIND_LIST)
		return load_list(ld, row, obj);
	if (row->kind == OPTION_KIND_GROUP)
		return load_group(ld, row, obj);
	return load_scalar(ld, row, obj);
}

/* The row that the current event, a key, names; NULL if it may name none. */
static const struct option *find_row(struct loader *ld, const struct option_object *object,
				     uint64_t *seen)
{
	const struct option *row;
	const char *key;
	int rc;

	if (ld->event.type != YAML_SCALAR_EVENT) {
		fail(ld, "a key must be a plain word");
		return NULL;
	}
	key = scalar(ld);
	if (!key)
		return NULL;
	row = object_find(object, key, strlen(key));
	if (!row)
		rc = nearest_refuse(object, "", key, ld->err);
	else if (row->cmdline_only)
		rc = err_set(ld->err, -EINVAL, "'%s' belongs on the command line only: --%s",
			     key, key);
	else
		rc = object_once(object, row, seen, ld->err);
	if (rc == 0)
		return row;
	fail_at(ld, ld->event.start_mark, rc);
	return NULL;
}

/* From the start of a mapping, the current event, to its end. */
static int load_mapping(struct loader *ld, const struct option_object *object, void *obj)
{
	uint64_t seen = 0;
	int rc;

	while (!(rc = next(ld)) && ld->event.type != YAML_MAPPING_END_EVENT) {
		const struct option *row = find_row(ld, object, &seen);

		if (!row)
			return -EINVAL;
		rc = next(ld);
		if (!rc)
			rc = load_row(ld, row, obj);
		if (rc)
			return rc;
		object_mark(object, obj, row);
	}
	return rc;
}

static int load_document(struct loader *ld, const struct option_object *object, void *obj)
{
	int rc = next(ld);

	if (rc < 0)
		return rc;
	if (ld->event.type == YAML_MAPPING_START_EVENT)
		rc = load_mapping(ld, object, obj);
	else if (!is_blank(&ld->event))
		rc = fail(ld, "a configuration is a mapping of keys, as in 'key: value'");
	return rc < 0 ? rc : next(ld);	/* the end of the document */
}

static int load_stream(struct loader *ld, const struct option_object *object, void *obj)
{
	int rc = next(ld);		/* the start of the stream */

	if (!rc)
		rc = next(ld);
	if (!rc && ld->event.type == YAML_DOCUMENT_START_EVENT) {
		rc = load_document(ld, object, obj);
		if (!rc)
			rc = next(ld);
	}
	if (!rc && ld->event.type != YAML_STREAM_END_EVENT)
		rc = fail(ld, "a second document is not supported");
	return rc;
}

int yaml_parse(const struct option_object *object, void *obj, const char *name,
	       const char *text, size_t len, struct err *err)
{
	struct loader ld = { .name = name, .err = err };
	int rc;

	if (len > YAML_FILE_MAX)
		return err_set(err, -EFBIG, "%s: longer than %lu bytes", name, YAML_FILE_MAX);
	if (!yaml_parser_initialize(&ld.parser))
		return err_sys(err, -ENOMEM, "%s", name);
	yaml_parser_set_encoding(&ld.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&ld.parser, (const unsigned char *)text, len);
	rc = load_stream(&ld, object, obj);
	yaml_event_delete(&ld.event);
	yaml_parser_delete(&ld.parser);
	return rc;
}

/* Up to max bytes; their number or a negative errno. */
static ssize_t read_up_to(int fd, char *buf, size_t max)
{
	size_t len = 0;

	while (len < max) {
		ssize_t got = read(fd, buf + len, max - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		len += (size_t)got;
	}
	return (ssize_t)len;
}

int yaml_load(const struct option_object *object, void *obj, const char *path,
	      struct err *err)
{
	char *text = malloc(YAML_FILE_MAX + 1);
	ssize_t len;
	int fd, rc;

	if (!text)
		return err_sys(err, -ENOMEM, "cannot read '%s'", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		rc = err_sys(err, -errno, "cannot open '%s'", path);
		goto out_free;
	}
	len = read_up_to(fd, text, YAML_FILE_MAX + 1);
	if (len < 0)
		rc = err_sys(err, (int)len, "cannot read '%s'", path);
	else
		rc = yaml_parse(object, obj, path, text, (size_t)len, err);
	close(fd);
out_free:
	free(text);
	return rc;
}
