/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_identifier.h - the names that clients may give to things.
 */
#ifndef CONTROL_QMP_IDENTIFIER_H
#define CONTROL_QMP_IDENTIFIER_H

#include <stdbool.h>

/* A letter, then letters, digits, '-', '.' and '_'. */
bool qmp_identifier_valid(const char *name);

#endif
