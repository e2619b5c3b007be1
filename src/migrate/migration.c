// SPDX-License-Identifier: Apache-2.0
#include "migrate/migration.h"

#include <stddef.h>

const char *const migration_status_words[] = {
	[MIGRATION_NONE] = "none",
	[MIGRATION_SETUP] = "setup",
	[MIGRATION_ACTIVE] = "active",
	[MIGRATION_DEVICE] = "device",
	[MIGRATION_POSTCOPY] = "postcopy-active",
	[MIGRATION_LOST] = "postcopy-paused",
	[MIGRATION_RECOVERS] = "postcopy-recover",
	[MIGRATION_CANCELLING] = "cancelling",
	[MIGRATION_CANCELLED] = "cancelled",
	[MIGRATION_COMPLETED] = "completed",
	[MIGRATION_FAILED] = "failed",
	NULL
};
const struct migration_parameters migration_defaults = {
	.downtime_ms = 300,
	.streams = 2,
	.throttle_first = 20,
	.throttle_step = 10,
	.throttle_max = MIGRATION_THROTTLE_MAX,
};
