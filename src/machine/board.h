/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.h - the hardware of one VM, from power-on to power-off.
 *
 * A board is what a reset replaces: memory, interrupt controllers, vCPUs,
 * devices.  What a reset leaves alone (disks, network back ends, loops, the
 * terminal) belongs to the machine and is lent to one board after the other.
 *
 * board.c builds what all architectures share, x86_board.c the rest.
 */
#ifndef MACHINE_BOARD_H
#define MACHINE_BOARD_H

#include "devices/uart.h"

#include <stdbool.h>
#include <stdint.h>

struct board;
struct disk;
struct err;
struct loop;
struct netdev;
struct pci_bus;
struct vcpu;
struct vm_config;

enum board_event {
	BOARD_POWEROFF,		/* the guest switched itself off */
	BOARD_RESET,		/* the guest asked for a reset */
	BOARD_PANICKED,		/* the guest's kernel says that it has panicked */
	BOARD_DIED,		/* a vCPU cannot go on */
};

struct board_config {
	const struct vm_config *vm;
	struct loop **loops;		/* vm->io_threads of them, which own the devices; run */
	struct disk **disks;		/* one for each of vm->disk */
	struct netdev **nets;		/* one for each of vm->net */
	struct uart_backend console;

	/*
	 * On a vCPU's thread; may come several times, also after the board was
	 * told to stop.  vcpu and why are given for BOARD_DIED only.
	 */
	void (*event)(void *ctx, enum board_event event, struct vcpu *vcpu,
		      const char *why);
	void *ctx;
};

/* Everything in place, the kernel loaded, no vCPU running.  Main. */
int board_new(struct board **ret_board, const struct board_config *config,
	      struct err *err);

/* Stops it if it runs.  Main.  -> NULL */
struct board *board_free(struct board *board);

/* Paused, or at once.  Main. */
int board_start(struct board *board, bool paused, struct err *err);

/*
 * Nothing runs and nothing is in flight when board_pause() returns.  The guest's
 * clocks go on where they stopped.  Main.
 */
void board_pause(struct board *board);
void board_resume(struct board *board);

/* To every vCPU.  Main. */
void board_nmi(struct board *board);

/* The kernel's id of a vCPU's thread; 0 where there is no such vCPU. */
int board_vcpu_thread(const struct board *board, uint32_t i);

/* Any thread, while the board lives. */
void board_power_button(struct board *board);

struct uart *board_console(struct board *board);
struct pci_bus *board_pci(struct board *board);

#endif
