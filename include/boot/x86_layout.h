/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_layout.h - where everything lies in the x86_64 machine.
 *
 * The one place for addresses, ports and interrupt numbers: the board builds
 * the machine by it, the ACPI tables and the e820 map describe the machine by
 * it, and the two can therefore not disagree.
 */
#ifndef BOOT_X86_LAYOUT_H
#define BOOT_X86_LAYOUT_H

#include "base/bits.h"

/*
 * Guest-physical memory.
 *
 *	0x0000_0000  RAM, at most up to LOW_RAM_END
 *	0xc000_0000  PCI memory window, 32-bit
 *	0xe000_0000  PCIe ECAM, 1 MiB a bus
 *	0xfec0_0000  I/O APIC, local APIC, KVM's private pages
 *	0x1_0000_0000  the rest of RAM
 *	above RAM    PCI memory window, 64-bit
 */
#define X86_LOW_RAM_END		UINT64_C(0xc0000000)
#define X86_PCI_MMIO32_AT	UINT64_C(0xc0000000)
#define X86_PCI_MMIO32_LEN	UINT64_C(0x20000000)
#define X86_ECAM_AT		UINT64_C(0xe0000000)
#define X86_PCI_BUSES		1
#define X86_PCI_SEGMENT		1	/* see below */
#define X86_ECAM_LEN		(X86_PCI_BUSES * MiB)
#define X86_IOAPIC_AT		UINT64_C(0xfec00000)
#define X86_LAPIC_AT		UINT64_C(0xfee00000)
#define X86_KVM_IDENTITY_AT	UINT64_C(0xfeffc000)	/* 1 page */
#define X86_KVM_TSS_AT		UINT64_C(0xfeffd000)	/* 3 pages */
#define X86_KVM_LEN		UINT64_C(0x4000)	/* both */
#define X86_HIGH_RAM_AT		(4 * GiB)

/*
 * The PCI bus is said to be of segment 1.  Linux reaches segment 0 through the
 * configuration ports wherever it finds them, at two exits per access, and all
 * other segments through ECAM, at one.  Who knows nothing of segments uses the
 * ports and finds the same functions.
 */

/* What the boot code puts into low RAM. */
#define X86_GDT_AT		UINT64_C(0x0500)
#define X86_PAGE_TABLES_AT	UINT64_C(0x1000)	/* 6 pages: PML4, PDPT, 4 PDs */
#define X86_ZERO_PAGE_AT	UINT64_C(0x7000)	/* or PVH start info */
#define X86_BOOT_STACK_AT	UINT64_C(0x9000)	/* grows down */
#define X86_CMDLINE_AT		UINT64_C(0x20000)
#define X86_CMDLINE_MAX		UINT64_C(0x10000)
#define X86_EBDA_AT		UINT64_C(0x9fc00)	/* end of usable low RAM */
#define X86_EBDA_LEN		UINT64_C(0x400)
#define X86_ACPI_AT		UINT64_C(0xe0000)	/* RSDP, where scans look */
#define X86_ACPI_LEN		UINT64_C(0x1f000)
#define X86_GENERATION_AT	UINT64_C(0xff000)	/* generation id: 16 bytes of a page */
#define X86_GENERATION_LEN	UINT64_C(0x1000)
#define X86_KERNEL_AT		UINT64_C(0x100000)

/* Ports. */
#define X86_PORT_RTC		0x70	/* index, data */
#define X86_RTC_CENTURY		0x32	/* index of the century byte */
#define X86_PORT_I8042		0x64
#define X86_PORT_COM1		0x3f8
#define X86_PORT_PVPANIC	0x505
#define X86_PORT_ACPI		0x600	/* struct of X86_ACPI_* below */
#define X86_PORT_HOTPLUG	0x610	/* struct of X86_HOTPLUG_* below */
#define X86_PORT_PCI_CONFIG	0xcf8	/* address, data at +4 */

/* Registers at X86_PORT_ACPI, one byte each (devices/acpi_power.h). */
#define X86_ACPI_SLEEP_CONTROL	0
#define X86_ACPI_SLEEP_STATUS	1
#define X86_ACPI_RESET		2
#define X86_ACPI_EVENTS		3	/* reading returns and clears */
#define X86_ACPI_REGS		4

#define X86_ACPI_RESET_VALUE	1
#define X86_ACPI_S5_TYPE	5
#define X86_ACPI_EVENT_POWER	0x01
#define X86_ACPI_EVENT_GENERATION 0x02

/* Registers at X86_PORT_HOTPLUG, four bytes each (devices/acpi_hotplug.h). */
#define X86_HOTPLUG_COME	0x0	/* reading returns and clears */
#define X86_HOTPLUG_GO		0x4	/* reading returns and clears */
#define X86_HOTPLUG_EJECT	0x8
#define X86_HOTPLUG_STATUS	0xc
#define X86_HOTPLUG_REGS	0x10

#define X86_HOTPLUG_DEVICE_CHECK 1
#define X86_HOTPLUG_EJECT_REQUEST 3
#define X86_HOTPLUG_EVENT_SHIFT	8
#define X86_HOTPLUG_STATUS_SHIFT 16

/* Global system interrupts. */
#define X86_GSI_COM1		4	/* edge, active high */
#define X86_GSI_ACPI		9	/* generic event device: edge, active high */
#define X86_NR_IOAPIC_PINS	24

#endif
