/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.h - puts a kernel and all that it is told into guest RAM.
 *
 * Runs once per start or reset, on the main thread, before any vCPU runs.  The
 * kernel file says itself by which protocol it wants to be started.  The vCPU
 * layer turns the answer, a struct boot_entry, into registers.
 *
 * RAM must read as zero: fresh on start, and dropped by the caller before a
 * reset.  Nothing is touched that is not loaded, so a kernel's bss costs no
 * memory until the guest uses it.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "memory/guest_mem.h"

#include <stdint.h>

struct arm64_boot;
struct err;

/* The default; kept short, since the user's own text replaces it.  Arm ignores reboot=k. */
#define BOOT_CMDLINE_DEFAULT "console=ttyS0 reboot=k panic=-1"

enum boot_mode {
	BOOT_LINUX64,	/* x86_64 long mode, paging on; arg in rsi (zero page) */
	BOOT_PVH,	/* x86 32-bit protected mode, paging off; arg in ebx */
	BOOT_ARM64,	/* EL1, paging off; arg in x0 (device tree) */
};

/* How the first vCPU starts. */
struct boot_entry {
	enum boot_mode mode;
	gpa_t ip;
	gpa_t arg;
	gpa_t page_tables;	/* BOOT_LINUX64: CR3 */
	gpa_t gdt;		/* what is in it: x86_boot.h */
	gpa_t stack;		/* BOOT_LINUX64 */
};

struct boot_config {
	const char *kernel;		/* path */
	const char *initrd;		/* path, or NULL */
	const char *cmdline;
	unsigned nr_cpus;		/* at least 1; APIC ids 0 to nr_cpus-1 */
	const struct arm64_boot *arm64;	/* NULL on x86 */
	gpa_t pci_mmio64_at;		/* 64-bit PCI window; len 0: none */
	uint64_t pci_mmio64_len;
	uint32_t hotplug_slots;		/* bit n: devices may come to or leave slot n */
};

/*
 * Load everything into mem.  The message in err names the file and what is
 * wrong with it.  RAM is changed even on failure; the caller gives up then.
 */
int boot_load(struct guest_mem *mem, const struct boot_config *config,
	      struct boot_entry *ret_entry, struct err *err);

/*
 * Write the device tree that boot_load() has made to a file, over what was there.  -ENOTSUP
 * where guests have none.
 */
int boot_dump_tree(const struct guest_mem *mem, const char *path, struct err *err);

#endif
