// SPDX-License-Identifier: Apache-2.0
/*
 * eventfds.c - irqfd and ioeventfd behind the interface that devices know.
 *
 * KVM takes the routing table as a whole and waits for all readers whenever it
 * changes, so a route is written only when a vector's message changes.  A GSI
 * stays with its eventfd's number for good; the numbers that the process gives
 * to eventfds are few and come again.
 */
#include "vm.h"

#include "base/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static struct kvm_vm *vm_of(struct eventfds *efds)
{
	return container_of(efds, struct kvm_vm, efds);
}

/* Interrupts; under lock. */

static uint32_t gsi_of(const struct kvm_vm *vm, const struct vm_msi *msi)
{
	return vm_arch_nr_pins() + (uint32_t)(msi - vm->msis);
}

static struct vm_msi *find(struct kvm_vm *vm, int fd)
{
	for (uint32_t i = 0; i < vm->nr_msis; i++)
		if (vm->msis[i].fd == fd)
			return &vm->msis[i];
	return NULL;
}

static struct vm_msi *find_or_add(struct kvm_vm *vm, int fd)
{
	struct vm_msi *msi = find(vm, fd);

	if (msi)
		return msi;
	if (vm->nr_msis == vm->room) {
		uint32_t room = vm->room ? 2 * vm->room : 32;
		struct vm_msi *more = realloc(vm->msis, room * sizeof(*more));

		if (!more)
			return NULL;
		vm->msis = more;
		vm->room = room;
	}
	msi = &vm->msis[vm->nr_msis++];
	*msi = (struct vm_msi){ .fd = fd };
	return msi;
}

static int set_routes(struct kvm_vm *vm)
{
	uint32_t nr_pins = vm_arch_pin_routes(NULL);
	struct kvm_irq_routing *table;
	int r = 0;

	table = calloc(1, sizeof(*table) +
			  (nr_pins + vm->nr_msis) * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	vm_arch_pin_routes(table->entries);
	table->nr = nr_pins;
	for (uint32_t i = 0; i < vm->nr_msis && !r; i++) {
		struct kvm_irq_routing_entry *entry = &table->entries[table->nr];

		if (!vm->msis[i].msi.addr)
			continue;		/* nothing is bound yet */
		table->nr++;
		r = vm_arch_msi_route(vm, &vm->msis[i].msi, entry);
		entry->gsi = gsi_of(vm, &vm->msis[i]);
	}
	if (!r && ioctl(vm->fd, KVM_SET_GSI_ROUTING, table))
		r = -errno;
	free(table);
	return r;
}

static int assign(struct kvm_vm *vm, struct vm_msi *msi, bool bound)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)msi->fd,
		.gsi = gsi_of(vm, msi),
		.flags = bound ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	if (ioctl(vm->fd, KVM_IRQFD, &irqfd))
		return -errno;
	msi->bound = bound;
	return 0;
}

static int bind_locked(struct kvm_vm *vm, int fd, const struct msi *message)
{
	struct vm_msi *msi = find_or_add(vm, fd), before;
	int r = 0;

	if (!msi)
		return -ENOMEM;
	before = *msi;
	/* All zero is what a new entry says and no message can be. */
	if (msi->msi.addr != message->addr || msi->msi.data != message->data ||
	    msi->msi.sender != message->sender) {
		msi->msi = *message;
		r = set_routes(vm);
		/* A message that KVM refuses would spoil the table for all others. */
		if (r < 0)
			*msi = before;
	}
	if (!r && !msi->bound)
		r = assign(vm, msi, true);
	return r;
}

static int bind_msi(struct eventfds *efds, int fd, const struct msi *msi)
{
	struct kvm_vm *vm = vm_of(efds);
	int r;

	pthread_mutex_lock(&vm->lock);
	r = bind_locked(vm, fd, msi);
	pthread_mutex_unlock(&vm->lock);
	return r;
}

static void unbind_msi(struct eventfds *efds, int fd)
{
	struct kvm_vm *vm = vm_of(efds);
	struct vm_msi *msi;

	pthread_mutex_lock(&vm->lock);
	msi = find(vm, fd);
	if (msi && msi->bound)
		assign(vm, msi, false);
	pthread_mutex_unlock(&vm->lock);
}

/* Kicks.  Length 0 matches a write of any width. */

static int ioeventfd(struct kvm_vm *vm, int fd, uint64_t at, uint32_t flags)
{
	struct kvm_ioeventfd io = {
		.addr = at,
		.len = vm->any_length ? 0 : 2,
		.fd = fd,
		.flags = flags,
	};

	return ioctl(vm->fd, KVM_IOEVENTFD, &io) ? -errno : 0;
}

static int bind_write(struct eventfds *efds, int fd, uint64_t mmio_at)
{
	return ioeventfd(vm_of(efds), fd, mmio_at, 0);
}

static void unbind_write(struct eventfds *efds, int fd, uint64_t mmio_at)
{
	(void)ioeventfd(vm_of(efds), fd, mmio_at, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static const struct eventfds_ops ops = {
	.bind_msi	= bind_msi,
	.unbind_msi	= unbind_msi,
	.bind_write	= bind_write,
	.unbind_write	= unbind_write,
};

void vm_eventfds_init(struct kvm_vm *vm)
{
	vm->efds.ops = &ops;
}
