// SPDX-License-Identifier: Apache-2.0
/* The device tree: what is in it by libfdt, and whether dtc has something against it. */
#include "boot/arm64_fdt.h"

#include "arm64_files.h"
#include "base/err.h"
#include "boot/arm64_boot.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>

#define RAM_LEN		(16 * MiB)
#define EXIT_SKIPPED	77

static char dir[] = "/tmp/test_arm64_fdt.XXXXXX";
static struct guest_mem *mem;
static uint8_t *ram;
static const void *fdt;
static struct arm64_boot arm64;
static struct boot_config config;
static struct initrd initrd;
static struct err err;

static void setup(void)
{
	mem = fresh_ram(ARM64_RAM_AT, RAM_LEN, &ram);
	fdt = ram + (ARM64_FDT_AT - ARM64_RAM_AT);
	arm64 = (struct arm64_boot){ .gic = ARM64_BOOT_GICV3, .pmu = true };
	initrd = (struct initrd){ 0 };
	config = (struct boot_config){
		.cmdline = "console=ttyS0 quiet",
		.nr_cpus = 1,
		.arm64 = &arm64,
		.pci_mmio64_at = 2 * GiB,
		.pci_mmio64_len = 64 * GiB,
	};
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

static void write_tree(void)
{
	ck_assert_msg(arm64_fdt_write(mem, &config, &initrd, &err) == 0, "%s", err.text);
	ck_assert_int_eq(fdt_check_full(fdt, ARM64_FDT_MAX), 0);
}

static int node(const char *path)
{
	return fdt_path_offset(fdt, path);
}

/* The i-th cell of a property; it is there. */
static uint32_t cell(const char *path, const char *name, unsigned i)
{
	int len = 0;
	const fdt32_t *cells = fdt_getprop(fdt, node(path), name, &len);

	ck_assert_msg(cells && (unsigned)len / sizeof(*cells) > i, "%s: %s", path, name);
	return fdt32_to_cpu(cells[i]);
}

static const char *string(const char *path, const char *name)
{
	const char *text = fdt_getprop(fdt, node(path), name, NULL);

	ck_assert_msg(text, "%s: %s", path, name);
	return text;
}

/* Not a word. */
static void assert_dtc_accepts(void)
{
	char command[256], path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/dtb", dir);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(fdt, fdt_totalsize(fdt), 1, file), 1);
	ck_assert_int_eq(fclose(file), 0);
	snprintf(command, sizeof(command),
		 "cd '%s' && dtc -I dtb -O dts -o /dev/null dtb 2> log && ! [ -s log ] || "
		 "{ cat log; false; }", dir);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(dtc_has_nothing_against_the_tree)
{
	config.nr_cpus = 20;
	initrd = (struct initrd){ ARM64_RAM_AT + 8 * MiB, 5000 };

	write_tree();

	assert_dtc_accepts();
}
END_TEST

START_TEST(dtc_has_nothing_against_the_tree_of_a_gicv2)
{
	arm64.gic = ARM64_BOOT_GICV2;
	arm64.pmu = false;

	write_tree();

	assert_dtc_accepts();
}
END_TEST

START_TEST(kernel_is_told_its_command_line_and_console)
{
	write_tree();

	ck_assert_str_eq(string("/chosen", "bootargs"), "console=ttyS0 quiet");
	ck_assert_str_eq(string("/chosen", "stdout-path"), "/serial@9000000");
	ck_assert_str_eq(string("/serial@9000000", "compatible"), "ns16550a");
	ck_assert_ptr_null(fdt_getprop(fdt, node("/chosen"), "linux,initrd-start", NULL));
}
END_TEST

START_TEST(kernel_is_told_where_the_initrd_is)
{
	initrd = (struct initrd){ ARM64_RAM_AT + 8 * MiB, 5000 };

	write_tree();

	ck_assert_uint_eq(cell("/chosen", "linux,initrd-start", 1), ARM64_RAM_AT + 8 * MiB);
	ck_assert_uint_eq(cell("/chosen", "linux,initrd-end", 1), ARM64_RAM_AT + 8 * MiB + 5000);
}
END_TEST

START_TEST(ram_is_described_and_stolen_time_kept_out_of_it)
{
	uint64_t at, len;

	write_tree();

	ck_assert_uint_eq(cell("/memory@40000000", "reg", 1), ARM64_RAM_AT);
	ck_assert_uint_eq(cell("/memory@40000000", "reg", 3), RAM_LEN);
	ck_assert_int_eq(fdt_num_mem_rsv(fdt), 1);
	ck_assert_int_eq(fdt_get_mem_rsv(fdt, 0, &at, &len), 0);
	ck_assert_uint_eq(at, ARM64_STOLEN_AT);
	ck_assert_uint_eq(len, ARM64_STOLEN_LEN);
}
END_TEST

START_TEST(cpus_are_known_as_kvm_numbers_them)
{
	config.nr_cpus = 18;

	write_tree();

	ck_assert_uint_eq(cell("/cpus/cpu@f", "reg", 0), 0xf);
	ck_assert_uint_eq(cell("/cpus/cpu@101", "reg", 0), 0x101);
	ck_assert_int_eq(node("/cpus/cpu@102"), -FDT_ERR_NOTFOUND);
	ck_assert_str_eq(string("/cpus/cpu@101", "enable-method"), "psci");
}
END_TEST

START_TEST(redistributors_are_there_for_each_cpu)
{
	config.nr_cpus = 3;

	write_tree();

	ck_assert_uint_eq(cell("/interrupt-controller@8000000", "reg", 5), ARM64_GICR_AT);
	ck_assert_uint_eq(cell("/interrupt-controller@8000000", "reg", 7), 3 * ARM64_GICR_LEN);
}
END_TEST

START_TEST(messages_go_to_the_its)
{
	uint32_t its;

	write_tree();

	its = cell("/interrupt-controller@8000000/msi-controller@8080000", "phandle", 0);
	ck_assert_uint_eq(cell("/pcie@3e000000", "msi-map", 1), its);
}
END_TEST

START_TEST(messages_go_to_a_frame_where_there_is_no_its)
{
	const char *frame = "/interrupt-controller@8000000/msi-controller@8020000";

	arm64.gic = ARM64_BOOT_GICV2;

	write_tree();

	ck_assert_str_eq(string(frame, "compatible"), "arm,gic-v2m-frame");
	ck_assert_uint_eq(cell("/pcie@3e000000", "msi-map", 1), cell(frame, "phandle", 0));
	ck_assert_uint_eq(cell("/timer", "interrupts", 2), 0x104);
}
END_TEST

START_TEST(event_counters_are_told_only_if_there_are_some)
{
	write_tree();
	ck_assert_int_ge(node("/pmu"), 0);

	arm64.pmu = false;
	write_tree();

	ck_assert_int_eq(node("/pmu"), -FDT_ERR_NOTFOUND);
}
END_TEST

START_TEST(pci_windows_are_told)
{
	write_tree();

	ck_assert_uint_eq(cell("/pcie@3e000000", "ranges", 2), ARM64_PCI_MMIO32_AT);
	ck_assert_uint_eq(cell("/pcie@3e000000", "ranges", 9), 2 * GiB);
	ck_assert_uint_eq(cell("/pcie@3e000000", "ranges", 12), 64 * GiB >> 32);
}
END_TEST

START_TEST(button_is_a_key)
{
	write_tree();

	ck_assert_uint_eq(cell("/gpio-keys/power", "gpios", 0),
			  cell("/gpio@9020000", "phandle", 0));
	ck_assert_uint_eq(cell("/gpio-keys/power", "gpios", 1), ARM64_GPIO_BUTTON);
	ck_assert_uint_eq(cell("/gpio-keys/power", "linux,code", 0), 116);
}
END_TEST

START_TEST(random_seeds_differ)
{
	uint32_t before;

	write_tree();
	before = cell("/chosen", "rng-seed", 0);

	write_tree();

	ck_assert_uint_ne(cell("/chosen", "rng-seed", 0), before);
	(void)cell("/chosen", "kaslr-seed", 1);
}
END_TEST

START_TEST(tree_is_dumped_as_the_guest_has_it)
{
	char path[64];
	struct image dumped;
	FILE *file;

	write_tree();
	snprintf(path, sizeof(path), "%s/dump", dir);

	ck_assert_int_eq(arm64_fdt_dump(mem, path, &err), 0);

	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	dumped.len = fread(dumped.bytes, 1, sizeof(dumped.bytes), file);
	fclose(file);
	ck_assert_uint_eq(dumped.len, fdt_totalsize(fdt));
	ck_assert_mem_eq(dumped.bytes, fdt, dumped.len);
}
END_TEST

START_TEST(dump_to_nowhere_is_refused)
{
	write_tree();

	ck_assert_int_eq(arm64_fdt_dump(mem, "/nonexistent/dtb", &err), -ENOENT);

	ck_assert_ptr_nonnull(strstr(err.text, "cannot write '/nonexistent/dtb'"));
}
END_TEST

START_TEST(largest_machine_fits)
{
	config.nr_cpus = ARM64_CPUS_MAX;

	write_tree();

	ck_assert_int_ge(node("/cpus/cpu@1f0f"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arm64_fdt");
	TCase *tc = tcase_create("tree");
	SRunner *sr;
	int failed;

	if (system("command -v dtc > /dev/null")) {
		puts("dtc is missing (package device-tree-compiler)");
		return EXIT_SKIPPED;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, dtc_has_nothing_against_the_tree);
	tcase_add_test(tc, dtc_has_nothing_against_the_tree_of_a_gicv2);
	tcase_add_test(tc, kernel_is_told_its_command_line_and_console);
	tcase_add_test(tc, kernel_is_told_where_the_initrd_is);
	tcase_add_test(tc, ram_is_described_and_stolen_time_kept_out_of_it);
	tcase_add_test(tc, cpus_are_known_as_kvm_numbers_them);
	tcase_add_test(tc, redistributors_are_there_for_each_cpu);
	tcase_add_test(tc, messages_go_to_the_its);
	tcase_add_test(tc, messages_go_to_a_frame_where_there_is_no_its);
	tcase_add_test(tc, event_counters_are_told_only_if_there_are_some);
	tcase_add_test(tc, pci_windows_are_told);
	tcase_add_test(tc, button_is_a_key);
	tcase_add_test(tc, random_seeds_differ);
	tcase_add_test(tc, tree_is_dumped_as_the_guest_has_it);
	tcase_add_test(tc, dump_to_nowhere_is_refused);
	tcase_add_test(tc, largest_machine_fits);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
