/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_host_parts.h - what vCPUs are initialised as.
 */
#ifndef CPU_ARM64_HOST_PARTS_H
#define CPU_ARM64_HOST_PARTS_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct err;
struct kvm_vm;
struct state_writer;
struct vcpu_host;

struct vcpu_host {
	struct kvm_vcpu_init init;	/* of the first: it is not switched off */
	unsigned address_bits;
	bool limited;			/* to vectors of these lengths, as KVM has it */
	uint64_t sve_vls[KVM_ARM64_SVE_VLS_WORDS];
};

/* KVM_ARM_VCPU_*: is it wanted? */
bool arm64_host_parts_has(const struct vcpu_host *host, unsigned feature);

/* How fast the counter of this host and its guests goes. */
uint64_t arm64_host_parts_counter_hz(void);

/* What vcpu_host_limit() is to load; fd is a vCPU's. */
int arm64_host_parts_save(const struct vcpu_host *host, const struct kvm_vm *vm, int fd,
			  struct state_writer *writer, struct err *err);

#endif
