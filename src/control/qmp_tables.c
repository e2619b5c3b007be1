// SPDX-License-Identifier: Apache-2.0
#include "qmp_tables.h"

#include "control/qmp_command.h"

#include <stddef.h>

const struct qmp_table *const qmp_table_all[] = {
	&qmp_tables_basic,
	&qmp_tables_fds,
	&qmp_tables_status,
	&qmp_tables_power,
	&qmp_tables_cpus,
	&qmp_tables_parts,
	&qmp_tables_block,
	&qmp_tables_block_change,
	&qmp_tables_blockdev,
	&qmp_tables_netdev,
	&qmp_tables_device,
	&qmp_tables_pci,
	&qmp_tables_snapshot,
	&qmp_tables_jobs,
	&qmp_tables_migrate,
	&qmp_tables_stats,
	&qmp_tables_use,
	&qmp_tables_events,
	NULL,
};
