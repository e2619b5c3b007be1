// SPDX-License-Identifier: Apache-2.0
/*
 * x86_vcpu.c - an x86 vCPU before its first instruction.
 */
#include "arch.h"

#include "base/bits.h"
#include "base/err.h"
#include "boot/boot.h"
#include "boot/x86_boot.h"
#include "cpu/vcpu.h"
#include "kvm/kvm.h"
#include "x86_cpuid.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RESET_IP	0xfff0
#define RESET_CS_BASE	0xffff0000
#define CR0_PE		BIT64(0)
#define CR0_ET		BIT64(4)
#define CR0_PG		BIT64(31)
#define CR4_PAE		BIT64(5)
#define EFER_LME	BIT64(8)
#define EFER_LMA	BIT64(10)
#define RFLAGS_FIXED	BIT64(1)

#define MSR_MISC_ENABLE		0x1a0
#define MISC_ENABLE_FAST_STRING	BIT64(0)
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_ENABLE		BIT64(11)
#define MTRR_WRITE_BACK		6

/* <asm/prctl.h> of Linux 5.17. */
#define ARCH_REQ_XCOMP_GUEST_PERM 0x1025
#define XFEATURE_XTILEDATA 18

struct vcpu_host {
	struct kvm_cpuid2 *cpuid;	/* KVM_GET_SUPPORTED_CPUID */
};

int vcpu_host_new(struct vcpu_host **ret_host, const struct kvm_vm *vm, struct err *err)
{
	struct vcpu_host *host = calloc(1, sizeof(*host));
	int r;

	if (host)
		host->cpuid = x86_cpuid_new();
	if (!host || !host->cpuid) {
		vcpu_host_free(host);
		return err_sys(err, -ENOMEM, "cannot ask KVM for its CPUID");
	}
	/*
	 * AMX state is large, so the kernel hands it to guests on request only,
	 * and shows it in the table only then.  Hosts without it refuse.
	 */
	(void)syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_GUEST_PERM, XFEATURE_XTILEDATA);
	if (ioctl(kvm_vm_system_fd(vm), KVM_GET_SUPPORTED_CPUID, host->cpuid)) {
		r = err_sys(err, -errno, "KVM_GET_SUPPORTED_CPUID");
		vcpu_host_free(host);
		return r;
	}
	*ret_host = host;
	return 0;
}

struct vcpu_host *vcpu_host_free(struct vcpu_host *host)
{
	if (!host)
		return NULL;
	free(host->cpuid);
	free(host);
	return NULL;
}

/* Each vCPU is given the CPUID that it had. */
int vcpu_host_limit(struct vcpu_host *host, const struct kvm_vm *vm,
		    struct state_reader *reader, struct err *err)
{
	(void)host, (void)vm, (void)reader, (void)err;
	return 0;
}

unsigned vcpu_host_address_bits(const struct vcpu_host *host)
{
	return x86_cpuid_address_bits(host->cpuid);
}

static int set_cpuid(int fd, const struct vcpu_host *host, unsigned id, unsigned nr_cpus,
		     struct err *err)
{
	struct kvm_cpuid2 *cpuid = x86_cpuid_new();
	int r = 0;

	if (!cpuid)
		return err_sys(err, -ENOMEM, "cannot set up vCPU %u", id);
	cpuid->nent = host->cpuid->nent;
	memcpy(cpuid->entries, host->cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	x86_cpuid_adapt(cpuid, id, nr_cpus);
	if (ioctl(fd, KVM_SET_CPUID2, cpuid))
		r = err_sys(err, -errno, "KVM_SET_CPUID2 for vCPU %u", id);
	free(cpuid);
	return r;
}

/* As firmware leaves them: all memory write-back, string moves fast. */
static int set_msrs(int fd, unsigned id, struct err *err)
{
	static const struct kvm_msr_entry entries[] = {
		{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_WRITE_BACK },
		{ .index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING },
	};
	union {
		struct kvm_msrs msrs;
		uint8_t room[sizeof(struct kvm_msrs) + sizeof(entries)];
	} set = { .msrs.nmsrs = ARRAY_LEN(entries) };
	int nr_set;

	memcpy(set.msrs.entries, entries, sizeof(entries));
	/* Says how many it set; a processor without the second is fine. */
	nr_set = ioctl(fd, KVM_SET_MSRS, &set);
	if (nr_set < 0)
		return err_sys(err, -errno, "KVM_SET_MSRS for vCPU %u", id);
	if (!nr_set)
		return err_set(err, -ENOTSUP, "vCPU %u: KVM takes no memory types (MTRR)", id);
	return 0;
}

int arch_setup(int fd, const struct vcpu_host *host, unsigned id, unsigned nr_cpus,
	       struct err *err)
{
	int r = set_cpuid(fd, host, id, nr_cpus, err);

	return r < 0 ? r : set_msrs(fd, id, err);
}

int arch_complete(int fd, const struct vcpu_host *host, unsigned id, struct err *err)
{
	(void)fd, (void)host, (void)id, (void)err;
	return 0;
}

/* The hidden part of a segment register, from its descriptor (base 0). */
static struct kvm_segment segment(uint16_t selector, uint64_t desc)
{
	bool granular = desc >> 55 & 1;
	uint32_t limit = (uint32_t)((desc & 0xffff) | (desc >> 32 & 0xf0000));

