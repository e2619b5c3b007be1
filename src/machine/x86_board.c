// SPDX-License-Identifier: Apache-2.0
/*
 * x86_board.c - the x86_64 machine: a PC without its past.
 *
 * x86_layout.h says where everything lies.
 */
#include "board_parts.h"

#include "base/bits.h"
#include "base/err.h"
#include "boot/boot.h"
#include "boot/x86_layout.h"
#include "cpu/vcpu.h"
#include "devices/acpi_hotplug.h"
#include "devices/acpi_power.h"
#include "devices/i8042.h"
#include "devices/pci/pci_host.h"
#include "devices/pvpanic.h"
#include "devices/rtc.h"
#include "machine/vm_config.h"
#include "memory/guest_mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

struct board_arch {
	struct board_pin com1, acpi;
	struct i8042 *i8042;
	struct rtc *rtc;
	struct pvpanic *pvpanic;
	struct acpi_power *power;
	struct acpi_hotplug *hotplug;
};

/* The tables name the registers, the device has them. */
_Static_assert(X86_ACPI_SLEEP_CONTROL == ACPI_POWER_SLEEP_CONTROL, "ACPI registers");
_Static_assert(X86_ACPI_SLEEP_STATUS == ACPI_POWER_SLEEP_STATUS, "ACPI registers");
_Static_assert(X86_ACPI_RESET == ACPI_POWER_RESET, "ACPI registers");
_Static_assert(X86_ACPI_EVENTS == ACPI_POWER_EVENTS, "ACPI registers");
_Static_assert(X86_ACPI_S5_TYPE == ACPI_POWER_S5_TYPE, "ACPI registers");
_Static_assert(X86_ACPI_RESET_VALUE == ACPI_POWER_RESET_VALUE, "ACPI registers");
_Static_assert(X86_ACPI_EVENT_POWER == ACPI_POWER_EVENT_BUTTON, "ACPI registers");
_Static_assert(X86_ACPI_EVENT_GENERATION == ACPI_POWER_EVENT_GENERATION, "ACPI registers");

_Static_assert(X86_HOTPLUG_COME == ACPI_HOTPLUG_COME, "hot plug registers");
_Static_assert(X86_HOTPLUG_GO == ACPI_HOTPLUG_GO, "hot plug registers");
_Static_assert(X86_HOTPLUG_EJECT == ACPI_HOTPLUG_EJECT, "hot plug registers");
_Static_assert(X86_HOTPLUG_STATUS == ACPI_HOTPLUG_STATUS, "hot plug registers");
_Static_assert(X86_HOTPLUG_REGS == ACPI_HOTPLUG_REGS, "hot plug registers");
_Static_assert(X86_HOTPLUG_DEVICE_CHECK == ACPI_HOTPLUG_DEVICE_CHECK, "hot plug events");
_Static_assert(X86_HOTPLUG_EJECT_REQUEST == ACPI_HOTPLUG_EJECT_REQUEST, "hot plug events");
_Static_assert(X86_HOTPLUG_EVENT_SHIFT == ACPI_HOTPLUG_EVENT_SHIFT, "hot plug status");
_Static_assert(X86_HOTPLUG_STATUS_SHIFT == ACPI_HOTPLUG_STATUS_SHIFT, "hot plug status");

int board_arch_map_ram(struct board *board, struct err *err)
{
	uint64_t len = board->ram.len, low = min_u64(len, X86_LOW_RAM_END);
	int r = guest_mem_add(board->mem, 0, board->ram.host, low);

	if (!r && len > low)
		r = guest_mem_add(board->mem, X86_HIGH_RAM_AT,
				  (char *)board->ram.host + low, len - low);
	return r < 0 ? err_sys(err, r, "cannot lay out the guest's memory") : 0;
}

static void poweroff(void *ctx)
{
	struct board *board = ctx;

	board->config.event(board->config.ctx, BOARD_POWEROFF, NULL, NULL);
}

static void reset(void *ctx)
{
	struct board *board = ctx;

	board->config.event(board->config.ctx, BOARD_RESET, NULL, NULL);
}

/* A crash kernel that takes over needs nothing of us. */
static void told(void *ctx, uint8_t events)
{
	struct board *board = ctx;

	if (events & PVPANIC_PANICKED)
		board->config.event(board->config.ctx, BOARD_PANICKED, NULL, NULL);
}

static void ejected(void *ctx, unsigned slot)
{
	struct board *board = ctx;

	board->config.slot_changed(board->config.ctx, slot, false);
}

static void refused(void *ctx, unsigned slot)
{
	struct board *board = ctx;

	board->config.slot_changed(board->config.ctx, slot, true);
}

