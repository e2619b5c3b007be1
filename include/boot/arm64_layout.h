/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_layout.h - where everything lies in the arm64 machine.
 *
 * The one place for addresses and interrupt numbers: the board builds the machine
 * by it, the device tree describes the machine by it, and the two can therefore
 * not disagree.
 */
#ifndef BOOT_ARM64_LAYOUT_H
#define BOOT_ARM64_LAYOUT_H

#include "base/bits.h"

/*
 * Guest-physical memory.
 *
 *	0x0800_0000  interrupt controller
 *	0x0900_0000  devices, a page each
 *	0x0a00_0000  GICv3 redistributors, 128 KiB a vCPU
 *	0x1000_0000  PCI memory window, 32-bit
 *	0x3e00_0000  PCIe ECAM, 1 MiB a bus
 *	0x4000_0000  RAM
 *	above RAM    PCI memory window, 64-bit
 */
#define ARM64_ADDRESS_BITS	40	/* what KVM takes for granted; unless the host has fewer */
#define ARM64_GICD_AT		UINT64_C(0x08000000)
#define ARM64_GICD_LEN		(64 * KiB)
#define ARM64_GICC_AT		UINT64_C(0x08010000)	/* GICv2 only */
#define ARM64_GICC_LEN		(8 * KiB)
#define ARM64_GICV2M_AT		UINT64_C(0x08020000)	/* GICv2 only */
#define ARM64_GICV2M_LEN	(4 * KiB)
#define ARM64_ITS_AT		UINT64_C(0x08080000)	/* GICv3 only */
#define ARM64_ITS_LEN		(128 * KiB)
#define ARM64_GICR_AT		UINT64_C(0x0a000000)	/* GICv3 only */
#define ARM64_GICR_LEN		(128 * KiB)		/* of one vCPU */

#define ARM64_UART_AT		UINT64_C(0x09000000)
#define ARM64_RTC_AT		UINT64_C(0x09010000)
#define ARM64_GPIO_AT		UINT64_C(0x09020000)
#define ARM64_DEVICE_LEN	(4 * KiB)

#define ARM64_PCI_MMIO32_AT	UINT64_C(0x10000000)
#define ARM64_PCI_MMIO32_LEN	UINT64_C(0x2e000000)
#define ARM64_ECAM_AT		UINT64_C(0x3e000000)
#define ARM64_PCI_BUSES		32			/* one for each slot, at most */
#define ARM64_ECAM_LEN		(ARM64_PCI_BUSES * MiB)
#define ARM64_RAM_AT		UINT64_C(0x40000000)

/* What the boot code puts at the start of RAM; the kernel comes after it. */
#define ARM64_FDT_AT		ARM64_RAM_AT
#define ARM64_FDT_MAX		(1 * MiB)
#define ARM64_STOLEN_AT		(ARM64_RAM_AT + 1 * MiB)	/* 64 bytes a vCPU */
#define ARM64_STOLEN_EACH	64
#define ARM64_STOLEN_LEN	(64 * KiB)
#define ARM64_KERNEL_AT		(ARM64_RAM_AT + 2 * MiB)

#define ARM64_CPUS_MAX		512

_Static_assert(ARM64_GICR_AT + ARM64_CPUS_MAX * ARM64_GICR_LEN <= ARM64_PCI_MMIO32_AT,
	       "redistributors");
_Static_assert(ARM64_CPUS_MAX * ARM64_STOLEN_EACH <= ARM64_STOLEN_LEN, "stolen time");

/*
 * Interrupts.  Shared ones (SPIs) are counted from 0 here as in the device tree; the
 * first of them are wires, the rest messages of PCI functions where there is no ITS.
 */
#define ARM64_SPI_UART		0	/* level */
#define ARM64_SPI_GPIO		1	/* level */
#define ARM64_GPIO_BUTTON	3	/* line of the GPIO controller */
#define ARM64_NR_WIRES		32
#define ARM64_NR_GICV2M_SPIS	448
#define ARM64_SPI_BASE		32	/* number of SPI 0 among all interrupts */

/* Private to a vCPU (PPIs), likewise. */
#define ARM64_PPI_PMU		7
#define ARM64_PPI_HYP_TIMER	10
#define ARM64_PPI_VIRTUAL_TIMER	11
#define ARM64_PPI_TIMER		14
#define ARM64_PPI_SECURE_TIMER	13
#define ARM64_PPI_BASE		16

/* MPIDR of a vCPU as KVM derives it from its id: 16 to a cluster. */
static inline uint64_t arm64_layout_mpidr(unsigned id)
{
	return (id & 0xf) | (uint64_t)(id >> 4 & 0xff) << 8 | (uint64_t)(id >> 12) << 16;
}

/* The registers of a GICv2m frame (Server Base System Architecture, appendix E). */
#define ARM64_GICV2M_TYPER	0x008
#define ARM64_GICV2M_SETSPI	0x040

#endif
