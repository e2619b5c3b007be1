// SPDX-License-Identifier: Apache-2.0
/*
 * gicv2.c - GICv2 with a GICv2m frame (Arm IHI 0048, and the device tree's binding).
 *
 * A message is a wire that nothing else drives, and rises once for each.
 */
#include "gic.h"
#include "io.h"

#define GICD_CTLR	(GIC_DISTRIBUTOR + 0x000)
#define GICD_ISENABLER	(GIC_DISTRIBUTOR + 0x100)
#define GICD_ITARGETSR	(GIC_DISTRIBUTOR + 0x800)
#define GICD_ICFGR	(GIC_DISTRIBUTOR + 0xc00)
#define EDGE		2			/* of two bits for each */

#define GICC		UINT64_C(0x08010000)
#define GICC_CTLR	(GICC + 0x00)
#define GICC_PMR	(GICC + 0x04)
#define GICC_IAR	(GICC + 0x0c)
#define GICC_EOIR	(GICC + 0x10)

#define GICV2M_SETSPI	UINT64_C(0x08020040)
#define FIRST_MESSAGE	64

static void init(void)
{
	write32(GICC_PMR, 0xff);
	write32(GICC_CTLR, 1);
	write32(GICD_CTLR, 1);
}

static void enable_own(unsigned number)
{
	write32(GICD_ISENABLER + number / 32 * 4, 1U << number % 32);
}

static void enable_wire(unsigned number)
{
	write8(GICD_ITARGETSR + number, 1);
	enable_own(number);
}

static void enable_message(unsigned place, unsigned i, uint64_t *ret_at, uint32_t *ret_data)
{
	unsigned number = FIRST_MESSAGE + i;
	uint64_t config = GICD_ICFGR + number / 16 * 4;

	(void)place;
	write32(config, read32(config) | EDGE << number % 16 * 2);
	enable_wire(number);
	*ret_at = GICV2M_SETSPI;
	*ret_data = number;
}

static unsigned acknowledge(void)
{
	return read32(GICC_IAR) & 0x3ff;
}

static void end(unsigned number)
{
	write32(GICC_EOIR, number);
}

const struct gic gic_v2 = {
	FIRST_MESSAGE, init, enable_own, enable_wire, enable_message, acknowledge, end,
};
