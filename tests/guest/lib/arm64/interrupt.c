// SPDX-License-Identifier: Apache-2.0
/*
 * interrupt.c - GICv3 with an ITS (Arm IHI 0069).
 *
 * A message is an LPI, and the event by which a function raises it has its vector's
 * number.  Sizes are those of the tables that KVM wants at least.
 */
#include "interrupt.h"

#include "machine.h"
#include "payload.h"

#define GICD		UINT64_C(0x08000000)
#define GICD_CTLR	(GICD + 0x0000)
#define GICD_IGROUPR	(GICD + 0x0080)
#define GICD_ISENABLER	(GICD + 0x0100)
#define GICD_IROUTER	(GICD + 0x6000)
#define CTLR_ENABLE	0x12			/* group 1, affinity routing */

#define GICR		UINT64_C(0x0a000000)	/* the first processor's */
#define GICR_CTLR	(GICR + 0x0000)
#define GICR_PROPBASER	(GICR + 0x0070)
#define GICR_PENDBASER	(GICR + 0x0078)
#define GICR_IGROUPR	(GICR + 0x10080)
#define GICR_ISENABLER	(GICR + 0x10100)
#define ENABLE_LPIS	1
#define LPI_BITS	14			/* of a number */

#define ITS		UINT64_C(0x08080000)
#define ITS_CTLR	(ITS + 0x0000)
#define ITS_CBASER	(ITS + 0x0080)
#define ITS_CWRITER	(ITS + 0x0088)
#define ITS_CREADR	(ITS + 0x0090)
#define ITS_DEVICES	(ITS + 0x0100)
#define ITS_COLLECTIONS	(ITS + 0x0108)
#define ITS_TRANSLATER	(ITS + 0x10040)
#define VALID		(UINT64_C(1) << 63)

#define COMMAND_SYNC	0x05
#define COMMAND_MAPD	0x08
#define COMMAND_MAPC	0x09
#define COMMAND_MAPTI	0x0a

#define PAGE		0x10000
#define EVENT_BITS	6			/* as many as vectors */
#define DEVICES_MAX	4

#define TIMER_HZ	300

#define NUMBER_SPI	32
#define NUMBER_LPI	8192
#define NUMBER_NONE	1020

struct command {
	uint64_t words[4];
};

static _Alignas(PAGE) uint8_t configuration[PAGE], pending[PAGE], devices[PAGE],
	collections[PAGE];
static _Alignas(PAGE) struct command commands[PAGE / sizeof(struct command)];
static _Alignas(256) uint8_t translations[DEVICES_MAX][8 << EVENT_BITS];
static unsigned known[DEVICES_MAX];		/* places, whose translation is there */
static unsigned nr_known, nr_commands;
static volatile uint32_t counts[VECTORS];
static void (*handlers[VECTORS])(void);

/* From start.S. */
void interrupt_dispatch(void);
_Noreturn void interrupt_exception(uint64_t syndrome, uint64_t at, uint64_t address);

void interrupt_dispatch(void)
{
	uint64_t number = read_system(S3_0_C12_C12_0);		/* ICC_IAR1_EL1 */
	uint64_t vector = number >= NUMBER_LPI ? number - NUMBER_LPI : number;

	if (number >= NUMBER_NONE && number < NUMBER_LPI)
		return;
	expect(vector < VECTORS, "no other interrupt comes");
	counts[vector]++;
	if (handlers[vector])
		handlers[vector]();
	write_system(S3_0_C12_C12_1, number);			/* ICC_EOIR1_EL1 */
}

void interrupt_exception(uint64_t syndrome, uint64_t at, uint64_t address)
{
	print("exception ");
	print_hex(syndrome);
	print(" at ");
	print_hex(at);
	print(", address ");
	print_hex(address);
	print("\n");
	fail("no exception comes");
}

void interrupt_init(void)
{
	write_system(S3_0_C12_C12_5, 7);			/* ICC_SRE_EL1 */
	write_system(S3_0_C4_C6_0, 0xff);			/* ICC_PMR_EL1 */
	write_system(S3_0_C12_C12_7, 1);			/* ICC_IGRPEN1_EL1 */
	write32(GICD_CTLR, CTLR_ENABLE);
	write32(GICR_IGROUPR, UINT32_MAX);
	write32(GICR_ISENABLER, 1U << MACHINE_TIMER_VECTOR);
}

void interrupt_route_pin(unsigned pin, unsigned vector)
{
	expect_eq(vector, NUMBER_SPI + pin, "a wire has a number of its own");
	write32(GICD_IGROUPR + vector / 32 * 4, UINT32_MAX);
	write64(GICD_IROUTER + vector * 8, 0);
	write32(GICD_ISENABLER + vector / 32 * 4, 1U << vector % 32);
}

/* Done with when it returns. */
static void command(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t after = (nr_commands + 1) * sizeof(struct command);

	commands[nr_commands++] = (struct command){ { a, b, c } };
	ordered();
	write64(ITS_CWRITER, after);
	while (read64(ITS_CREADR) != after)
		relax();
}

static void enable_messages(void)
{
	write64(GICR_PROPBASER, (uint64_t)configuration | (LPI_BITS - 1));
	write64(GICR_PENDBASER, (uint64_t)pending);
	write32(GICR_CTLR, ENABLE_LPIS);
	write64(ITS_DEVICES, VALID | (uint64_t)devices);
	write64(ITS_COLLECTIONS, VALID | (uint64_t)collections);
	write64(ITS_CBASER, VALID | (uint64_t)commands | (sizeof(commands) / 4096 - 1));
	write32(ITS_CTLR, 1);
	command(COMMAND_MAPC, 0, VALID);
}

static void know(unsigned place)
{
	for (unsigned i = 0; i < nr_known; i++)
		if (known[i] == place)
			return;
	if (!nr_known)
		enable_messages();
	expect(nr_known < DEVICES_MAX, "there are few devices");
	known[nr_known] = place;
	command(COMMAND_MAPD | (uint64_t)place << (3 + 32), EVENT_BITS - 1,
		VALID | (uint64_t)translations[nr_known++]);
}

void interrupt_message(unsigned place, unsigned vector, uint64_t *ret_at, uint32_t *ret_data)
{
	configuration[vector] = 1;		/* enabled */
	know(place);
	command(COMMAND_MAPTI | (uint64_t)place << (3 + 32),
		vector | (uint64_t)(NUMBER_LPI + vector) << 32, 0);
	command(COMMAND_SYNC, 0, 0);
	*ret_at = ITS_TRANSLATER;
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

/* What is masked wakes from wfi all the same, so none is missed. */
void interrupt_wait(unsigned vector, uint32_t times)
{
	while (counts[vector] < times)
		__asm__ volatile("wfi; msr daifclr, #2; isb; msr daifset, #2" : : : "memory");
}

/* Counted from now: who was late does not have to catch up. */
static void await_tick(void)
{
	write_system(cntv_tval_el0, read_system(cntfrq_el0) / TIMER_HZ);
}

void interrupt_start_timer(void)
{
	interrupt_on(MACHINE_TIMER_VECTOR, await_tick);
	await_tick();
	write_system(cntv_ctl_el0, 1);
}
