/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc_regs.h - ports and registers of the MC146818 clock.
 *
 * Names and numbers of the MC146818A data sheet, "Register Description"; the
 * century byte is not of the chip but of the PC, and the FADT names its index.
 */
#ifndef DEVICES_RTC_REGS_H
#define DEVICES_RTC_REGS_H

/* Ports. */
#define RTC_PORT_INDEX		0	/* write-only; bit 7 masks NMI on old PCs */
#define RTC_PORT_DATA		1
#define RTC_PORTS		2

#define RTC_INDEX_MASK		0x7f
#define RTC_BYTES		128

/* Time and alarm. */
#define RTC_SECONDS		0x00
#define RTC_SECONDS_ALARM	0x01
#define RTC_MINUTES		0x02
#define RTC_MINUTES_ALARM	0x03
#define RTC_HOURS		0x04
#define RTC_HOURS_ALARM		0x05
#define RTC_WEEKDAY		0x06	/* Sunday is 1 */
#define RTC_DAY			0x07
#define RTC_MONTH		0x08
#define RTC_YEAR		0x09	/* last two digits */

#define RTC_HOURS_PM		0x80	/* in 12-hour mode */
#define RTC_ALARM_ANY		0xc0	/* both bits: matches every value */

/* Control. */
#define RTC_A			0x0a
#define RTC_A_UIP		0x80	/* update in progress; read-only */
#define RTC_A_RATE		0x0f	/* of the periodic interrupt */

#define RTC_B			0x0b
#define RTC_B_SET		0x80	/* hold the time still */
#define RTC_B_PIE		0x40
#define RTC_B_AIE		0x20
#define RTC_B_UIE		0x10
#define RTC_B_BINARY		0x04	/* else BCD */
#define RTC_B_24H		0x02

#define RTC_C			0x0c	/* flags, cleared by reading */
#define RTC_C_IRQF		0x80
#define RTC_C_PF		0x40
#define RTC_C_AF		0x20
#define RTC_C_UF		0x10

#define RTC_D			0x0d
#define RTC_D_VRT		0x80	/* the battery is good */

#endif
