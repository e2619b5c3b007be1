/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board_parts.h - a board from the inside, between board.c and the file of the
 * architecture.
 */
#ifndef MACHINE_BOARD_PARTS_H
#define MACHINE_BOARD_PARTS_H

#include "board.h"
#include "bus/irq.h"
#include "devices/pci/pci_bus.h"
#include "memory/ram.h"

#include <stdint.h>

struct board_arch;
struct bus;
struct bus_region;
struct guest_mem;
struct kvm_stats;
struct kvm_vm;
struct pci_host;
struct state_reader;
struct state_writer;
struct uart;
struct vcpu;
struct vcpu_host;
struct virtio_pci;

/* An interrupt line that ends in KVM's interrupt controller. */
struct board_pin {
	struct irq irq;
	struct kvm_vm *vm;
	unsigned gsi;
};

struct board {
	struct board_config config;
	struct ram ram;
	struct guest_mem *mem;
	struct kvm_vm *vm;
	struct bus *mmio, *pio;
	struct pci_bus *pci;
	struct pci_host *host;
	struct pci_window mmio64;	/* for 64-bit BARs */
	struct uart *uart;
	struct board_arch *arch;
	struct virtio_pci *functions[PCI_BUS_SLOTS];	/* NULL: the slot is empty */
	uint32_t hotplug_slots;		/* mask; known to the guest as such */
	struct vcpu_host *host_cpu;
	bool paused;
	uint64_t clock_ns, ticks;	/* when it was paused */
	uint64_t wall_ns;		/* likewise, of the host (CLOCK_REALTIME) */
	bool catch_up;			/* the guest is to have all the time since */
	bool fall_back;			/* ... or none of it, where a clock has gone on */
	uint32_t nr_vcpus;
	struct vcpu **vcpus;
	struct kvm_stats **kvm_stats;	/* VM, vCPUs; NULL until asked for */
};

/* How long the host says it was paused. */
uint64_t board_parts_away_ns(const struct board *board);

void board_pin_init(struct board_pin *pin, struct kvm_vm *vm, unsigned gsi);

/* To place a device of the board. */
int board_parts_add_region(struct bus *bus, struct bus_region *region, struct err *err);

/* Where the PCI bus of an architecture lies. */
struct board_pci {
	uint64_t ecam_at;
	unsigned buses_behind;		/* behind ports; numbers for them */
	struct pci_window mem32;
	uint16_t ports_at;		/* of configuration; 0: none */
	uint64_t free_from;		/* no RAM from there on: 64-bit BARs */
};

/* -E2BIG where the processor cannot address any of that. */
int board_parts_add_pci(struct board *board, const struct board_pci *pci, struct err *err);

/*
 * The architecture's part.  Each returns 0 or a negative errno; what was made
 * is undone by board_arch_fini(), also after a failure.  Main.
 */

/* Say where board->ram lies, by guest_mem_add(). */
int board_arch_map_ram(struct board *board, struct err *err);

/* All but what sits on the PCI bus: board->uart, and the PCI bus by board_parts_add_pci(). */
int board_arch_add_devices(struct board *board, struct err *err);

/* Load the kernel and tell the first vCPU. */
int board_arch_boot(struct board *board, struct err *err);

/* The devices that board_arch_add_devices() makes. */
void board_arch_save(struct board *board, struct state_writer *writer);
int board_arch_load(struct board *board, struct state_reader *reader, struct err *err);

/* Once the vCPUs are loaded: the guest may be one of several from here on, and is told. */
int board_arch_fork(struct board *board, struct err *err);

/* The clock that goes by the host's is to go on where it was so long ago. */
void board_arch_fall_back(struct board *board, uint64_t ns);

void board_arch_power_button(struct board *board);

/* Before devices are added: what these slots need for hot plug; those of on hold one. */
int board_arch_add_slots(struct board *board, uint32_t slots, uint32_t on, struct err *err);

/* Tell the guest: a device has come, or should go.  Answers come by config.slot_changed(). */
void board_arch_slot_filled(struct board *board, unsigned slot);
void board_arch_slot_wanted(struct board *board, unsigned slot);

void board_arch_fini(struct board *board);

#endif
