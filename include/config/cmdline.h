/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmdline.h - command-line arguments into a struct, by its option table.
 *
 * Arguments are written as GNU programs take them:
 *
 *	--memory 512M  --memory=512M  -m 512M  -m512M	a value
 *	--direct  --direct=off  -d			a bool
 *	-dv						letters of bools together
 *	--						the rest are no options
 *
 * Options and other arguments may be mixed.  An option given twice takes its
 * last value; one of a list adds an item each time, and one of a group sets
 * more of its keys.
 *
 * The value of a list or group is KEY=VALUE pairs with commas between them:
 *
 *	--disk path=disk.img,format=raw,readonly
 *
 * A comma inside a value is written twice.  A bool may stand without =on.  If
 * the first pair is a lone word that is not one of the keys, it is the value of
 * the object's primary key: --disk disk.img,readonly.  An empty value gives an
 * item with nothing but presets.
 */
#ifndef CONFIG_CMDLINE_H
#define CONFIG_CMDLINE_H

struct err;
struct option_object;

/*
 * argv[0] is skipped.  argv is reordered such that the options come first;
 * *ret_rest is the index of the first argument that is none, or argc.  Parsing
 * the reordered argv again gives the same.  -EINVAL or -ENOMEM leave obj with
 * part of the values: all that can be done with it then is option_fini().
 */
int cmdline_parse(const struct option_object *object, void *obj, int argc, char **argv,
		  int *ret_rest, struct err *err);

#endif
