/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_stats.h - what a machine has counted since its start or its last reset.
 *
 * Main.  A machine that has ended counts nothing: -ESHUTDOWN, zero, false.
 */
#ifndef MACHINE_MACHINE_STATS_H
#define MACHINE_MACHINE_STATS_H

#include "cpu/vcpu.h"
#include "devices/virtio/virtio.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct kvm_stats;
struct machine;
struct ram_use;

struct machine_queue {
	unsigned slot;			/* of the device, on the PCI bus */
	const char *driver;		/* "virtio-net" */
	unsigned queue;
	struct virtq_counts counts;
};

/*
 * Just read; of the VM where vcpu is -1.  Opens a descriptor when it is first
 * asked for; what is returned stays the machine's, until a reset.
 */
int machine_stats_kvm(struct machine *machine, int vcpu, struct kvm_stats **ret_stats,
		      struct err *err);

struct vcpu_exits machine_stats_exits(const struct machine *machine, uint32_t vcpu);

/* What vcpu_identity() tells of the first vCPU, which all others are like. */
unsigned machine_stats_registers(const struct machine *machine,
				 struct vcpu_register ret_registers[VCPU_REGISTERS_MAX]);

/* The i-th of all queues of all devices; false when there are fewer. */
bool machine_stats_queue(const struct machine *machine, unsigned i,
			 struct machine_queue *ret_queue);

/* Memory of the host; the rest is what the monitor itself takes. */
int machine_stats_ram(const struct machine *machine, struct ram_use *ret_guest,
		      struct ram_use *ret_rest, struct err *err);

#endif
