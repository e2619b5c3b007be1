// SPDX-License-Identifier: Apache-2.0
#include "board.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "board_parts.h"
#include "board_stats.h"
#include "boot/boot.h"
#include "bus/bus.h"
#include "cpu/vcpu.h"
#include "devices/pci/pci.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_host.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_net.h"
#include "devices/virtio/virtio_pci.h"
#include "devices/virtio/virtio_rng.h"
#include "devices/virtio/virtio_vsock.h"
#include "kvm/kvm.h"
#include "machine/vm_config.h"
#include "memory/guest_mem.h"

#include <errno.h>
#include <linux/pci.h>
#include <stdlib.h>

/* Within which clocks count as read at once, and how often that is tried. */
#define MOMENT_NS	(CLOCK_NS_PER_MS / 20)
#define MOMENT_TRIES	8

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

static struct kvm_opening *take_opening(const struct board_config *config)
{
	struct kvm_opening *opening = config->opening ? *config->opening : NULL;

	if (opening)
		*config->opening = NULL;
	return opening;
}

static int open_vm(struct board *board, struct err *err)
{
	unsigned max, cpus = board->config.vm->cpus;
	struct kvm_opening *opening = take_opening(&board->config);
	struct kvm_fds fds;
	int r = opening ? 0 : kvm_opening_new(&opening, err);

	if (!r)
		r = kvm_opening_end(opening, &fds, err);
	if (!r)
		r = kvm_vm_new(&board->vm, fds, board->mem, err);
	if (r < 0)
		return r;
	max = kvm_vm_cpus_max(board->vm);
	if (cpus > max)
		return err_set(err, -EINVAL, "cpus: %u vCPUs are more than this host's KVM "
			       "allows (%u)", cpus, max);
	r = vcpu_host_new(&board->host_cpu, board->vm, err);
	return r < 0 || !board->config.loaded ?
		       r : vcpu_host_limit(board->host_cpu, board->vm, board->config.plan, err);
}

/* Devices. */

int board_parts_add_region(struct bus *bus, struct bus_region *region, struct err *err)
{
	int r = bus_add(bus, region);

	return r < 0 ? err_sys(err, r, "cannot place %s", region->name) : 0;
}

/* Most of what the window for 64-bit BARs has. */
#define MMIO64_LEN	(64 * GiB)

/* Above all RAM, into what the processor can still address. */
static int place_mmio64(struct board *board, uint64_t free_from, struct err *err)
{
	unsigned bits = vcpu_host_address_bits(board->host_cpu);
	uint64_t at = align_up(free_from, GiB), end = BIT64(bits);

	if (at >= end)
		return err_set(err, -E2BIG, "memory: %llu MiB are more than the %u address "
			       "bits of a VM on this host reach",
			       (unsigned long long)(board->ram.len / MiB), bits);
	board->mmio64 = (struct pci_window){ at, min_u64(end - at, MMIO64_LEN) };
	return 0;
}

int board_parts_add_pci(struct board *board, const struct board_pci *pci, struct err *err)
{
	struct pci_bus_config bus = {
		.mmio = board->mmio,
		.pio = board->pio,
		.mem32 = pci->mem32,
	};
	const struct pci_host_config host = {
		.mmio = board->mmio,
		.ecam_at = pci->ecam_at,
		.buses_behind = pci->buses_behind,
		.pio = pci->ports_at ? board->pio : NULL,
		.ports_at = pci->ports_at,
	};
	int r = place_mmio64(board, pci->free_from, err);

	if (r < 0)
		return r;
	bus.mem64 = board->mmio64;
	board->pci = pci_bus_new(&bus);
	if (!board->pci)
		return err_sys(err, -ENOMEM, "cannot make a PCI bus");
	board->host = pci_host_new(board->pci, &host, err);
	return board->host ? 0 : err->code;
}

/* Slots that devices may come to, besides those that hold one at the start. */
#define NR_FREE_SLOTS	8

static int new_virtio(struct board *board, const struct board_device *device,
		      struct virtio_dev **ret_dev, struct err *err)
{
	const struct vm_config *vm = board->config.vm;

