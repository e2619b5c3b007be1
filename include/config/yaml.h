/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.h - configuration files, by option table.
 *
 * A file is one YAML mapping.  Its keys are the long option names; a group is a
 * mapping, and a list is a sequence of mappings, also where it has one item:
 *
 *	memory: 512M
 *	disk:
 *	  - path: disk.img
 *	    readonly: true
 *
 * How a value is read depends on its row only, never on how YAML would guess:
 * serial: 010 is the string 010.  Values may be quoted or not.
 *
 * A file is untrusted input.  Unknown and repeated keys, anchors, aliases, tags
 * and second documents are refused; a file without any key is fine.  A message
 * starts with file:line:column.
 */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include <stddef.h>
#include <stdio.h>

struct err;
struct option_object;

#define YAML_FILE_MAX	(1024 * 1024UL)		/* bytes */

/*
 * Set in obj what the file says and leave the rest.  -EFBIG when it is longer
 * than YAML_FILE_MAX, -EINVAL for its content, -ENOMEM, or what open() and
 * read() give.  On failure obj has part of the values: all that can be done
 * with it then is option_fini().
 */
int yaml_load(const struct option_object *object, void *obj, const char *path,
	      struct err *err);

/* The same for len bytes of text; name stands for the file in messages. */
int yaml_parse(const struct option_object *object, void *obj, const char *name,
	       const char *text, size_t len, struct err *err);

/*
 * Write every value of obj, preset or not, except those of rows that belong to
 * the command line only.  Loading the result into an obj of defaults gives the
 * same values, all of which then count as given.  -EILSEQ for a string that is
 * not UTF-8, -EIO when out cannot be written, -ENOMEM.
 */
int yaml_dump(const struct option_object *object, const void *obj, FILE *out,
	      struct err *err);

#endif
