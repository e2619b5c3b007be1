// SPDX-License-Identifier: Apache-2.0
/* kvm_arm64.c - fuzz_kvm.h for arm64. */
#include "fuzz_kvm.h"

#include "base/bits.h"
#include "boot/arm64_layout.h"
#include "cpu/arm64_reg.h"
#include "cpu/vcpu.h"
#include "kvm/arm64_parts.h"

#include <errno.h>
#include <sys/ioctl.h>

#define GICV2		BIT32(0)	/* of what the host can do */
#define REFUSES		BIT32(1)	/* registers that KVM has otherwise */
#define NR_SPI_BLOCKS	8

static int one_reg(const struct kvm_one_reg *reg, bool set)
{
	void *value = (void *)(uintptr_t)reg->addr;

	if (!set) {
		fuzz_kvm_give(value, arm64_reg_len(reg->id));
		return 0;
	}
	fuzz_kvm_take(value, arm64_reg_len(reg->id));
	if (!(fuzz_kvm_host() & REFUSES))
		return 0;
	errno = EINVAL;
	return -1;
}

static size_t attr_len(const struct kvm_device_attr *attr)
{
	switch (attr->group) {
	case KVM_DEV_ARM_VGIC_GRP_CTRL:
		return 0;
	case KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS:
	case KVM_DEV_ARM_VGIC_GRP_ITS_REGS:
		return 8;
	default:
		return 4;
	}
}

/* Besides where stolen time is told, GICD_TYPER is all that loading asks for. */
static int give_attr(const struct kvm_device_attr *attr)
{
	if (attr->group == KVM_ARM_VCPU_PVTIME_CTRL)
		*(uint64_t *)(uintptr_t)attr->addr = ARM64_STOLEN_AT;
	else
		*(uint32_t *)(uintptr_t)attr->addr = NR_SPI_BLOCKS;
	return 0;
}

int fuzz_kvm_ask(unsigned long request, void *arg)
{
	const struct kvm_device_attr *attr = arg;

	switch (request) {
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		return one_reg(arg, request == KVM_SET_ONE_REG);
	case KVM_GET_DEVICE_ATTR:
		return give_attr(attr);
	case KVM_SET_DEVICE_ATTR:
		fuzz_kvm_take((const void *)(uintptr_t)attr->addr, attr_len(attr));
		return 0;
	default:
		if (_IOC_DIR(request) & _IOC_WRITE)
			fuzz_kvm_take(arg, _IOC_SIZE(request));
		else
			fuzz_kvm_give(arg, _IOC_SIZE(request));
		return 0;
	}
}

struct vm_arch *fuzz_kvm_arch(void)
{
	static struct vm_arch v2 = { ARM64_BOOT_GICV2, FUZZ_KVM_FD, -1 };
	static struct vm_arch v3 = { ARM64_BOOT_GICV3, FUZZ_KVM_FD, FUZZ_KVM_FD };

	return fuzz_kvm_host() & GICV2 ? &v2 : &v3;
}

int fuzz_kvm_limit(const struct kvm_vm *vm, struct state_reader *reader, struct err *err)
{
	struct vcpu_host *host;
	int r = vcpu_host_new(&host, vm, err);

	if (r < 0)
		return r;
	r = vcpu_host_limit(host, vm, reader, err);
	vcpu_host_free(host);
	return r;
}
