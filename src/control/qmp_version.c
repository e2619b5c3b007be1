// SPDX-License-Identifier: Apache-2.0
#include "qmp_version.h"

#include <stdlib.h>

json_t *qmp_version(void)
{
	int numbers[3] = { 0 };		/* major, minor, micro */
	char text[] = VMM_VERSION;
	char *at = text;

	for (int i = 0; i < 3 && *at; i++) {
		numbers[i] = (int)strtol(at, &at, 10);
		if (*at == '.')
			at++;
	}
	return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "micro", numbers[2], "minor",
			 numbers[1], "major", numbers[0], "package", "vmm " VMM_VERSION);
}
