// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "state/state.h"
#include "stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct state_writer {
	uint8_t *bytes;
	size_t len, room;
	uint32_t nr;			/* sections */
	int failed;			/* negative errno of the first failure */
};

/* So many bytes more at the end; NULL once anything has failed. */
static uint8_t *extend(struct state_writer *w, size_t len)
{
	if (!w->failed && len > STATE_LEN_MAX - w->len)
		w->failed = -EFBIG;
	if (w->failed)
		return NULL;
	if (len > w->room - w->len) {
		size_t room = w->room;
		uint8_t *more;

		while (len > room - w->len)
			room *= 2;
		more = realloc(w->bytes, room);
		if (!more) {
			w->failed = -ENOMEM;
			return NULL;
		}
		w->bytes = more;
		w->room = room;
	}
	w->len += len;
	return memset(w->bytes + w->len - len, 0, len);
}

static void put_text(uint8_t *to, size_t max, const char *text)
{
	size_t len = strlen(text);

	assert(len < max);
	memcpy(to, text, len);
}

static void save_fields(struct state_writer *w, const struct state_field *fields,
			const void *from);

static void save_struct(struct state_writer *w, const struct state_field *fields,
			const void *from)
{
	size_t at = w->len;

	if (!extend(w, 4))
		return;
	save_fields(w, fields, from);
	if (!w->failed)
		put_le32(w->bytes + at, (uint32_t)(w->len - at - 4));
}

static void save_field(struct state_writer *w, const struct state_field *field,
		       const void *from)
{
	const uint8_t *element = (const uint8_t *)from + field->at;
	size_t name_len = strlen(field->name);
	uint32_t size = stream_kind_size(field->kind), nr = field->nr;
	uint8_t *to;

	if (field->list)
		memcpy(&nr, (const uint8_t *)from + field->nr_at, sizeof(nr));
	assert(nr <= field->nr && name_len <= UINT8_MAX);
	to = extend(w, FIELD_HEAD_LEN + name_len + 4 + (size_t)size * nr);
	if (!to)
		return;
	to[0] = (uint8_t)(field->kind | (field->hint ? FIELD_HINT : 0));
	to[1] = (uint8_t)name_len;
	memcpy(to + FIELD_HEAD_LEN, field->name, name_len);
	to += FIELD_HEAD_LEN + name_len;
	put_le32(to, nr);
	to += 4;
	/* Numbers are as in memory, of little-endian hosts. */
	memcpy(to, element, (size_t)size * nr);
	for (uint32_t i = 0; i < nr && field->kind == STATE_STRUCT; i++, element += field->size)
		save_struct(w, field->fields, element);
}

static void save_fields(struct state_writer *w, const struct state_field *fields,
			const void *from)
{
	for (const struct state_field *field = fields; field->name; field++) {
		assert(field - fields < STATE_FIELDS_MAX);
		save_field(w, field, from);
	}
}

struct state_writer *state_writer_new(const char *arch)
{
	struct state_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->room = 64 * 1024;
	w->bytes = malloc(w->room);
	if (!w->bytes) {
		free(w);
		return NULL;
	}
	put_text(extend(w, STREAM_HEADER_LEN) + STREAM_ARCH_AT, STREAM_ARCH_LEN, arch);
	return w;
}

struct state_writer *state_writer_free(struct state_writer *w)
{
	if (w)
		free(w->bytes);
	free(w);
	return NULL;
}

void state_save(struct state_writer *w, const struct state_table *table, uint32_t instance,
		const void *from)
{
	size_t at = w->len;
	uint8_t *head = extend(w, SECTION_HEADER_LEN);

	assert(w->nr < STATE_SECTIONS_MAX);
	if (!head)
		return;
	put_text(head + SECTION_NAME_AT, STATE_NAME_MAX, table->name);
	put_le32(head + SECTION_INSTANCE_AT, instance);
	put_le16(head + SECTION_VERSION_AT, table->version);
	put_le16(head + SECTION_FLAGS_AT, table->hint ? SECTION_HINT : 0);
	save_fields(w, table->fields, from);
	if (w->failed)
		return;
	head = w->bytes + at;
	put_le32(head + SECTION_LEN_AT, (uint32_t)(w->len - at - SECTION_HEADER_LEN));
	put_le32(head + SECTION_CRC_AT, stream_section_crc(head));
	w->nr++;
}

void state_fail(struct state_writer *w, int error)
{
	if (!w->failed)
		w->failed = error;
}

int state_writer_end(struct state_writer *w, const void **ret_bytes, size_t *ret_len)
{
	uint8_t *head = w->bytes;

	if (w->failed)
		return w->failed;
	memcpy(head + STREAM_MAGIC_AT, STREAM_MAGIC, sizeof(STREAM_MAGIC) - 1);
	put_le32(head + STREAM_FORMAT_AT, STREAM_FORMAT);
	put_le32(head + STREAM_NR_AT, w->nr);
	put_le64(head + STREAM_LEN_AT, w->len);
	put_text(head + STREAM_RELEASE_AT, STREAM_RELEASE_LEN, VMM_VERSION);
	put_le32(head + STREAM_CRC_AT, (uint32_t)crc32(0, head, STREAM_CRC_AT));
	*ret_bytes = w->bytes;
	*ret_len = w->len;
	return 0;
}
