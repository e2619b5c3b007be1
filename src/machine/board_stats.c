// SPDX-License-Identifier: Apache-2.0
#include "board_stats.h"

#include "base/err.h"
#include "board_parts.h"
#include "devices/pci/pci.h"
#include "devices/virtio/virtio.h"
#include "devices/virtio/virtio_pci.h"
#include "kvm/kvm.h"
#include "kvm/kvm_stats.h"
#include "memory/ram_use.h"

#include <errno.h>
#include <stdlib.h>

static int open_kvm(struct board *board, int vcpu, struct kvm_stats **ret_stats,
		    struct err *err)
{
	int fd = vcpu < 0 ? kvm_vm_stats_fd(board->vm, err) :
			    vcpu_stats_fd(board->vcpus[vcpu], err);

	return fd < 0 ? fd : kvm_stats_new(ret_stats, fd, err);
}

/* Opened when somebody asks: few do, and a descriptor each would slow the start. */
int board_stats_kvm(struct board *board, int vcpu, struct kvm_stats **ret_stats,
		    struct err *err)
{
	struct kvm_stats **stats;
	int r = 0;

	if (!board->kvm_stats)
		board->kvm_stats = calloc(board->nr_vcpus + 1, sizeof(struct kvm_stats *));
	if (!board->kvm_stats)
		return err_sys(err, -ENOMEM, "cannot read KVM's statistics");
	stats = &board->kvm_stats[vcpu + 1];
	if (!*stats)
		r = open_kvm(board, vcpu, stats, err);
	if (!r)
		r = kvm_stats_read(*stats, err);
	if (!r)
		*ret_stats = *stats;
	return r;
}

void board_stats_close(struct board *board)
{
	for (uint32_t i = 0; board->kvm_stats && i <= board->nr_vcpus; i++)
		kvm_stats_free(board->kvm_stats[i]);
	free(board->kvm_stats);
	board->kvm_stats = NULL;
}

struct vcpu_exits board_stats_exits(const struct board *board, uint32_t vcpu)
{
	return vcpu_exits(board->vcpus[vcpu]);
}

unsigned board_stats_registers(const struct board *board,
			       struct vcpu_register ret_registers[VCPU_REGISTERS_MAX])
{
	return vcpu_identity(board->vcpus[0], ret_registers);
}

bool board_stats_queue(const struct board *board, unsigned i,
		       struct machine_queue *ret_queue)
{
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++) {
		struct virtio_pci *vp = board->functions[slot];
		struct virtio_dev *dev;

		if (!vp)
			continue;
		dev = virtio_pci_device(vp);

		if (i < dev->nr_queues) {
			*ret_queue = (struct machine_queue){
				.slot = slot,
				.driver = dev->class->name,
				.queue = i,
				.counts = virtio_counts(dev, i),
			};
			return true;
		}
		i -= dev->nr_queues;
	}
	return false;
}

int board_stats_ram(const struct board *board, struct ram_use *ret_guest,
		    struct ram_use *ret_rest, struct err *err)
{
	return ram_use_ask(&board->ram, ret_guest, ret_rest, err);
}
