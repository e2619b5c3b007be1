/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_reg.h - the registers of a vCPU that KVM_GET_ONE_REG knows.
 *
 * fd is the vCPU's.  Each returns 0 or a negative errno.
 */
#ifndef CPU_ARM64_REG_H
#define CPU_ARM64_REG_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

/* A member of struct kvm_regs of 64 bits. */
#define ARM64_REG_CORE(member)							\
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |			\
	 KVM_REG_ARM_CORE_REG(member))

/* A value has as many bytes as id says. */
int arm64_reg_get(int fd, uint64_t id, void *ret_value);
int arm64_reg_set(int fd, uint64_t id, const void *value);

/* The ids of all that there are; *nr says for how many there is room.  -E2BIG. */
int arm64_reg_list(int fd, uint64_t *ret_ids, uint32_t *nr);

static inline size_t arm64_reg_len(uint64_t id)
{
	return (size_t)1 << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

#endif
