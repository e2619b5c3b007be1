// SPDX-License-Identifier: Apache-2.0
/*
 * identity.c - what the guest reads of its processor, for comparison with what vmm info
 * tells meanwhile, while the processor waits for an interrupt.
 */
#include "interrupt.h"
#include "machine.h"
#include "payload.h"

#define DATA		0
#define ENABLE		1
#define RECEIVED	1
#define MODEM		4
#define OUT2		8

static void handle(void)
{
	uart_read(DATA);
}

static void tell(const char *name, uint64_t value)
{
	print(name);
	print(" ");
	print_hex(value);
	print("\n");
}

void payload(void)
{
	tell("MIDR_EL1", read_system(midr_el1));
	tell("ID_AA64PFR0_EL1", read_system(id_aa64pfr0_el1));
	tell("ID_AA64PFR1_EL1", read_system(id_aa64pfr1_el1));
	tell("ID_AA64ZFR0_EL1", read_system(S3_0_C0_C4_4));
	tell("ID_AA64DFR0_EL1", read_system(id_aa64dfr0_el1));
	tell("ID_AA64ISAR0_EL1", read_system(id_aa64isar0_el1));
	tell("ID_AA64ISAR1_EL1", read_system(id_aa64isar1_el1));
	tell("ID_AA64ISAR2_EL1", read_system(S3_0_C0_C6_2));
	tell("ID_AA64MMFR0_EL1", read_system(id_aa64mmfr0_el1));
	tell("ID_AA64MMFR1_EL1", read_system(id_aa64mmfr1_el1));
	tell("ID_AA64MMFR2_EL1", read_system(S3_0_C0_C7_2));

	interrupt_on(MACHINE_UART_VECTOR, handle);
	interrupt_route_pin(MACHINE_UART_PIN, MACHINE_UART_VECTOR);
	uart_write(MODEM, OUT2);
	uart_write(ENABLE, RECEIVED);
	print("READY\n");
	interrupt_wait(MACHINE_UART_VECTOR, 1);
}
