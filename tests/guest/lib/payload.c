// SPDX-License-Identifier: Apache-2.0
#include "payload.h"

#include "machine.h"

#define UART_DATA	0
#define UART_STATUS	5
#define UART_READY	1

struct boot_info boot;

int memcmp(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;

	for (size_t i = 0; i < len; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

void print(const char *text)
{
	for (; *text; text++)
		machine_print(*text);
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

bool take_byte(uint8_t *ret_byte)
{
	if (!(uart_read(UART_STATUS) & UART_READY))
		return false;
	*ret_byte = uart_read(UART_DATA);
	return true;
}

uint8_t await_byte(void)
{
	uint8_t byte;

	while (!take_byte(&byte))
		relax();
	return byte;
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
