/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_vm.h - what only a VM of an arm64 host can be asked.  Main.
 */
#ifndef KVM_ARM64_VM_H
#define KVM_ARM64_VM_H

#include "boot/arm64_boot.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct kvm_vm;
struct kvm_vcpu_init;

/*
 * The interrupt controller.  It follows from what the host has: GICv3, which comes with
 * an ITS, or GICv2, on which a VM has 8 vCPUs at most.
 */
enum arm64_boot_gic arm64_vm_gic(const struct kvm_vm *vm);

/* What KVM of this host can give to VMs. */
struct arm64_vm_survey {
	bool gicv3, its, gicv2;
	unsigned address_bits;		/* of guest-physical addresses */
	bool pmu, sve, pauth, stolen_time, el1_32;
};

/* kvm_fd stays the caller's.  Makes a VM to ask it, which is gone afterwards.  Any thread. */
int arm64_vm_ask(int kvm_fd, struct arm64_vm_survey *ret_survey, struct err *err);

/* What vCPUs are to be initialised as, still without features. */
int arm64_vm_target(const struct kvm_vm *vm, struct kvm_vcpu_init *ret_init,
		    struct err *err);

#endif
