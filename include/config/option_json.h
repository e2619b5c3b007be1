/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option_json.h - a JSON object into a struct, by its option table.
 *
 * This is how the arguments of a command arrive.  The texts of the errors are
 * those that QEMU gives for the same mistakes, with the path of the member:
 *
 *	Parameter 'disk[0].path' is missing
 *	Parameter 'foo' is unexpected
 *	Invalid parameter type for 'value', expected: integer
 *	Parameter 'reboot' does not accept value 'maybe'
 *
 * A choice, path and MAC address are JSON strings, a number and a size are
 * integers, a group is an object and a list an array of objects.
 */
#ifndef CONFIG_OPTION_JSON_H
#define CONFIG_OPTION_JSON_H

#include <jansson.h>

struct err;
struct option_object;

/*
 * Set in obj what json says and leave the rest.  json is an object, its strings
 * hold no NUL; a required row must be in it whatever obj holds.  -EINVAL or
 * -ENOMEM leave obj with part of the values: all that can be done with it then
 * is option_fini().
 */
int option_json_load(const struct option_object *object, void *obj, const json_t *json,
		     struct err *err);

#endif
