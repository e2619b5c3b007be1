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

struct vm_arch;

struct kvm_vm {
	int kvm_fd, fd;
	const struct guest_mem *mem;
	unsigned nr_vcpus;	/* made so far; their ids are those below */
	struct eventfds efds;
	bool any_length;	/* KVM_CAP_IOEVENTFD_ANY_LENGTH */
	struct vm_arch *arch;	/* NULL where it needs none */

	pthread_mutex_t lock;	/* for all below; any thread binds */
	struct vm_msi *msis;	/* GSI is vm_arch_nr_pins() plus the index */
	uint32_t nr_msis, room;
};

/* Capabilities that matter on this architecture; ends with a name of NULL. */
extern const struct kvm_feature vm_arch_features[];

/* What a person can do where there is no KVM; part of a sentence. */
extern const char *const vm_arch_advice;

/* For KVM_CREATE_VM. */
unsigned long vm_arch_type(int kvm_fd);

/* Interrupt controllers and timers; before any vCPU. */
int vm_arch_init(struct kvm_vm *vm, struct err *err);
void vm_arch_fini(struct kvm_vm *vm);

/* Pins of the interrupt controllers: GSIs below this are not messages. */
unsigned vm_arch_nr_pins(void);

/* The routes of the pins, into routes if it is not NULL; returns how many. */
uint32_t vm_arch_pin_routes(struct kvm_irq_routing_entry *routes);

/* What KVM_IRQ_LINE calls a pin. */
uint32_t vm_arch_line(unsigned gsi);

/* Where a message goes; all but the GSI.  -EINVAL: nowhere. */
int vm_arch_msi_route(const struct kvm_vm *vm, const struct msi *msi,
		      struct kvm_irq_routing_entry *route);

/* Set up efds; nothing is bound yet. */
void vm_eventfds_init(struct kvm_vm *vm);

#endif
