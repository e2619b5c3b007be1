// SPDX-License-Identifier: Apache-2.0
/*
 * pci_host.c - ECAM and configuration ports.
 *
 * An offset into ECAM names a register of any function (bus, devfn, register),
 * so the ports are translated to it and all else is done once.
 */
#include "devices/pci/pci_host.h"

#include "base/bits.h"
#include "base/err.h"
#include "bus/bus.h"
#include "devices/pci/pci.h"
#include "devices/pci/pci_bus.h"
#include "state/state.h"

#include <errno.h>
#include <stdlib.h>

#define ECAM_ID(off)		((uint16_t)((off) >> 12))
#define ECAM_REG(off)		((unsigned)(off) & 0xfff)

#define CONFIG_ADDRESS		0	/* ports, relative to ports_at */
#define CONFIG_DATA		4
#define CONFIG_PORTS		8

#define ADDRESS_ENABLE		BIT32(31)
#define ADDRESS_WRITABLE	0x80fffffcu
#define ADDRESS_BDF(address)	((address) >> 8 & 0xffff)
#define ADDRESS_REG(address)	((address) & 0xfc)

struct pci_host {
	struct pci_bus *root;
	struct bus *mmio, *pio;
	struct bus_region ecam, ports;
	struct pci_function bridge;

	/*
	 * Guests pair address and data under a lock of their own, so that each
	 * access for itself need only not tear.
	 */
	_Atomic(uint32_t) address;
};

/* What a generic PCI Express host bridge is known as. */
static const struct pci_ids bridge_ids = {
	.vendor = 0x1b36,
	.device = 0x0008,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x060000,
};

static const struct pci_ops bridge_ops;

static uint64_t config_read(struct pci_host *host, uint64_t off, unsigned size)
{
	uint64_t value = 0;

	if ((off & 3) + size <= 4)
		return pci_bus_read(host->root, ECAM_ID(off), ECAM_REG(off), size);

	/* Nobody should do this; a byte at a time it means what it seems to. */
	for (unsigned i = 0; i < size; i++)
		value |= config_read(host, off + i, 1) << 8 * i;
	return value;
}

static void config_write(struct pci_host *host, uint64_t off, unsigned size, uint64_t value)
{
	if ((off & 3) + size <= 4) {
		pci_bus_write(host->root, ECAM_ID(off), ECAM_REG(off), size, (uint32_t)value);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		config_write(host, off + i, 1, value >> 8 * i & 0xff);
}

static uint64_t ecam_read(struct bus_region *region, uint64_t off, unsigned size)
{
	return config_read(container_of(region, struct pci_host, ecam), off, size);
}

static void ecam_write(struct bus_region *region, uint64_t off, unsigned size,
		       uint64_t value)
{
	config_write(container_of(region, struct pci_host, ecam), off, size, value);
}

static const struct bus_ops ecam_ops = { .read = ecam_read, .write = ecam_write };

static uint64_t ecam_off(uint32_t address, uint64_t port)
{
	return (uint64_t)ADDRESS_BDF(address) << 12 |
	       (ADDRESS_REG(address) + (port - CONFIG_DATA));
}

/*
 * CONFIG_ADDRESS answers whole dwords only: the ports in it belong to others,
 * such as the reset register at 0xcf9, as far as smaller accesses go.
 */
static uint64_t ports_read(struct bus_region *region, uint64_t port, unsigned size)
{
	struct pci_host *host = container_of(region, struct pci_host, ports);
	uint32_t address = host->address;

	if (port == CONFIG_ADDRESS && size == 4)
		return address;
	if (port < CONFIG_DATA || !(address & ADDRESS_ENABLE))
		return UINT64_MAX;
	return config_read(host, ecam_off(address, port), size);
}

static void ports_write(struct bus_region *region, uint64_t port, unsigned size,
			uint64_t value)
{
	struct pci_host *host = container_of(region, struct pci_host, ports);
	uint32_t address = host->address;

	if (port == CONFIG_ADDRESS && size == 4)
		host->address = (uint32_t)value & ADDRESS_WRITABLE;
	else if (port >= CONFIG_DATA && (address & ADDRESS_ENABLE))
		config_write(host, ecam_off(address, port), size, value);
}

static const struct bus_ops ports_ops = { .read = ports_read, .write = ports_write };

static int connect_regions(struct pci_host *host, struct err *err)
{
	int r = bus_add(host->mmio, &host->ecam);

	if (r < 0)
		return err_sys(err, r, "PCI host: cannot place ECAM at %#llx",
			       (unsigned long long)host->ecam.at);
	if (!host->pio)
		return 0;
	r = bus_add(host->pio, &host->ports);
	if (r < 0) {
		bus_remove(host->mmio, &host->ecam);
		return err_sys(err, r, "PCI host: cannot place its ports at %#llx",
			       (unsigned long long)host->ports.at);
	}
	return 0;
}

struct pci_host *pci_host_new(struct pci_bus *root, const struct pci_host_config *config,
			      struct err *err)
{
	struct pci_host *host = calloc(1, sizeof(*host));

	if (!host) {
		err_set(err, -ENOMEM, "PCI host: out of memory");
		return NULL;
	}
	host->root = root;
	host->mmio = config->mmio;
	host->pio = config->pio;
	host->ecam = (struct bus_region){
		.at = config->ecam_at, .len = (1 + config->buses_behind) * MiB,
		.ops = &ecam_ops, .name = "pci-ecam",
	};
	host->ports = (struct bus_region){
		.at = config->ports_at, .len = CONFIG_PORTS, .ops = &ports_ops,
		.name = "pci-config",
	};
	pci_init(&host->bridge, &bridge_ops, &bridge_ids);
	if (pci_bus_add(root, &host->bridge, 0, err) < 0)
		goto free_host;
	if (connect_regions(host, err) < 0)
		goto remove_bridge;
	return host;

remove_bridge:
	pci_bus_remove(root, &host->bridge);
free_host:
	free(host);
	return NULL;
}

struct pci_host *pci_host_free(struct pci_host *host)
{
	if (!host)
		return NULL;
	if (host->pio)
		bus_remove(host->pio, &host->ports);
	bus_remove(host->mmio, &host->ecam);
	pci_bus_remove(host->root, &host->bridge);
	free(host);
	return NULL;
}

struct host_state {
	uint32_t address;
};

static const struct state_field state_fields[] = {
	{ STATE_ONE(struct host_state, address) },
	STATE_END
};

static const struct state_table state_table = {
	.name = "pci-host", .version = 1, .fields = state_fields,
};

void pci_host_save(const struct pci_host *host, struct state_writer *writer)
{
	const struct host_state state = { .address = host->address };

	state_save(writer, &state_table, 0, &state);
	pci_bus_save(&host->bridge, writer);
}

int pci_host_load(struct pci_host *host, struct state_reader *reader, struct err *err)
{
	struct host_state state;
	int r = state_load(reader, &state_table, 0, &state, err);

	if (r < 0)
		return r;
	host->address = state.address & ADDRESS_WRITABLE;
	return pci_bus_load(host->root, &host->bridge, reader, err);
}