	switch (device->kind) {
	case BOARD_DISK:
		return virtio_blk_new(ret_dev, device->disk, device->disk_config->serial,
				      vm_config_queues(vm, device->disk_config->queues),
				      board->mem, err);
	case BOARD_NET:
		return virtio_net_new(ret_dev, device->netdev, &device->net_card, board->mem,
				      device->loop, err);
	case BOARD_VSOCK:
		return virtio_vsock_new(ret_dev, device->vsock, device->cid, board->mem,
					device->loop, err);
	default:
		return virtio_rng_new(ret_dev, board->mem, device->loop, err);
	}
}

static int add_function(struct board *board, struct board_device *device, int slot,
			struct err *err)
{
	struct virtio_dev *dev;
	struct virtio_pci *vp;
	int r = new_virtio(board, device, &dev, err);

	if (r < 0)
		return r;
	if (device->link_down)
		virtio_net_set_link(dev, false);
	r = virtio_pci_new(&vp, dev, kvm_vm_eventfds(board->vm), err);
	if (r < 0)
		return r;
	r = pci_bus_add(board->pci, virtio_pci_function(vp), slot, err);
	if (r < 0) {
		virtio_pci_free(vp);
		return r;
	}
	device->slot = PCI_SLOT(virtio_pci_function(vp)->devfn);
	board->functions[device->slot] = vp;
	return 0;
}

static void remove_function(struct board *board, int slot)
{
	struct virtio_pci *vp = board->functions[slot];

	if (!vp)
		return;
	pci_bus_remove(board->pci, virtio_pci_function(vp));
	virtio_pci_free(vp);
	board->functions[slot] = NULL;
}

/* Devices have the slots that they had, or else what is free; the host bridge has 0. */
static uint32_t choose_slots(struct board *board)
{
	uint32_t taken = BIT32(0);

	for (struct board_device *d = board->config.devices; d; d = d->next)
		if (d->slot >= 0 && d->slot < PCI_BUS_SLOTS)
			taken |= BIT32(d->slot);
	for (struct board_device *d = board->config.devices; d; d = d->next)
		if (d->slot == PCI_BUS_ANY_SLOT && ~taken) {
			d->slot = __builtin_ctz(~taken);
			taken |= BIT32(d->slot);
		}
	return taken;
}

/* A slot that the guest knows to be one for hot plug costs it some exits at boot. */
static uint32_t choose_hotplug_slots(uint32_t taken, uint32_t movable)
{
	uint32_t slots = movable;

	for (unsigned i = 0; i < NR_FREE_SLOTS && ~taken; i++) {
		uint32_t slot = BIT32(__builtin_ctz(~taken));

		slots |= slot;
		taken |= slot;
	}
	return slots;
}

static int add_functions(struct board *board, struct err *err)
{
	uint32_t taken = choose_slots(board), movable = 0;
	int r;

	for (const struct board_device *d = board->config.devices; d; d = d->next)
		if ((d->kind == BOARD_DISK || d->kind == BOARD_NET) && d->slot >= 0 &&
		    d->slot < PCI_BUS_SLOTS)
			movable |= BIT32(d->slot);
	board->hotplug_slots = board->config.hotplug_slots ? board->config.hotplug_slots :
							     choose_hotplug_slots(taken, movable);
	r = board_arch_add_slots(board, board->hotplug_slots, movable, err);
	for (struct board_device *d = board->config.devices; d && !r; d = d->next)
		r = add_function(board, d, d->slot, err);
	return r < 0 ? r : pci_bus_assign(board->pci, err);
}

/* vCPUs. */

static void died(void *ctx, struct vcpu *vcpu, const char *why)
{
	struct board *board = ctx;

	board->config.event(board->config.ctx, BOARD_DIED, vcpu, why);
}

