/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.h - a VM that goes on where a snapshot was taken, for the commands that do so.
 */
#ifndef CLI_RESTORE_H
#define CLI_RESTORE_H

#include <stdbool.h>

struct snapshot;
struct vm_config;

/*
 * As run_go() (run.h) with vm, which has been checked; with clock, its guest's clocks have
 * gone on meanwhile.  *snapshot is NULL afterwards
 * where it was used up, and else still the caller's.
 */
int restore_run(struct snapshot **snapshot, struct vm_config *vm, bool clock);

#endif
