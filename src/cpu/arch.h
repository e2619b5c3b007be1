/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch.h - what differs between architectures about a vCPU.
 *
 * fd is the vCPU's descriptor; main thread unless stated.
 */
#ifndef CPU_ARCH_H
#define CPU_ARCH_H

#include "cpu/vcpu.h"

#include <stdint.h>
#include <stdio.h>

struct boot_entry;
struct err;
struct kvm_vm;
struct state_reader;
struct state_writer;
struct vcpu_host;

/* Features, topology and what firmware would have set. */
int arch_setup(int fd, const struct vcpu_host *host, unsigned id, unsigned nr_cpus,
	       struct err *err);

/* What has to wait for the interrupt controllers. */
int arch_complete(int fd, const struct vcpu_host *host, unsigned id, struct err *err);

int arch_set_entry(int fd, const struct boot_entry *entry, struct err *err);

/* What vcpu_save() and vcpu_load() do; vm is the vCPU's. */
int arch_save(int fd, const struct kvm_vm *vm, unsigned id, uint64_t ticks,
	      struct state_writer *writer, struct err *err);
int arch_load(int fd, const struct kvm_vm *vm, unsigned id, uint64_t ticks,
	      struct state_reader *reader, struct err *err);

/* What vcpu_save_features() and vcpu_check_features() do. */
int arch_save_features(int fd, const struct kvm_vm *vm, const struct vcpu_host *host,
		       struct state_writer *writer, struct err *err);
int arch_check_features(int fd, const struct kvm_vm *vm, struct state_reader *reader,
			struct err *err);

/* The host's counter that the guest's is made of; any thread. */
uint64_t arch_ticks(void);

/* How far the guest's goes in so many nanoseconds; 0: not known. */
uint64_t arch_ticks_in(int fd, uint64_t ns);

/*
 * The vCPU was paused for so long: its counter does not show it, and its kernel
 * is told, so that its watchdogs do not bark.
 */
void arch_skip_ticks(int fd, unsigned id, uint64_t ticks);

/* What vcpu_identity() does; while the vCPU is not in KVM_RUN. */
unsigned arch_identity(int fd, struct vcpu_register ret_registers[VCPU_REGISTERS_MAX]);

/* Any thread, while the vCPU is not in KVM_RUN. */
void arch_print(int fd, FILE *out);

#endif
