// SPDX-License-Identifier: Apache-2.0
/*
 * x86_vm.c - PIC, I/O APIC, local APICs and PIT in the kernel.
 */
#include "vm.h"

#include "base/err.h"
#include "boot/x86_layout.h"

#include <errno.h>
#include <sys/ioctl.h>

#define NR_PIC_PINS 16

const struct kvm_feature vm_arch_features[] = {
	{ KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", NULL },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR", NULL },
	{ KVM_CAP_PIT2, "KVM_CAP_PIT2", NULL },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", NULL },
	{ KVM_CAP_X2APIC_API, "KVM_CAP_X2APIC_API", NULL },
	{ KVM_CAP_TSC_DEADLINE_TIMER, "KVM_CAP_TSC_DEADLINE_TIMER",
	  "timer interrupts cost a guest less" },
	{ 0, NULL, NULL },
};

const char *const vm_arch_advice =
	"is virtualisation on in the firmware, kvm_intel or kvm_amd loaded, and /dev/kvm given to "
	"this container, if it is one?";

unsigned long vm_arch_type(int kvm_fd)
{
	(void)kvm_fd;
	return 0;
}

int vm_arch_init(struct kvm_vm *vm, struct err *err)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	/* Without, an interrupt to CPU 255 goes to all and none to those above. */
	struct kvm_enable_cap x2apic = {
		.cap = KVM_CAP_X2APIC_API,
		.args[0] = KVM_X2APIC_API_USE_32BIT_IDS |
			   KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
	};
	uint64_t identity = X86_KVM_IDENTITY_AT;

	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity))
		return err_sys(err, -errno, "KVM_SET_IDENTITY_MAP_ADDR");
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, X86_KVM_TSS_AT))
		return err_sys(err, -errno, "KVM_SET_TSS_ADDR");
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0))
		return err_sys(err, -errno, "cannot create interrupt controllers "
			       "(KVM_CREATE_IRQCHIP)");
	if (ioctl(vm->fd, KVM_ENABLE_CAP, &x2apic))
		return err_sys(err, -errno, "KVM_CAP_X2APIC_API");
	if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit))
		return err_sys(err, -errno, "cannot create a timer (KVM_CREATE_PIT2)");
	return 0;
}

void vm_arch_fini(struct kvm_vm *vm)
{
	(void)vm;
}

/* Local APICs come with their vCPUs. */
int kvm_vm_complete(struct kvm_vm *vm, struct err *err)
{
	(void)vm, (void)err;
	return 0;
}

int kvm_vm_get_clock(const struct kvm_vm *vm, uint64_t *ret_ns)
{
	struct kvm_clock_data data;

	if (ioctl(vm->fd, KVM_GET_CLOCK, &data))
		return -errno;
	*ret_ns = data.clock;
	return 0;
}

int kvm_vm_set_clock(const struct kvm_vm *vm, uint64_t ns)
{
	const struct kvm_clock_data data = { .clock = ns };

	return ioctl(vm->fd, KVM_SET_CLOCK, &data) ? -errno : 0;
}

unsigned vm_arch_nr_pins(void)
{
	return X86_NR_IOAPIC_PINS;
}

/* The first 16 pins lead to both controllers, as on a PC. */
uint32_t vm_arch_pin_routes(struct kvm_irq_routing_entry *routes)
{
	for (uint32_t gsi = 0; routes && gsi < X86_NR_IOAPIC_PINS; gsi++)
		routes[gsi] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC,
			.u.irqchip.pin = gsi,
		};
	for (uint32_t gsi = 0; routes && gsi < NR_PIC_PINS; gsi++)
		routes[X86_NR_IOAPIC_PINS + gsi] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip.irqchip = gsi < 8 ? KVM_IRQCHIP_PIC_MASTER :
						       KVM_IRQCHIP_PIC_SLAVE,
			.u.irqchip.pin = gsi % 8,
		};
	return X86_NR_IOAPIC_PINS + NR_PIC_PINS;
}

uint32_t vm_arch_line(unsigned gsi)
{
	return gsi;
}

int vm_arch_msi_route(const struct kvm_vm *vm, const struct msi *msi,
		      struct kvm_irq_routing_entry *route)
{
	(void)vm;
	*route = (struct kvm_irq_routing_entry){
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi.address_lo = (uint32_t)msi->addr,
		.u.msi.address_hi = (uint32_t)(msi->addr >> 32),
		.u.msi.data = msi->data,
	};
	return 0;
}
