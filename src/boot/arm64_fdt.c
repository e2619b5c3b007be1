// SPDX-License-Identifier: Apache-2.0
/*
 * arm64_fdt.c - the machine of arm64_layout.h as a device tree.
 *
 * libfdt writes it from front to back.  What goes wrong in between (no more room) is
 * kept, and looked at once at the end.
 */
#include "boot/arm64_fdt.h"

#include "base/bits.h"
#include "base/err.h"
#include "boot/arm64_boot.h"
#include "boot/arm64_layout.h"

#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CELLS_MAX	40

/* Cells of an interrupt: kind, number, how it is triggered. */
#define SPI		0
#define PPI		1
#define LEVEL_HIGH	4

#define KEY_POWER	116

/* Cells of a PCI range: what kind of memory. */
#define RANGE_MEM32	0x02000000
#define RANGE_MEM64	0x03000000

/* By what nodes refer to each other. */
enum phandle {
	GIC = 1,
	MESSAGES,		/* to where PCI functions send theirs */
	CLOCK,
	GPIO,
};

struct tree {
	void *fdt;
	int r;			/* first failure, FDT_ERR_* negated */
};

static void done(struct tree *tree, int r)
{
	if (!tree->r)
		tree->r = r;
}

static void begin(struct tree *tree, const char *name)
{
	done(tree, fdt_begin_node(tree->fdt, name));
}

/* NAME@AT */
static void begin_at(struct tree *tree, const char *name, uint64_t at)
{
	char full[48];

	snprintf(full, sizeof(full), "%s@%llx", name, (unsigned long long)at);
	begin(tree, full);
}

static void end(struct tree *tree)
{
	done(tree, fdt_end_node(tree->fdt));
}

static void flag(struct tree *tree, const char *name)
{
	done(tree, fdt_property(tree->fdt, name, NULL, 0));
}

static void string(struct tree *tree, const char *name, const char *value)
{
	done(tree, fdt_property(tree->fdt, name, value, (int)strlen(value) + 1));
}

/* Several, each with its final zero but for the last, whose is C's. */
#define STRINGS(tree, name, value) \
	done((tree), fdt_property((tree)->fdt, (name), (value), (int)sizeof(value)))

static void cells(struct tree *tree, const char *name, unsigned nr, const uint32_t *values)
{
	fdt32_t swapped[CELLS_MAX];

	for (unsigned i = 0; i < nr; i++)
		swapped[i] = cpu_to_fdt32(values[i]);
	done(tree, fdt_property(tree->fdt, name, swapped, (int)(nr * sizeof(fdt32_t))));
}

#define CELLS(tree, name, ...)								\
	cells((tree), (name), (unsigned)ARRAY_LEN(((const uint32_t[]){ __VA_ARGS__ })),	\
	      (const uint32_t[]){ __VA_ARGS__ })

/* A number of 64 bits as two cells. */
#define WIDE(value) (uint32_t)((uint64_t)(value) >> 32), (uint32_t)(value)

static void cell(struct tree *tree, const char *name, uint32_t value)
{
	done(tree, fdt_property_u32(tree->fdt, name, value));
}

static void add_cpus(struct tree *tree, unsigned nr)
{
	begin(tree, "cpus");
	cell(tree, "#address-cells", 1);
	cell(tree, "#size-cells", 0);
	for (unsigned id = 0; id < nr; id++) {
		uint32_t mpidr = (uint32_t)arm64_layout_mpidr(id);

		begin_at(tree, "cpu", mpidr);
		string(tree, "device_type", "cpu");
		string(tree, "compatible", "arm,armv8");
		cell(tree, "reg", mpidr);
		string(tree, "enable-method", "psci");
		end(tree);
	}
	end(tree);
	begin(tree, "psci");
	STRINGS(tree, "compatible", "arm,psci-1.0\0arm,psci-0.2");
	string(tree, "method", "hvc");
	end(tree);
}

static void add_memory(struct tree *tree, struct guest_mem *mem)
{
	const struct guest_mem_region *regions;
	int nr = guest_mem_regions(mem, &regions);

	for (int i = 0; i < nr; i++) {
		begin_at(tree, "memory", regions[i].at);
		string(tree, "device_type", "memory");
		CELLS(tree, "reg", WIDE(regions[i].at), WIDE(regions[i].len));
		end(tree);
	}
}

