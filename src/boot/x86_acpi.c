// SPDX-License-Identifier: Apache-2.0
/*
 * x86_acpi.c - the tables that are plain structures (ACPI specification 6.5;
 * MCFG: PCI firmware specification 3.3).
 *
 * They are laid out in a buffer that is then copied to X86_ACPI_AT as a whole:
 *
 *	RSDP  DSDT  FADT  MADT  MCFG  XSDT
 *
 * so that each lies behind those it points to, except the RSDP, which has to
 * be first.
 */
#include "boot/x86_acpi.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "boot/aml.h"
#include "boot/boot.h"
#include "boot/x86_layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define OEM_ID		"VMM   "
#define OEM_TABLE_ID	"VMM     "
#define CREATOR_ID	"VMM "
#define TABLE_ALIGN	16

#define RSDP_LEN	36
#define RSDP_V1_LEN	20

/* Common table header (5.2.6). */
#define HEADER_LEN	36
#define HEADER_LENGTH	4
#define HEADER_CHECKSUM	9

/* FADT (5.2.9); legacy registers are left 0, as hardware-reduced ACPI wants. */
#define FADT_LEN		276
#define FADT_DSDT		40
#define FADT_CENTURY		108
#define FADT_IAPC_BOOT_ARCH	109
#define FADT_FLAGS		112
#define FADT_RESET_REG		116
#define FADT_RESET_VALUE	128
#define FADT_MINOR_VERSION	131
#define FADT_X_DSDT		140
#define FADT_SLEEP_CONTROL_REG	244
#define FADT_SLEEP_STATUS_REG	256

#define BOOT_ARCH_LEGACY_DEVICES	BIT32(0)	/* COM1, RTC */
#define BOOT_ARCH_NO_VGA		BIT32(2)
#define BOOT_ARCH_NO_ASPM		BIT32(4)

#define FADT_WBINVD		BIT32(0)
#define FADT_PWR_BUTTON		BIT32(4)	/* is a device, not a register bit */
#define FADT_SLP_BUTTON		BIT32(5)	/* likewise, or absent */
#define FADT_FIX_RTC		BIT32(6)	/* likewise */
#define FADT_RESET_REG_SUP	BIT32(10)
#define FADT_HW_REDUCED		BIT32(20)

/* MADT (5.2.12). */
#define MADT_HEAD_LEN		44
#define MADT_LAPIC_LEN		8
#define MADT_IOAPIC_LEN		12
#define MADT_LAPIC_NMI_LEN	6
#define MADT_X2APIC_LEN		16
#define MADT_X2APIC_NMI_LEN	12
#define MADT_ENABLED		1
#define MADT_NMI_LINT		1
#define MADT_IOAPIC_ID		0
#define LAPIC_ID_END		255		/* the id 255 means all CPUs */

#define MCFG_LEN		60

struct area {
	uint8_t *bytes;			/* zeroed */
	size_t len, cap;
};

static uint64_t address_of(const struct area *area, const uint8_t *table)
{
	return X86_ACPI_AT + (uint64_t)(table - area->bytes);
}