	return (struct kvm_segment){
		.selector = selector,
		.limit = granular ? limit << 12 | 0xfff : limit,
		.type = desc >> 40 & 0xf,
		.s = desc >> 44 & 1,
		.dpl = desc >> 45 & 3,
		.present = desc >> 47 & 1,
		.avl = desc >> 52 & 1,
		.l = desc >> 53 & 1,
		.db = desc >> 54 & 1,
		.g = granular,
	};
}

int arch_set_entry(int fd, const struct boot_entry *entry, struct err *err)
{
	bool long_mode = entry->mode == BOOT_LINUX64;
	struct kvm_regs regs = {
		.rip = entry->ip,
		.rsp = entry->stack,
		.rsi = long_mode ? entry->arg : 0,
		.rbx = long_mode ? 0 : entry->arg,
		.rflags = RFLAGS_FIXED,
	};
	struct kvm_sregs sregs;

	if (ioctl(fd, KVM_GET_SREGS, &sregs))
		return err_sys(err, -errno, "KVM_GET_SREGS");
	sregs.cs = segment(X86_BOOT_CS, long_mode ? X86_BOOT_DESC_CODE64 :
						    X86_BOOT_DESC_CODE32);
	sregs.ds = segment(X86_BOOT_DS, X86_BOOT_DESC_DATA);
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	sregs.tr = segment(X86_BOOT_TSS, X86_BOOT_DESC_TSS);
	sregs.gdt.base = entry->gdt;
	sregs.gdt.limit = X86_BOOT_GDT_LEN - 1;
	sregs.idt.limit = 0;
	sregs.cr0 = CR0_PE | CR0_ET;
	if (long_mode) {
		sregs.cr0 |= CR0_PG;
		sregs.cr3 = entry->page_tables;
		sregs.cr4 = CR4_PAE;
		sregs.efer = EFER_LME | EFER_LMA;
	}
	if (ioctl(fd, KVM_SET_SREGS, &sregs))
		return err_sys(err, -errno, "KVM_SET_SREGS");
	if (ioctl(fd, KVM_SET_REGS, &regs))
		return err_sys(err, -errno, "KVM_SET_REGS");
	return 0;
}

uint64_t arch_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

uint64_t arch_ticks_in(int fd, uint64_t ns)
{
	int khz = ioctl(fd, KVM_GET_TSC_KHZ);

	return khz > 0 ? (uint64_t)((unsigned __int128)ns * (unsigned)khz / 1000000) : 0;
}

/* Older kernels and hosts without either do less; the guest then sees a jump. */
void arch_skip_ticks(int fd, unsigned id, uint64_t ticks)
{
	uint64_t offset;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	(void)id;
	if (!ioctl(fd, KVM_GET_DEVICE_ATTR, &attr)) {
		offset -= ticks;
		(void)ioctl(fd, KVM_SET_DEVICE_ATTR, &attr);
	}
	(void)ioctl(fd, KVM_KVMCLOCK_CTRL, 0);
}

/* A guest asks CPUID. */
unsigned arch_identity(int fd, struct vcpu_register ret_registers[VCPU_REGISTERS_MAX])
{
	(void)fd, (void)ret_registers;
	return 0;
}

static void print_segment(FILE *out, const char *name, const struct kvm_segment *s)
{
	fprintf(out, "%s %04x base %016llx limit %08x type %x dpl %u%s%s\n", name,
		s->selector, s->base, s->limit, s->type, s->dpl, s->l ? " 64" : "",
		s->db ? " 32" : "");
}

void arch_print(int fd, FILE *out)
{
	struct kvm_regs r;
	struct kvm_sregs s;

	if (ioctl(fd, KVM_GET_REGS, &r) || ioctl(fd, KVM_GET_SREGS, &s)) {
		fprintf(out, "registers cannot be read\n");
		return;
	}
	fprintf(out, "rip %016llx rflags %016llx rsp %016llx\n", r.rip, r.rflags, r.rsp);
	fprintf(out, "rax %016llx rbx %016llx rcx %016llx rdx %016llx\n", r.rax, r.rbx, r.rcx,
		r.rdx);
	fprintf(out, "rsi %016llx rdi %016llx rbp %016llx\n", r.rsi, r.rdi, r.rbp);
	fprintf(out, "r8  %016llx r9  %016llx r10 %016llx r11 %016llx\n", r.r8, r.r9, r.r10,
		r.r11);
	fprintf(out, "r12 %016llx r13 %016llx r14 %016llx r15 %016llx\n", r.r12, r.r13, r.r14,
		r.r15);
	fprintf(out, "cr0 %016llx cr2 %016llx cr3 %016llx cr4 %016llx efer %016llx\n", s.cr0,
		s.cr2, s.cr3, s.cr4, s.efer);
	print_segment(out, "cs", &s.cs);
	print_segment(out, "ss", &s.ss);
	print_segment(out, "ds", &s.ds);
	print_segment(out, "tr", &s.tr);
	fprintf(out, "gdt %016llx limit %04x idt %016llx limit %04x\n", s.gdt.base,
		s.gdt.limit, s.idt.base, s.idt.limit);
	/* No guest of ours begins there: AMD leaves nothing of a triple fault, so KVM resets. */
	if (r.rip == RESET_IP && s.cs.base == RESET_CS_BASE)
		fprintf(out, "(as after a reset: this processor does not keep those of a "
			"triple fault)\n");
}
