/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.h - the VM as the files of this folder share it.
 */
#ifndef KVM_VM_H
#define KVM_VM_H

#include "bus/eventfds.h"
#include "kvm/kvm.h"

#include <linux/kvm.h>
#include <pthread.h>

/*
 * One message-signalled interrupt.  Its GSI and its route outlive the binding,
 * so that masking and unmasking a vector costs one ioctl each.
 */
struct vm_msi {
	int fd;
	bool bound;		/* irqfd assigned */
	struct msi msi;
};

struct kvm_vm {
	int kvm_fd, fd;
	const struct guest_mem *mem;
	struct eventfds efds;
	bool any_length;	/* KVM_CAP_IOEVENTFD_ANY_LENGTH */
	bool senders;		/* KVM_CAP_MSI_DEVID: who sends a message matters */

	pthread_mutex_t lock;	/* for all below; any thread binds */
	struct vm_msi *msis;	/* GSI is vm_arch_nr_pins() plus the index */
	uint32_t nr_msis, room;
};

/* Capabilities that matter on this architecture; ends with a name of NULL. */
extern const struct kvm_feature vm_arch_features[];

/* Interrupt controllers and timers; before any vCPU. */
int vm_arch_init(struct kvm_vm *vm, struct err *err);

/* Pins of the interrupt controllers: GSIs below this are not messages. */
unsigned vm_arch_nr_pins(void);

/* The routes of the pins, into routes if it is not NULL; returns how many. */
uint32_t vm_arch_pin_routes(struct kvm_irq_routing_entry *routes);

/* Set up efds; nothing is bound yet. */
void vm_eventfds_init(struct kvm_vm *vm);

#endif
