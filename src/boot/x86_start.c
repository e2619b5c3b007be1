// SPDX-License-Identifier: Apache-2.0
#include "boot/x86_start.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "boot/x86_boot.h"
#include "boot/x86_layout.h"

#define PAGE_LEN	UINT64_C(0x1000)
#define PTES		512
#define PTE_PRESENT	BIT64(0)
#define PTE_WRITE	BIT64(1)
#define PTE_LARGE	BIT64(7)

#define DIRECTORIES	4	/* 1 GiB each */
#define PDPT_AT		(X86_PAGE_TABLES_AT + PAGE_LEN)
#define DIRECTORIES_AT	(X86_PAGE_TABLES_AT + 2 * PAGE_LEN)

static int write_gdt(struct guest_mem *mem, enum boot_mode mode)
{
	uint8_t gdt[X86_BOOT_GDT_LEN] = { 0 };

	put_le64(gdt + X86_BOOT_CS, mode == BOOT_LINUX64 ? X86_BOOT_DESC_CODE64 :
							   X86_BOOT_DESC_CODE32);
	put_le64(gdt + X86_BOOT_DS, X86_BOOT_DESC_DATA);
	put_le64(gdt + X86_BOOT_TSS, X86_BOOT_DESC_TSS);
	return guest_mem_write(mem, X86_GDT_AT, gdt, sizeof(gdt));
}

/* A table of nr entries that point at target, and then step further each. */
static int write_table(struct guest_mem *mem, gpa_t at, unsigned nr, gpa_t target,
		       uint64_t step, uint64_t flags)
{
	uint8_t table[PTES * sizeof(uint64_t)] = { 0 };

	for (unsigned i = 0; i < nr; i++)
		put_le64(table + i * sizeof(uint64_t), (target + i * step) | flags);
	return guest_mem_write(mem, at, table, sizeof(table));
}

static int write_page_tables(struct guest_mem *mem)
{
	const uint64_t flags = PTE_PRESENT | PTE_WRITE;
	int r = write_table(mem, X86_PAGE_TABLES_AT, 1, PDPT_AT, PAGE_LEN, flags);

	if (r == 0)
		r = write_table(mem, PDPT_AT, DIRECTORIES, DIRECTORIES_AT, PAGE_LEN, flags);
	for (unsigned i = 0; r == 0 && i < DIRECTORIES; i++)
		r = write_table(mem, DIRECTORIES_AT + i * PAGE_LEN, PTES, i * GiB, 2 * MiB,
				flags | PTE_LARGE);
	return r;
}

int x86_start_write(struct guest_mem *mem, enum boot_mode mode)
{
	int r = write_gdt(mem, mode);

	if (r == 0 && mode == BOOT_LINUX64)
		r = write_page_tables(mem);
	return r;
}
