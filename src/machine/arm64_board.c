// SPDX-License-Identifier: Apache-2.0
/*
 * arm64_board.c - the arm64 machine: what a device tree tells, and no firmware but KVM's.
 *
 * arm64_layout.h says where everything lies.  Power is not a device's: the guest calls
 * PSCI, which KVM serves.
 */
#include "board_parts.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/log.h"
#include "boot/arm64_boot.h"
#include "boot/arm64_layout.h"
#include "boot/boot.h"
#include "cpu/arm64_host.h"
#include "cpu/vcpu.h"
#include "devices/gpio_button.h"
#include "devices/pci/pci_host.h"
#include "devices/pci/pci_port.h"
#include "devices/pl031.h"
#include "kvm/arm64_vm.h"
#include "kvm/kvm.h"
#include "machine/vm_config.h"
#include "memory/guest_mem.h"

#include <errno.h>
#include <stdlib.h>

struct board_arch {
	struct board_pin uart, gpio;
	struct pl031 *rtc;
	struct gpio_button *button;
	struct pci_port *ports[PCI_BUS_SLOTS];	/* NULL: the slot has none */
};

/* The device tree names a line of the device. */
_Static_assert(ARM64_GPIO_BUTTON == GPIO_BUTTON_LINE, "power button");

int board_arch_map_ram(struct board *board, struct err *err)
{
	int r = guest_mem_add(board->mem, ARM64_RAM_AT, board->ram.host, board->ram.len);

	return r < 0 ? err_sys(err, r, "cannot lay out the guest's memory") : 0;
}

static int add_platform(struct board *board, struct err *err)
{
	struct board_arch *arch = board->arch;
	const struct uart_config uart = {
		.at = ARM64_UART_AT,
		.irq = &arch->uart.irq,
		.backend = board->config.console,
	};
	const struct pl031_config rtc = { .at = ARM64_RTC_AT };
	const struct gpio_button_config button = {
		.at = ARM64_GPIO_AT,
		.irq = &arch->gpio.irq,
	};
	int r;

	board->uart = uart_new(&uart);
	arch->rtc = pl031_new(&rtc);
	arch->button = gpio_button_new(&button);
	if (!board->uart || !arch->rtc || !arch->button)
		return err_sys(err, -ENOMEM, "cannot make the devices");
	r = board_parts_add_region(board->mmio, uart_region(board->uart), err);
	if (!r)
		r = board_parts_add_region(board->mmio, pl031_region(arch->rtc), err);
	if (!r)
		r = board_parts_add_region(board->mmio, gpio_button_region(arch->button), err);
	return r;
}

int board_arch_add_devices(struct board *board, struct err *err)
{
	const struct board_pci pci = {
		.ecam_at = ARM64_ECAM_AT,
		.buses_behind = ARM64_PCI_BUSES - 1,
		.mem32 = { ARM64_PCI_MMIO32_AT, ARM64_PCI_MMIO32_LEN },
		.free_from = ARM64_RAM_AT + board->ram.len,
	};
	int r;

	board->arch = calloc(1, sizeof(*board->arch));
	if (!board->arch)
		return err_sys(err, -ENOMEM, "cannot make the devices");
	board_pin_init(&board->arch->uart, board->vm, ARM64_SPI_UART);
	board_pin_init(&board->arch->gpio, board->vm, ARM64_SPI_GPIO);
	r = add_platform(board, err);
	return r < 0 ? r : board_parts_add_pci(board, &pci, err);
}

/* Nothing tells an arm64 guest that it is one of several. */
int board_arch_fork(struct board *board, struct err *err)
{
	(void)board, (void)err;
	return 0;
}

/* Whoever misses vCPUs is to know why. */
static void tell_limits(const struct board *board)
{
	if (arm64_vm_gic(board->vm) == ARM64_BOOT_GICV2)
		log_info("this host can virtualise a GICv2 only, no GICv3 with an ITS: VMs have 8 "
			 "vCPUs at most, and share the interrupts of their devices");
}

int board_arch_boot(struct board *board, struct err *err)
{
	const struct vm_config *vm = board->config.vm;
	const struct arm64_boot arm64 = {
		.gic = arm64_vm_gic(board->vm),
		.pmu = arm64_host_has_pmu(board->host_cpu),
	};
	const struct boot_config config = {
		.kernel = vm->kernel,
		.initrd = vm->initrd,
		.cmdline = vm->cmdline,
		.nr_cpus = vm->cpus,
		.arm64 = &arm64,
		.pci_mmio64_at = board->mmio64.at,
		.pci_mmio64_len = board->mmio64.len,
	};
	struct boot_entry entry;
	int r;

	tell_limits(board);
	r = boot_load(board->mem, &config, &entry, err);

	return r < 0 ? r : vcpu_set_entry(board->vcpus[0], &entry, err);
}

void board_arch_save(struct board *board, struct state_writer *writer)
{
	struct board_arch *arch = board->arch;

	uart_save(board->uart, writer);
	pl031_save(arch->rtc, writer);
	gpio_button_save(arch->button, writer);
	pci_host_save(board->host, writer);
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++)
		if (arch->ports[slot])
			pci_port_save(arch->ports[slot], writer);
}

int board_arch_load(struct board *board, struct state_reader *reader, struct err *err)
{
	struct board_arch *arch = board->arch;
	int r = uart_load(board->uart, reader, err);

	if (!r)
		r = pl031_load(arch->rtc, reader, err);
	if (!r)
		r = gpio_button_load(arch->button, reader, err);
	if (!r)
		r = pci_host_load(board->host, reader, err);
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS && !r; slot++)
		if (arch->ports[slot])
			r = pci_port_load(arch->ports[slot], reader, err);
	return r;
}

void board_arch_fall_back(struct board *board, uint64_t ns)
{
	pl031_fall_back(board->arch->rtc, ns);
}

void board_arch_power_button(struct board *board)
{
	gpio_button_press(board->arch->button);
}

static void let_go(void *ctx, unsigned slot)
{
	struct board *board = ctx;

	board->config.slot_changed(board->config.ctx, slot, false);
}

/* Each is a port, by which a guest without ACPI sees devices come and go. */
int board_arch_add_slots(struct board *board, uint32_t slots, uint32_t on, struct err *err)
{
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++) {
		const struct pci_port_config config = {
			.bus = board->pci,
			.efds = kvm_vm_eventfds(board->vm),
			.slot = slot,
			.on = on & BIT32(slot),
			.let_go = let_go,
			.ctx = board,
		};

		if (!(slots & BIT32(slot)))
			continue;
		board->arch->ports[slot] = pci_port_new(&config, err);
		if (!board->arch->ports[slot])
			return err->code;
	}
	return 0;
}

/* The port has noticed. */
void board_arch_slot_filled(struct board *board, unsigned slot)
{
	(void)board, (void)slot;
}

void board_arch_slot_wanted(struct board *board, unsigned slot)
{
	pci_port_ask(board->arch->ports[slot]);
}

void board_arch_fini(struct board *board)
{
	struct board_arch *arch = board->arch;

	if (!arch)
		return;
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++)
		pci_port_free(arch->ports[slot]);
	gpio_button_free(arch->button);
	pl031_free(arch->rtc);
	uart_free(board->uart);
	free(arch);
}
