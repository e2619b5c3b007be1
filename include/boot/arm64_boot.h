/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_boot.h - what an arm64 guest's device tree tells besides boot.h.
 */
#ifndef BOOT_ARM64_BOOT_H
#define BOOT_ARM64_BOOT_H

#include <stdbool.h>

enum arm64_boot_gic {
	ARM64_BOOT_GICV2,	/* with a GICv2m frame for messages */
	ARM64_BOOT_GICV3,	/* with an ITS */
};

struct arm64_boot {
	enum arm64_boot_gic gic;
	bool pmu;
};

#endif
