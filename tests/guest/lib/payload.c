// SPDX-License-Identifier: Apache-2.0
#include "payload.h"

#include "interrupt.h"
#include "io.h"

#define COM1		0x3f8
#define COM1_LSR	(COM1 + 5)
#define LSR_THRE	0x20

#define POWER_SLEEP	0x600
#define SLEEP_S5	(5 << 2 | 1 << 5)

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

struct boot_info boot;

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

int memcmp(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;

	for (size_t i = 0; i < len; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

static void print_byte(char byte)
{
	while (!(in8(COM1_LSR) & LSR_THRE))
		relax();
	out8(COM1, (uint8_t)byte);
}

void print(const char *text)
{
	for (; *text; text++)
		print_byte(*text);
}

static void print_base(uint64_t value, unsigned base)
{
	char digits[21];
	char *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do {
		*--at = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	print(at);
}

void print_number(uint64_t value)
{
	print_base(value, 10);
}

void print_hex(uint64_t value)
{
	print("0x");
	print_base(value, 16);
}

void poweroff(void)
{
	out8(POWER_SLEEP, SLEEP_S5);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void fail(const char *what)
{
	print("FAIL: ");
	print(what);
	print("\n");
	poweroff();
}

void expect(bool holds, const char *what)
{
	if (!holds)
		fail(what);
}

void expect_eq(uint64_t got, uint64_t want, const char *what)
{
	if (got == want)
		return;
	print("got ");
	print_hex(got);
	print(", want ");
	print_hex(want);
	print("\n");
	fail(what);
}

bool same_text(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* What follows key= where text begins with it, or NULL. */
static const char *value_of(const char *text, const char *key)
{
	while (*key && *text == *key)
		text++, key++;
	return !*key && *text == '=' ? text + 1 : NULL;
}

uint64_t cmdline_number(const char *key)
{
	uint64_t number = 0;

	for (const char *at = boot.cmdline; *at; at++) {
		const char *value = value_of(at, key);

		if (!value)
			continue;
		for (; *value >= '0' && *value <= '9'; value++)
			number = number * 10 + (uint64_t)(*value - '0');
		return number;
	}
	fail("a number is missing on the command line");
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
