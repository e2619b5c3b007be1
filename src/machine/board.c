// SPDX-License-Identifier: Apache-2.0
#include "board.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/log.h"
#include "board_parts.h"
#include "board_stats.h"
#include "bus/bus.h"
#include "cpu/vcpu.h"
#include "devices/pci/pci_bus.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_net.h"
#include "devices/virtio/virtio_pci.h"
#include "devices/virtio/virtio_rng.h"
#include "kvm/kvm.h"
#include "machine/vm_config.h"
#include "memory/guest_mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void set_pin(struct irq *irq, bool level)
{
	struct board_pin *pin = container_of(irq, struct board_pin, irq);

	(void)kvm_vm_set_irq(pin->vm, pin->gsi, level);
}

void board_pin_init(struct board_pin *pin, struct kvm_vm *vm, unsigned gsi)
{
	*pin = (struct board_pin){ .irq.set = set_pin, .vm = vm, .gsi = gsi };
}

/* Memory and KVM. */

static int open_ram(struct board *board, struct err *err)
{
	int r = ram_open(&board->ram, board->config.vm->memory, err);

	if (r < 0)
		return r;
	board->mem = guest_mem_new();
	if (!board->mem)
		return err_sys(err, -ENOMEM, "cannot describe the guest's memory");
	return board_arch_map_ram(board, err);
}

static int open_vm(struct board *board, struct err *err)
{
	unsigned max, cpus = board->config.vm->cpus;
	int r = kvm_open(err);

	if (r < 0)
		return r;
	r = kvm_vm_new(&board->vm, r, board->mem, err);
	if (r < 0)
		return r;
	max = kvm_vm_cpus_max(board->vm);
	if (cpus > max)
		return err_set(err, -EINVAL, "cpus: %u vCPUs are more than this host's KVM "
			       "allows (%u)", cpus, max);
	return vcpu_host_new(&board->host_cpu, board->vm, err);
}

/* Devices. */

/* dev is the board's from here on, whether it works or not. */
static int add_function(struct board *board, struct virtio_dev *dev, struct err *err)
{
	struct virtio_pci *vp;
	int r = virtio_pci_new(&vp, dev, kvm_vm_eventfds(board->vm), err);

	if (r < 0)
		return r;
	r = pci_bus_add(board->pci, virtio_pci_function(vp), PCI_BUS_ANY_SLOT, err);
	if (r < 0) {
		virtio_pci_free(vp);
		return r;
	}
	board->functions[board->nr_functions++] = vp;
	return 0;
}

static int add_disk(struct board *board, uint32_t i, struct err *err)
{
	const struct board_config *c = &board->config;
	struct virtio_dev *dev;
	int r = virtio_blk_new(&dev, c->disks[i], c->vm->disk[i].serial,
			       vm_config_queues(c->vm, i), board->mem, err);

	return r < 0 ? r : add_function(board, dev, err);
}

/*
 * A MAC that stays the same from run to run, so that the guest's network
 * configuration does: locally administered, from name and position (FNV-1a).
 */
static void make_mac(const char *name, uint32_t i, uint8_t mac[6])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	hash += i;
	mac[0] = 0x52;
	mac[1] = 0x54;
	mac[2] = (uint8_t)(hash >> 24);
	mac[3] = (uint8_t)(hash >> 16);
	mac[4] = (uint8_t)(hash >> 8);
	mac[5] = (uint8_t)hash;
}

static int add_net(struct board *board, uint32_t i, struct err *err)
{
	static const uint8_t none[6];
	const struct board_config *c = &board->config;
	struct virtio_dev *dev;
	uint8_t mac[6];
	int r;

	memcpy(mac, c->vm->net[i].mac, 6);
	if (!memcmp(mac, none, 6))
		make_mac(c->vm->name, i, mac);
	r = virtio_net_new(&dev, c->nets[i], mac, board->mem,
			   c->loops[(c->vm->nr_disk + i) % c->vm->io_threads], err);
	return r < 0 ? r : add_function(board, dev, err);
}

static int add_rng(struct board *board, struct err *err)
{
	struct virtio_dev *dev;
	int r = virtio_rng_new(&dev, board->mem, board->config.loops[0], err);

	return r < 0 ? r : add_function(board, dev, err);
}

static int add_functions(struct board *board, struct err *err)
{
	const struct vm_config *vm = board->config.vm;
	int r = 0;

	board->functions = calloc(vm->nr_disk + vm->nr_net + 1, sizeof(*board->functions));
	if (!board->functions)
		return err_sys(err, -ENOMEM, "cannot make the devices");
	for (uint32_t i = 0; i < vm->nr_disk && !r; i++)
		r = add_disk(board, i, err);
	for (uint32_t i = 0; i < vm->nr_net && !r; i++)
		r = add_net(board, i, err);
	if (!r)
		r = add_rng(board, err);
	return r < 0 ? r : pci_bus_assign(board->pci, err);
}

/* vCPUs. */

static void died(void *ctx, struct vcpu *vcpu, const char *why)
{
	struct board *board = ctx;

	board->config.event(board->config.ctx, BOARD_DIED, vcpu, why);
}

