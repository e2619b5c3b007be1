/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ending.h - the end of a VM, awaited and brought about.
 *
 * process is what runtime_process() gives.
 */
#ifndef CLI_ENDING_H
#define CLI_ENDING_H

#include <stdbool.h>

struct err;

/* Has it ended, within that time? */
bool ending_wait(int process, int timeout_ms);

/*
 * End it: by QMP, and where that has no effect within timeout_ms, by SIGKILL.
 * When this returns 0 it has ended and its name is free.
 */
int ending_force(const char *name, int process, int timeout_ms, struct err *err);

#endif
