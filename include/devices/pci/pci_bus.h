/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_bus.h - the functions on a PCI bus, and where their BARs are mapped.
 *
 * Whenever the guest moves a BAR or switches decoding, the bus maps the BAR's
 * region to the new address or unmaps it.  A BAR is mapped only if
 *
 *   - it lies within the window for its kind, so that no guest puts a device
 *     over RAM or over the platform's own registers, and
 *   - nothing else answers there.  Of two BARs at one address the one that
 *     came first stays; the other waits, and is tried again at each change.
 *
 * Each slot has function 0 only.  Functions are looked up by devfn, so further
 * functions of a slot need no more than pci_bus_add() to accept them.
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
 * Put fn into a slot from 0 to 31 or, with PCI_BUS_ANY_SLOT, the first free
 * one.  fn stays the caller's and outlives its time on the bus.
 *
 * -EINVAL no such slot, -EEXIST the slot is taken, -ENOSPC all are.  Any thread.
 */
int pci_bus_add(struct pci_bus *bus, struct pci_function *fn, int slot, struct err *err);

/* Unmaps the BARs.  Any thread. */
void pci_bus_remove(struct pci_bus *bus, struct pci_function *fn);

/*
 * An access to configuration space by the guest: 1, 2 or 4 bytes, not across a
 * multiple of four, reg below 4096.  An absent function reads as all ones.
 * Any thread.
 */
uint32_t pci_bus_read(struct pci_bus *bus, uint8_t devfn, unsigned reg, unsigned size);
void pci_bus_write(struct pci_bus *bus, uint8_t devfn, unsigned reg, unsigned size,
		   uint32_t value);

/*
 * The configuration space of a function on the bus, as a section of its devfn; and the
 * same into one that is alike, whose BARs follow.  What hangs on the rest of it is its
 * owner's.  Main.
 */
void pci_bus_save(const struct pci_function *fn, struct state_writer *writer);
int pci_bus_load(struct pci_bus *bus, struct pci_function *fn, struct state_reader *reader,
		 struct err *err);

/* What a BAR is and where; false when the function or the BAR is not there. */
struct pci_bus_bar {
	enum pci_bar_kind kind;
	uint64_t len;			/* bytes */
	bool decodes;
	uint64_t at;			/* valid if it decodes */
};

bool pci_bus_bar(struct pci_bus *bus, uint8_t devfn, unsigned index,
		 struct pci_bus_bar *ret_bar);

/*
 * The firmware's part: give every BAR an address in its window.  Decoding and
 * bus mastering are left to the driver: a guest that finds decoding on switches
 * it off and on again around every BAR it sizes.  -ENOSPC when a BAR finds no
 * room; give up the VM then.  Main, before vCPUs run.
 */
int pci_bus_assign(struct pci_bus *bus, struct err *err);

#endif
