/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - what every payload has: a beginning, a voice and an end.
 *
 * A payload is one file with one function, payload(), which proves one property
 * of the machine and returns.  The guest then prints PASS and switches itself
 * off.  What does not hold prints FAIL and the reason instead.
 *
 * There are hosts whose KVM interprets privileged guest code, a million
 * instructions a second.  So a payload stays below some 100,000 of them, moves
 * memory by memset() and memcpy(), and does without what such a host does not
 * know: SSE, popcnt, cmpxchg16b, int n, rdtscp, 1 GiB pages.
 */
#ifndef TESTS_GUEST_LIB_PAYLOAD_H
#define TESTS_GUEST_LIB_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GiB		(UINT64_C(1) << 30)
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

enum boot_protocol {
	FROM_PVH,
	FROM_LINUX64,
	FROM_DEVICE_TREE,
};

#define RANGE_RAM	1
#define RANGES_MAX	32

struct memory_range {
	uint64_t at, len;
	uint32_t type;
};

/* What the monitor told the payload, by whichever protocol. */
struct boot_info {
	enum boot_protocol protocol;
	uint64_t arg;			/* address of the start info, zero page or tree */
	const char *cmdline;

	/* Not from a device tree, which devicetree.h looks into. */
	uint64_t rsdp;
	unsigned nr_ranges;
	struct memory_range ranges[RANGES_MAX];
};

extern struct boot_info boot;

void payload(void);

void print(const char *text);
void print_number(uint64_t value);
void print_hex(uint64_t value);

/* What was typed at the console: false while nothing is; and waited for. */
bool take_byte(uint8_t *ret_byte);
uint8_t await_byte(void);

_Noreturn void poweroff(void);
_Noreturn void fail(const char *what);

/* What has to be so, as a statement. */
void expect(bool holds, const char *what);
void expect_eq(uint64_t got, uint64_t want, const char *what);

bool same_text(const char *a, const char *b);

/* The number after key= on the command line; fails when there is none. */
uint64_t cmdline_number(const char *key);

/*
 * Call a function, on x86 in user mode, which such a host runs at full speed.  It reaches all
 * memory and devices' registers there, but no ports.  One processor at a time.
 */
void user_call(void (*function)(void));

void *memset(void *to, int byte, size_t len);
void *memcpy(void *to, const void *from, size_t len);
int memcmp(const void *a, const void *b, size_t len);

#endif
