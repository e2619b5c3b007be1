// SPDX-License-Identifier: Apache-2.0
#include "arch.h"

#include "base/err.h"

#include <errno.h>

int arch_save(int fd, const struct kvm_vm *vm, unsigned id, uint64_t ticks,
	      struct state_writer *writer, struct err *err)
{
	(void)fd, (void)vm, (void)id, (void)ticks, (void)writer;
	return err_set(err, -ENOTSUP, "vCPUs cannot be saved on arm64");
}

int arch_load(int fd, const struct kvm_vm *vm, unsigned id, uint64_t ticks,
	      struct state_reader *reader, struct err *err)
{
	(void)fd, (void)vm, (void)id, (void)ticks, (void)reader;
	return err_set(err, -ENOTSUP, "vCPUs cannot be restored on arm64");
}

int arch_save_features(int fd, struct state_writer *writer, struct err *err)
{
	(void)fd, (void)writer;
	return err_set(err, -ENOTSUP, "VMs cannot be migrated on arm64");
}

int arch_check_features(int fd, const struct kvm_vm *vm, struct state_reader *reader,
			struct err *err)
{
	(void)fd, (void)vm, (void)reader;
	return err_set(err, -ENOTSUP, "VMs cannot be migrated on arm64");
}
