// SPDX-License-Identifier: Apache-2.0
/*
 * acpi.c - the tables hang together: RSDP, XSDT, each table in it and the DSDT,
 * with good checksums; the MADT lists every processor.
 */
#include "io.h"
#include "payload.h"

#define RSDP_V1_LEN	20
#define RSDP_LEN	36
#define RSDP_XSDT	24
#define TABLE_LENGTH	4
#define TABLE_HEADER	36
#define FADT_X_DSDT	140
#define MADT_ENTRIES	44
#define MADT_LAPIC	0
#define MCFG_ECAM	44

static bool sums_up(uint64_t at, uint32_t len)
{
	const uint8_t *bytes = (const uint8_t *)at;
	uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum == 0;
}

static bool is(uint64_t table, const char *signature)
{
	return !memcmp((const void *)table, signature, 4);
}

static void check_table(uint64_t table)
{
	uint32_t len = read32(table + TABLE_LENGTH);

	expect(len >= TABLE_HEADER && len < 0x10000, "a table has a sensible length");
	expect(sums_up(table, len), "a table's bytes add up to 0");
}

static unsigned count_processors(uint64_t madt)
{
	uint64_t end = madt + read32(madt + TABLE_LENGTH), at = madt + MADT_ENTRIES;
	unsigned nr = 0;

	while (at < end) {
		nr += read8(at) == MADT_LAPIC;
		expect(read8(at + 1) >= 2, "an entry of the MADT has a length");
		at += read8(at + 1);
	}
	expect_eq(at, end, "the MADT's entries end where it does");
	return nr;
}

void payload(void)
{
	uint64_t rsdp = boot.rsdp, xsdt = read64(rsdp + RSDP_XSDT);
	uint64_t fadt = 0, madt = 0, mcfg = 0, end;

	expect(!memcmp((const void *)rsdp, "RSD PTR ", 8), "the boot protocol names the RSDP");
	expect(sums_up(rsdp, RSDP_V1_LEN) && sums_up(rsdp, RSDP_LEN), "the RSDP's checksums");
	expect(is(xsdt, "XSDT"), "the RSDP names the XSDT");
	check_table(xsdt);
	end = xsdt + read32(xsdt + TABLE_LENGTH);
	for (uint64_t at = xsdt + TABLE_HEADER; at < end; at += 8) {
		uint64_t table = read64(at);

		check_table(table);
		fadt = is(table, "FACP") ? table : fadt;
		madt = is(table, "APIC") ? table : madt;
		mcfg = is(table, "MCFG") ? table : mcfg;
	}
	expect(fadt && madt && mcfg, "there are FADT, MADT and MCFG");
	expect(is(read64(fadt + FADT_X_DSDT), "DSDT"), "the FADT names the DSDT");
	check_table(read64(fadt + FADT_X_DSDT));
	expect_eq(count_processors(madt), cmdline_number("cpus"), "processors in the MADT");
	expect_eq(read64(mcfg + MCFG_ECAM), 0xe0000000, "the MCFG tells where ECAM is");
}
