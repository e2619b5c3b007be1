// SPDX-License-Identifier: Apache-2.0
/*
 * nested.c - a guest that has a guest of its own, by AMD-V, and notices when that one, or the
 * rules for it, are not as they were.  The inner guest counts in a register and in memory, and
 * calls at the end of its turn, which makes up nearly all of the time.  For each byte that the
 * outer one receives it tells how many turns that were; at 'q' it switches off.  Not a test by
 * itself: snapshots and migration are tested with it.
 */
#include "machine.h"
#include "payload.h"

#define FEATURES_EXT	0x80000001
#define SVM		(1U << 2)	/* ecx */

#define MSR_PAT		0x277
#define MSR_EFER	0xc0000080
#define EFER_SVME	(1U << 12)
#define MSR_VM_HSAVE_PA	0xc0010117

/* AMD64 Architecture Programmer's Manual, volume 2, appendix B. */
#define INTERCEPT_SHUTDOWN (1U << 31)
#define INTERCEPT_VMRUN	(1U << 0)	/* of the second word */
#define INTERCEPT_VMMCALL (1U << 1)
#define EXIT_VMMCALL	0x81
#define VMMCALL_LEN	3
#define CODE_ATTRIB	0xa9b
#define DATA_ATTRIB	0xc93

#define TURN		4000000		/* counts of the inner guest: a pause finds it, not us */
#define ASID		7		/* of no meaning: any but 0 */
#define TSC_OFFSET	UINT64_C(0x123456789abc)
#define PATTERN		UINT64_C(0x9e3779b97f4a7c15)
#define RFLAGS_ID	0x200002	/* and what is always set */

struct vmcb_segment {
	uint16_t selector, attrib;
	uint32_t limit;
	uint64_t base;
};

static struct vmcb {
	uint32_t intercept_cr, intercept_dr, intercept_exceptions, intercept[2];
	uint8_t reserved_014[0x50 - 0x14];
	uint64_t tsc_offset;
	uint32_t asid, tlb_control;
	uint64_t int_ctl, int_state;
	uint64_t exit_code, exit_info_1, exit_info_2, exit_int_info;
	uint8_t reserved_090[0x400 - 0x90];
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved_4a0[0x4d0 - 0x4a0];
	uint64_t efer;
	uint8_t reserved_4d8[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t reserved_580[0x5d8 - 0x580];
	uint64_t rsp;
	uint8_t reserved_5e0[0x5f8 - 0x5e0];
	uint64_t rax;
	uint8_t reserved_600[0x668 - 0x600];
	uint64_t pat;
	uint8_t reserved_670[0x1000 - 0x670];
} vmcb __attribute__((aligned(4096))), wanted;

_Static_assert(offsetof(struct vmcb, exit_code) == 0x70 && offsetof(struct vmcb, rip) == 0x578 &&
	       sizeof(struct vmcb) == 4096, "as the manual has it");

static uint8_t host_save[4096] __attribute__((aligned(4096)));
static volatile uint64_t inner_count;

/* The inner guest, which lives in registers. */
__asm__(
	".text\n"
	"inner:\n"
	"	mov	%rsi, %rcx\n"
	"1:	inc	%rbx\n"
	"	mov	%rbx, inner_count\n"
	"	dec	%rcx\n"
	"	jnz	1b\n"
	"	rdtsc\n"
	"inner_calls:\n"
	"	vmmcall\n"
	"	jmp	inner\n");
extern const char inner[], inner_calls[];

static struct vmcb_segment segment(uint16_t selector, uint16_t attrib)
{
	return (struct vmcb_segment){ selector, attrib, UINT32_MAX, 0 };
}

static void set_up(void)
{
	uint16_t code = (uint16_t)get_register("cs");

	write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SVME);
	write_msr(MSR_VM_HSAVE_PA, (uint64_t)host_save);
	vmcb.intercept[0] = INTERCEPT_SHUTDOWN;
	vmcb.intercept[1] = INTERCEPT_VMRUN | INTERCEPT_VMMCALL;
	vmcb.tsc_offset = TSC_OFFSET;
	vmcb.asid = ASID;
	vmcb.cs = segment(code, CODE_ATTRIB);
	vmcb.es = vmcb.ss = vmcb.ds = segment((uint16_t)get_register("ds"), DATA_ATTRIB);
	vmcb.efer = read_msr(MSR_EFER);
	vmcb.cr0 = get_register("cr0");
	vmcb.cr3 = get_register("cr3");
	vmcb.cr4 = get_register("cr4");
	vmcb.dr6 = 0xffff0ff0;
	vmcb.dr7 = 0x400;
	vmcb.rflags = RFLAGS_ID;
	vmcb.rip = (uint64_t)inner;
	vmcb.rsp = PATTERN >> 1;
	vmcb.pat = read_msr(MSR_PAT);
	wanted = vmcb;
}

/* One turn. */
static void run_inner(void)
{
	static uint64_t count;
	uint64_t turn = TURN, kept = PATTERN, before = count, begin = machine_ticks(), high, now;

	__asm__ volatile("vmrun; stgi"
			 : "+b"(count), "+S"(turn), "+D"(kept), "=d"(high) : "a"(&vmcb)
			 : "rcx", "memory", "cc");
	now = (high << 32 | vmcb.rax) - TSC_OFFSET;
	expect(begin <= now && now <= machine_ticks(), "the inner guest's TSC has its offset");
	expect_eq(vmcb.exit_code, EXIT_VMMCALL, "the inner guest calls");
	expect_eq(vmcb.rip, (uint64_t)inner_calls, "the inner guest is where it calls");
	expect_eq(count, before + TURN, "the inner guest counts on");
	expect_eq(inner_count, count, "the inner guest's memory is of its registers");
	expect_eq(turn, TURN, "RSI is as it was");
	expect_eq(kept, PATTERN, "RDI is as it was");
	vmcb.rip += VMMCALL_LEN;
}

/* Of what each exit writes there. */
static void check(void)
{
	expect(!memcmp(&vmcb.es, &wanted.es, 4 * sizeof(vmcb.es)), "segments are as they were");
	expect_eq(vmcb.efer, wanted.efer, "EFER is as it was");
	expect_eq(vmcb.cr0, wanted.cr0, "CR0 is as it was");
	expect_eq(vmcb.cr3, wanted.cr3, "CR3 is as it was");
	expect_eq(vmcb.cr4, wanted.cr4, "CR4 is as it was");
	expect_eq(vmcb.rflags & RFLAGS_ID, RFLAGS_ID, "RFLAGS are as they were");
	expect_eq(vmcb.rsp, wanted.rsp, "RSP is as it was");
	expect_eq(read_msr(MSR_VM_HSAVE_PA), (uint64_t)host_save, "VM_HSAVE_PA is as it was");
}

void payload(void)
{
	uint64_t rounds = 0;
	uint8_t byte = 0;

	expect(cpuid(FEATURES_EXT, 0).ecx & SVM, "the processor has AMD-V");
	set_up();
	print("READY\n");
	while (byte != 'q') {
		run_inner();
		check();
		rounds++;
		if (take_byte(&byte) && byte != 'q') {
			print("round ");
			print_number(rounds);
			print("\n");
		}
	}
}