/* For KASLR and the first random numbers; a guest does without if it must. */
static void add_seeds(struct tree *tree)
{
	uint8_t seed[64];
	uint64_t kaslr;

	if (getrandom(seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		done(tree, fdt_property(tree->fdt, "rng-seed", seed, sizeof(seed)));
	if (getrandom(&kaslr, sizeof(kaslr), GRND_NONBLOCK) == sizeof(kaslr))
		done(tree, fdt_property_u64(tree->fdt, "kaslr-seed", kaslr));
}

static void add_chosen(struct tree *tree, const char *cmdline, const struct initrd *initrd)
{
	char console[32];

	snprintf(console, sizeof(console), "/serial@%llx", (unsigned long long)ARM64_UART_AT);
	begin(tree, "chosen");
	string(tree, "bootargs", cmdline);
	string(tree, "stdout-path", console);
	if (initrd->len) {
		CELLS(tree, "linux,initrd-start", WIDE(initrd->at));
		CELLS(tree, "linux,initrd-end", WIDE(initrd->at + initrd->len));
	}
	add_seeds(tree);
	end(tree);
}

static void begin_gic(struct tree *tree)
{
	begin_at(tree, "interrupt-controller", ARM64_GICD_AT);
	cell(tree, "phandle", GIC);
	flag(tree, "interrupt-controller");
	cell(tree, "#interrupt-cells", 3);
	cell(tree, "#address-cells", 2);
	cell(tree, "#size-cells", 2);
	flag(tree, "ranges");
}

static void add_gicv3(struct tree *tree, unsigned nr_cpus)
{
	begin_gic(tree);
	string(tree, "compatible", "arm,gic-v3");
	CELLS(tree, "reg", WIDE(ARM64_GICD_AT), WIDE(ARM64_GICD_LEN),
	      WIDE(ARM64_GICR_AT), WIDE(nr_cpus * ARM64_GICR_LEN));
	begin_at(tree, "msi-controller", ARM64_ITS_AT);
	cell(tree, "phandle", MESSAGES);
	string(tree, "compatible", "arm,gic-v3-its");
	flag(tree, "msi-controller");
	cell(tree, "#msi-cells", 1);
	CELLS(tree, "reg", WIDE(ARM64_ITS_AT), WIDE(ARM64_ITS_LEN));
	end(tree);
	end(tree);
}

static void add_gicv2(struct tree *tree)
{
	begin_gic(tree);
	string(tree, "compatible", "arm,cortex-a15-gic");
	CELLS(tree, "reg", WIDE(ARM64_GICD_AT), WIDE(ARM64_GICD_LEN),
	      WIDE(ARM64_GICC_AT), WIDE(ARM64_GICC_LEN));
	begin_at(tree, "msi-controller", ARM64_GICV2M_AT);
	cell(tree, "phandle", MESSAGES);
	string(tree, "compatible", "arm,gic-v2m-frame");
	flag(tree, "msi-controller");
	CELLS(tree, "reg", WIDE(ARM64_GICV2M_AT), WIDE(ARM64_GICV2M_LEN));
	cell(tree, "arm,msi-base-spi", ARM64_SPI_BASE + ARM64_NR_WIRES);
	cell(tree, "arm,msi-num-spis", ARM64_NR_GICV2M_SPIS);
	end(tree);
	end(tree);
}

/* How a private interrupt is triggered; GICv2 wants to know at which CPUs as well. */
static uint32_t ppi_flags(const struct boot_config *config)
{
	uint32_t cpus = (1u << min_u64(config->nr_cpus, 8)) - 1;

	return config->arm64->gic == ARM64_BOOT_GICV2 ? LEVEL_HIGH | cpus << 8 : LEVEL_HIGH;
}

static void add_private(struct tree *tree, const struct boot_config *config)
{
	uint32_t flags = ppi_flags(config);

	begin(tree, "timer");
	STRINGS(tree, "compatible", "arm,armv8-timer");
	CELLS(tree, "interrupts", PPI, ARM64_PPI_SECURE_TIMER, flags, PPI, ARM64_PPI_TIMER, flags,
	      PPI, ARM64_PPI_VIRTUAL_TIMER, flags, PPI, ARM64_PPI_HYP_TIMER, flags);
	flag(tree, "always-on");
	end(tree);
	if (!config->arm64->pmu)
		return;
	begin(tree, "pmu");
	string(tree, "compatible", "arm,armv8-pmuv3");
	CELLS(tree, "interrupts", PPI, ARM64_PPI_PMU, flags);
	end(tree);
}

static void add_uart(struct tree *tree)
{
	begin_at(tree, "serial", ARM64_UART_AT);
	string(tree, "compatible", "ns16550a");
	CELLS(tree, "reg", WIDE(ARM64_UART_AT), WIDE(ARM64_DEVICE_LEN));
	CELLS(tree, "interrupts", SPI, ARM64_SPI_UART, LEVEL_HIGH);
	cell(tree, "clock-frequency", 1843200);
	end(tree);
}

/* Drivers of PrimeCells want a clock, whatever its frequency. */
static void begin_primecell(struct tree *tree, const char *name, uint64_t at)
{
	begin_at(tree, name, at);
	CELLS(tree, "reg", WIDE(at), WIDE(ARM64_DEVICE_LEN));
	cell(tree, "clocks", CLOCK);
	string(tree, "clock-names", "apb_pclk");
}

static void add_primecells(struct tree *tree)
{
	begin(tree, "apb-pclk");
	cell(tree, "phandle", CLOCK);
	string(tree, "compatible", "fixed-clock");
	cell(tree, "#clock-cells", 0);
	cell(tree, "clock-frequency", 24000000);
	end(tree);

	begin_primecell(tree, "rtc", ARM64_RTC_AT);
	STRINGS(tree, "compatible", "arm,pl031\0arm,primecell");
	end(tree);

	begin_primecell(tree, "gpio", ARM64_GPIO_AT);
	STRINGS(tree, "compatible", "arm,pl061\0arm,primecell");
	cell(tree, "phandle", GPIO);
	CELLS(tree, "interrupts", SPI, ARM64_SPI_GPIO, LEVEL_HIGH);
	flag(tree, "gpio-controller");
	cell(tree, "#gpio-cells", 2);
	end(tree);

	begin(tree, "gpio-keys");
	string(tree, "compatible", "gpio-keys");
	string(tree, "label", "Power Button");
	begin(tree, "power");
	cell(tree, "linux,code", KEY_POWER);
	CELLS(tree, "gpios", GPIO, ARM64_GPIO_BUTTON, 0);
	end(tree);
	end(tree);
}

/* By which number a function's messages are known: bus * 256 + devfn, all of them. */
#define SENDERS	0x10000

static void add_pci(struct tree *tree, const struct boot_config *config)
{
	begin_at(tree, "pcie", ARM64_ECAM_AT);
	string(tree, "compatible", "pci-host-ecam-generic");
	string(tree, "device_type", "pci");
	cell(tree, "#address-cells", 3);
	cell(tree, "#size-cells", 2);
	CELLS(tree, "bus-range", 0, ARM64_PCI_BUSES - 1);
	cell(tree, "linux,pci-domain", 0);
	CELLS(tree, "reg", WIDE(ARM64_ECAM_AT), WIDE(ARM64_ECAM_LEN));
	CELLS(tree, "ranges", RANGE_MEM32, WIDE(ARM64_PCI_MMIO32_AT), WIDE(ARM64_PCI_MMIO32_AT),
	      WIDE(ARM64_PCI_MMIO32_LEN), RANGE_MEM64, WIDE(config->pci_mmio64_at),
	      WIDE(config->pci_mmio64_at), WIDE(config->pci_mmio64_len));
	CELLS(tree, "msi-map", 0, MESSAGES, 0, SENDERS);
	flag(tree, "dma-coherent");
	end(tree);
}

static void add_all(struct tree *tree, struct guest_mem *mem, const struct boot_config *config,
		    const struct initrd *initrd)
{
	done(tree, fdt_create(tree->fdt, ARM64_FDT_MAX));
	done(tree, fdt_add_reservemap_entry(tree->fdt, ARM64_STOLEN_AT, ARM64_STOLEN_LEN));
	done(tree, fdt_finish_reservemap(tree->fdt));
	begin(tree, "");
	string(tree, "compatible", "linux,dummy-virt");
	string(tree, "model", "vmm");
	cell(tree, "#address-cells", 2);
	cell(tree, "#size-cells", 2);
	cell(tree, "interrupt-parent", GIC);
	add_chosen(tree, config->cmdline, initrd);
	add_memory(tree, mem);
	add_cpus(tree, config->nr_cpus);
	if (config->arm64->gic == ARM64_BOOT_GICV3)
		add_gicv3(tree, config->nr_cpus);
	else
		add_gicv2(tree);
	add_private(tree, config);
	add_uart(tree);
	add_primecells(tree);
	add_pci(tree, config);
	end(tree);
	done(tree, fdt_finish(tree->fdt));
}

int arm64_fdt_write(struct guest_mem *mem, const struct boot_config *config,
		    const struct initrd *initrd, struct err *err)
{
	struct tree tree = { .fdt = calloc(1, ARM64_FDT_MAX) };
	int r;

	if (!tree.fdt)
		return err_sys(err, -ENOMEM, "cannot make a device tree");
	add_all(&tree, mem, config, initrd);
	if (tree.r)
		r = err_set(err, -E2BIG, "cannot make a device tree: %s", fdt_strerror(tree.r));
	else
		r = guest_mem_write(mem, ARM64_FDT_AT, tree.fdt, fdt_totalsize(tree.fdt));
	free(tree.fdt);
	return r;
}

int arm64_fdt_dump(const struct guest_mem *mem, const char *path, struct err *err)
{
	struct iovec seg = { 0 };
	FILE *file;
	int r = guest_mem_map(mem, ARM64_FDT_AT, ARM64_FDT_MAX, &seg, 1);

	if (r < 0)
		return err_sys(err, r, "the device tree");
	file = fopen(path, "we");
	if (!file)
		return err_sys(err, -errno, "cannot write '%s'", path);
	r = fwrite(seg.iov_base, fdt_totalsize(seg.iov_base), 1, file) == 1 ? 0 : -EIO;
	if (fclose(file))
		r = -errno;
	return r < 0 ? err_sys(err, r, "cannot write '%s'", path) : 0;
}