static void asked(void *ctx, enum vcpu_request request)
{
	struct board *board = ctx;

	board->config.event(board->config.ctx,
			    request == VCPU_REQUEST_OFF ? BOARD_POWEROFF : BOARD_RESET, NULL,
			    NULL);
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
		.asked = asked,
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
		r = kvm_vm_complete(board->vm, err);
	for (uint32_t i = 0; i < board->nr_vcpus && !r; i++)
		r = vcpu_complete(board->vcpus[i], err);
	if (!r && !board->config.loaded)
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

/* False: we were interrupted since, so that what was looked at meanwhile is of two moments. */
static bool is_same_moment(uint64_t wall_ns)
{
	return clock_wall_ns() - wall_ns < MOMENT_NS;
}

/* All clocks stop in the same moment, if the host's load allows for one. */
static void stop_time(struct board *board)
{
	unsigned tries = MOMENT_TRIES;

	do {
		board->wall_ns = clock_wall_ns();
		board->ticks = vcpu_ticks();
		if (kvm_vm_get_clock(board->vm, &board->clock_ns))
			board->clock_ns = 0;
	} while (!is_same_moment(board->wall_ns) && --tries);
}

/* Returns for how many ticks the guest's counter has stood still. */
static uint64_t start_time(struct board *board)
{
	unsigned tries = MOMENT_TRIES;
	uint64_t wall_ns, away, ticks;

	do {
		wall_ns = clock_wall_ns();
		away = board_parts_away_ns(board);
		ticks = vcpu_ticks() - board->ticks;
		if (board->catch_up)
			ticks -= vcpu_ticks_in(board->vcpus[0], away);
		if (board->clock_ns)
			(void)kvm_vm_set_clock(board->vm, board->clock_ns +
						  (board->catch_up ? away : 0));
	} while (!is_same_moment(wall_ns) && --tries);
	/* What goes by the host's clock has gone on. */
	if (board->fall_back)
		board_arch_fall_back(board, away);
	board->catch_up = board->fall_back = false;
	return ticks;
}

/* What was loaded is paused, and goes on like that. */
int board_start(struct board *board, bool paused, struct err *err)
{
	bool loaded = board->config.loaded;

	for (uint32_t i = 0; i < board->nr_vcpus; i++) {
		int r;

		if (paused || loaded)
			vcpu_pause(board->vcpus[i]);
		r = vcpu_start(board->vcpus[i], err);
		if (r < 0)
			return r;
	}
	board->paused = paused || loaded;
	if (!loaded)
		stop_time(board);
	else if (!paused)
		board_resume(board);
	return 0;
}

static void park(struct board *board)
{
	for (uint32_t i = 0; i < board->nr_vcpus; i++)
		vcpu_pause(board->vcpus[i]);
	for (uint32_t i = 0; i < board->nr_vcpus; i++)
		vcpu_await_pause(board->vcpus[i]);
}

static void unpark(struct board *board, uint64_t ticks)
{
	for (uint32_t i = 0; i < board->nr_vcpus; i++)
		vcpu_skip_ticks(board->vcpus[i], ticks);
	for (uint32_t i = 0; i < board->nr_vcpus; i++)
		vcpu_resume(board->vcpus[i]);
}

int board_save_features(struct board *board, struct state_writer *writer, struct err *err)
{
	bool runs = !board->paused;
	int r;

	if (runs)
		park(board);
	r = vcpu_save_features(board->vcpus[0], writer, err);
	if (runs)
		unpark(board, 0);
	return r;
}

int board_check_features(struct board *board, struct state_reader *reader, struct err *err)
{
	return vcpu_check_features(board->vcpus[0], reader, err);
}

/* vCPUs first: from there on nothing reaches a device but its loop. */
static void stop_devices(struct board *board)
{
	board->paused = true;
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++)
		if (board->functions[slot])
			virtio_pci_pause(board->functions[slot]);
}

static void start_devices(struct board *board)
{
	board->paused = false;
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++)
		if (board->functions[slot])
			virtio_pci_resume(board->functions[slot]);
}

void board_pause(struct board *board)
{
	park(board);
	stop_time(board);
	stop_devices(board);
}

void board_resume(struct board *board)
{
	start_devices(board);
	unpark(board, start_time(board));
}

void board_rest(struct board *board, bool rest)
{
	for (uint32_t i = 0; i < board->nr_vcpus && !board->paused; i++)
		vcpu_rest(board->vcpus[i], rest);
}

/*
 * Who else writes to the guest's memory, as vhost does, sees the log when it starts.  Its
 * clocks go on meanwhile: this is over in a moment, and nobody has asked for a pause.
 */
