/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_parts.h - what an arm64 VM has besides vm.h.
 */
#ifndef KVM_ARM64_PARTS_H
#define KVM_ARM64_PARTS_H

#include "boot/arm64_boot.h"

#include <stdint.h>

struct err;

struct vm_arch {
	enum arm64_boot_gic kind;
	int gic, its;			/* KVM's devices; -1: none */
};

/* KVM_SET_DEVICE_ATTR; value may be NULL.  what ends the message of a failure. */
int arm64_parts_set(int device, uint32_t group, uint64_t attr, const void *value,
		    const char *what, struct err *err);

#endif
