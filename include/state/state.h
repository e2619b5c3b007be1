/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what outlives a process: saved and loaded by tables.
 *
 * What a device or a vCPU has to keep is a plain struct, and beside it stands a table
 * of its members.  The kind of each follows from its C type.  Saving makes a section
 * of the stream of it, loading fills such a struct again:
 *
 *	stream    header, section...
 *	section   header (name, instance, version, length, checksum), field...
 *	field     kind, name, number of elements, elements
 *
 * Fields are found by name, so that a release may add some and order them anew.  What
 * a stream has that the table does not know is refused unless the stream marks it as
 * a hint; what the table has and the stream lacks is an error unless the table says
 * that it was added later: then it stays as the caller has set it.
 *
 * A stream is input.  Its checksums are compared as a whole before anything is loaded,
 * every length is judged before it is believed, and what is loaded goes to a struct of
 * its own, which its owner judges before he takes it over.
 *
 * Numbers are little-endian.  Any thread; one at a time for each object.
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct state_reader;
struct state_writer;

#define STATE_NAME_MAX 24	  /* of a section, with its end; fields have any */
#define STATE_LEN_MAX (64U << 20) /* bytes of a stream */
#define STATE_FIELDS_MAX 64	  /* of one struct */
#define STATE_SECTIONS_MAX 4096

/* The values are in the stream. */
enum state_kind {
	STATE_BOOL = 1,
	STATE_U8,
	STATE_U16,
	STATE_U32,
	STATE_U64,
	STATE_STRUCT,
};

/* Made by the macros below; a table of them ends with STATE_END. */
struct state_field {
	const char *name; /* NULL: the end */
	enum state_kind kind;
	bool added;	   /* after the first release of its section */
	bool hint;	   /* whoever does not know it may go on without */
	bool list;	   /* of as many as the uint32_t at nr_at says */
	uint32_t at, size; /* bytes in the struct; size of one element */
	uint32_t nr;	   /* elements; of a list: at most */
	uint32_t nr_at;
	const struct state_field *fields; /* of STATE_STRUCT */
};

struct state_table {
	const char *name;
	uint16_t version; /* grows when what a field means changes */
	bool hint;	  /* as of a field */
	const struct state_field *fields;
};

/* clang-format off */
#define STATE_KIND(lvalue) _Generic((lvalue),					\
	bool: STATE_BOOL,							\
	uint8_t: STATE_U8,							\
	uint16_t: STATE_U16,							\
	uint32_t: STATE_U32,							\
	uint64_t: STATE_U64,							\
	unsigned long long: STATE_U64)

#define STATE_MEMBER(type, member) (((const type *)0)->member)

#define STATE_ELEMENTS(type, member)						\
	.name = #member,							\
	.at = offsetof(type, member),						\
	.size = sizeof(STATE_MEMBER(type, member)[0]),				\
	.nr = sizeof(STATE_MEMBER(type, member)) / sizeof(STATE_MEMBER(type, member)[0])

/* The first elements are in use, as many as this uint32_t says. */
#define STATE_COUNT(type, count)						\
	.list = true,								\
	.nr_at = offsetof(type, count) +					\
		 0 * sizeof(&STATE_MEMBER(type, count) == (const uint32_t *)0)

/* A number or bool. */
#define STATE_ONE(type, member)							\
	.name = #member,							\
	.kind = STATE_KIND(STATE_MEMBER(type, member)),				\
	.at = offsetof(type, member),						\
	.size = sizeof(STATE_MEMBER(type, member)),				\
	.nr = 1

/* An array, all of it or as much of it as is in use. */
#define STATE_ARRAY(type, member)						\
	STATE_ELEMENTS(type, member),						\
	.kind = STATE_KIND(STATE_MEMBER(type, member)[0])

#define STATE_LIST(type, member, count)						\
	STATE_ARRAY(type, member), STATE_COUNT(type, count)

/* A struct with a table of its own; and the same again of them. */
#define STATE_INNER(type, member, table)					\
	.name = #member,							\
	.kind = STATE_STRUCT, .fields = (table),				\
	.at = offsetof(type, member),						\
	.size = sizeof(STATE_MEMBER(type, member)),				\
	.nr = 1

#define STATE_STRUCTS(type, member, table)					\
	STATE_ELEMENTS(type, member),						\
	.kind = STATE_STRUCT, .fields = (table)

#define STATE_STRUCT_LIST(type, member, count, table)				\
	STATE_STRUCTS(type, member, table), STATE_COUNT(type, count)

#define STATE_END { .name = NULL }
/* clang-format on */

/*
 * Saving.  Running out of memory, or of STATE_LEN_MAX, is told at the end.
 */

/* arch names what can load it, such as "x86_64".  NULL when memory runs out. */
struct state_writer *state_writer_new(const char *arch);
struct state_writer *state_writer_free(struct state_writer *writer); /* -> NULL */

/* A section of what from holds; instance tells several of one name apart. */
void state_save(struct state_writer *writer, const struct state_table *table, uint32_t instance,
		const void *from);

/* What was to be saved could not be gathered: the end will tell. */
void state_fail(struct state_writer *writer, int error);

/* The stream, which stays the writer's.  -ENOMEM, -EFBIG.  Nothing is saved afterwards. */
int state_writer_end(struct state_writer *writer, const void **ret_bytes, size_t *ret_len);

/*
 * Loading.
 */

/* Checks all of it; the bytes outlive the reader. */
int state_reader_new(struct state_reader **ret_reader, const void *bytes, size_t len,
		     struct err *err);
struct state_reader *state_reader_free(struct state_reader *reader); /* -> NULL */

const char *state_reader_arch(const struct state_reader *reader);

/* The release that wrote it. */
const char *state_reader_release(const struct state_reader *reader);

bool state_has(const struct state_reader *reader, const struct state_table *table,
	       uint32_t instance);

/*
 * Fill into from the section, which is used once; -ENOENT where there is none.  After
 * a failure into holds some of both.
 */
int state_load(struct state_reader *reader, const struct state_table *table, uint32_t instance,
	       void *into, struct err *err);

/* -EINVAL where a section was not loaded that is no hint. */
int state_reader_end(const struct state_reader *reader, struct err *err);

/*
 * Looking: all that a stream says can be seen without its tables.  A field of
 * STATE_STRUCT is asked for its members by state_see() of its bytes.
 */
struct state_section {
	const char *name;
	uint32_t instance;
	uint16_t version;
	const uint8_t *bytes; /* of the fields, for state_see() */
	uint32_t len;
};

/* The i-th section; false: there are fewer. */
bool state_reader_section(const struct state_reader *reader, uint32_t i,
			  struct state_section *ret_section);

/* A field as it stands in the stream. */
struct state_seen {
	enum state_kind kind;
	bool hint;
	const char *name; /* name_len bytes, no end */
	uint32_t name_len;
	uint32_t nr;	      /* elements */
	const uint8_t *bytes; /* of them */
	uint64_t len;
};

/*
 * Cut the field at *at off.  1: there was one; 0: there are no more; -EINVAL.  An element
 * of STATE_STRUCT is a 32-bit length and so many bytes of fields.
 */
int state_see(const uint8_t **at, const uint8_t *end, struct state_seen *ret_seen);

/* The i-th element of a field of numbers. */
uint64_t state_seen_number(const struct state_seen *seen, uint32_t i);

#endif
