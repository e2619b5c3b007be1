/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventfds.h - how an eventfd stands for an interrupt or for a guest's write.
 *
 * Devices know eventfds only.  The machine implements this interface with
 * KVM's irqfd and ioeventfd, so that neither direction visits a vCPU thread;
 * tests implement it with plain arrays.
 *
 *   interrupt   eventfds_bind_msi(): a write of 1 to the eventfd sends the
 *               message.  While nothing is bound the eventfd just counts, and
 *               binding delivers what was counted: an MSI-X vector is masked
 *               by unbinding it, and its pending bit is "the eventfd is
 *               readable".
 *   kick        eventfds_bind_write(): a guest write of any width to the
 *               address signals the eventfd instead of reaching the bus.
 *
 * Any thread.  Each returns 0 or a negative errno.
 */
#ifndef BUS_EVENTFDS_H
#define BUS_EVENTFDS_H

#include <stdint.h>

struct eventfds;

/* A message-signalled interrupt: who writes what, and where to. */
struct msi {
	uint64_t addr;
	uint32_t data;
	uint16_t sender;		/* PCI requester id: bus * 256 + devfn */
};

struct eventfds_ops {
	/* Bind, or move to another message if bound already. */
	int (*bind_msi)(struct eventfds *efds, int fd, const struct msi *msi);
	void (*unbind_msi)(struct eventfds *efds, int fd);
	int (*bind_write)(struct eventfds *efds, int fd, uint64_t mmio_at);
	void (*unbind_write)(struct eventfds *efds, int fd, uint64_t mmio_at);
};

struct eventfds {
	const struct eventfds_ops *ops;
};

#endif
