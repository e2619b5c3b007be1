// SPDX-License-Identifier: Apache-2.0
/*
 * arm64_vcpu.c - an arm64 vCPU before its first instruction.
 *
 * It is a processor like the host's, with all that KVM can give it.  All but the first
 * start switched off, until the guest switches them on by PSCI.
 */
#include "arch.h"

#include "arm64_host_parts.h"
#include "arm64_reg.h"
#include "arm64_regs.h"
#include "base/bits.h"
#include "base/err.h"
#include "boot/arm64_layout.h"
#include "boot/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/ioctl.h>

/* Vectors are as long as they were in another VM, or as long as can be. */
static int finish_sve(int fd, const struct vcpu_host *host, unsigned id, struct err *err)
{
	int sve = KVM_ARM_VCPU_SVE;
	int r = host->limited ? arm64_reg_set(fd, KVM_REG_ARM64_SVE_VLS, host->sve_vls) : 0;

	if (r < 0)
		return err_set(err, -ENOTSUP, "this host's SVE lacks a length of vectors that the "
			       "guest's has");
	return ioctl(fd, KVM_ARM_VCPU_FINALIZE, &sve) ?
		       err_sys(err, -errno, "KVM_ARM_VCPU_FINALIZE for vCPU %u", id) : 0;
}

int arch_setup(int fd, const struct vcpu_host *host, unsigned id, unsigned nr_cpus,
	       struct err *err)
{
	struct kvm_vcpu_init init = host->init;

	(void)nr_cpus;
	if (id)
		init.features[0] |= BIT32(KVM_ARM_VCPU_POWER_OFF);
	if (ioctl(fd, KVM_ARM_VCPU_INIT, &init))
		return err_sys(err, -errno, "KVM_ARM_VCPU_INIT for vCPU %u", id);
	return arm64_host_parts_has(host, KVM_ARM_VCPU_SVE) ? finish_sve(fd, host, id, err) : 0;
}

static int set_attr(int fd, uint32_t group, uint64_t attr, const void *value)
{
	const struct kvm_device_attr request = {
		.group = group, .attr = attr, .addr = (uintptr_t)value,
	};

	return ioctl(fd, KVM_SET_DEVICE_ATTR, &request) ? -errno : 0;
}

static int complete_pmu(int fd)
{
	const int irq = ARM64_PPI_BASE + ARM64_PPI_PMU;
	int r = set_attr(fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &irq);

	return r < 0 ? r : set_attr(fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT,
				    NULL);
}

/* A kernel without steal time refuses; the guest asks KVM whether there is any. */
int arch_complete(int fd, const struct vcpu_host *host, unsigned id, struct err *err)
{
	const uint64_t stolen_at = ARM64_STOLEN_AT + (uint64_t)id * ARM64_STOLEN_EACH;
	int r = arm64_host_parts_has(host, KVM_ARM_VCPU_PMU_V3) ? complete_pmu(fd) : 0;

	if (r < 0)
		return err_sys(err, r, "cannot give vCPU %u its event counters", id);
	(void)set_attr(fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &stolen_at);
	return 0;
}

/* Linux wants the device tree in x0 and zero in x1 to x3, as a new vCPU has them. */
int arch_set_entry(int fd, const struct boot_entry *entry, struct err *err)
{
	int r = arm64_reg_set(fd, ARM64_REG_CORE(regs.pc), &entry->ip);

	if (!r)
		r = arm64_reg_set(fd, ARM64_REG_CORE(regs.regs[0]), &entry->arg);
	return r < 0 ? err_sys(err, r, "cannot set where the guest starts") : 0;
}

uint64_t arch_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
}

uint64_t arch_ticks_in(int fd, uint64_t ns)
{
	(void)fd;
	return (uint64_t)((unsigned __int128)ns * arm64_host_parts_counter_hz() / 1000000000);
}

/* All vCPUs of a VM have one counter, so that one of them sets it for all. */
void arch_skip_ticks(int fd, unsigned id, uint64_t ticks)
{
	uint64_t count;

	if (id || !ticks || arm64_reg_get(fd, KVM_REG_ARM_TIMER_CNT, &count))
		return;
	count -= ticks;
	(void)arm64_reg_set(fd, KVM_REG_ARM_TIMER_CNT, &count);
}

unsigned arch_identity(int fd, struct vcpu_register ret_registers[VCPU_REGISTERS_MAX])
{
	return arm64_regs_identity(fd, ret_registers);
}

static void print(int fd, FILE *out, const char *name, uint64_t id, const char *after)
{
	uint64_t value;

	if (arm64_reg_get(fd, id, &value))
		fprintf(out, "%-9s unknown         %s", name, after);
	else
		fprintf(out, "%-9s %016" PRIx64 "%s", name, value, after);
}

void arch_print(int fd, FILE *out)
{
	static const struct {
		const char *name;
		uint64_t id;
	} system[] = {
		{ "pc", ARM64_REG_CORE(regs.pc) },
		{ "pstate", ARM64_REG_CORE(regs.pstate) },
		{ "sp_el0", ARM64_REG_CORE(regs.sp) },
		{ "sp_el1", ARM64_REG_CORE(sp_el1) },
		{ "elr_el1", ARM64_REG_CORE(elr_el1) },
		{ "spsr_el1", ARM64_REG_CORE(spsr[KVM_SPSR_EL1]) },
		{ "esr_el1", ARM64_SYS_REG(3, 0, 5, 2, 0) },
		{ "far_el1", ARM64_SYS_REG(3, 0, 6, 0, 0) },
		{ "vbar_el1", ARM64_SYS_REG(3, 0, 12, 0, 0) },
		{ "sctlr_el1", ARM64_SYS_REG(3, 0, 1, 0, 0) },
		{ "ttbr0_el1", ARM64_SYS_REG(3, 0, 2, 0, 0) },
		{ "ttbr1_el1", ARM64_SYS_REG(3, 0, 2, 0, 1) },
		{ "tcr_el1", ARM64_SYS_REG(3, 0, 2, 0, 2) },
	};

	for (size_t i = 0; i < ARRAY_LEN(system); i++)
		print(fd, out, system[i].name, system[i].id, i % 3 == 2 ? "\n" : " ");
	fputc('\n', out);
	for (unsigned i = 0; i < 31; i++) {
		char name[8];

		snprintf(name, sizeof(name), "x%u", i);
		print(fd, out, name,
		      KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
			      (KVM_REG_ARM_CORE_REG(regs.regs[0]) + 2 * i),
		      i % 3 == 2 ? "\n" : " ");
	}
	fputc('\n', out);
}
