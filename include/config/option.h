/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.h - what can be configured, said as a table.
 *
 * A struct that a user can fill has one table beside its definition.  The same
 * table reads the command line (cmdline.h), reads and writes the file (yaml.h),
 * and prints the help, the manual page and the shell completion (help.h,
 * manual.h, completion.h), so that none of them can fall behind the others.
 *
 *	struct disk_config {
 *		struct option_given given;
 *		char *path;
 *		enum disk_format format;
 *		bool readonly;
 *	};
 *
 *	static const struct option disk_rows[] = {
 *		{ .key = "path", OPTION_PATH(struct disk_config, path),
 *		  .required = true, .primary = true, .help = "image file or block device" },
 *		{ .key = "format", OPTION_CHOICE(struct disk_config, format, disk_formats),
 *		  .preset = "raw", .help = "how the image is laid out" },
 *		{ .key = "readonly", OPTION(struct disk_config, readonly),
 *		  .help = "refuse writes" },
 *	};
 *
 *	const struct option_object disk_options = {
 *		.name = "disk", OPTION_OBJECT(struct disk_config, disk_rows),
 *	};
 *
 * Values come from three sources, each overruling the one before it: the
 * presets of the table, the file, the command line.  A caller applies them in
 * that order to one struct:
 *
 *	option_defaults() --> yaml_load() --> cmdline_parse() --> option_check()
 *
 * Where the file's name is itself on the command line, the command line is
 * parsed first into a struct of its own to find it.  A list is the exception to
 * overruling: what the command line gives is added after what the file gave.
 *
 * Tables are two levels deep: the rows of a list or a group hold no further
 * lists or groups.  Keys and the names of choices consist of lower-case
 * letters, digits and hyphens.
 *
 * Strings and lists belong to the struct; option_fini() frees them.  All of
 * this runs on one thread at a time per struct.
 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

struct err;
struct option_object;

enum option_kind {
	OPTION_KIND_STRING,	/* char *, NULL while it has no value */
	OPTION_KIND_PATH,	/* char *, never empty; completed as a file name */
	OPTION_KIND_BOOL,
	OPTION_KIND_NUMBER,	/* uint16_t, uint32_t, uint64_t */
	OPTION_KIND_SIZE,	/* uint64_t bytes, written with K, M, G or T */
	OPTION_KIND_CHOICE,	/* an enum whose values index choices */
	OPTION_KIND_MAC,	/* uint8_t[6], all zero while it has no value */
	OPTION_KIND_GROUP,	/* an embedded struct that is always there */
	OPTION_KIND_LIST,	/* any number of structs, none included */
};

struct option {
	const char *key;		/* "memory": --memory, and memory: in the file */
	char letter;			/* 'm': -m; 0 for none */
	bool required;			/* option_check() insists on a value */
	bool primary;			/* of an object: its key may be left out if first */
	bool joined;			/* a string of a list's item: given again, it goes on
					   behind a space */
	bool cmdline_only;		/* such as the name of the file itself */
	enum option_kind kind;
	uint32_t offset;
	uint32_t nr_offset;		/* of a list: where its length is */
	uint32_t width;			/* bytes of the member; of a list: of one item */
	uint64_t min;			/* of a number or size */
	uint64_t max;			/* also bytes of a string, items of a list; 0: any */
	const char *preset;		/* the default as a user would write it, or NULL */
	const char *metavar;		/* "SIZE"; NULL for the usual one of the kind */
	const char *help;		/* part of a sentence, lower case, no full stop */
	const char *const *choices;	/* ends with NULL */
	const struct option_object *object;
};

struct option_object {
	const char *name;
	const struct option *rows;
	uint32_t nr_rows;
	uint32_t given;			/* offset of the struct option_given */
	size_t size;
};

/* A struct with a table has one, called given: which rows a user has set. */
struct option_given {
	uint64_t rows;
};

#define OPTION_ROWS_MAX	64

#define OPTION_MEMBER(type, member)	(((type *)0)->member)

/* The offset of a member that a pointer of this type can point to. */
#define OPTION_OFFSET(type, member, pointer)				\
	_Generic(&OPTION_MEMBER(type, member), pointer: offsetof(type, member))

/* The kind follows from the member's C type; a wrong one cannot be written. */
#define OPTION(type, member)						\
	.kind = _Generic(&OPTION_MEMBER(type, member),			\
		char **: OPTION_KIND_STRING,				\
		bool *: OPTION_KIND_BOOL,				\
		uint16_t *: OPTION_KIND_NUMBER,				\
		uint32_t *: OPTION_KIND_NUMBER,				\
		uint64_t *: OPTION_KIND_NUMBER,				\
		uint8_t (*)[6]: OPTION_KIND_MAC),			\
	.offset = offsetof(type, member),				\
	.width = sizeof(OPTION_MEMBER(type, member))

#define OPTION_PATH(type, member)					\
	.kind = OPTION_KIND_PATH,					\
	.offset = OPTION_OFFSET(type, member, char **),			\
	.width = sizeof(char *)

#define OPTION_SIZE(type, member)					\
	.kind = OPTION_KIND_SIZE,					\
	.offset = OPTION_OFFSET(type, member, uint64_t *),		\
	.width = sizeof(uint64_t)

/* names[value] is how value is written. */
#define OPTION_CHOICE(type, member, names)				\
	.kind = OPTION_KIND_CHOICE,					\
	.offset = OPTION_OFFSET(type, member, unsigned *),		\
	.width = sizeof(unsigned), .choices = (names)

/* Settings that belong together.  What may be absent is a list of .max = 1. */
#define OPTION_GROUP(type, member, objects)				\
	.kind = OPTION_KIND_GROUP, .offset = offsetof(type, member),	\
	.width = sizeof(OPTION_MEMBER(type, member)), .object = &(objects)

/* struct item *member and uint32_t nr_member. */
#define OPTION_LIST(type, member, nr_member, objects)			\
	.kind = OPTION_KIND_LIST, .offset = offsetof(type, member),	\
	.nr_offset = OPTION_OFFSET(type, nr_member, uint32_t *),	\
	.width = sizeof(*OPTION_MEMBER(type, member)), .object = &(objects)

#define OPTION_OBJECT(type, table)					\
	.rows = (table), .nr_rows = ARRAY_LEN(table), .size = sizeof(type), \
	.given = OPTION_OFFSET(type, given, struct option_given *)

/*
 * Fill obj, whatever it held, with the presets; zero where there is none.
 * -ENOMEM leaves obj empty.
 */
int option_defaults(const struct option_object *object, void *obj);

/* Make to, whatever it held, the same as from.  -ENOMEM leaves it empty. */
int option_copy(const struct option_object *object, void *to, const void *from);

/* Free what obj owns and zero it. */
void option_fini(const struct option_object *object, void *obj);

/* The key of the first row of obj itself that is required and has no value; or NULL. */
const char *option_missing(const struct option_object *object, const void *obj);

/* Has every required row a value, by whatever way?  -EINVAL names one without. */
int option_check(const struct option_object *object, const void *obj, struct err *err);

/* Was this member of obj set by file or command line, as opposed to preset? */
bool option_given(const struct option_object *object, const void *obj,
		  const void *member);

#endif
