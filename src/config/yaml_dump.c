// SPDX-License-Identifier: Apache-2.0
/*
 * yaml_dump.c - a struct as a YAML file.
 *
 * Strings are always quoted, as are choices and MAC addresses: to other readers
 * of YAML the choice off would be a bool and 10:20:30:40:50:60 a number.
 */
#include "config/yaml.h"

#include "base/err.h"
#include "config/object.h"
#include "config/option.h"
#include "config/value.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <yaml.h>

/* libyaml takes text as signed or unsigned char by turns. */
#define YAML_TEXT(text)	((const yaml_char_t *)(text))

/*
 * Emit an event that its initializer has, or has not, made.  The emitter takes
 * it over even when it fails.
 */
static int emit(yaml_emitter_t *to, yaml_event_t *event, int made)
{
	if (!made)
		return -ENOMEM;
	if (yaml_emitter_emit(to, event))
		return 0;
	return to->error == YAML_MEMORY_ERROR ? -ENOMEM : -EIO;
}

static int emit_scalar(yaml_emitter_t *to, const char *text, bool quoted)
{
	yaml_event_t event;
	int made = yaml_scalar_event_initialize(
		&event, NULL, NULL, YAML_TEXT(text), (int)strlen(text), true, true,
		quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE);

	return emit(to, &event, made);
}

static int dump_object(yaml_emitter_t *to, const struct option_object *object,
		       const void *obj, struct err *err);

static int dump_list(yaml_emitter_t *to, const struct option *row, const void *obj,
		     struct err *err)
{
	yaml_event_t event;
	int rc = emit(to, &event,
		      yaml_sequence_start_event_initialize(&event, NULL, NULL, true,
							   YAML_BLOCK_SEQUENCE_STYLE));

	for (uint32_t i = 0; !rc && i < *object_list_nr(row, obj); i++)
		rc = dump_object(to, row->object, object_item(row, obj, i), err);
	return rc ? rc : emit(to, &event, yaml_sequence_end_event_initialize(&event));
}

static bool is_quoted(enum option_kind kind)
{
	return kind != OPTION_KIND_BOOL && kind != OPTION_KIND_NUMBER &&
	       kind != OPTION_KIND_SIZE;
}

/*
 * Bytes of the UTF-8 sequence that text starts with, 0 if it is none.  RFC 3629:
 * no longer than needed, no surrogates, nothing past U+10FFFF.
 */
static size_t utf8_sequence(const unsigned char *text)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code = *text;
	size_t len = code < 0x80 ? 1 : code < 0xc0 ? 0 : code < 0xe0 ? 2 : code < 0xf0 ? 3 :
		     code < 0xf8 ? 4 : 0;

	if (len > 1)
		code &= 0x7fU >> len;
	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;	/* also at the final NUL */
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < least[len] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	return len;
}

static bool is_utf8(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t len = 1;

	for (; *at && len; at += len)
		len = utf8_sequence(at);
	return len;
}

static int dump_scalar(yaml_emitter_t *to, const struct option *row, const void *obj,
		       struct err *err)
{
	char buf[VALUE_TEXT_MAX];
	const char *text = value_text(row, obj, buf);

	if (!is_utf8(text))
		return err_set(err, -EILSEQ, "%s: a YAML file can hold UTF-8 text only",
			       row->key);
	return emit_scalar(to, text, is_quoted(row->kind));
}

static int dump_row(yaml_emitter_t *to, const struct option *row, const void *obj,
		    struct err *err)
{
	int rc = emit_scalar(to, row->key, false);

	if (rc)
		return rc;
	if (row->kind == OPTION_KIND_LIST)
		return dump_list(to, row, obj, err);
	if (row->kind == OPTION_KIND_GROUP)
		return dump_object(to, row->object, object_member(row, obj), err);
	return dump_scalar(to, row, obj, err);
}

static int dump_object(yaml_emitter_t *to, const struct option_object *object,
		       const void *obj, struct err *err)
{
	yaml_event_t event;
	int rc = emit(to, &event,
		      yaml_mapping_start_event_initialize(&event, NULL, NULL, true,
							  YAML_BLOCK_MAPPING_STYLE));

	for (uint32_t i = 0; !rc && i < object->nr_rows; i++) {
		const struct option *row = &object->rows[i];

		if (!row->cmdline_only && object_has_value(object, obj, row))
			rc = dump_row(to, row, obj, err);
	}
	return rc ? rc : emit(to, &event, yaml_mapping_end_event_initialize(&event));
}

static int dump_stream(yaml_emitter_t *to, const struct option_object *object,
		       const void *obj, struct err *err)
{
	yaml_event_t event;
	int rc = emit(to, &event,
		      yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));

	if (!rc)
		rc = emit(to, &event,
			  yaml_document_start_event_initialize(&event, NULL, NULL, NULL, true));
	if (!rc)
		rc = dump_object(to, object, obj, err);
	if (!rc)
		rc = emit(to, &event, yaml_document_end_event_initialize(&event, true));
	if (!rc)
		rc = emit(to, &event, yaml_stream_end_event_initialize(&event));
	return rc;
}

int yaml_dump(const struct option_object *object, const void *obj, FILE *out,
	      struct err *err)
{
	yaml_emitter_t to;
	int rc;

	if (!yaml_emitter_initialize(&to))
		return err_sys(err, -ENOMEM, "cannot write the configuration");
	yaml_emitter_set_output_file(&to, out);
	yaml_emitter_set_unicode(&to, true);
	yaml_emitter_set_width(&to, -1);	/* never folds a string */
	rc = dump_stream(&to, object, obj, err);
	yaml_emitter_delete(&to);
	if (!rc && (fflush(out) || ferror(out)))
		rc = -EIO;
	if (rc && rc != -EILSEQ)
		err_sys(err, rc, "cannot write the configuration");
	return rc;
}
