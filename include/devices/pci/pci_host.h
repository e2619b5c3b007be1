/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_host.h - how a guest reaches the configuration space of a PCI bus.
 *
 * Two ways lead to the same registers:
 *
 *   ECAM    memory, 4 KiB a function, 1 MiB a bus (PCI Express Base
 *           Specification, 7.2.2)
 *   ports   CONFIG_ADDRESS and CONFIG_DATA, the first 256 bytes only (PCI
 *           Local Bus Specification 3.0, 3.2.2.3.2)
 *
 * The host bridge itself is the function in slot 0.
 */
#ifndef DEVICES_PCI_PCI_HOST_H
#define DEVICES_PCI_PCI_HOST_H

#include <stdint.h>

struct bus;
struct err;
struct pci_bus;
struct pci_host;
struct state_reader;
struct state_writer;

struct pci_host_config {
	struct bus *mmio;
	uint64_t ecam_at;		/* takes 1 MiB a bus */
	unsigned buses_behind;		/* besides bus 0: those behind ports */
	struct bus *pio;		/* NULL: no port access */
	uint16_t ports_at;		/* 8 ports; 0xcf8 on a PC */
};

/* root is bus 0; it and the buses outlive the host.  NULL on failure.  Main. */
struct pci_host *pci_host_new(struct pci_bus *root, const struct pci_host_config *config,
			      struct err *err);
struct pci_host *pci_host_free(struct pci_host *host);	/* -> NULL */

/* The address port, and the bridge's configuration.  While no vCPU runs; main. */
void pci_host_save(const struct pci_host *host, struct state_writer *writer);
int pci_host_load(struct pci_host *host, struct state_reader *reader, struct err *err);

#endif
