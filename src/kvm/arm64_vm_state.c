// SPDX-License-Identifier: Apache-2.0
#include "vm.h"

#include "base/err.h"

#include <errno.h>

int kvm_vm_save(const struct kvm_vm *vm, struct state_writer *writer, struct err *err)
{
	(void)vm, (void)writer;
	return err_set(err, -ENOTSUP, "VMs cannot be saved on arm64");
}

int kvm_vm_load(struct kvm_vm *vm, struct state_reader *reader, struct err *err)
{
	(void)vm, (void)reader;
	return err_set(err, -ENOTSUP, "VMs cannot be restored on arm64");
}
