/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm.h - /dev/kvm and one VM on it: memory, interrupts, kicks.
 *
 * Every ioctl on the system and on the VM is made here; those on a vCPU are
 * made in the cpu layer.  See Documentation/virt/kvm/api.rst.
 */
#ifndef KVM_KVM_H
#define KVM_KVM_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct eventfds;
struct guest_mem;
struct kvm_opening;
struct kvm_vm;
struct state_reader;
struct state_writer;

/*
 * Open /dev/kvm and check what cannot be done without.  Returns a descriptor;
 * the message says how to get access.  Any thread.
 */
int kvm_open(struct err *err);

/* KVM_CHECK_EXTENSION on /dev/kvm or on a VM: 0 or less where absent. */
int kvm_capability(int fd, int capability);

/* The version of the API; -ENOTSUP when it is not the one that all is written for. */
int kvm_api_version(int fd, struct err *err);

/* What a person can do about open("/dev/kvm") failing with code; may be "". */
struct kvm_advice {
	char text[160];
};

struct kvm_advice kvm_advice(int code);

/* A capability that is looked for. */
struct kvm_feature {
	int capability;
	const char *name;		/* as the kernel's documentation has it */
	const char *benefit;		/* NULL: cannot be done without */
};

/* The i-th of them; NULL when there are no more. */
const struct kvm_feature *kvm_feature(unsigned i);

/*
 * /dev/kvm, and a VM on it that has nothing yet.  To make one the kernel sleeps for
 * milliseconds, so a thread does it, and whoever needs it waits for what is left of them.
 */
struct kvm_fds { int system, vm; };

int kvm_opening_new(struct kvm_opening **ret_opening, struct err *err);

/* Wait for both; takes opening, also on failure.  The message is that of kvm_open(). */
int kvm_opening_end(struct kvm_opening *opening, struct kvm_fds *ret_fds, struct err *err);

/* Nobody needs it any more.  -> NULL */
struct kvm_opening *kvm_opening_free(struct kvm_opening *opening);

/*
 * A VM with its interrupt controllers and all of mem, whose host memory outlives
 * it.  Takes fds, also on failure.  Main.
 */
int kvm_vm_new(struct kvm_vm **ret_vm, struct kvm_fds fds, const struct guest_mem *mem,
	       struct err *err);

/* No vCPU is left.  -> NULL */
struct kvm_vm *kvm_vm_free(struct kvm_vm *vm);

/* All vCPUs are made: their interrupt controllers are put into operation.  Main. */
int kvm_vm_complete(struct kvm_vm *vm, struct err *err);

/* vCPUs that the host allows; at least 1. */
unsigned kvm_vm_cpus_max(const struct kvm_vm *vm);

/*
 * The guest's paravirtual clock, in nanoseconds.  Set after a pause to what it
 * was before, it does not jump.  While no vCPU runs.  Main.
 */
int kvm_vm_get_clock(const struct kvm_vm *vm, uint64_t *ret_ns);
int kvm_vm_set_clock(const struct kvm_vm *vm, uint64_t ns);

/*
 * Some of the interrupt controllers' state is kept in the guest's memory: write it there,
 * as if a vCPU did, for whoever saves the memory.  While no vCPU runs.  Main.
 */
int kvm_vm_settle(const struct kvm_vm *vm, struct err *err);

/*
 * The interrupt controllers and timers; not the clock.  Save while no vCPU runs, and the
 * memory as it is after kvm_vm_settle(); load when the memory is there, before the devices'
 * interrupts.  Main.
 */
int kvm_vm_save(const struct kvm_vm *vm, struct state_writer *writer, struct err *err);
int kvm_vm_load(struct kvm_vm *vm, struct state_reader *reader, struct err *err);

/*
 * Have KVM log what vCPUs write, a bit for each page of mem as guest_mem.h has it, and
 * add to the bitmap what they have written since the last time.  While no other of these
 * runs; any thread.
 */
int kvm_vm_log(struct kvm_vm *vm, bool on, struct err *err);
int kvm_vm_log_take(const struct kvm_vm *vm, uint64_t *bitmap, struct err *err);

/*
 * For kvm_stats_new(): what KVM counts of the VM, or of the vCPU of that
 * descriptor.  -ENOTSUP where the kernel has no such statistics.  Main.
 */
int kvm_vm_stats_fd(const struct kvm_vm *vm, struct err *err);
int kvm_vcpu_stats_fd(int fd, struct err *err);

/* Drive a pin of the interrupt controller; any thread. */
int kvm_vm_set_irq(struct kvm_vm *vm, unsigned gsi, bool level);

/* irqfd and ioeventfd, for devices (bus/eventfds.h); lives as long as vm. */
struct eventfds *kvm_vm_eventfds(struct kvm_vm *vm);

/* For the cpu layer: /dev/kvm, which stays the VM's, and a vCPU's, which does not. */
int kvm_vm_system_fd(const struct kvm_vm *vm);
int kvm_vm_create_vcpu(struct kvm_vm *vm, unsigned id, struct err *err);

/* The size in bytes of what a vCPU's descriptor maps (struct kvm_run). */
int kvm_vm_run_size(const struct kvm_vm *vm);

#endif
