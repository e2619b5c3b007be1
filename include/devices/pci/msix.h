/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msix.h - MSI-X: interrupts of a PCI function as messages, one per vector.
 *
 * Behind each vector is an eventfd.  While the guest lets the vector through,
 * the eventfd is bound to the message in the vector's table entry, and a write
 * of 1 to it interrupts the guest without this code.  While the vector is
 * masked, the function is masked, or MSI-X is off, the eventfd is unbound and
 * just counts: that is the vector's pending bit.
 *
 * The owner of the function
 *
 *   - calls msix_config_written() from its write_config hook,
 *   - directs accesses to its BAR for which msix_covers() to msix_read() and
 *     msix_write().
 *
 * PCI Local Bus Specification 3.0, section 6.8.2.
 */
#ifndef DEVICES_PCI_MSIX_H
#define DEVICES_PCI_MSIX_H

#include "base/bits.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct err;
struct eventfds;
struct msix_vector;
struct pci_function;
struct state_reader;
struct state_writer;

#define MSIX_VECTORS_MAX	2048
#define MSIX_NO_VECTOR		0xffff	/* for msix_raise(): drop it */

/* Embedded in the device; its members are msix.c's. */
struct msix {
	struct pci_function *fn;
	struct eventfds *efds;
	struct msix_vector *vectors;
	uint32_t table_off, pba_off;	/* in the BAR */
	uint16_t nr_vectors;
	uint8_t cap;			/* offset of the capability */
	pthread_mutex_t lock;		/* for all below, and the vectors */
	bool enabled, masked;		/* the function as a whole */
	uint16_t sender;		/* its number when it was last enabled */
};

static inline uint32_t msix_table_len(unsigned nr_vectors)
{
	return 16 * nr_vectors;
}

/* The pending bits: one a vector, in whole 64-bit words. */
static inline uint32_t msix_pba_len(unsigned nr_vectors)
{
	return (nr_vectors + 63) / 64 * 8;
}

/*
 * Add the capability to fn, with the table and the pending bits at these
 * offsets, multiples of 8, of one of its BARs.  Creates the eventfds; -EMFILE,
 * -ENOMEM.  fn and efds outlive msix.
 */
int msix_init(struct msix *msix, struct pci_function *fn, unsigned nr_vectors,
	      unsigned bar, uint32_t table_off, uint32_t pba_off,
	      struct eventfds *efds, struct err *err);
void msix_fini(struct msix *msix);

/*
 * The table and what is pending, as a section of the function's devfn.  Loaded once the
 * function's configuration space is.  While no vCPU runs; main.
 */
void msix_save(struct msix *msix, struct state_writer *writer);
int msix_load(struct msix *msix, struct state_reader *reader, struct err *err);

/* The guest wrote there; follow it if that is the capability's control word. */
void msix_config_written(struct msix *msix, unsigned reg, unsigned size);

/* Is this offset in the BAR part of the table or the pending bits? */
static inline bool msix_covers(const struct msix *msix, uint64_t off)
{
	return off - msix->table_off < msix_table_len(msix->nr_vectors) ||
	       off - msix->pba_off < msix_pba_len(msix->nr_vectors);
}

/*
 * An access to the BAR, off relative to the BAR.  Only aligned ones of 4 and 8
 * bytes are defined: others read as all ones and write nothing.  Any thread.
 */
uint64_t msix_read(struct msix *msix, uint64_t off, unsigned size);
void msix_write(struct msix *msix, uint64_t off, unsigned size, uint64_t value);

/*
 * Interrupt the guest.  A vector that the function does not have, such as
 * MSIX_NO_VECTOR, is ignored: it is the guest that chose it.  Any thread.
 */
void msix_raise(struct msix *msix, unsigned vector);

/* The eventfd, for someone else to write to; it stays ours.  -EINVAL: no such vector. */
int msix_fd(const struct msix *msix, unsigned vector);

#endif
