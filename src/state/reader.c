// SPDX-License-Identifier: Apache-2.0
#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "state/state.h"
#include "stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct section {
	struct state_section seen;
	char name[STATE_NAME_MAX];
	bool hint, loaded;
};

struct state_reader {
	char arch[STREAM_ARCH_LEN], release[STREAM_RELEASE_LEN];
	uint32_t nr;
	struct section *sections;
};

/* What messages may show: a terminal makes more than text of other bytes. */
static bool is_shown(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}

/* A text that fills less than all of its place. */
static bool get_text(char *to, const uint8_t *from, size_t max)
{
	memcpy(to, from, max);
	return !to[max - 1] && is_shown(to, strlen(to));
}

static int damaged(struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "state: %s", what);
}

static int read_header(struct state_reader *r, const uint8_t *bytes, size_t len,
		       struct err *err)
{
	uint32_t format;

	if (len < STREAM_HEADER_LEN ||
	    memcmp(bytes + STREAM_MAGIC_AT, STREAM_MAGIC, sizeof(STREAM_MAGIC) - 1))
		return damaged(err, "this is not the saved state of a VM");
	if (get_le32(bytes + STREAM_CRC_AT) != (uint32_t)crc32(0, bytes, STREAM_CRC_AT))
		return damaged(err, "its header is damaged (checksum)");
	format = get_le32(bytes + STREAM_FORMAT_AT);
	if (format != STREAM_FORMAT)
		return err_set(err, -ENOTSUP,
			       "state: it has format %u, this vmm (%s) knows "
			       "format %u: use the release that wrote it, or a later one",
			       format, VMM_VERSION, STREAM_FORMAT);
	if (len > STATE_LEN_MAX || get_le64(bytes + STREAM_LEN_AT) != len)
		return err_set(err, -EINVAL,
			       "state: it has %zu bytes and says that it has "
			       "%llu",
			       len, (unsigned long long)get_le64(bytes + STREAM_LEN_AT));
	if (!get_text(r->arch, bytes + STREAM_ARCH_AT, STREAM_ARCH_LEN) ||
	    !get_text(r->release, bytes + STREAM_RELEASE_AT, STREAM_RELEASE_LEN))
		return damaged(err, "its header is damaged (text)");
	return 0;
}

/* Cut a section off; returns what follows, or NULL. */
static const uint8_t *read_section(struct section *section, const uint8_t *at,
				   const uint8_t *end, struct err *err)
{
	uint32_t len;

	if (end - at < SECTION_HEADER_LEN)
		goto cut;
	len = get_le32(at + SECTION_LEN_AT);
	if (len > (size_t)(end - at) - SECTION_HEADER_LEN)
		goto cut;
	if (get_le32(at + SECTION_CRC_AT) != stream_section_crc(at)) {
		damaged(err, "a section is damaged (checksum)");
		return NULL;
	}
	if (!get_text(section->name, at + SECTION_NAME_AT, STATE_NAME_MAX)) {
		damaged(err, "a section is damaged (text)");
		return NULL;
	}
	section->hint = get_le16(at + SECTION_FLAGS_AT) & SECTION_HINT;
	section->seen = (struct state_section){
		.name = section->name,
		.instance = get_le32(at + SECTION_INSTANCE_AT),
		.version = get_le16(at + SECTION_VERSION_AT),
		.bytes = at + SECTION_HEADER_LEN,
		.len = len,
	};
	return at + SECTION_HEADER_LEN + len;
cut:
	damaged(err, "a section ends beyond the end");
	return NULL;
}

static struct section *find(const struct state_reader *r, const char *name, uint32_t instance)
{
	for (uint32_t i = 0; i < r->nr; i++)
		if (r->sections[i].seen.instance == instance &&
		    !strcmp(r->sections[i].name, name))
			return &r->sections[i];
	return NULL;
}

static int read_sections(struct state_reader *r, const uint8_t *at, const uint8_t *end,
			 uint32_t nr, struct err *err)
{
	if (nr > STATE_SECTIONS_MAX || nr > (size_t)(end - at) / SECTION_HEADER_LEN)
		return damaged(err, "it cannot have as many sections as it says");
	r->sections = calloc(nr ? nr : 1, sizeof(*r->sections));
	if (!r->sections)
		return err_sys(err, -ENOMEM, "state");
	while (r->nr < nr) {
		struct section *section = &r->sections[r->nr];

		at = read_section(section, at, end, err);
		if (!at)
			return -EINVAL;
		if (find(r, section->name, section->seen.instance))
			return err_set(err, -EINVAL, "state: section '%s' %u is there twice",
				       section->name, section->seen.instance);
		r->nr++;
	}
	return at == end ? 0 : damaged(err, "it goes on after its last section");
}

