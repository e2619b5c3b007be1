// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include "base/clock.h"
#include "bus/bus.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_host.h"
#include "devices/virtio/virtio_pci.h"
#include "loop/loop.h"
#include "memory/guest_mem.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define PAGE 4096

/* Enough for a kick, what it defers, and what that defers. */
#define TURNS_TO_SETTLE 4

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* The machine's side of eventfds.h. */

static struct rig *rig_of(struct eventfds *efds)
{
	return container_of(efds, struct rig, efds);
}

/* The one that is like this, or a free one. */
static struct rig_binding *slot_for(struct rig_binding *slots, int fd)
{
	struct rig_binding *free_one = NULL;

	for (unsigned i = 0; i < RIG_BINDINGS_MAX; i++) {
		if (slots[i].bound && slots[i].fd == fd)
			return &slots[i];
		if (!slots[i].bound)
			free_one = &slots[i];
	}
	must(free_one);
	return free_one;
}

static int bind_msi(struct eventfds *efds, int fd, const struct msi *msi)
{
	struct rig *rig = rig_of(efds);

	pthread_mutex_lock(&rig->lock);
	*slot_for(rig->messages, fd) = (struct rig_binding){ true, fd, msi->addr, msi->data };
	pthread_mutex_unlock(&rig->lock);
	return 0;
}

static void unbind_msi(struct eventfds *efds, int fd)
{
	struct rig *rig = rig_of(efds);

	pthread_mutex_lock(&rig->lock);
	slot_for(rig->messages, fd)->bound = false;
	pthread_mutex_unlock(&rig->lock);
}

static int bind_write(struct eventfds *efds, int fd, uint64_t mmio_at)
{
	struct rig *rig = rig_of(efds);
	int r = rig->refuses_writes ? -ENOSPC : 0;

	pthread_mutex_lock(&rig->lock);
	if (!r)
		*slot_for(rig->writes, fd) = (struct rig_binding){ true, fd, mmio_at, 0 };
	pthread_mutex_unlock(&rig->lock);
	return r;
}

static void unbind_write(struct eventfds *efds, int fd, uint64_t mmio_at)
{
	struct rig *rig = rig_of(efds);
	struct rig_binding *slot;

	pthread_mutex_lock(&rig->lock);
	slot = slot_for(rig->writes, fd);
	must(!slot->bound || slot->at == mmio_at);
	slot->bound = false;
	pthread_mutex_unlock(&rig->lock);
}

static const struct eventfds_ops efds_ops = {
	.bind_msi	= bind_msi,
	.unbind_msi	= unbind_msi,
	.bind_write	= bind_write,
	.unbind_write	= unbind_write,
};

unsigned rig_nr_bound_writes(struct rig *rig)
{
	unsigned nr = 0;

	pthread_mutex_lock(&rig->lock);
	for (unsigned i = 0; i < RIG_BINDINGS_MAX; i++)
		nr += rig->writes[i].bound;
	pthread_mutex_unlock(&rig->lock);
	return nr;
}

/* As a vCPU. */

uint64_t rig_read(struct rig *rig, uint64_t at, unsigned size)
{
	return bus_read(rig->mmio, at, size);
}

static bool signal_bound(struct rig *rig, uint64_t at)
{
	bool bound = false;

	pthread_mutex_lock(&rig->lock);
	for (unsigned i = 0; i < RIG_BINDINGS_MAX && !bound; i++) {
		bound = rig->writes[i].bound && rig->writes[i].at == at;
		if (bound)
			eventfd_write(rig->writes[i].fd, 1);
	}
	pthread_mutex_unlock(&rig->lock);
	return bound;
}

void rig_write(struct rig *rig, uint64_t at, unsigned size, uint64_t value)
{
	if (!signal_bound(rig, at))
		bus_write(rig->mmio, at, size, value);
}

void *rig_ram(struct rig *rig, uint64_t at, size_t len)
{
	struct iovec seg;

	must(guest_mem_map(rig->mem, at, len, &seg, 1) == 1);
	return seg.iov_base;
}

/* Interrupts, as KVM would take them from the bound eventfd. */

static int message_fd(struct rig *rig, uint32_t data)
{
	int fd = -1;

	pthread_mutex_lock(&rig->lock);
	for (unsigned i = 0; i < RIG_BINDINGS_MAX; i++)
		if (rig->messages[i].bound && rig->messages[i].data == data)
			fd = rig->messages[i].fd;
	pthread_mutex_unlock(&rig->lock);
	return fd;
}

unsigned rig_take_interrupts(struct rig *rig, uint32_t data)
{
	eventfd_t count = 0;
	int fd = message_fd(rig, data);

	if (fd < 0 || eventfd_read(fd, &count) < 0)
		return 0;
	return (unsigned)count;
}

/* Turning the loop inline. */

struct pause {
	struct loop_timer deadline;
	struct loop_task turn;
	struct rig *rig;
	int fd;				/* readable ends it; none if negative */
	unsigned turns;			/* left */
};

