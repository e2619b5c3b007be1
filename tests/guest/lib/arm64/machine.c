// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include "interrupt.h"
#include "payload.h"

#define UART_LSR	5
#define LSR_THRE	0x20

/* The flattened device tree: a header, and tokens of 4 bytes. */
#define TREE_MAGIC	0xd00dfeed
#define TREE_STRUCT	8
#define TREE_STRINGS	12
#define TOKEN_BEGIN	1
#define TOKEN_PROPERTY	3
#define TOKEN_FINISH	9

void *memset(void *to, int byte, size_t len)
{
	for (volatile uint8_t *at = to; len; len--)
		*at++ = (uint8_t)byte;
	return to;
}

void *memcpy(void *to, const void *from, size_t len)
{
	const uint8_t *source = from;

	for (volatile uint8_t *at = to; len; len--)
		*at++ = *source++;
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
	hypercall(PSCI_SYSTEM_OFF, 0, 0, 0);
	for (;;)
		machine_sleep();
}

/* Nothing is faster there. */
void user_call(void (*function)(void))
{
	function();
}

void machine_reset(unsigned way)
{
	hypercall(way ? PSCI_SYSTEM_RESET2 : PSCI_SYSTEM_RESET, 0, 0, 0);
	fail("a reset does not return");
}

static uint32_t big32(uint64_t at)
{
	return __builtin_bswap32(read32(at));
}

static uint64_t text_end(uint64_t at)
{
	while (read8(at))
		at++;
	return at + 1;
}

const void *machine_property(const char *name, uint32_t *ret_len)
{
	uint64_t at = boot.arg + big32(boot.arg + TREE_STRUCT);
	uint64_t strings = boot.arg + big32(boot.arg + TREE_STRINGS);

	for (;;) {
		uint32_t token = big32(at);

		at += 4;
		if (token == TOKEN_FINISH)
			return NULL;
		if (token == TOKEN_BEGIN)
			at = (text_end(at) + 3) & ~UINT64_C(3);
		if (token != TOKEN_PROPERTY)
			continue;
		*ret_len = big32(at);
		if (same_text((const char *)(strings + big32(at + 4)), name))
			return (const void *)(at + 8);
		at = (at + 8 + *ret_len + 3) & ~UINT64_C(3);
	}
}

uint64_t machine_number(const char *name)
{
	uint32_t len;
	uint64_t at = (uint64_t)machine_property(name, &len);

	expect(at, name);
	return len == 4 ? big32(at) : (uint64_t)big32(at) << 32 | big32(at + 4);
}

/* From start.S. */
_Noreturn void payload_start(uint64_t tree);

void payload_start(uint64_t tree)
{
	uint32_t len;

	boot.protocol = FROM_DEVICE_TREE;
	boot.arg = tree;
	expect_eq(big32(tree), TREE_MAGIC, "x0 points to a device tree");
	boot.cmdline = machine_property("bootargs", &len);
	expect(boot.cmdline, "the device tree has a command line");
	interrupt_init();
	payload();
	print("PASS\n");
	poweroff();
}
