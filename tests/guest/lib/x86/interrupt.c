// SPDX-License-Identifier: Apache-2.0
#include "interrupt.h"

#include "apic.h"
#include "machine.h"
#include "payload.h"

#define CODE		0x08
#define TASK		0x18
#define GATE_INTERRUPT	0x8e00
#define STUB_LEN	16

#define PIC1_DATA	0x21
#define PIC2_DATA	0xa1

#define MSR_APIC_BASE	0x1b
#define APIC_ENABLE	(1U << 11)
#define APIC_X2APIC	(1U << 10)
#define MSR_X2APIC	0x800		/* + register / 16 */
#define APIC_AT		0xfee00000
#define APIC_ID		0x20
#define APIC_EOI	0xb0
#define APIC_SPURIOUS	0xf0
#define APIC_ICR_LOW	0x300
#define APIC_ICR_HIGH	0x310
#define SOFTWARE_ENABLE	0x100

#define APIC_TIMER	0x320
#define APIC_INITIAL	0x380
#define APIC_DIVIDE	0x3e0
#define TIMER_PERIODIC	0x20000
#define DIVIDE_BY_16	0x3
#define TIMER_COUNT	200000

#define IOAPIC_AT	0xfec00000
#define IOAPIC_DATA	(IOAPIC_AT + 0x10)
#define IOAPIC_PIN	0x10		/* + 2 * pin */

struct gate {
	uint16_t low, selector, flags, middle;
	uint32_t high, reserved;
};

struct __attribute__((packed)) table_pointer {
	uint16_t limit;
	uint64_t at;
};

extern uint64_t gdt[];
extern const char interrupt_stubs[];

static struct gate gates[VECTORS];
struct table_pointer interrupt_table_pointer = { sizeof(gates) - 1, (uint64_t)gates };

#define EXCEPTION_UNDEFINED 6
#define PRIVILEGE	3		/* of a selector */

static _Alignas(16) uint8_t user_exit_stack[4096];
static uint32_t task_state[26];		/* but for that stack, all zero */
static volatile uint32_t counts[VECTORS];
static void (*handlers[VECTORS])(void);

static bool in_x2apic(void)
{
	return read_msr(MSR_APIC_BASE) & APIC_X2APIC;
}

static void write_apic(uint32_t reg, uint32_t value)
{
	if (in_x2apic())
		write_msr(MSR_X2APIC + reg / 16, value);
	else
		write32(APIC_AT + reg, value);
}

/* From start.S. */
_Noreturn void user_return(void);
void interrupt_sleep(void);
extern const char interrupt_halt[];
void interrupt_dispatch(struct interrupt_frame *frame);

void interrupt_dispatch(struct interrupt_frame *frame)
{
	if (frame->vector == EXCEPTION_UNDEFINED && frame->cs & PRIVILEGE)
		user_return();
	if (frame->vector < VECTOR_FIRST) {
		print("exception ");
		print_number(frame->vector);
		print(" at ");
		print_hex(frame->rip);
		print(", error ");
		print_hex(frame->error);
		print("\n");
		fail("no exception comes");
	}
	if (frame->rip == (uint64_t)interrupt_halt)
		frame->rip++;
	counts[frame->vector]++;
	if (handlers[frame->vector])
		handlers[frame->vector]();
	write_apic(APIC_EOI, 0);
}

static void load_task_register(void)
{
	uint64_t at = (uint64_t)task_state;

	task_state[1] = (uint32_t)(uint64_t)(user_exit_stack + sizeof(user_exit_stack));
	gdt[TASK / 8] = (sizeof(task_state) - 1) | (at & 0xffffff) << 16 |
			UINT64_C(0x89) << 40 | (at >> 24 & 0xff) << 56;
	gdt[TASK / 8 + 1] = at >> 32;
	__asm__ volatile("ltr %w0" : : "r"(TASK));
}

void interrupt_init(void)
{
	out8(PIC1_DATA, 0xff);
	out8(PIC2_DATA, 0xff);
	for (unsigned i = 0; i < VECTORS; i++) {
		uint64_t at = (uint64_t)interrupt_stubs + i * STUB_LEN;

		gates[i] = (struct gate){ (uint16_t)at, CODE, GATE_INTERRUPT,
					  (uint16_t)(at >> 16), (uint32_t)(at >> 32), 0 };
	}
	__asm__ volatile("lidt %0" : : "m"(interrupt_table_pointer));
	load_task_register();
}

void interrupt_enable_apic(void)
{
	write_apic(APIC_SPURIOUS, SOFTWARE_ENABLE | (VECTORS - 1));
}

uint32_t interrupt_apic_id(void)
{
	if (in_x2apic())
		return (uint32_t)read_msr(MSR_X2APIC + APIC_ID / 16);
	return read32(APIC_AT + APIC_ID) >> 24;
}

void interrupt_enter_x2apic(void)
{
	write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | APIC_ENABLE | APIC_X2APIC);
}

void interrupt_send(uint32_t apic_id, uint32_t command)
{
	if (in_x2apic()) {
		write_msr(MSR_X2APIC + APIC_ICR_LOW / 16, (uint64_t)apic_id << 32 | command);
		return;
	}
	write32(APIC_AT + APIC_ICR_HIGH, apic_id << 24);
	write32(APIC_AT + APIC_ICR_LOW, command);
}

void interrupt_route_pin(unsigned pin, unsigned vector)
{
	interrupt_enable_apic();
	write32(IOAPIC_AT, IOAPIC_PIN + 2 * pin + 1);
	write32(IOAPIC_DATA, interrupt_apic_id() << 24);
	write32(IOAPIC_AT, IOAPIC_PIN + 2 * pin);
	write32(IOAPIC_DATA, vector);
}

void interrupt_message(unsigned place, unsigned vector, uint64_t *ret_at, uint32_t *ret_data)
{
	(void)place;
	interrupt_enable_apic();
	*ret_at = APIC_AT | interrupt_apic_id() << 12;
	*ret_data = vector;
}

uint32_t interrupt_count(unsigned vector)
{
	return counts[vector];
}

void interrupt_on(unsigned vector, void (*handler)(void))
{
	handlers[vector] = handler;
}

/*
 * Between sti and hlt no interrupt is taken, so none is missed.  QEMU before 9.1 forgets that
 * when a guest in a guest is left there, so interrupt_dispatch() passes over the hlt.
 */
void interrupt_wait(unsigned vector, uint32_t times)
{
	while (counts[vector] < times)
		interrupt_sleep();
}

void interrupt_start_timer(void)
{
	interrupt_enable_apic();
	write_apic(APIC_DIVIDE, DIVIDE_BY_16);
	write_apic(APIC_TIMER, TIMER_PERIODIC | MACHINE_TIMER_VECTOR);
	write_apic(APIC_INITIAL, TIMER_COUNT);
}
