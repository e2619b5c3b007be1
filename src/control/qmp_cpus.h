/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_cpus.h - how a vCPU is called.
 */
#ifndef CONTROL_QMP_CPUS_H
#define CONTROL_QMP_CPUS_H

#define QMP_CPUS_PATH_BYTES	sizeof("/machine/cpu[4294967295]")

/* Its qom-path; path has room for QMP_CPUS_PATH_BYTES. */
void qmp_cpus_path(char *path, unsigned i);

#endif
