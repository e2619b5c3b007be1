// SPDX-License-Identifier: Apache-2.0
#include "qmp_identifier.h"

#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

bool qmp_identifier_valid(const char *name)
{
	return *name && strchr(LETTERS, *name) && !name[strspn(name, LETTERS "0123456789-._")];
}
