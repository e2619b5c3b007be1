// SPDX-License-Identifier: Apache-2.0
/*
 * arm64_vm.c - the interrupt controller of an arm64 VM, in the kernel.
 *
 * A VM has the kind of controller that the host's can virtualise.  GICv3 takes messages
 * by its ITS, which finds the interrupt by sender and data.  GICv2 has nothing of that
 * kind: the guest sees a GICv2m frame, writes the number of a wire there, and the wire
 * is what we route to.
 */
#include "arm64_parts.h"
#include "vm.h"

#include "base/err.h"
#include "boot/arm64_layout.h"
#include "kvm/arm64_vm.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

const struct kvm_feature vm_arch_features[] = {
	{ KVM_CAP_DEVICE_CTRL, "KVM_CAP_DEVICE_CTRL", NULL },
	{ KVM_CAP_ONE_REG, "KVM_CAP_ONE_REG", NULL },
	{ KVM_CAP_ARM_PSCI_0_2, "KVM_CAP_ARM_PSCI_0_2", NULL },
	{ KVM_CAP_ARM_PMU_V3, "KVM_CAP_ARM_PMU_V3", "guests can count events (perf)" },
	{ KVM_CAP_STEAL_TIME, "KVM_CAP_STEAL_TIME",
	  "guests know what time was taken from them" },
	{ 0, NULL, NULL },
};

const char *const vm_arch_advice =
	"did this kernel start at EL2, with KVM built in, and is this no VM without nesting?";

/* Processors with fewer bits than KVM takes for granted exist. */
unsigned long vm_arch_type(int kvm_fd)
{
	int bits = kvm_capability(kvm_fd, KVM_CAP_ARM_VM_IPA_SIZE);

	return bits > 0 && bits < ARM64_ADDRESS_BITS ?
		       KVM_VM_TYPE_ARM_IPA_SIZE((unsigned)bits) : 0;
}

int arm64_parts_get(int device, uint32_t group, uint64_t attr, void *ret_value,
		    const char *what, struct err *err)
{
	const struct kvm_device_attr request = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)ret_value,
	};

	return ioctl(device, KVM_GET_DEVICE_ATTR, &request) ?
		       err_sys(err, -errno, "KVM_GET_DEVICE_ATTR: %s", what) : 0;
}

int arm64_parts_set(int device, uint32_t group, uint64_t attr, const void *value,
		    const char *what, struct err *err)
{
	const struct kvm_device_attr request = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(device, KVM_SET_DEVICE_ATTR, &request) ?
		       err_sys(err, -errno, "KVM_SET_DEVICE_ATTR: %s", what) : 0;
}

/* A descriptor; -ENODEV where the host cannot. */
static int create(const struct kvm_vm *vm, uint32_t type)
{
	struct kvm_create_device device = { .type = type };

	return ioctl(vm->fd, KVM_CREATE_DEVICE, &device) ? -errno : (int)device.fd;
}

static int place(int device, uint64_t type, uint64_t at, const char *what, struct err *err)
{
	return arm64_parts_set(device, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &at, what, err);
}

static int set_nr_irqs(int gic, uint32_t nr_spis, struct err *err)
{
	const uint32_t nr = ARM64_SPI_BASE + nr_spis;

	return arm64_parts_set(gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr,
			       "number of interrupts", err);
}

static int init_its(struct kvm_vm *vm, struct err *err)
{
	int r = create(vm, KVM_DEV_TYPE_ARM_VGIC_ITS);

	if (r < 0)
		return err_sys(err, r, "cannot create an ITS: PCI devices need it");
	vm->arch->its = r;
	r = place(vm->arch->its, KVM_VGIC_ITS_ADDR_TYPE, ARM64_ITS_AT, "address of the ITS", err);
	return r < 0 ? r : arm64_parts_set(vm->arch->its, KVM_DEV_ARM_VGIC_GRP_CTRL,
					   KVM_DEV_ARM_VGIC_CTRL_INIT, NULL, "ITS", err);
}

static int init_v3(struct kvm_vm *vm, struct err *err)
{
	int gic = vm->arch->gic;
	int r = place(gic, KVM_VGIC_V3_ADDR_TYPE_DIST, ARM64_GICD_AT, "distributor", err);

	vm->arch->kind = ARM64_BOOT_GICV3;
	if (!r)
		r = place(gic, KVM_VGIC_V3_ADDR_TYPE_REDIST, ARM64_GICR_AT, "redistributors",
			  err);
	if (!r)
		r = set_nr_irqs(gic, ARM64_NR_WIRES, err);
	return r < 0 ? r : init_its(vm, err);
}

static int init_v2(struct kvm_vm *vm, struct err *err)
{
	int gic = vm->arch->gic;
	int r = place(gic, KVM_VGIC_V2_ADDR_TYPE_DIST, ARM64_GICD_AT, "distributor", err);

	vm->arch->kind = ARM64_BOOT_GICV2;
	if (!r)
		r = place(gic, KVM_VGIC_V2_ADDR_TYPE_CPU, ARM64_GICC_AT, "CPU interface", err);
	return r < 0 ? r : set_nr_irqs(gic, ARM64_NR_WIRES + ARM64_NR_GICV2M_SPIS, err);
}

