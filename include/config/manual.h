/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manual.h - the option list of the manual page.
 */
#ifndef CONFIG_MANUAL_H
#define CONFIG_MANUAL_H

#include <stdio.h>

struct option_object;

/* As scdoc(5) source, to stand below a heading. */
void manual_print(const struct option_object *object, FILE *out);

#endif
