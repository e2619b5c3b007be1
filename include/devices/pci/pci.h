/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci.h - a PCI function: 256 bytes of configuration space and up to six BARs.
 *
 * A device embeds a struct pci_function and builds it in this order:
 *
 *	pci_init()		who it is
 *	pci_add_bar()		what it decodes
 *	pci_add_capability()	what else it can do
 *	pci_bus_add()		now the guest sees it (pci_bus.h)
 *
 * config[] holds the registers as the guest reads them, writable[] has a one
 * for each bit that the guest may change, clears[] for each that it clears by writing a
 * one; all other bits are constant for it.  A device
 * may fill in the bytes of its capabilities in both arrays until pci_bus_add();
 * later it touches config[] only within its hooks.
 *
 * Register names are those of <linux/pci_regs.h>; the rules are those of the
 * PCI Local Bus Specification 3.0, chapter 6.
 */
#ifndef DEVICES_PCI_PCI_H
#define DEVICES_PCI_PCI_H

#include "bus/bus.h"

#include <linux/pci_regs.h>
#include <stdbool.h>
#include <stdint.h>

struct pci_bar;
struct pci_function;

struct pci_ids {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class_code;		/* class, subclass, interface: 24 bits */
	uint8_t revision;
};

/*
 * The device's side; each may be NULL.  All of them run on a vCPU thread (or
 * on main while no vCPU runs) and hold the lock of the PCI bus.  They may wait
 * for a device's owner, so no owner ever calls into pci_bus.h.
 *
 * reg and size of the configuration hooks name the bytes that are accessed: 1,
 * 2 or 4 of them, never across a multiple of four.
 */
struct pci_ops {
	/* Bring config[] up to date; the bytes are read next. */
	void (*read_config)(struct pci_function *fn, unsigned reg, unsigned size);
	/* The guest wrote there; config[] and the BARs have followed already. */
	void (*write_config)(struct pci_function *fn, unsigned reg, unsigned size);
	/*
	 * The BAR's region now answers at this address, or no longer does at
	 * bar->region.at.  For what hangs on the address: ioeventfds.  A guest
	 * that probes maps and unmaps some twenty times, so do costly work
	 * only when the device is in use.
	 */
	void (*bar_mapped)(struct pci_function *fn, struct pci_bar *bar, uint64_t at);
	void (*bar_unmapped)(struct pci_function *fn, struct pci_bar *bar);
	/* Of a port: there is a function behind it now, or there no longer is. */
	void (*occupied)(struct pci_function *fn, bool there);
};

enum pci_bar_kind {
	PCI_BAR_NONE,
	PCI_BAR_MEM32,
	PCI_BAR_MEM64,		/* takes the next index as well */
	PCI_BAR_IO,
};

/*
 * The region is on a bus while mapped is true.  Its ops find their way by
 * container_of() to the pci_bar and on through fn.
 */
struct pci_bar {
	struct bus_region region;
	struct pci_function *fn;
	enum pci_bar_kind kind;
	uint8_t index;
	bool mapped;
};

struct pci_function {
	const struct pci_ops *ops;
	struct pci_bar bars[PCI_STD_NUM_BARS];
	uint8_t config[PCI_CFG_SPACE_SIZE];
	uint8_t writable[PCI_CFG_SPACE_SIZE];
	uint8_t clears[PCI_CFG_SPACE_SIZE];
	const struct pci_function *port;	/* that it is behind; NULL: on the root bus */
	uint8_t devfn;			/* slot * 8 + function, while on a bus; or of its port */
	uint8_t last_cap;		/* offset of the newest capability; 0: none */
	uint16_t free_at;		/* where the next capability goes */
};

/* ops live as long as fn, ids are copied. */
void pci_init(struct pci_function *fn, const struct pci_ops *ops,
	      const struct pci_ids *ids);

/*
 * len is a power of two of at least 16 (memory) or 4 to 256 (I/O).  ops and
 * name are those of the region and live as long as fn.
 */
void pci_add_bar(struct pci_function *fn, unsigned index, enum pci_bar_kind kind,
		 uint64_t len, const struct bus_ops *ops, const char *name);

/*
 * Append a capability of len bytes, its two bytes of header included, to the
 * list.  Returns its offset; the rest is zero and read-only.
 */
uint8_t pci_add_capability(struct pci_function *fn, uint8_t id, unsigned len);

/*
 * What follows is for the bus that the function is on, under the bus's lock.
 *
 * reg and size as in struct pci_ops, reg below PCI_CFG_SPACE_EXP_SIZE.  The
 * extended space reads as all ones, as that of a conventional function behind a
 * PCI Express bridge does; a guest then looks for nothing more there.
 */
uint32_t pci_config_read(struct pci_function *fn, unsigned reg, unsigned size);
void pci_config_write(struct pci_function *fn, unsigned reg, unsigned size,
		      uint32_t value);

/* Is it a bridge, behind which there is a bus for one other? */
bool pci_is_port(const struct pci_function *fn);

/* How the buses know it now: bus * 256 + devfn. */
uint16_t pci_id(const struct pci_function *fn);

/* The number of its sections in a saved state. */
uint32_t pci_instance(const struct pci_function *fn);

/* Does the guest have this BAR decode, and at which address? */
bool pci_bar_decodes(const struct pci_bar *bar, uint64_t *ret_at);

/* Write the address into the BAR's registers, as firmware would. */
void pci_bar_set_address(struct pci_bar *bar, uint64_t at);

#endif