static int add_vcpus(struct board *board, struct err *err)
{
	const struct vcpu_config config = {
		.vm = board->vm,
		.host = board->host_cpu,
		.mmio = board->mmio,
		.pio = board->pio,
		.nr_cpus = board->config.vm->cpus,
		.died = died,
		.ctx = board,
	};

	board->vcpus = calloc(config.nr_cpus, sizeof(*board->vcpus));
	if (!board->vcpus)
		return err_sys(err, -ENOMEM, "cannot make %u vCPUs", config.nr_cpus);
	while (board->nr_vcpus < config.nr_cpus) {
		int r = vcpu_new(&board->vcpus[board->nr_vcpus], &config, board->nr_vcpus,
				 err);

		if (r < 0)
			return r;
		board->nr_vcpus++;
	}
	return 0;
}

/* Life. */

static int build(struct board *board, struct err *err)
{
	int r;

	board->mmio = bus_new();
	board->pio = bus_new();
	if (!board->mmio || !board->pio)
		return err_sys(err, -ENOMEM, "cannot make the buses");
	r = open_ram(board, err);
	if (!r)
		r = open_vm(board, err);
	if (!r)
		r = board_arch_add_devices(board, err);
	if (!r)
		r = add_functions(board, err);
	if (!r)
		r = add_vcpus(board, err);
	if (!r)
		r = board_arch_boot(board, err);
	return r;
}

int board_new(struct board **ret_board, const struct board_config *config,
	      struct err *err)
{
	struct board *board = calloc(1, sizeof(*board));
	int r;

	if (!board)
		return err_sys(err, -ENOMEM, "cannot make a machine");
	board->config = *config;
	r = build(board, err);
	if (r < 0) {
		board_free(board);
		return r;
	}
	*ret_board = board;
	return 0;
}

static void stop_time(struct board *board)
{
	board->ticks = vcpu_ticks();
	if (kvm_vm_get_clock(board->vm, &board->clock_ns))
		board->clock_ns = 0;
}

int board_start(struct board *board, bool paused, struct err *err)
{
	for (uint32_t i = 0; i < board->nr_vcpus; i++) {
		int r;

		if (paused)
			vcpu_pause(board->vcpus[i]);
		r = vcpu_start(board->vcpus[i], err);
		if (r < 0)
			return r;
	}
	stop_time(board);
	return 0;
}

/* vCPUs first: from there on nothing reaches a device but its loop. */
void board_pause(struct board *board)
{
	for (uint32_t i = 0; i < board->nr_vcpus; i++)
		vcpu_pause(board->vcpus[i]);
	for (uint32_t i = 0; i < board->nr_vcpus; i++)
		vcpu_await_pause(board->vcpus[i]);
	stop_time(board);
	for (uint32_t i = 0; i < board->nr_functions; i++)
		virtio_pci_pause(board->functions[i]);
}

void board_resume(struct board *board)
{
	uint64_t ticks = vcpu_ticks() - board->ticks;

	for (uint32_t i = 0; i < board->nr_functions; i++)
		virtio_pci_resume(board->functions[i]);
	if (board->clock_ns)
		(void)kvm_vm_set_clock(board->vm, board->clock_ns);
	for (uint32_t i = 0; i < board->nr_vcpus; i++)
		vcpu_resume(board->vcpus[i], ticks);
}

void board_nmi(struct board *board)
{
	for (uint32_t i = 0; i < board->nr_vcpus; i++)
		(void)vcpu_nmi(board->vcpus[i]);
}

int board_vcpu_thread(const struct board *board, uint32_t i)
{
	return i < board->nr_vcpus ? vcpu_thread_id(board->vcpus[i]) : 0;
}

struct board *board_free(struct board *board)
{
	if (!board)
		return NULL;
	for (uint32_t i = 0; i < board->nr_vcpus; i++)
		vcpu_stop(board->vcpus[i]);
	for (uint32_t i = 0; i < board->nr_vcpus; i++) {
		struct vcpu_exits exits = vcpu_exits(board->vcpus[i]);

		log_debug("vcpu %u: exits to user space: pio %llu, mmio %llu, other %llu", i,
			  (unsigned long long)exits.pio, (unsigned long long)exits.mmio,
			  (unsigned long long)(exits.signal + exits.other));
	}
	for (uint32_t i = 0; i < board->nr_functions; i++) {
		pci_bus_remove(board->pci, virtio_pci_function(board->functions[i]));
		virtio_pci_free(board->functions[i]);
	}
	free(board->functions);
	board_stats_close(board);
	board_arch_fini(board);
	for (uint32_t i = 0; i < board->nr_vcpus; i++)
		vcpu_free(board->vcpus[i]);
	free(board->vcpus);
	vcpu_host_free(board->host_cpu);
	kvm_vm_free(board->vm);
	bus_free(board->pio);
	bus_free(board->mmio);
	guest_mem_free(board->mem);
	ram_close(&board->ram);
	free(board);
	return NULL;
}

void board_power_button(struct board *board)
{
	board_arch_power_button(board);
}

struct uart *board_console(struct board *board)
{
	return board->uart;
}

struct pci_bus *board_pci(struct board *board)
{
	return board->pci;
}
