// SPDX-License-Identifier: Apache-2.0
/*
 * The tables of x86_acpi.h, judged by iasl: each must be disassembled without
 * a complaint, and what comes out compiled again without one.
 */
#include "boot/x86_acpi.h"

#include "base/err.h"
#include "boot/boot.h"
#include "boot/x86_layout.h"
#include "kernel_files.h"

#include <stdlib.h>

#define RAM_LEN		(2 * MiB)
#define EXIT_SKIPPED	77

static char dir[] = "/tmp/test_x86_acpi_iasl.XXXXXX";
static struct guest_mem *mem;
static uint8_t *ram;

static void setup(void)
{
	mem = fresh_ram(0, RAM_LEN, &ram);
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r '%s'", dir);
	ck_assert_int_eq(system(command), 0);
	mem = guest_mem_free(mem);
	munmap(ram, RAM_LEN);
}

static void assert_iasl_accepts(uint64_t table_at)
{
	const uint8_t *table = ram + table_at;
	char command[1024];
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%.4s", dir, (const char *)table);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(table, get_le32(table + 4), 1, f), 1);
	ck_assert_int_eq(fclose(f), 0);

	/* Disassembly complains in words only, in its output and in the result. */
	snprintf(command, sizeof(command),
		 "cd '%s' && iasl -d '%s' >log 2>&1 && "
		 "! grep -Ei 'warning|error' log && "
		 "! grep -Ei 'unknown|invalid|[*]{4}' '%s.dsl' && "
		 "iasl -we -p new '%s.dsl' >log 2>&1 || { cat log; false; }",
		 dir, path, path, path);
	ck_assert_msg(system(command) == 0, "iasl rejects %s", path);
}

static void assert_iasl_accepts_all(unsigned nr_cpus, uint32_t hotplug_slots)
{
	const struct boot_config config = {
		.nr_cpus = nr_cpus,
		.pci_mmio64_at = 16 * GiB,
		.pci_mmio64_len = 64 * GiB,
		.hotplug_slots = hotplug_slots,
	};
	const uint8_t *xsdt;
	uint64_t xsdt_at;
	struct err err;

	ck_assert_int_eq(x86_acpi_write(mem, &config, &err), 0);
	xsdt_at = get_le64(ram + X86_ACPI_AT + 24);
	xsdt = ram + xsdt_at;

	assert_iasl_accepts(xsdt_at);
	for (uint32_t i = 36; i < get_le32(xsdt + 4); i += 8)
		assert_iasl_accepts(get_le64(xsdt + i));
	assert_iasl_accepts(get_le64(ram + get_le64(xsdt + 36) + 140));	/* DSDT */
}

START_TEST(tables_of_one_cpu)
{
	assert_iasl_accepts_all(1, 0);
}
END_TEST

START_TEST(tables_of_4_cpus)
{
	assert_iasl_accepts_all(4, 0x3ff);
}
END_TEST

START_TEST(tables_of_300_cpus)
{
	assert_iasl_accepts_all(300, UINT32_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("x86_acpi_iasl");
	TCase *tc = tcase_create("iasl accepts");
	SRunner *sr;
	int failed;

	if (system("iasl -v >/dev/null 2>&1") != 0) {
		puts("iasl is missing (package acpica-tools)");
		return EXIT_SKIPPED;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, tables_of_one_cpu);
	tcase_add_test(tc, tables_of_4_cpus);
	tcase_add_test(tc, tables_of_300_cpus);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
