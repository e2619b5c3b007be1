/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_cpuid.h - what a vCPU says of itself.
 *
 * Pure arithmetic on tables of struct kvm_cpuid_entry2, so that it is tested
 * without /dev/kvm.  One package, one thread a core; the APIC id is the vCPU's
 * number.
 */
#ifndef CPU_X86_CPUID_H
#define CPU_X86_CPUID_H

#include <linux/kvm.h>

struct err;

#define X86_CPUID_ENTRIES_MAX 256

/* With room for X86_CPUID_ENTRIES_MAX entries; free() it. */
struct kvm_cpuid2 *x86_cpuid_new(void);

/*
 * Turn what KVM can do (KVM_GET_SUPPORTED_CPUID) into what this vCPU is:
 * identity, topology, the features that KVM adds by itself.  Entries that a
 * topology needs and the host lacks are added while there is room.
 */
void x86_cpuid_adapt(struct kvm_cpuid2 *cpuid, unsigned id, unsigned nr_cpus);

/*
 * Does host, adapted to the same vCPU, have every feature that saved has?  -ENOTSUP
 * names the first word that it lacks some of.
 */
int x86_cpuid_check(const struct kvm_cpuid2 *saved, const struct kvm_cpuid2 *host,
		    struct err *err);

/*
 * Bits of a guest-physical address, from what KVM can do; 36, which every
 * processor with virtualisation has, where it does not say.
 */
unsigned x86_cpuid_address_bits(const struct kvm_cpuid2 *cpuid);

#endif