int vm_arch_init(struct kvm_vm *vm, struct err *err)
{
	vm->arch = malloc(sizeof(*vm->arch));
	if (!vm->arch)
		return err_sys(err, -ENOMEM, "cannot create an interrupt controller");
	*vm->arch = (struct vm_arch){ .gic = -1, .its = -1 };
	vm->arch->gic = create(vm, KVM_DEV_TYPE_ARM_VGIC_V3);
	if (vm->arch->gic >= 0)
		return init_v3(vm, err);
	vm->arch->gic = create(vm, KVM_DEV_TYPE_ARM_VGIC_V2);
	if (vm->arch->gic >= 0)
		return init_v2(vm, err);
	return err_set(err, -ENOTSUP, "this host's KVM offers neither GICv3 nor GICv2: its "
		       "interrupt controller cannot be virtualised");
}

void vm_arch_fini(struct kvm_vm *vm)
{
	if (!vm->arch)
		return;
	if (vm->arch->its >= 0)
		close(vm->arch->its);
	if (vm->arch->gic >= 0)
		close(vm->arch->gic);
	free(vm->arch);
}

int kvm_vm_complete(struct kvm_vm *vm, struct err *err)
{
	return arm64_parts_set(vm->arch->gic, KVM_DEV_ARM_VGIC_GRP_CTRL,
			       KVM_DEV_ARM_VGIC_CTRL_INIT, NULL, "interrupt controller", err);
}

static bool can_create(int vm_fd, uint32_t type)
{
	struct kvm_create_device device = { .type = type, .flags = KVM_CREATE_DEVICE_TEST };

	return !ioctl(vm_fd, KVM_CREATE_DEVICE, &device);
}

static bool has(int kvm_fd, int capability)
{
	return kvm_capability(kvm_fd, capability) > 0;
}

int arm64_vm_ask(int kvm_fd, struct arm64_vm_survey *ret_survey, struct err *err)
{
	int bits = kvm_capability(kvm_fd, KVM_CAP_ARM_VM_IPA_SIZE);
	int vm_fd;

	do
		vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, vm_arch_type(kvm_fd));
	while (vm_fd < 0 && errno == EINTR);
	if (vm_fd < 0)
		return err_sys(err, -errno, "cannot create a VM (KVM_CREATE_VM)");
	*ret_survey = (struct arm64_vm_survey){
		.gicv3 = can_create(vm_fd, KVM_DEV_TYPE_ARM_VGIC_V3),
		.its = can_create(vm_fd, KVM_DEV_TYPE_ARM_VGIC_ITS),
		.gicv2 = can_create(vm_fd, KVM_DEV_TYPE_ARM_VGIC_V2),
		.address_bits = bits > 0 ? (unsigned)bits : ARM64_ADDRESS_BITS,
		.pmu = has(kvm_fd, KVM_CAP_ARM_PMU_V3),
		.sve = has(kvm_fd, KVM_CAP_ARM_SVE),
		.pauth = has(kvm_fd, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
			 has(kvm_fd, KVM_CAP_ARM_PTRAUTH_GENERIC),
		.stolen_time = has(kvm_fd, KVM_CAP_STEAL_TIME),
		.el1_32 = has(kvm_fd, KVM_CAP_ARM_EL1_32BIT),
	};
	close(vm_fd);
	return 0;
}

enum arm64_boot_gic arm64_vm_gic(const struct kvm_vm *vm)
{
	return vm->arch->kind;
}

int arm64_vm_target(const struct kvm_vm *vm, struct kvm_vcpu_init *ret_init, struct err *err)
{
	return ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, ret_init) ?
		       err_sys(err, -errno, "KVM_ARM_PREFERRED_TARGET") : 0;
}

/* The guest reads the counter itself, and it is saved with the vCPU. */
int kvm_vm_get_clock(const struct kvm_vm *vm, uint64_t *ret_ns)
{
	(void)vm, (void)ret_ns;
	return -ENOTSUP;
}

int kvm_vm_set_clock(const struct kvm_vm *vm, uint64_t ns)
{
	(void)vm, (void)ns;
	return -ENOTSUP;
}

unsigned vm_arch_nr_pins(void)
{
	return ARM64_NR_WIRES;
}

static struct kvm_irq_routing_entry wire(uint32_t spi)
{
	return (struct kvm_irq_routing_entry){
		.gsi = spi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip.pin = spi,
	};
}

uint32_t vm_arch_pin_routes(struct kvm_irq_routing_entry *routes)
{
	for (uint32_t spi = 0; routes && spi < ARM64_NR_WIRES; spi++)
		routes[spi] = wire(spi);
	return ARM64_NR_WIRES;
}

uint32_t vm_arch_line(unsigned gsi)
{
	return KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (ARM64_SPI_BASE + gsi);
}

int vm_arch_msi_route(const struct kvm_vm *vm, const struct msi *msi,
		      struct kvm_irq_routing_entry *route)
{
	uint32_t spi = msi->data - ARM64_SPI_BASE;

	if (vm->arch->kind == ARM64_BOOT_GICV3) {
		*route = (struct kvm_irq_routing_entry){
			.type = KVM_IRQ_ROUTING_MSI,
			.flags = KVM_MSI_VALID_DEVID,
			.u.msi.address_lo = (uint32_t)msi->addr,
			.u.msi.address_hi = (uint32_t)(msi->addr >> 32),
			.u.msi.data = msi->data,
			.u.msi.devid = msi->sender,
		};
		return 0;
	}
	if (msi->addr != ARM64_GICV2M_AT + ARM64_GICV2M_SETSPI ||
	    spi - ARM64_NR_WIRES >= ARM64_NR_GICV2M_SPIS)
		return -EINVAL;
	*route = wire(spi);
	return 0;
}