int state_reader_new(struct state_reader **ret_reader, const void *bytes, size_t len,
		     struct err *err)
{
	struct state_reader *r = calloc(1, sizeof(*r));
	const uint8_t *at = bytes;
	int code;

	if (!r)
		return err_sys(err, -ENOMEM, "state");
	code = read_header(r, at, len, err);
	if (!code)
		code = read_sections(r, at + STREAM_HEADER_LEN, at + len,
				     get_le32(at + STREAM_NR_AT), err);
	if (code < 0) {
		state_reader_free(r);
		return code;
	}
	*ret_reader = r;
	return 0;
}

struct state_reader *state_reader_free(struct state_reader *r)
{
	if (r)
		free(r->sections);
	free(r);
	return NULL;
}

const char *state_reader_arch(const struct state_reader *r)
{
	return r->arch;
}

const char *state_reader_release(const struct state_reader *r)
{
	return r->release;
}

bool state_reader_section(const struct state_reader *r, uint32_t i,
			  struct state_section *ret_section)
{
	if (i >= r->nr)
		return false;
	*ret_section = r->sections[i].seen;
	return true;
}

/* Fields. */

/* Bytes of nr structs, each with its length in front; UINT64_MAX: beyond the end. */
static uint64_t structs_len(const uint8_t *at, const uint8_t *end, uint32_t nr)
{
	const uint8_t *from = at;

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t len;

		if (end - at < 4)
			return UINT64_MAX;
		len = get_le32(at);
		at += 4;
		if (len > (size_t)(end - at))
			return UINT64_MAX;
		at += len;
	}
	return (uint64_t)(at - from);
}

int state_see(const uint8_t **at, const uint8_t *end, struct state_seen *ret_seen)
{
	const uint8_t *p = *at;
	struct state_seen seen;
	uint32_t size;

	if (p == end)
		return 0;
	if (end - p < FIELD_HEAD_LEN)
		return -EINVAL;
	seen.kind = p[0] & ~FIELD_HINT;
	seen.hint = p[0] & FIELD_HINT;
	seen.name_len = p[1];
	p += FIELD_HEAD_LEN;
	if ((size_t)(end - p) < seen.name_len + 4)
		return -EINVAL;
	seen.name = (const char *)p;
	seen.nr = get_le32(p + seen.name_len);
	seen.bytes = p + seen.name_len + 4;
	size = stream_kind_size(seen.kind);
	if (!size && seen.kind != STATE_STRUCT)
		return -EINVAL;
	seen.len = size ? (uint64_t)size * seen.nr : structs_len(seen.bytes, end, seen.nr);
	if (seen.len > (uint64_t)(end - seen.bytes))
		return -EINVAL;
	*ret_seen = seen;
	*at = seen.bytes + seen.len;
	return 1;
}

uint64_t state_seen_number(const struct state_seen *seen, uint32_t i)
{
	const uint8_t *at = seen->bytes + (size_t)stream_kind_size(seen->kind) * i;

	switch (seen->kind) {
	case STATE_U16:
		return get_le16(at);
	case STATE_U32:
		return get_le32(at);
	case STATE_U64:
		return get_le64(at);
	default:
		return *at;
	}
}

static bool is_named(const struct state_field *field, const struct state_seen *seen)
{
	return field->name && strlen(field->name) == seen->name_len &&
	       !memcmp(field->name, seen->name, seen->name_len);
}

/* The field of that name, by its place in the table, likely this one; -1: there is none. */
static int find_field(const struct state_field *fields, const struct state_seen *seen,
		      int likely)
{
	if (is_named(&fields[likely], seen))
		return likely;
	for (int i = 0; fields[i].name; i++)
		if (is_named(&fields[i], seen))
			return i;
	return -1;
}

