/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_version.h - who we are, as the greeting and query-version say it.
 */
#ifndef CONTROL_QMP_VERSION_H
#define CONTROL_QMP_VERSION_H

#include <jansson.h>

/*
 * Our own version, although in a member called qemu: it is where clients look
 * for numbers.  package tells whose they are.  NULL without memory.
 */
json_t *qmp_version(void);

#endif