int board_log(struct board *board, bool on, struct err *err)
{
	bool runs = !board->paused;
	int r = 0;

	if (runs) {
		park(board);
		stop_devices(board);
	}
	if (on)
		r = guest_mem_log_start(board->mem);
	if (r < 0)
		err_sys(err, r, "cannot log what is written to the guest's memory");
	if (!r)
		r = kvm_vm_log(board->vm, on, err);
	if (on && r < 0)
		(void)kvm_vm_log(board->vm, false, NULL);
	if (!on || r < 0)
		guest_mem_log_stop(board->mem);
	if (runs) {
		start_devices(board);
		unpark(board, 0);
	}
	return r;
}

int board_log_take(struct board *board, uint64_t *bitmap, struct err *err)
{
	guest_mem_log_take(board->mem, bitmap);
	return kvm_vm_log_take(board->vm, bitmap, err);
}

bool board_logs(const struct board *board)
{
	return guest_mem_logs(board->mem);
}

/* Hot plug. */

static int free_slot(const struct board *board)
{
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++)
		if (board->hotplug_slots & BIT32(slot) && !pci_bus_taken(board->pci, slot))
			return (int)slot;
	return -ENOSPC;
}

static int choose_slot(const struct board *board, int slot, struct err *err)
{
	if (slot == PCI_BUS_ANY_SLOT) {
		slot = free_slot(board);
		if (slot < 0)
			return err_set(err, slot, "no PCI slot is left for hot plug");
	}
	if (slot < 0 || slot >= PCI_BUS_SLOTS || !(board->hotplug_slots & BIT32(slot)))
		return err_set(err, -EINVAL, "PCI slot %d is not one for hot plug", slot);
	if (pci_bus_taken(board->pci, (unsigned)slot))
		return err_set(err, -EBUSY, "PCI slot %d is taken", slot);
	return slot;
}

int board_plug(struct board *board, struct board_device *device, struct err *err)
{
	int r, slot = choose_slot(board, device->slot, err);

	if (slot < 0)
		return slot;
	r = add_function(board, device, slot, err);
	if (!r)
		board_arch_slot_filled(board, (unsigned)slot);
	return r;
}

void board_ask_to_let_go(struct board *board, const struct board_device *device)
{
	board_arch_slot_wanted(board, (unsigned)device->slot);
}

/* A vCPU may be in one of its registers until all are parked. */
void board_unplug(struct board *board, struct board_device *device)
{
	bool runs = !board->paused;

	if (runs)
		park(board);
	remove_function(board, device->slot);
	if (runs)
		unpark(board, 0);
}

void board_update_link(struct board *board, const struct board_device *device)
{
	virtio_net_set_link(virtio_pci_device(board->functions[device->slot]),
			    !device->link_down);
}

unsigned board_nr_queues(const struct board *board, const struct board_device *device)
{
	return virtio_pci_device(board->functions[device->slot])->nr_queues;
}

void board_announce(struct board *board, const struct board_device *device)
{
	virtio_net_announce(virtio_pci_device(board->functions[device->slot]));
}

int board_nmi(struct board *board, struct err *err)
{
	int r = 0;

	for (uint32_t i = 0; i < board->nr_vcpus && !r; i++)
		r = vcpu_nmi(board->vcpus[i]);
	return r < 0 ? err_sys(err, r, "KVM sends this guest no non-maskable interrupt") : 0;
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
	for (int slot = 0; slot < PCI_BUS_SLOTS; slot++)
		remove_function(board, slot);
	board_stats_close(board);
	board_arch_fini(board);
	pci_host_free(board->host);
	pci_bus_free(board->pci);
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

int board_dump_tree(const struct board *board, const char *path, struct err *err)
{
	return boot_dump_tree(board->mem, path, err);
}

struct ram *board_ram(struct board *board)
{
	return &board->ram;
}

uint32_t board_hotplug_slots(const struct board *board)
{
	return board->hotplug_slots;
}

struct uart *board_console(struct board *board)
{
	return board->uart;
}

struct pci_bus *board_pci(struct board *board)
{
	return board->pci;
}
