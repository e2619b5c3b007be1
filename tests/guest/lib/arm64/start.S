/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.S - how a payload is entered, and its exceptions.
 *
 * All memory is mapped to itself by blocks of 1 GiB: RAM, which is the second of them,
 * as such, all others as devices.
 */
#define MAIR		0xff04		/* 0: device, 1: memory */
#define TCR		0x200803519	/* 39 bits, 4 KiB pages, TTBR0 only, 40 bits out */
#define SCTLR		0x1005		/* MMU and caches, besides what is there */
#define DEVICE		0x60000000000401
#define MEMORY		0x705

	.section .head, "ax"
	.globl	image
image:
	b	start
	.long	0
	.quad	0			/* text_offset */
	.quad	image_end - image
	.quad	0xa
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

start:
	mov	x19, x0
	bl	map
	ldr	x1, =stack_end
	mov	sp, x1
	mov	x0, x19
	bl	payload_start

/* PSCI starts others here, with what smp.c says in x0. */
	.globl	smp_entry
smp_entry:
	mov	x19, x0
	bl	map
	ldr	x1, [x19]
	mov	sp, x1
	mov	x0, x19
	bl	smp_other_start

map:
	ldr	x1, =MAIR
	msr	mair_el1, x1
	ldr	x1, =TCR
	msr	tcr_el1, x1
	ldr	x1, =page_map
	msr	ttbr0_el1, x1
	ldr	x1, =vectors
	msr	vbar_el1, x1
	isb
	tlbi	vmalle1
	dsb	nsh
	mrs	x1, sctlr_el1
	ldr	x2, =SCTLR
	orr	x1, x1, x2
	msr	sctlr_el1, x1
	isb
	ret

	.text
	.balign	2048
vectors:
	.set	entry, 0
	.rept	16
	.balign	128
	.if	entry == 5		/* an interrupt of this exception level */
	b	interrupted
	.else
	mrs	x0, esr_el1
	mrs	x1, elr_el1
	mrs	x2, far_el1
	b	interrupt_exception
	.endif
	.set	entry, entry + 1
	.endr

interrupted:
	stp	x0, x1, [sp, #-192]!
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x29, [sp, #144]
	mrs	x0, elr_el1
	mrs	x1, spsr_el1
	stp	x30, x0, [sp, #160]
	str	x1, [sp, #176]
	bl	interrupt_dispatch
	ldr	x1, [sp, #176]
	ldp	x30, x0, [sp, #160]
	msr	spsr_el1, x1
	msr	elr_el1, x0
	ldp	x18, x29, [sp, #144]
	ldp	x16, x17, [sp, #128]
	ldp	x14, x15, [sp, #112]
	ldp	x12, x13, [sp, #96]
	ldp	x10, x11, [sp, #80]
	ldp	x8, x9, [sp, #64]
	ldp	x6, x7, [sp, #48]
	ldp	x4, x5, [sp, #32]
	ldp	x2, x3, [sp, #16]
	ldp	x0, x1, [sp], #192
	eret

	.data
	.balign	4096
page_map:
	.set	at, 0
	.rept	512
	.if	at == 0x40000000
	.quad	at + MEMORY
	.else
	.quad	at + DEVICE
	.endif
	.set	at, at + 0x40000000
	.endr

	.bss
	.balign	16
	.skip	16384
stack_end:

	.section .note.GNU-stack, "", %progbits