static int add_legacy(struct board *board, struct err *err)
{
	struct board_arch *arch = board->arch;
	const struct uart_config uart = {
		.at = X86_PORT_COM1,
		.irq = &arch->com1.irq,
		.backend = board->config.console,
	};
	const struct rtc_config rtc = { .at = X86_PORT_RTC };
	const struct i8042_config i8042 = {
		.at = X86_PORT_I8042,
		.reset = reset,
		.ctx = board,
	};
	const struct pvpanic_config pvpanic = {
		.at = X86_PORT_PVPANIC,
		.told = told,
		.ctx = board,
	};
	const struct acpi_power_config power = {
		.at = X86_PORT_ACPI,
		.irq = &arch->acpi.irq,
		.poweroff = poweroff,
		.reset = reset,
		.ctx = board,
	};
	const struct acpi_hotplug_config hotplug = {
		.at = X86_PORT_HOTPLUG,
		.irq = &arch->acpi.irq,
		.ejected = ejected,
		.refused = refused,
		.ctx = board,
	};
	int r;

	board->uart = uart_new(&uart);
	arch->rtc = rtc_new(&rtc);
	arch->i8042 = i8042_new(&i8042);
	arch->pvpanic = pvpanic_new(&pvpanic);
	arch->power = acpi_power_new(&power);
	arch->hotplug = acpi_hotplug_new(&hotplug);
	if (!board->uart || !arch->rtc || !arch->i8042 || !arch->pvpanic || !arch->power ||
	    !arch->hotplug)
		return err_sys(err, -ENOMEM, "cannot make the devices");
	r = board_parts_add_region(board->pio, uart_region(board->uart), err);
	if (!r)
		r = board_parts_add_region(board->pio, rtc_region(arch->rtc), err);
	if (!r)
		r = board_parts_add_region(board->pio, i8042_region(arch->i8042), err);
	if (!r)
		r = board_parts_add_region(board->pio, pvpanic_region(arch->pvpanic), err);
	if (!r)
		r = board_parts_add_region(board->pio, acpi_power_region(arch->power), err);
	if (!r)
		r = board_parts_add_region(board->pio, acpi_hotplug_region(arch->hotplug), err);
	return r;
}

int board_arch_add_devices(struct board *board, struct err *err)
{
	const struct board_pci pci = {
		.ecam_at = X86_ECAM_AT,
		.mem32 = { X86_PCI_MMIO32_AT, X86_PCI_MMIO32_LEN },
		.ports_at = X86_PORT_PCI_CONFIG,
		.free_from = X86_HIGH_RAM_AT + board->ram.len -
			     min_u64(board->ram.len, X86_LOW_RAM_END),
	};
	int r;

	board->arch = calloc(1, sizeof(*board->arch));
	if (!board->arch)
		return err_sys(err, -ENOMEM, "cannot make the devices");
	board_pin_init(&board->arch->com1, board->vm, X86_GSI_COM1);
	board_pin_init(&board->arch->acpi, board->vm, X86_GSI_ACPI);
	r = add_legacy(board, err);
	return r < 0 ? r : board_parts_add_pci(board, &pci, err);
}

/* Random, as a new one is to be like no other. */
static int write_generation(struct board *board, struct err *err)
{
	uint8_t id[16];
	int r = getrandom(id, sizeof(id), 0) == sizeof(id) ? 0 : -EIO;

	if (!r)
		r = guest_mem_write(board->mem, X86_GENERATION_AT, id, sizeof(id));
	return r < 0 ? err_sys(err, r, "cannot give the guest a generation id") : 0;
}

int board_arch_fork(struct board *board, struct err *err)
{
	int r = write_generation(board, err);

	if (!r)
		acpi_power_generation(board->arch->power);
	return r;
}

int board_arch_boot(struct board *board, struct err *err)
{
	const struct vm_config *vm = board->config.vm;
	const struct boot_config config = {
		.kernel = vm->kernel,
		.initrd = vm->initrd,
		.cmdline = vm->cmdline,
		.nr_cpus = vm->cpus,
		.pci_mmio64_at = board->mmio64.at,
		.pci_mmio64_len = board->mmio64.len,
		.hotplug_slots = board->hotplug_slots,
	};
	struct boot_entry entry;
	int r = boot_load(board->mem, &config, &entry, err);

	if (!r)
		r = write_generation(board, err);
	return r < 0 ? r : vcpu_set_entry(board->vcpus[0], &entry, err);
}

/* The i8042 and pvpanic have nothing to keep. */
void board_arch_save(struct board *board, struct state_writer *writer)
{
	struct board_arch *arch = board->arch;

	uart_save(board->uart, writer);
	rtc_save(arch->rtc, writer);
	acpi_power_save(arch->power, writer);
	acpi_hotplug_save(arch->hotplug, writer);
	pci_host_save(board->host, writer);
}

int board_arch_load(struct board *board, struct state_reader *reader, struct err *err)
{
	struct board_arch *arch = board->arch;
	int r = uart_load(board->uart, reader, err);

	if (!r)
		r = rtc_load(arch->rtc, reader, err);
	if (!r)
		r = acpi_power_load(arch->power, reader, err);
	if (!r)
		r = acpi_hotplug_load(arch->hotplug, reader, err);
	return r < 0 ? r : pci_host_load(board->host, reader, err);
}

void board_arch_fall_back(struct board *board, uint64_t ns)
{
	rtc_fall_back(board->arch->rtc, ns);
}

void board_arch_power_button(struct board *board)
{
	acpi_power_button(board->arch->power);
}

/* The tables tell of them. */
int board_arch_add_slots(struct board *board, uint32_t slots, uint32_t on, struct err *err)
{
	(void)board, (void)slots, (void)on, (void)err;
	return 0;
}

void board_arch_slot_filled(struct board *board, unsigned slot)
{
	acpi_hotplug_come(board->arch->hotplug, slot);
}

void board_arch_slot_wanted(struct board *board, unsigned slot)
{
	acpi_hotplug_go(board->arch->hotplug, slot);
}

void board_arch_fini(struct board *board)
{
	struct board_arch *arch = board->arch;

	if (!arch)
		return;
	acpi_hotplug_free(arch->hotplug);
	acpi_power_free(arch->power);
	pvpanic_free(arch->pvpanic);
	i8042_free(arch->i8042);
	rtc_free(arch->rtc);
	uart_free(board->uart);
	free(arch);
}
