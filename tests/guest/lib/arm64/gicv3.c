// SPDX-License-Identifier: Apache-2.0
/*
 * gicv3.c - GICv3 with an ITS (Arm IHI 0069).
 *
 * A message is an LPI, and the event by which a function raises it has its vector's
 * number.  Sizes are those of the tables that KVM wants at least.
 */
#include "gic.h"
#include "machine.h"
#include "payload.h"

#define GICD_CTLR	(GIC_DISTRIBUTOR + 0x0000)
#define GICD_IGROUPR	(GIC_DISTRIBUTOR + 0x0080)
#define GICD_ISENABLER	(GIC_DISTRIBUTOR + 0x0100)
#define GICD_IROUTER	(GIC_DISTRIBUTOR + 0x6000)
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
#define DEVICES_MAX	16

#define NUMBER_LPI	8192

struct command {
	uint64_t words[4];
};

static _Alignas(PAGE) uint8_t configuration[PAGE], pending[PAGE], devices[PAGE],
	collections[PAGE];
static _Alignas(PAGE) struct command commands[PAGE / sizeof(struct command)];
static _Alignas(256) uint8_t translations[DEVICES_MAX][8 << EVENT_BITS];
static unsigned known[DEVICES_MAX];		/* places, whose translation is there */
static unsigned nr_known, nr_commands;

static void init(void)
{
	write_system(S3_0_C12_C12_5, 7);			/* ICC_SRE_EL1 */
	write_system(S3_0_C4_C6_0, 0xff);			/* ICC_PMR_EL1 */
	write_system(S3_0_C12_C12_7, 1);			/* ICC_IGRPEN1_EL1 */
	write32(GICD_CTLR, CTLR_ENABLE);
	write32(GICR_IGROUPR, UINT32_MAX);
}

static void enable_own(unsigned number)
{
	write32(GICR_ISENABLER, 1U << number);
}

static void enable_wire(unsigned number)
{
	write32(GICD_IGROUPR + number / 32 * 4, UINT32_MAX);
	write64(GICD_IROUTER + number * 8, 0);
	write32(GICD_ISENABLER + number / 32 * 4, 1U << number % 32);
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

static void enable_message(unsigned place, unsigned i, uint64_t *ret_at, uint32_t *ret_data)
{
	configuration[i] = 1;			/* enabled */
	know(place);
	command(COMMAND_MAPTI | (uint64_t)place << (3 + 32),
		i | (uint64_t)(NUMBER_LPI + i) << 32, 0);
	command(COMMAND_SYNC, 0, 0);
	*ret_at = ITS_TRANSLATER;
	*ret_data = i;
}

static unsigned acknowledge(void)
{
	return (unsigned)read_system(S3_0_C12_C12_0);		/* ICC_IAR1_EL1 */
}

static void end(unsigned number)
{
	write_system(S3_0_C12_C12_1, number);			/* ICC_EOIR1_EL1 */
}

const struct gic gic_v3 = {
	NUMBER_LPI, init, enable_own, enable_wire, enable_message, acknowledge, end,
};