static void turned(struct loop_task *task)
{
	struct pause *pause = container_of(task, struct pause, turn);

	if (--pause->turns)
		loop_defer(pause->rig->loop, task);
}

static bool have_turned(void *ctx)
{
	return !((struct pause *)ctx)->turns;
}

static void expired(struct loop_timer *timer)
{
	(void)timer;
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, timeout_ms) == 1;
}

static bool has_come(void *ctx)
{
	struct pause *pause = ctx;

	return readable(pause->fd, 0) || !pause->deadline.set;
}

unsigned rig_wait_interrupts(struct rig *rig, uint32_t data)
{
	struct pause pause = { .deadline.fired = expired, .rig = rig };

	pause.fd = message_fd(rig, data);
	if (pause.fd < 0)
		return 0;
	if (rig->mode == RIG_THREAD) {
		readable(pause.fd, RIG_PATIENCE_MS);
	} else {
		loop_timer_set(rig->loop, &pause.deadline,
			       clock_ns() + RIG_PATIENCE_MS * CLOCK_NS_PER_MS);
		loop_wait(rig->loop, has_come, &pause);
		loop_timer_clear(rig->loop, &pause.deadline);
	}
	return rig_take_interrupts(rig, data);
}

static void nothing(void *ctx)
{
	(void)ctx;
}

void rig_settle(struct rig *rig)
{
	struct pause pause = { .turn.run = turned, .rig = rig, .turns = TURNS_TO_SETTLE };

	if (rig->mode == RIG_INLINE) {
		/* While a task is deferred a turn does not wait. */
		loop_defer(rig->loop, &pause.turn);
		loop_wait(rig->loop, have_turned, &pause);
		return;
	}
	/* What a turn defers runs after the calls of that turn and before the next's. */
	for (unsigned i = 0; i < TURNS_TO_SETTLE; i++)
		loop_call(rig->loop, nothing, NULL);
}

/* Life. */

static void add_ram(struct rig *rig, unsigned index, uint64_t at, size_t len)
{
	rig->ram[index] = aligned_alloc(PAGE, len);
	must(rig->ram[index]);
	must(!guest_mem_add(rig->mem, at, rig->ram[index], len));
}

void rig_clear_ram(struct rig *rig)
{
	memset(rig->ram[0], 0, RIG_SEAM);
	memset(rig->ram[1], 0, RIG_RAM_LEN - RIG_SEAM);
	memset(rig->ram[2], 0, RIG_HIGH_LEN);
}

void rig_open(struct rig *rig, enum rig_mode mode)
{
	struct pci_bus_config pci = { .mem32 = { RIG_WINDOW_AT, RIG_WINDOW_LEN } };

	*rig = (struct rig){ .mode = mode, .efds.ops = &efds_ops };
	pthread_mutex_init(&rig->lock, NULL);
	rig->mem = guest_mem_new();
	must(rig->mem);
	add_ram(rig, 0, 0, RIG_SEAM);
	add_ram(rig, 1, RIG_SEAM, RIG_RAM_LEN - RIG_SEAM);
	add_ram(rig, 2, RIG_HIGH_AT, RIG_HIGH_LEN);
	rig_clear_ram(rig);

	rig->mmio = bus_new();
	must(rig->mmio);
	pci.mmio = rig->mmio;
	rig->pci = pci_bus_new(&pci);
	must(rig->pci);
	rig->host = pci_host_new(rig->pci, &(struct pci_host_config){
		.mmio = rig->mmio, .ecam_at = RIG_ECAM_AT,
	}, NULL);
	must(rig->host);

	must(!loop_new(&rig->loop, NULL));
	if (mode == RIG_THREAD) {
		must(!loop_start(rig->loop, "rig", NULL));
	} else {
		/* A loop that ran once, though for no turn, can be turned inline. */
		loop_quit(rig->loop);
		must(!loop_run(rig->loop));
	}
}

void rig_plug(struct rig *rig, struct virtio_dev *dev)
{
	must(!rig->vp);
	must(!virtio_pci_new(&rig->vp, dev, &rig->efds, NULL));
	must(!pci_bus_add(rig->pci, virtio_pci_function(rig->vp), PCI_BUS_ANY_SLOT, NULL));
	must(!pci_bus_assign(rig->pci, NULL));
}

void rig_unplug(struct rig *rig)
{
	if (!rig->vp)
		return;
	pci_bus_remove(rig->pci, virtio_pci_function(rig->vp));
	rig->vp = virtio_pci_free(rig->vp);
	must(!rig_nr_bound_writes(rig));
}

void rig_close(struct rig *rig)
{
	rig_unplug(rig);
	if (rig->mode == RIG_THREAD)
		loop_stop(rig->loop);
	rig->loop = loop_free(rig->loop);
	rig->host = pci_host_free(rig->host);
	rig->pci = pci_bus_free(rig->pci);
	rig->mmio = bus_free(rig->mmio);
	rig->mem = guest_mem_free(rig->mem);
	for (unsigned i = 0; i < ARRAY_LEN(rig->ram); i++)
		free(rig->ram[i]);
	pthread_mutex_destroy(&rig->lock);
}
