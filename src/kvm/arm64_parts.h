/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_parts.h - what an arm64 VM has besides vm.h.
 */
#ifndef KVM_ARM64_PARTS_H
#define KVM_ARM64_PARTS_H

#include "boot/arm64_boot.h"

#include <stdint.h>

struct err;
struct kvm_vm;
struct state_reader;
struct state_writer;

struct vm_arch {
	enum arm64_boot_gic kind;
	int gic, its;			/* KVM's devices; -1: none */
};

/* The parts of kvm_vm_save() and kvm_vm_load(), by their kind. */
int arm64_parts_save_gic(const struct kvm_vm *vm, struct state_writer *writer,
			 struct err *err);
int arm64_parts_load_gic(const struct kvm_vm *vm, struct state_reader *reader,
			 struct err *err);
int arm64_parts_save_its(const struct kvm_vm *vm, struct state_writer *writer,
			 struct err *err);
int arm64_parts_load_its(const struct kvm_vm *vm, struct state_reader *reader,
			 struct err *err);

/*
 * KVM_GET_DEVICE_ATTR and KVM_SET_DEVICE_ATTR, whose value may be NULL.  what ends the
 * message of a failure.
 */
int arm64_parts_get(int device, uint32_t group, uint64_t attr, void *ret_value,
		    const char *what, struct err *err);
int arm64_parts_set(int device, uint32_t group, uint64_t attr, const void *value,
		    const char *what, struct err *err);

#endif
