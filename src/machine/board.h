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
#include "devices/virtio/virtio_net.h"

#include <stdbool.h>
#include <stdint.h>

struct board;
struct disk;
struct err;
struct kvm_opening;
struct loop;
struct netdev;
struct pci_bus;
struct ram;
struct state_reader;
struct state_writer;
struct vcpu;
struct vm_config;
struct vm_disk_config;
struct vsock_front;

enum board_event {
	BOARD_POWEROFF,		/* the guest switched itself off */
	BOARD_RESET,		/* the guest asked for a reset */
	BOARD_PANICKED,		/* the guest's kernel says that it has panicked */
	BOARD_DIED,		/* a vCPU cannot go on */
};

enum board_device_kind {
	BOARD_DISK,		/* disk, disk_config */
	BOARD_NET,		/* netdev, net_card, link_down */
	BOARD_VSOCK,		/* vsock, cid */
	BOARD_RNG,
};

/* A device for the PCI bus.  It outlives boards, as does the back end that it alone uses. */
struct board_device {
	struct board_device *next;
	enum board_device_kind kind;
	struct disk *disk;
	const struct vm_disk_config *disk_config;
	struct netdev *netdev;
	struct loop *loop;		/* owns it; runs */
	struct virtio_net_card net_card;
	bool link_down;
	struct vsock_front *vsock;
	uint32_t cid;
	int slot;			/* PCI_BUS_ANY_SLOT until a board has placed it */
};

struct board_config {
	const struct vm_config *vm;
	struct board_device *devices;	/* those there from the start; may go meanwhile */
	bool loaded;			/* board_load() follows, no kernel is booted */
	struct state_reader *plan;	/* then: what is known of it, until board_new() returns */
	uint32_t hotplug_slots;		/* what the guest knows as such; 0: to be chosen */
	struct uart_backend console;
	struct kvm_opening **opening;	/* as machine_config has it */

	/*
	 * On a vCPU's thread; may come several times, also after the board was
	 * told to stop.  vcpu and why are given for BOARD_DIED only.
	 */
	void (*event)(void *ctx, enum board_event event, struct vcpu *vcpu,
		      const char *why);

	/*
	 * The guest has let go of the device in a slot or, where it was asked to,
	 * refuses.  Likewise, of any slot.
	 */
	void (*slot_changed)(void *ctx, unsigned slot, bool refused);
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

/*
 * What its vCPUs can do, which takes them out of the guest for a moment; and whether those
 * of this one can do that.  Main.
 */
int board_save_features(struct board *board, struct state_writer *writer, struct err *err);
int board_check_features(struct board *board, struct state_reader *reader, struct err *err);

/*
 * What of a paused board is kept in its RAM is written there, and logged: before the RAM is
 * saved for the last time.  Main.
 */
int board_settle(struct board *board, struct err *err);

/*
 * All that the guest can notice of a paused board but its RAM; and the same into a new
 * one that was made to be loaded, with the RAM as it was.  Started afterwards, it is as
 * after the pause, or with catch_up as if it had run meanwhile.  Main.
 */
int board_save(struct board *board, struct state_writer *writer, struct err *err);
int board_load(struct board *board, struct state_reader *reader, bool catch_up,
	       struct err *err);

/* Of one that was loaded to catch up: so long ago it was stopped.  Before start.  Main. */
void board_set_away(struct board *board, uint64_t ns);

/* Of one that was loaded and not started: it may go on elsewhere, too.  Main. */
int board_fork(struct board *board, struct err *err);

/*
 * Log which pages are written, by vCPUs and devices (memory/guest_mem.h); add those of
 * the time since to the bitmap.  A board that runs pauses for a moment to begin or end.
 * All but that on any thread, while the board stays.
 */
int board_log(struct board *board, bool on, struct err *err);
int board_log_take(struct board *board, uint64_t *bitmap, struct err *err);
bool board_logs(const struct board *board);

/* boot_dump_tree() of its memory, before it starts.  Main. */
int board_dump_tree(const struct board *board, const char *path, struct err *err);

struct ram *board_ram(struct board *board);
uint32_t board_hotplug_slots(const struct board *board);

/*
 * Put a device into a slot for hot plug and tell the guest.  On failure device is
 * as it was.  -ENOSPC when none is free.  Main.
 */
int board_plug(struct board *board, struct board_device *device, struct err *err);

/* Ask the guest for the device that it sees in this slot.  Main. */
void board_ask_to_let_go(struct board *board, const struct board_device *device);

/* Take it away, whatever the guest says.  Main. */
void board_unplug(struct board *board, struct board_device *device);

/* device->link_down has changed.  Main. */
void board_update_link(struct board *board, const struct board_device *device);

/* How many the guest knows of, all kinds of them.  Main. */
unsigned board_nr_queues(const struct board *board, const struct board_device *device);

/* Have the guest announce the card.  Main. */
void board_announce(struct board *board, const struct board_device *device);

/*
 * vCPUs stand still or go on, while devices and clocks do all the time; nothing while it
 * is paused, and resuming ends a rest.  Main.
 */
void board_rest(struct board *board, bool rest);

/* To every vCPU.  Main. */
int board_nmi(struct board *board, struct err *err);

/* The kernel's id of a vCPU's thread; 0 where there is no such vCPU. */
int board_vcpu_thread(const struct board *board, uint32_t i);

/* Any thread, while the board lives. */
void board_power_button(struct board *board);

struct uart *board_console(struct board *board);
struct pci_bus *board_pci(struct board *board);

#endif
