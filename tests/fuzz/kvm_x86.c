// SPDX-License-Identifier: Apache-2.0
/* kvm_x86.c - fuzz_kvm.h for x86. */
#include "fuzz_kvm.h"

#include "base/bits.h"

#include <sys/ioctl.h>

#define TSC_KHZ		2000000

/* With all features that are compared, or with none. */
static int give_cpuid(struct kvm_cpuid2 *cpuid)
{
	static const uint32_t leaves[][2] = {
		{ 1, 0 }, { 7, 0 }, { 7, 1 }, { 7, 2 }, { 0xd, 0 }, { 0xd, 1 },
		{ 0x40000001, 0 }, { 0x80000001, 0 }, { 0x80000007, 0 }, { 0x80000008, 0 },
		{ 0x8000000a, 0 }, { 0x80000021, 0 },
	};
	uint32_t all = fuzz_kvm_host() & BIT32(1) ? UINT32_MAX : 0;

	cpuid->nent = ARRAY_LEN(leaves);
	for (size_t i = 0; i < ARRAY_LEN(leaves); i++)
		cpuid->entries[i] = (struct kvm_cpuid_entry2){
			.function = leaves[i][0], .index = leaves[i][1],
			.eax = all, .ebx = all, .ecx = all, .edx = all,
		};
	return 0;
}

static int take_msrs(const struct kvm_msrs *msrs)
{
	fuzz_kvm_take(msrs, sizeof(*msrs) + msrs->nmsrs * sizeof(msrs->entries[0]));
	/* One that it does not know ends it. */
	return (int)(fuzz_kvm_host() & BIT32(2) ? msrs->nmsrs / 2 : msrs->nmsrs);
}

static int take_attr(const struct kvm_device_attr *attr)
{
	fuzz_kvm_take((const void *)(uintptr_t)attr->addr, sizeof(uint64_t));
	return 0;
}

int fuzz_kvm_ask(unsigned long request, void *arg)
{
	const struct kvm_cpuid2 *cpuid = arg;
	const struct kvm_nested_state *nested = arg;

	switch (request) {
	case KVM_GET_TSC_KHZ:
		return TSC_KHZ;
	case KVM_SET_TSC_KHZ:
		return 0;
	case KVM_GET_CPUID2:
		return give_cpuid(arg);
	case KVM_SET_CPUID2:
		fuzz_kvm_take(arg, sizeof(*cpuid) + cpuid->nent * sizeof(cpuid->entries[0]));
		return 0;
	case KVM_SET_MSRS:
		return take_msrs(arg);
	case KVM_SET_NESTED_STATE:
		fuzz_kvm_take(arg, nested->size);
		return 0;
	case KVM_SET_DEVICE_ATTR:
		return take_attr(arg);
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
	return NULL;
}

int fuzz_kvm_limit(const struct kvm_vm *vm, struct state_reader *reader, struct err *err)
{
	(void)vm, (void)reader, (void)err;
	return 0;
}
