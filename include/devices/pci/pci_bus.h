/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_bus.h - the functions on the PCI buses, and where their BARs are mapped.
 *
 * Whenever the guest moves a BAR or switches decoding, the bus maps the BAR's
 * region to the new address or unmaps it.  A BAR is mapped only if
 *
 *   - it lies within the window for its kind, so that no guest puts a device
 *     over RAM or over the platform's own registers, and
 *   - nothing else answers there.  Of two BARs at one address the one that
 *     came first stays; the other waits, and is tried again at each change.
 *
 * Each slot of the root bus, which is bus 0, has function 0 only.  Where that is a port
 * (pci_port.h), what is added to the slot goes behind it, onto a bus of its own whose
 * number is the guest's choice.  The windows of a port are the guest's own business: BARs
 * behind it answer wherever they would on the root bus.
 *
 * One lock covers the configuration of all functions on the bus; it is held
 * while a function's hooks run.  Regions' handlers run without it.
 */
#ifndef DEVICES_PCI_PCI_BUS_H
#define DEVICES_PCI_PCI_BUS_H

#include "devices/pci/pci.h"

#include <stdbool.h>
#include <stdint.h>

struct bus;
struct err;
struct pci_bus;
struct pci_function;
struct state_reader;
struct state_writer;

#define PCI_BUS_SLOTS	32
#define PCI_BUS_ANY_SLOT (-1)

/* A range of addresses in which BARs may lie; len 0: none may. */
struct pci_window {
	uint64_t at, len;
};

/*
 * The windows hold nothing but BARs.  mem32 and io lie below 4 GiB.  A 64-bit
 * BAR may lie in either memory window.
 */
struct pci_bus_config {
	struct bus *mmio;
	struct bus *pio;		/* may be NULL if io is empty */
	struct pci_window mem32, mem64, io;
};

/* NULL when memory runs out.  The buses outlive it; config is copied. */
struct pci_bus *pci_bus_new(const struct pci_bus_config *config);

/* Takes all functions off first; they stay their owners'.  Main.  -> NULL */
struct pci_bus *pci_bus_free(struct pci_bus *bus);

/*
 * Put fn into a slot from 0 to 31 or, with PCI_BUS_ANY_SLOT, the first that has not even
 * a port.  fn stays the caller's and outlives its time on the bus.
 *
 * -EINVAL no such slot, -EEXIST the slot is taken, -ENOSPC all are.  Any thread.
 */
int pci_bus_add(struct pci_bus *bus, struct pci_function *fn, int slot, struct err *err);

/* Unmaps the BARs.  Any thread. */
void pci_bus_remove(struct pci_bus *bus, struct pci_function *fn);

/* Is there a function in the slot, besides a port?  Any thread. */
bool pci_bus_taken(struct pci_bus *bus, unsigned slot);

/* The registers that all functions have, of that one; false: it is not there. */
bool pci_bus_header(struct pci_bus *bus, unsigned slot,
		    uint8_t ret_header[PCI_STD_HEADER_SIZEOF]);

/*
 * An access to configuration space by the guest, of the function that has this id, bus *
 * 256 + devfn: 1, 2 or 4 bytes, not across a multiple of four, reg below 4096.  An absent
 * function reads as all ones.  Any thread.
 */
uint32_t pci_bus_read(struct pci_bus *bus, uint16_t id, unsigned reg, unsigned size);
void pci_bus_write(struct pci_bus *bus, uint16_t id, unsigned reg, unsigned size,
		   uint32_t value);

/* Run fn as the hooks of functions run: under the lock.  Any thread but from a hook. */
void pci_bus_call(struct pci_bus *bus, void (*fn)(void *ctx), void *ctx);

/*
 * The configuration space of a function on the bus, as a section; and the
 * same into one that is alike, whose BARs follow.  What hangs on the rest of it is its
 * owner's.  Main.
 */
void pci_bus_save(const struct pci_function *fn, struct state_writer *writer);
int pci_bus_load(struct pci_bus *bus, struct pci_function *fn, struct state_reader *reader,
		 struct err *err);

/* What a BAR of a slot's function is and where; false when either is not there. */
struct pci_bus_bar {
	enum pci_bar_kind kind;
	uint64_t len;			/* bytes */
	bool decodes;
	uint64_t at;			/* valid if it decodes */
};

bool pci_bus_bar(struct pci_bus *bus, unsigned slot, unsigned index,
		 struct pci_bus_bar *ret_bar);

/*
 * The firmware's part: give every BAR an address in its window, and every port's bus a
 * number.  Decoding and
 * bus mastering are left to the driver: a guest that finds decoding on switches
 * it off and on again around every BAR it sizes.  -ENOSPC when a BAR finds no
 * room; give up the VM then.  Main, before vCPUs run.
 */
int pci_bus_assign(struct pci_bus *bus, struct err *err);

#endif
