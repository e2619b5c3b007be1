/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board_stats.h - what a board has counted so far.  A reset starts from zero.
 *
 * Main.
 */
#ifndef MACHINE_BOARD_STATS_H
#define MACHINE_BOARD_STATS_H

#include "cpu/vcpu.h"
#include "machine/machine_stats.h"

#include <stdbool.h>
#include <stdint.h>

struct board;
struct err;
struct kvm_stats;
struct ram_use;

/* As machine_stats.h has them. */
int board_stats_kvm(struct board *board, int vcpu, struct kvm_stats **ret_stats,
		    struct err *err);
struct vcpu_exits board_stats_exits(const struct board *board, uint32_t vcpu);
unsigned board_stats_registers(const struct board *board,
			       struct vcpu_register ret_registers[VCPU_REGISTERS_MAX]);
bool board_stats_queue(const struct board *board, unsigned i,
		       struct machine_queue *ret_queue);
int board_stats_ram(const struct board *board, struct ram_use *ret_guest,
		    struct ram_use *ret_rest, struct err *err);

/* Close what board_stats_kvm() has opened, while the VM and its vCPUs are there. */
void board_stats_close(struct board *board);

#endif
