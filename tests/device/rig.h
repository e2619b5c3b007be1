/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - a machine without processors, for one virtio device at a time.
 *
 * It has guest RAM, a PCI bus behind an ECAM window, a loop, and an eventfds
 * implementation that keeps what is bound in arrays.  Whoever plays the guest
 * uses rig_read() and rig_write(), which do what KVM does on a vCPU's access: a
 * write to a bound address signals its eventfd, all else goes to the bus.
 *
 * The loop runs on a thread of its own, as in a VM, or inline: then it turns
 * only while the caller waits, and a run is repeatable.
 *
 * Everything that goes wrong in the rig itself aborts.
 */
#ifndef TESTS_DEVICE_RIG_H
#define TESTS_DEVICE_RIG_H

#include "base/bits.h"
#include "bus/eventfds.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus;
struct guest_mem;
struct loop;
struct pci_bus;
struct pci_host;
struct virtio_dev;
struct virtio_pci;

/* Two regions that touch, so that a buffer can cross from one mapping to the next. */
#define RIG_RAM_LEN	(512 * KiB)
#define RIG_SEAM	(256 * KiB)
#define RIG_HIGH_AT	(4 * GiB)
#define RIG_HIGH_LEN	(64 * KiB)

#define RIG_ECAM_AT	UINT64_C(0xe0000000)
#define RIG_WINDOW_AT	UINT64_C(0xc0000000)
#define RIG_WINDOW_LEN	(1 * MiB)

#define RIG_BINDINGS_MAX 16
#define RIG_PATIENCE_MS	5000

enum rig_mode { RIG_THREAD, RIG_INLINE };

struct rig_binding {
	bool bound;
	int fd;
	uint64_t at;			/* of a message or a write */
	uint32_t data;
};

struct rig {
	enum rig_mode mode;
	struct bus *mmio;
	struct pci_bus *pci;
	struct pci_host *host;
	struct guest_mem *mem;
	void *ram[3];
	struct loop *loop;
	struct virtio_pci *vp;
	struct eventfds efds;

	pthread_mutex_t lock;		/* for all below */
	bool refuses_writes;		/* bind_write() fails, as when KVM has no room */
	struct rig_binding messages[RIG_BINDINGS_MAX], writes[RIG_BINDINGS_MAX];
};

void rig_open(struct rig *rig, enum rig_mode mode);
void rig_close(struct rig *rig);

/* Give dev, which becomes the rig's, a PCI function with addresses assigned. */
void rig_plug(struct rig *rig, struct virtio_dev *dev);
void rig_unplug(struct rig *rig);	/* frees the device; nothing if there is none */

/* As a vCPU; any thread. */
uint64_t rig_read(struct rig *rig, uint64_t at, unsigned size);
void rig_write(struct rig *rig, uint64_t at, unsigned size, uint64_t value);

/* Guest RAM as the guest sees it, within one region. */
void *rig_ram(struct rig *rig, uint64_t at, size_t len);

/* Zero all of it. */
void rig_clear_ram(struct rig *rig);

/* Take the interrupts that came as this message; their number. */
unsigned rig_take_interrupts(struct rig *rig, uint32_t data);

/* Wait for one at least; 0 when none came in RIG_PATIENCE_MS. */
unsigned rig_wait_interrupts(struct rig *rig, uint32_t data);

/* Return when the loop has done all it can do without I/O. */
void rig_settle(struct rig *rig);

/* How many writes are bound: ioeventfds, in a VM. */
unsigned rig_nr_bound_writes(struct rig *rig);

#endif
