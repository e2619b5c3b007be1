// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include "interrupt.h"
#include "payload.h"

#define UART_LSR	5
#define LSR_THRE	0x20

#define POWER_SLEEP	0x600
#define SLEEP_S5	(5 << 2 | 1 << 5)

#define RESET		0x602
#define RESET_VALUE	1
#define I8042_COMMAND	0x64
#define I8042_RESET	0xfe

/* struct hvm_start_info and its memory map. */
#define PVH_MAGIC	0x336ec578
#define PVH_CMDLINE	24
#define PVH_RSDP	32
#define PVH_MAP		40
#define PVH_NR_RANGES	48
#define PVH_RANGE_LEN	24

/* Linux's zero page. */
#define ZERO_RSDP	0x070
#define ZERO_NR_RANGES	0x1e8
#define ZERO_CMDLINE	0x228
#define ZERO_MAP	0x2d0
#define ZERO_RANGE_LEN	20

/* Eight bytes a turn: where they are interpreted, each turn counts. */
void *memset(void *to, int byte, size_t len)
{
	void *at = to;
	size_t words = len / 8, rest = len % 8;

	__asm__ volatile("rep stosq" : "+D"(at), "+c"(words)
			 : "a"((uint8_t)byte * UINT64_C(0x0101010101010101)) : "memory");
	for (uint8_t *tail = at; rest; rest--)
		*(volatile uint8_t *)tail++ = (uint8_t)byte;
	return to;
}

void *memcpy(void *to, const void *from, size_t len)
{
	void *at = to;
	size_t words = len / 8, rest = len % 8;
	const uint8_t *tail_from;

	__asm__ volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
	tail_from = from;
	for (uint8_t *tail = at; rest; rest--)
		*(volatile uint8_t *)tail++ = *tail_from++;
	return to;
}

void machine_print(char byte)
{
	while (!(uart_read(UART_LSR) & LSR_THRE))
		relax();
	uart_write(0, (uint8_t)byte);
}

void poweroff(void)
{
	out8(POWER_SLEEP, SLEEP_S5);
	for (;;)
		machine_sleep();
}

void machine_reset(unsigned way)
{
	if (way)
		out8(I8042_COMMAND, I8042_RESET);
	else
		out8(RESET, RESET_VALUE);
	for (;;)
		machine_sleep();
}

static void read_map(uint64_t at, unsigned nr, unsigned entry_len)
{
	expect(nr <= RANGES_MAX, "the memory map has a sensible length");
	for (unsigned i = 0; i < nr; i++, at += entry_len)
		boot.ranges[i] = (struct memory_range){ read64(at), read64(at + 8),
							read32(at + 16) };
	boot.nr_ranges = nr;
}

static void read_boot_info(enum boot_protocol protocol, uint64_t arg)
{
	boot.protocol = protocol;
	boot.arg = arg;
	if (protocol == FROM_PVH) {
		expect_eq(read32(arg), PVH_MAGIC, "ebx points to a start info");
		boot.cmdline = (const char *)read64(arg + PVH_CMDLINE);
		boot.rsdp = read64(arg + PVH_RSDP);
		read_map(read64(arg + PVH_MAP), read32(arg + PVH_NR_RANGES), PVH_RANGE_LEN);
	} else {
		boot.cmdline = (const char *)(uint64_t)read32(arg + ZERO_CMDLINE);
		boot.rsdp = read64(arg + ZERO_RSDP);
		read_map(arg + ZERO_MAP, read8(arg + ZERO_NR_RANGES), ZERO_RANGE_LEN);
	}
}

/* From start.S. */
_Noreturn void payload_start(enum boot_protocol protocol, uint64_t arg);

void payload_start(enum boot_protocol protocol, uint64_t arg)
{
	interrupt_init();
	read_boot_info(protocol, arg);
	payload();
	print("PASS\n");
	poweroff();
}
