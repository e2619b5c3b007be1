// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_pci.c - a guest that pokes at PCI without any sense.
 *
 * Each nine bytes of input are one step: what to do, an offset, a value.
 * Whatever the steps are, read-only configuration bits keep their value, and
 * what is mapped is where the registers say, inside the windows.
 */
#include "base/bits.h"
#include "base/bytes.h"
#include "bus/bus.h"
#include "bus/eventfds.h"
#include "devices/pci/msix.h"
#include "devices/pci/pci.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_host.h"
#include "devices/pci/pci_port.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define STEP_LEN	9
#define NR_DEVICES	3
#define BEHIND		2		/* of them is behind a port, and comes and goes */
#define PORT_SLOT	9
#define NR_BUSES	4
#define NR_VECTORS	5

#define ECAM_AT		UINT64_C(0xe0000000)
#define MEM32_AT	UINT64_C(0xc0000000)
#define MEM64_AT	UINT64_C(0x800000000)
#define IO_AT		UINT64_C(0x1000)
#define PORTS_AT	0xcf8

#define MSIX_BAR	4
#define MSIX_BAR_LEN	0x1000
#define PBA_OFF		0x800

struct device {
	struct pci_function fn;
	struct msix msix;
	uint8_t initial[PCI_CFG_SPACE_SIZE];
	unsigned nr_mapped;		/* by the hooks */
};

struct machine {
	struct bus *mmio, *pio;
	struct pci_bus *bus;
	struct pci_host *host;
	struct pci_port *port;
	struct device devices[NR_DEVICES];
};