/* Of little-endian hosts: as they are in memory. */
static int load_numbers(const struct state_field *field, const struct state_seen *seen,
			uint8_t *into, struct err *err)
{
	for (uint32_t i = 0; i < seen->nr; i++)
		if (field->kind == STATE_BOOL && seen->bytes[i] > 1)
			return err_set(err, -EINVAL, "field '%s' is neither true nor false",
				       field->name);
	memcpy(into, seen->bytes, seen->len);
	return 0;
}

static int load_fields(const struct state_field *fields, const uint8_t *at, const uint8_t *end,
		       void *into, struct err *err);

static int load_structs(const struct state_field *field, const struct state_seen *seen,
			uint8_t *into, struct err *err)
{
	const uint8_t *at = seen->bytes, *end = at + seen->len;
	int r = 0;

	for (uint32_t i = 0; i < seen->nr && !r; i++, into += field->size) {
		uint32_t len = get_le32(at);

		at += 4;
		assert(len <= (size_t)(end - at));
		r = load_fields(field->fields, at, at + len, into, err);
		at += len;
	}
	return r;
}

static int load_field(const struct state_field *field, const struct state_seen *seen,
		      void *into, struct err *err)
{
	uint8_t *element = (uint8_t *)into + field->at;
	int r;

	if (seen->kind != field->kind)
		return err_set(err, -EINVAL, "field '%s' is of another kind", field->name);
	if (seen->nr > field->nr || (!field->list && seen->nr != field->nr))
		return err_set(err, -EINVAL, "field '%s' has %u elements instead of %s%u",
			       field->name, seen->nr, field->list ? "at most " : "", field->nr);
	r = field->kind == STATE_STRUCT ? load_structs(field, seen, element, err) :
					  load_numbers(field, seen, element, err);
	if (!r && field->list)
		memcpy((uint8_t *)into + field->nr_at, &seen->nr, sizeof(seen->nr));
	return r;
}

static int load_fields(const struct state_field *fields, const uint8_t *at, const uint8_t *end,
		       void *into, struct err *err)
{
	struct state_seen seen;
	uint64_t found = 0;
	int r, next = 0;

	while ((r = state_see(&at, end, &seen)) > 0) {
		int i = find_field(fields, &seen, next);

		if (i < 0 && seen.hint)
			continue;
		if (i < 0 && !is_shown(seen.name, seen.name_len))
			return err_set(err, -EINVAL, "the name of a field is damaged");
		if (i < 0)
			return err_set(err, -EINVAL, "field '%.*s' is unknown to this release",
				       (int)seen.name_len, seen.name);
		assert(i < STATE_FIELDS_MAX);
		if (found & BIT64(i))
			return err_set(err, -EINVAL, "field '%s' is there twice",
				       fields[i].name);
		found |= BIT64(i);
		next = i + 1;
		r = load_field(&fields[i], &seen, into, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return err_set(err, r, "a field ends beyond its section");
	for (int i = 0; fields[i].name; i++)
		if (!(found & BIT64(i)) && !fields[i].added && !fields[i].hint)
			return err_set(err, -EINVAL, "field '%s' is missing", fields[i].name);
	return 0;
}

bool state_has(const struct state_reader *r, const struct state_table *table, uint32_t instance)
{
	return find(r, table->name, instance);
}

int state_load(struct state_reader *r, const struct state_table *table, uint32_t instance,
	       void *into, struct err *err)
{
	struct section *section = find(r, table->name, instance);
	const uint8_t *at;
	int code;

	if (!section)
		return err_set(err, -ENOENT, "state: section '%s' %u is missing", table->name,
			       instance);
	if (section->seen.version > table->version)
		return err_set(err, -ENOTSUP,
			       "state: section '%s' %u has version %u, this vmm "
			       "(%s) knows %u: it was written by a later release (%s)",
			       table->name, instance, section->seen.version, VMM_VERSION,
			       table->version, r->release);
	at = section->seen.bytes;
	code = load_fields(table->fields, at, at + section->seen.len, into, err);
	if (code < 0)
		return err_at(err, code, "state: section '%s' %u", table->name, instance);
	section->loaded = true;
	return 0;
}

int state_reader_end(const struct state_reader *r, struct err *err)
{
	for (uint32_t i = 0; i < r->nr; i++) {
		const struct section *section = &r->sections[i];

		if (!section->loaded && !section->hint)
			return err_set(err, -EINVAL,
				       "state: section '%s' %u belongs to nothing "
				       "that this VM has",
				       section->name, section->seen.instance);
	}
	return 0;
}