/* The byte that makes a table's bytes add up to 0. */
static uint8_t checksum(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

/* A zeroed table with its header, or NULL when there is no room for it. */
static uint8_t *add_table(struct area *area, const char *signature, uint8_t revision,
			  size_t len)
{
	size_t at = align_up(area->len, TABLE_ALIGN);
	uint8_t *table = area->bytes + at;

	if (!range_within(at, len, area->cap))
		return NULL;
	area->len = at + len;
	memcpy(table, signature, 4);
	put_le32(table + HEADER_LENGTH, (uint32_t)len);
	table[8] = revision;
	memcpy(table + 10, OEM_ID, 6);
	memcpy(table + 16, OEM_TABLE_ID, 8);
	put_le32(table + 24, 1);	/* OEM revision */
	memcpy(table + 28, CREATOR_ID, 4);
	put_le32(table + 32, 1);	/* creator revision */
	return table;
}

static uint8_t *seal(uint8_t *table)
{
	table[HEADER_CHECKSUM] = checksum(table, get_le32(table + HEADER_LENGTH));
	return table;
}

static uint8_t *add_dsdt(struct area *area, const struct boot_config *config)
{
	uint8_t *table = add_table(area, "DSDT", 2, HEADER_LEN);
	struct aml aml;

	if (!table)
		return NULL;
	aml_init(&aml, table + HEADER_LEN, area->cap - area->len);
	x86_acpi_write_dsdt(&aml, config);
	if (aml.full)
		return NULL;
	area->len += aml.len;
	put_le32(table + HEADER_LENGTH, (uint32_t)(HEADER_LEN + aml.len));
	return seal(table);
}

/* Generic Address Structure (5.2.3.2) of one byte at a port. */
static void put_port(uint8_t *to, uint16_t port)
{
	to[0] = 1;			/* system I/O space */
	to[1] = 8;			/* bits */
	to[3] = 1;			/* byte access */
	put_le64(to + 4, port);
}

static uint8_t *add_fadt(struct area *area, uint64_t dsdt_at)
{
	uint8_t *table = add_table(area, "FACP", 6, FADT_LEN);

	if (!table)
		return NULL;
	put_le32(table + FADT_DSDT, (uint32_t)dsdt_at);
	put_le64(table + FADT_X_DSDT, dsdt_at);
	table[FADT_CENTURY] = X86_RTC_CENTURY;
	put_le16(table + FADT_IAPC_BOOT_ARCH,
		 BOOT_ARCH_LEGACY_DEVICES | BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_ASPM);
	put_le32(table + FADT_FLAGS, FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
					     FADT_FIX_RTC | FADT_RESET_REG_SUP |
					     FADT_HW_REDUCED);
	put_port(table + FADT_RESET_REG, X86_PORT_ACPI + X86_ACPI_RESET);
	table[FADT_RESET_VALUE] = X86_ACPI_RESET_VALUE;
	table[FADT_MINOR_VERSION] = 5;
	put_port(table + FADT_SLEEP_CONTROL_REG, X86_PORT_ACPI + X86_ACPI_SLEEP_CONTROL);
	put_port(table + FADT_SLEEP_STATUS_REG, X86_PORT_ACPI + X86_ACPI_SLEEP_STATUS);
	return seal(table);
}

/* Each of these writes one entry of the MADT and returns where the next goes. */
static uint8_t *put_lapic(uint8_t *to, unsigned id)
{
	to[0] = 0;
	to[1] = MADT_LAPIC_LEN;
	to[2] = (uint8_t)id;		/* _UID in the DSDT */
	to[3] = (uint8_t)id;
	put_le32(to + 4, MADT_ENABLED);
	return to + MADT_LAPIC_LEN;
}

static uint8_t *put_x2apic(uint8_t *to, unsigned id)
{
	to[0] = 9;
	to[1] = MADT_X2APIC_LEN;
	put_le32(to + 4, id);
	put_le32(to + 8, MADT_ENABLED);
	put_le32(to + 12, id);		/* _UID in the DSDT */
	return to + MADT_X2APIC_LEN;
}

static uint8_t *put_ioapic(uint8_t *to)
{
	to[0] = 1;
	to[1] = MADT_IOAPIC_LEN;
	to[2] = MADT_IOAPIC_ID;
	put_le32(to + 4, X86_IOAPIC_AT);
	put_le32(to + 8, 0);		/* first global system interrupt */
	return to + MADT_IOAPIC_LEN;
}

static uint8_t *put_lapic_nmi(uint8_t *to)
{
	to[0] = 4;
	to[1] = MADT_LAPIC_NMI_LEN;
	to[2] = 0xff;			/* all CPUs */
	to[5] = MADT_NMI_LINT;
	return to + MADT_LAPIC_NMI_LEN;
}

static uint8_t *put_x2apic_nmi(uint8_t *to)
{
	to[0] = 10;
	to[1] = MADT_X2APIC_NMI_LEN;
	put_le32(to + 4, UINT32_MAX);	/* all CPUs */
	to[8] = MADT_NMI_LINT;
	return to + MADT_X2APIC_NMI_LEN;
}

/*
 * No interrupt source overrides: every ISA interrupt is the global one of the
 * same number.  No 8259 either (flags), which hardware-reduced ACPI rules out.
 */
static uint8_t *add_madt(struct area *area, unsigned nr_cpus)
{
	size_t nr_lapics = min_u64(nr_cpus, LAPIC_ID_END);
	size_t nr_x2apics = nr_cpus - nr_lapics;
	size_t len = MADT_HEAD_LEN + nr_lapics * MADT_LAPIC_LEN + MADT_IOAPIC_LEN +
		     MADT_LAPIC_NMI_LEN;
	uint8_t *table, *to;

	if (nr_x2apics)
		len += nr_x2apics * MADT_X2APIC_LEN + MADT_X2APIC_NMI_LEN;
	table = add_table(area, "APIC", 5, len);
	if (!table)
		return NULL;
	put_le32(table + HEADER_LEN, X86_LAPIC_AT);
	to = table + MADT_HEAD_LEN;
	for (unsigned id = 0; id < nr_lapics; id++)
		to = put_lapic(to, id);
	for (unsigned id = LAPIC_ID_END; id < nr_cpus; id++)
		to = put_x2apic(to, id);
	to = put_ioapic(to);
	to = put_lapic_nmi(to);
	if (nr_x2apics)
		put_x2apic_nmi(to);
	return seal(table);
}

static uint8_t *add_mcfg(struct area *area)
{
	uint8_t *table = add_table(area, "MCFG", 1, MCFG_LEN);
	uint8_t *segment;

	if (!table)
		return NULL;
	segment = table + HEADER_LEN + 8;
	put_le64(segment, X86_ECAM_AT);
	put_le16(segment + 8, X86_PCI_SEGMENT);
	segment[11] = X86_PCI_BUSES - 1;
	return seal(table);
}

static uint8_t *add_xsdt(struct area *area, uint8_t *const tables[], size_t nr)
{
	uint8_t *table = add_table(area, "XSDT", 1, HEADER_LEN + nr * sizeof(uint64_t));

	if (!table)
		return NULL;
	for (size_t i = 0; i < nr; i++)
		put_le64(table + HEADER_LEN + i * sizeof(uint64_t),
			 address_of(area, tables[i]));
	return seal(table);
}

/* RSDP (5.2.5.3): one checksum for the part of ACPI 1.0, one for all. */
static void put_rsdp(uint8_t *to, uint64_t xsdt_at)
{
	memcpy(to, "RSD PTR ", 8);
	memcpy(to + 9, OEM_ID, 6);
	to[15] = 2;			/* revision */
	put_le32(to + 20, RSDP_LEN);
	put_le64(to + 24, xsdt_at);
	to[8] = checksum(to, RSDP_V1_LEN);
	to[32] = checksum(to, RSDP_LEN);
}

size_t x86_acpi_build(uint8_t *bytes, size_t cap, const struct boot_config *config)
{
	struct area area = { .bytes = bytes, .len = RSDP_LEN, .cap = cap };
	uint8_t *dsdt, *xsdt;
	uint8_t *tables[3];

	if (cap < RSDP_LEN || config->nr_cpus > X86_ACPI_CPUS_MAX)
		return 0;
	dsdt = add_dsdt(&area, config);
	if (!dsdt)
		return 0;
	tables[0] = add_fadt(&area, address_of(&area, dsdt));
	tables[1] = add_madt(&area, config->nr_cpus);
	tables[2] = add_mcfg(&area);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (!tables[i])
			return 0;
	xsdt = add_xsdt(&area, tables, ARRAY_LEN(tables));
	if (!xsdt)
		return 0;
	put_rsdp(bytes, address_of(&area, xsdt));
	return area.len;
}

int x86_acpi_write(struct guest_mem *mem, const struct boot_config *config,
		   struct err *err)
{
	uint8_t *bytes = calloc(1, X86_ACPI_LEN);
	size_t len;
	int r;

	if (!bytes)
		return err_sys(err, -ENOMEM, "ACPI tables");
	len = x86_acpi_build(bytes, X86_ACPI_LEN, config);
	if (len)
		r = guest_mem_write(mem, X86_ACPI_AT, bytes, len);
	else
		r = err_set(err, -ENOSPC,
			    "%u CPUs are too many: their ACPI tables exceed %" PRIu64 " KiB",
			    config->nr_cpus, X86_ACPI_LEN / KiB);
	free(bytes);
	return r;
}