static const struct pci_bus_config windows = {
	.mem32 = { MEM32_AT, 64 * KiB },
	.mem64 = { MEM64_AT, 1 * MiB },
	.io = { IO_AT, 256 },
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static int bind_msi(struct eventfds *efds, int fd, const struct msi *msi)
{
	(void)efds;
	must(fd >= 0);
	return msi->data == 0xbad ? -1 : 0;
}

static void unbind_msi(struct eventfds *efds, int fd)
{
	(void)efds;
	must(fd >= 0);
}

static const struct eventfds_ops efds_ops = {
	.bind_msi = bind_msi,
	.unbind_msi = unbind_msi,
};
static struct eventfds efds = { .ops = &efds_ops };

static struct device *device_of(struct pci_function *fn)
{
	return container_of(fn, struct device, fn);
}

static uint64_t bar_read(struct bus_region *region, uint64_t off, unsigned size)
{
	struct pci_bar *bar = container_of(region, struct pci_bar, region);
	struct device *dev = device_of(bar->fn);

	must(range_within(off, size, region->len));
	if (bar->index == MSIX_BAR && msix_covers(&dev->msix, off))
		return msix_read(&dev->msix, off, size);
	return 0;
}

static void bar_write(struct bus_region *region, uint64_t off, unsigned size,
		      uint64_t value)
{
	struct pci_bar *bar = container_of(region, struct pci_bar, region);
	struct device *dev = device_of(bar->fn);

	must(range_within(off, size, region->len));
	if (bar->index == MSIX_BAR && msix_covers(&dev->msix, off))
		msix_write(&dev->msix, off, size, value);
}

static const struct bus_ops bar_ops = { .read = bar_read, .write = bar_write };

static void on_write(struct pci_function *fn, unsigned reg, unsigned size)
{
	msix_config_written(&device_of(fn)->msix, reg, size);
}

static void on_mapped(struct pci_function *fn, struct pci_bar *bar, uint64_t at)
{
	must(bar->mapped && bar->region.at == at);
	device_of(fn)->nr_mapped++;
}

static void on_unmapped(struct pci_function *fn, struct pci_bar *bar)
{
	must(!bar->mapped);
	device_of(fn)->nr_mapped--;
}

static const struct pci_ops device_ops = {
	.write_config = on_write,
	.bar_mapped = on_mapped,
	.bar_unmapped = on_unmapped,
};

static void let_go(void *ctx, unsigned slot)
{
	(void)ctx;
	must(slot == PORT_SLOT);
}

static void device_start(struct device *dev, struct pci_bus *bus, int slot)
{
	static const struct pci_ids ids = { .vendor = 0x1af4, .device = 0x1041 };

	pci_init(&dev->fn, &device_ops, &ids);
	pci_add_bar(&dev->fn, 0, PCI_BAR_MEM32, 256, &bar_ops, "mem32");
	pci_add_bar(&dev->fn, 1, PCI_BAR_IO, 32, &bar_ops, "io");
	pci_add_bar(&dev->fn, 2, PCI_BAR_MEM64, 64 * KiB, &bar_ops, "mem64");
	pci_add_bar(&dev->fn, MSIX_BAR, PCI_BAR_MEM64, MSIX_BAR_LEN, &bar_ops, "msix");
	must(!msix_init(&dev->msix, &dev->fn, NR_VECTORS, MSIX_BAR, 0, PBA_OFF, &efds, NULL));
	memcpy(dev->initial, dev->fn.config, sizeof(dev->initial));
	must(!pci_bus_add(bus, &dev->fn, slot, NULL));
}

static void machine_start(struct machine *m)
{
	struct pci_bus_config config = windows;

	memset(m, 0, sizeof(*m));
	m->mmio = bus_new();
	m->pio = bus_new();
	config.mmio = m->mmio;
	config.pio = m->pio;
	m->bus = pci_bus_new(&config);
	m->host = pci_host_new(m->bus, &(struct pci_host_config){
		.mmio = m->mmio, .ecam_at = ECAM_AT,
		.pio = m->pio, .ports_at = PORTS_AT,
		.buses_behind = NR_BUSES - 1,
	}, NULL);
	must(m->host);
	m->port = pci_port_new(&(struct pci_port_config){
		.bus = m->bus, .efds = &efds, .slot = PORT_SLOT, .let_go = let_go,
	}, NULL);
	must(m->port);
	for (unsigned i = 0; i < NR_DEVICES; i++)
		device_start(&m->devices[i], m->bus,
			     i == BEHIND ? PORT_SLOT : PCI_BUS_ANY_SLOT);
	must(!pci_bus_assign(m->bus, NULL));
}

static void machine_stop(struct machine *m)
{
	if (pci_bus_taken(m->bus, PORT_SLOT))
		pci_bus_remove(m->bus, &m->devices[BEHIND].fn);
	m->port = pci_port_free(m->port);
	m->host = pci_host_free(m->host);
	m->bus = pci_bus_free(m->bus);
	for (unsigned i = 0; i < NR_DEVICES; i++) {
		must(m->devices[i].nr_mapped == 0);
		msix_fini(&m->devices[i].msix);
	}
	m->mmio = bus_free(m->mmio);
	m->pio = bus_free(m->pio);
}

static bool inside(const struct pci_window *window, const struct bus_region *region)
{
	return region->at >= window->at &&
	       range_within(region->at - window->at, region->len, window->len);
}

static void check_bar(const struct pci_bar *bar)
{
	uint64_t at;

	must(pci_bar_decodes(bar, &at) && at == bar->region.at);
	if (bar->kind == PCI_BAR_IO)
		must(inside(&windows.io, &bar->region));
	else if (bar->kind == PCI_BAR_MEM32)
		must(inside(&windows.mem32, &bar->region));
	else
		must(inside(&windows.mem32, &bar->region) ||
		     inside(&windows.mem64, &bar->region));
}

static void check_device(const struct device *dev)
{
	unsigned nr_mapped = 0;

	for (unsigned i = 0; i < PCI_CFG_SPACE_SIZE; i++)
		must(!((dev->fn.config[i] ^ dev->initial[i]) & ~dev->fn.writable[i]));
	for (unsigned i = 0; i < PCI_STD_NUM_BARS; i++) {
		if (!dev->fn.bars[i].mapped)
			continue;
		check_bar(&dev->fn.bars[i]);
		nr_mapped++;
	}
	must(nr_mapped == dev->nr_mapped);
}

static void read_or_write(struct bus *bus, bool write, uint64_t at, unsigned size,
			  uint64_t value)
{
	if (write)
		bus_write(bus, at, size, value);
	else
		bus_read(bus, at, size);
}

static void plug_or_remove(struct machine *m)
{
	if (pci_bus_taken(m->bus, PORT_SLOT))
		pci_bus_remove(m->bus, &m->devices[BEHIND].fn);
	else
		must(!pci_bus_add(m->bus, &m->devices[BEHIND].fn, PORT_SLOT, NULL));
}

/* what: bits 0-1 the size, bit 2 write, bits 3-5 the kind, bits 6-7 the device. */
static void step(struct machine *m, const uint8_t *input)
{
	uint8_t what = input[0];
	uint32_t off = get_le32(input + 1), value = get_le32(input + 5);
	uint64_t wide = (uint64_t)value << 32 | value;
	unsigned size = 1u << (what & 3);
	bool write = what & 4;
	unsigned index = what >> 6;
	struct device *dev = &m->devices[index % NR_DEVICES];

	switch (what >> 3 & 7) {
	case 0:		/* the registers of a device, or of the port before it */
		read_or_write(m->mmio, write,
			      ECAM_AT + (uint64_t)dev->fn.devfn * 4096 + off % 256, size, wide);
		break;
	case 1:
		read_or_write(m->mmio, write, ECAM_AT + off % (NR_BUSES * MiB), size, wide);
		break;
	case 2:
		read_or_write(m->pio, write, PORTS_AT + off % 8, size, wide);
		break;
	case 3:
		bus_write(m->pio, PORTS_AT, 4, value);
		break;
	case 4:		/* the MSI-X BAR of a device, wherever it is */
		read_or_write(m->mmio, write, dev->fn.bars[MSIX_BAR].region.at +
			      off % MSIX_BAR_LEN, size, wide);
		break;
	case 5:
		read_or_write(m->pio, write, IO_AT + off % 256, size, wide);
		break;
	case 6:		/* the other side of hot plug */
		if (index == BEHIND)
			plug_or_remove(m);
		else
			pci_port_ask(m->port);
		break;
	default:
		msix_raise(&dev->msix, off);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	static struct machine m;

	machine_start(&m);
	for (; len >= STEP_LEN; input += STEP_LEN, len -= STEP_LEN) {
		step(&m, input);
		for (unsigned i = 0; i < NR_DEVICES; i++)
			check_device(&m.devices[i]);
	}
	machine_stop(&m);
	return 0;
}
