/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_target.h - the guest's architecture, in QEMU's words.
 */
#ifndef CONTROL_QMP_TARGET_H
#define CONTROL_QMP_TARGET_H

#include "control/qmp_type.h"

/* A guest has the host's architecture: KVM runs no other. */
extern const char *const qmp_target;

extern const struct qmp_type qmp_target_type;

#endif
