/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_tables.h - the commands and events of this layer, by subject.
 *
 * Each is defined in the file of its name; qmp_table_all has all of them.
 */
#ifndef CONTROL_QMP_TABLES_H
#define CONTROL_QMP_TABLES_H

struct qmp_table;

extern const struct qmp_table
	qmp_tables_basic,
	qmp_tables_block,
	qmp_tables_block_change,
	qmp_tables_blockdev,
	qmp_tables_cpus,
	qmp_tables_device,
	qmp_tables_events,
	qmp_tables_fds,
	qmp_tables_jobs,
	qmp_tables_migrate,
	qmp_tables_netdev,
	qmp_tables_parts,
	qmp_tables_pci,
	qmp_tables_power,
	qmp_tables_snapshot,
	qmp_tables_stats,
	qmp_tables_status,
	qmp_tables_use;

#endif
