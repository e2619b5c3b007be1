/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_qmp.h - snapshots of a machine, for the QMP server's interface to it.
 *
 * ctx is a struct machine_qmp.  Main.
 */
#ifndef CLI_SNAPSHOT_QMP_H
#define CLI_SNAPSHOT_QMP_H

#include "control/qmp_machine.h"

void snapshot_qmp_take(void *ctx, const struct qmp_machine_snapshot *snapshot,
		       qmp_machine_snapshot_done *done, void *arg);
void snapshot_qmp_call_off(void *ctx);
void snapshot_qmp_progress(void *ctx, uint64_t *ret_done, uint64_t *ret_total);

#endif
