/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_vm.h - what only a VM of an arm64 host can be asked.  Main.
 */
#ifndef KVM_ARM64_VM_H
#define KVM_ARM64_VM_H

#include "boot/arm64_boot.h"

#include <stdint.h>

struct err;
struct kvm_vm;
struct kvm_vcpu_init;

/*
 * The interrupt controller.  It follows from what the host has: GICv3, which comes with
 * an ITS, or GICv2, on which a VM has 8 vCPUs at most.
 */
enum arm64_boot_gic arm64_vm_gic(const struct kvm_vm *vm);

/* What vCPUs are to be initialised as, still without features. */
int arm64_vm_target(const struct kvm_vm *vm, struct kvm_vcpu_init *ret_init,
		    struct err *err);

#endif
