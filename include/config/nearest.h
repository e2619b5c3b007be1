/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearest.h - what a user may have meant by a word that does not exist.
 */
#ifndef CONFIG_NEAREST_H
#define CONFIG_NEAREST_H

#include <stddef.h>

struct err;
struct option_object;

/* NULL when none of the words is near enough to be a likely slip. */
const char *nearest_word(const char *const *words, size_t nr, const char *word);

/* The same for the keys of an object. */
const char *nearest_key(const struct option_object *object, const char *word);

/*
 * Set -EINVAL and a message that names the key whose value the word is, or the nearest
 * key or, without one, as many as have room.  dashes go in front of each key: "--" or "".
 */
int nearest_refuse(const struct option_object *object, const char *dashes,
		   const char *word, struct err *err);

#endif
