/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_port.h - a PCI Express root port: a slot in which a device may come and go.
 *
 * It has the registers of native hot plug (PCI Express Base Specification 6.7), so that a
 * guest needs neither firmware nor ACPI for it:
 *
 *	pci_bus_add() to its slot	the link comes up; the guest switches the slot on
 *	pci_port_ask()			the attention button: the guest, after the five
 *					seconds in which a person might press it again, lets
 *					go of the device and switches the slot off
 *	let_go()			it is off, and its indicator says that it stays so
 *	pci_bus_remove()		the slot is empty
 *
 * A command is complete when it is written, so none is ever told to be.
 */
#ifndef DEVICES_PCI_PCI_PORT_H
#define DEVICES_PCI_PCI_PORT_H

#include <stdbool.h>

struct err;
struct eventfds;
struct pci_bus;
struct pci_port;
struct state_reader;
struct state_writer;

struct pci_port_config {
	struct pci_bus *bus;
	struct eventfds *efds;
	unsigned slot;			/* of the root bus; also its number to the guest */
	bool on;			/* there is a device from the start */

	/* What is in the slot may be removed.  As hooks of pci.h run; and in pci_port_ask(). */
	void (*let_go)(void *ctx, unsigned slot);
	void *ctx;
};

/* On the bus at once; NULL on failure.  Main. */
struct pci_port *pci_port_new(const struct pci_port_config *config, struct err *err);
struct pci_port *pci_port_free(struct pci_port *port);	/* the slot is empty; -> NULL */

/*
 * Ask the guest to let go of what is in the slot.  A slot that is off is let go of at
 * once; while the guest switches it on or off it is asked afterwards.  Main.
 */
void pci_port_ask(struct pci_port *port);

/* Loaded before what is behind it, which is there already.  While no vCPU runs; main. */
void pci_port_save(struct pci_port *port, struct state_writer *writer);
int pci_port_load(struct pci_port *port, struct state_reader *reader, struct err *err);

#endif
