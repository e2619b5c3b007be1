// SPDX-License-Identifier: Apache-2.0
/*
 * board_state.c - a paused board as a stream, and a stream as a paused board.
 *
 * A board is loaded in the order in which an interrupt travels backwards: first the
 * controllers, then the devices, whose pending interrupts then find them in place, the
 * vCPUs last.
 */
#include "base/clock.h"
#include "base/err.h"
#include "board.h"
#include "board_parts.h"
#include "cpu/vcpu.h"
#include "devices/pci/pci_bus.h"
#include "devices/virtio/virtio_pci.h"
#include "kvm/kvm.h"
#include "state/state.h"

struct board_time {
	uint64_t clock_ns;		/* the guest's paravirtual clock */
	uint64_t wall_ns;		/* the host's, at the same moment */
};

static const struct state_field time_fields[] = {
	{ STATE_ONE(struct board_time, clock_ns) },
	{ STATE_ONE(struct board_time, wall_ns) },
	STATE_END
};

static const struct state_table time_table = {
	.name = "time", .version = 1, .fields = time_fields,
};

static int save_vcpus(struct board *board, struct state_writer *writer, struct err *err)
{
	int r = 0;

	for (uint32_t i = 0; i < board->nr_vcpus && !r; i++)
		r = vcpu_save(board->vcpus[i], board->ticks, writer, err);
	return r;
}

int board_settle(struct board *board, struct err *err)
{
	return kvm_vm_settle(board->vm, err);
}

int board_save(struct board *board, struct state_writer *writer, struct err *err)
{
	const struct board_time time = { board->clock_ns, board->wall_ns };
	int r;

	state_save(writer, &time_table, 0, &time);
	board_arch_save(board, writer);
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++)
		if (board->functions[slot])
			virtio_pci_save(board->functions[slot], writer);
	r = kvm_vm_save(board->vm, writer, err);
	return r < 0 ? r : save_vcpus(board, writer, err);
}

static int load_functions(struct board *board, struct state_reader *reader, struct err *err)
{
	int r = 0;

	for (unsigned slot = 0; slot < PCI_BUS_SLOTS && !r; slot++)
		if (board->functions[slot])
			r = virtio_pci_load(board->functions[slot], board->pci, reader, err);
	return r;
}

static int load_vcpus(struct board *board, struct state_reader *reader, struct err *err)
{
	int r = 0;

	for (uint32_t i = 0; i < board->nr_vcpus && !r; i++)
		r = vcpu_load(board->vcpus[i], board->ticks, reader, err);
	return r;
}

/* A clock of the host's that was set back shows no time at all. */
uint64_t board_parts_away_ns(const struct board *board)
{
	uint64_t now = clock_wall_ns();

	return now > board->wall_ns ? now - board->wall_ns : 0;
}

int board_load(struct board *board, struct state_reader *reader, bool catch_up,
	       struct err *err)
{
	struct board_time time;
	int r = state_load(reader, &time_table, 0, &time, err);

	if (!r)
		r = kvm_vm_load(board->vm, reader, err);
	if (!r)
		r = board_arch_load(board, reader, err);
	if (!r)
		r = load_functions(board, reader, err);
	if (r < 0)
		return r;
	board->ticks = vcpu_ticks();
	board->clock_ns = time.clock_ns;
	board->wall_ns = time.wall_ns;
	board->catch_up = catch_up;
	board->fall_back = !catch_up;
	return load_vcpus(board, reader, err);
}

void board_set_away(struct board *board, uint64_t ns)
{
	board->wall_ns = clock_wall_ns() - ns;
}

int board_fork(struct board *board, struct err *err)
{
	return board_arch_fork(board, err);
}
