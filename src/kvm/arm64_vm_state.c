// SPDX-License-Identifier: Apache-2.0
/*
 * arm64_vm_state.c - the interrupt controllers of an arm64 VM, all of them.
 */
#include "arm64_parts.h"
#include "vm.h"

/* Tables are where the guest has put them, which may be nowhere. */
int kvm_vm_settle(const struct kvm_vm *vm, struct err *err)
{
	int r;

	if (vm->arch->kind != ARM64_BOOT_GICV3)
		return 0;
	r = arm64_parts_set(vm->arch->its, KVM_DEV_ARM_VGIC_GRP_CTRL,
			    KVM_DEV_ARM_ITS_SAVE_TABLES, NULL,
			    "tables of the ITS cannot be written to the guest's memory", err);
	return r < 0 ? r : arm64_parts_set(vm->arch->gic, KVM_DEV_ARM_VGIC_GRP_CTRL,
					   KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES, NULL,
					   "pending interrupts cannot be written to the guest's "
					   "memory", err);
}

int kvm_vm_save(const struct kvm_vm *vm, struct state_writer *writer, struct err *err)
{
	int r = arm64_parts_save_gic(vm, writer, err);

	return r < 0 || vm->arch->its < 0 ? r : arm64_parts_save_its(vm, writer, err);
}

/* The ITS finds what is pending by what the redistributors know. */
int kvm_vm_load(struct kvm_vm *vm, struct state_reader *reader, struct err *err)
{
	int r = arm64_parts_load_gic(vm, reader, err);

	return r < 0 || vm->arch->its < 0 ? r : arm64_parts_load_its(vm, reader, err);
}
