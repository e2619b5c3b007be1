/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.S - from each way a payload can be entered to C in long mode.
 *
 * The page tables are data, not code: an identity map by 2 MiB pages of the
 * first 8 GiB, open to user mode too.  Some hosts interpret privileged guest code
 * instruction by instruction, and there a loop over 4096 entries would be felt.
 */
#define CODE		0x08
#define DATA		0x10
#define USER_DATA	0x2b
#define USER_CODE	0x33
#define LOW_GIB		8

#define CR0_PE		0x00000001
#define CR0_PG		0x80000000
#define CR4_PAE		0x20
#define MSR_EFER	0xc0000080
#define EFER_LME	0x100

#define FROM_PVH	0
#define FROM_LINUX64	1

#define STUBS		64	/* as in interrupt.h */

	.section .note.pvh, "a", @note
	.long	4, 4, 18
	.asciz	"Xen"
	.long	pvh_start

/* 32-bit protected mode, paging off, the start info in ebx. */
	.section .head, "ax"
	.code32
	.globl	pvh_start
pvh_start:
	movl	$FROM_PVH, %edi
	movl	%ebx, %esi
	movl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$page_map, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	movl	$EFER_LME, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$(CR0_PG | CR0_PE), %eax
	movl	%eax, %cr0
	lgdt	gdt_pointer
	ljmpl	$CODE, $first_start

/* Long mode on the monitor's own tables, the zero page in rsi. */
	.org	0x200
	.code64
	movl	$FROM_LINUX64, %edi
	movl	$page_map, %eax
	movq	%rax, %cr3
	lgdt	gdt_pointer
	movl	$stack_end, %esp
	pushq	$CODE
	pushq	$first_start
	lretq

first_start:
	movl	$DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$stack_end, %esp
	call	payload_start
	ud2

/*
 * Where a STARTUP IPI sends the other processors: real mode, at a page that
 * smp.c copies this to.
 */
	.section .rodata
	.code16
	.globl	smp_trampoline, smp_trampoline_end
smp_trampoline:
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	trampoline_gdt - smp_trampoline
	movl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$page_map, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	movl	$EFER_LME, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$(CR0_PG | CR0_PE), %eax
	movl	%eax, %cr0
	ljmpl	$CODE, $other_start
	.balign	4
trampoline_gdt:
	.word	gdt_end - gdt - 1
	.long	gdt
smp_trampoline_end:

	.text
	.code64
other_start:
	movl	$DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	/* One after the other they take a stack, the end of which is named. */
	movl	$4096, %eax
	lock xaddq %rax, smp_stack
	movq	%rax, %rsp
	lidt	interrupt_table_pointer
	call	smp_other_start
	ud2

/*
 * One stub of 16 bytes for each vector; after it the stack is a struct
 * interrupt_frame.
 */
	.globl	interrupt_stubs
	.balign	16
interrupt_stubs:
	.set	vector, 0
	.rept	STUBS
	.balign	16
	/* Those for which the processor pushes an error code itself. */
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || \
		  vector == 21 || vector == 29 || vector == 30)
	pushq	$0
	.endif
	pushq	$vector
	jmp	interrupted
	.set	vector, vector + 1
	.endr

interrupted:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	movq	%rsp, %rdi
	call	interrupt_dispatch
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

/* What interrupt_wait() sleeps in, and the instruction that no interrupt returns to. */
	.globl	interrupt_sleep, interrupt_halt
interrupt_sleep:
	sti
interrupt_halt:
	hlt
	cli
	ret

/*
 * user_call(function): as it is declared.  What it has to find again lies on the
 * stack of the caller, which is where the processor takes up when user mode ends.
 */
	.globl	user_call, user_return
user_call:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, user_caller
	pushq	$USER_DATA
	pushq	$user_stack_end
	pushfq
	pushq	$USER_CODE
	pushq	$user_start
	iretq
user_start:
	call	*%rdi
	ud2
user_return:
	movl	$DATA, %eax
	movl	%eax, %ss
	movq	user_caller, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	.data
	.balign	4096
page_map:
	.quad	page_directories + 7
	.fill	511, 8, 0
page_directories:
	.set	i, 0
	.rept	LOW_GIB
	.quad	pages + i * 4096 + 7
	.set	i, i + 1
	.endr
	.fill	512 - LOW_GIB, 8, 0
pages:
	.set	i, 0
	.rept	LOW_GIB * 512
	.quad	i * 0x200000 + 0x87
	.set	i, i + 1
	.endr

	.globl	gdt
	.balign	8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* CODE: 64 bits */
	.quad	0x00cf93000000ffff	/* DATA */
	.quad	0, 0			/* task state, by interrupt.c */
	.quad	0x00cff3000000ffff	/* USER_DATA */
	.quad	0x00affb000000ffff	/* USER_CODE: 64 bits */
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt

	.bss
	.balign	16
	.skip	16384
stack_end:
	.skip	16384
user_stack_end:
user_caller:
	.skip	8

	.section .note.GNU-stack, "", @progbits
