/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_parts.h - a machine from the inside, for the files that it is made of.
 */
#ifndef MACHINE_MACHINE_PARTS_H
#define MACHINE_MACHINE_PARTS_H

#include "base/log.h"
#include "block/disk.h"
#include "board.h"
#include "loop/loop.h"
#include "machine/machine.h"
#include "machine/vm_config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* A back end and, while device_id is set, the device that is made of it. */
struct machine_part {
	struct machine_part *next;
	struct board_device device;
	char *id, *device_id;
	bool given;			/* by the configuration: goes with its device */
	uint64_t asked_ns;		/* when the guest was asked to let go; 0: it was not */
	struct log_limit lost;		/* of a card: of what is said when its link goes */
	struct vm_disk_config disk;	/* of a disk; what a device of it is like, too */
	bool made_overlay;		/* of a disk: it was not there before */
	bool made_dump;			/* of a card: likewise */
	struct vm_net_config net;	/* of a net */

	/* Of a disk: what has failed and was not told yet. */
	struct machine *machine;
	struct loop_task tell;
	pthread_mutex_t lock;
	struct disk_failure failure;	/* under lock: the last, or the last that stops */
	int stopped_by;			/* main's: negative errno; 0 once the VM goes on */
};

struct machine {
	struct machine_config config;
	struct loop **loops;		/* config.vm->io_threads of them */
	uint32_t nr_running;		/* loops that run */
	struct machine_part *parts;
	pthread_mutex_t parts_lock;	/* the list changes; or another thread is at its disks */
	struct board_device rng, vsock;	/* vsock.vsock is NULL where there is none */
	struct board *board;
	uint32_t hotplug_slots;		/* of the next board; 0: whichever it chooses */
	struct machine_holder *holder;	/* of the board, or NULL */
	struct vm_action_config actions;
	enum machine_state state;
	enum machine_state before;	/* it was handed over, or saved */
	bool as_planned;		/* devices are as machine_state_save_plan() told */
	bool ended;

	atomic_int event;		/* enum board_event, NO_EVENT or TAKEN */
	atomic_bool panicked;		/* which is no end yet */
	struct loop_task on_event;
	struct loop_timer timeout;	/* of the shutdown */

	struct machine_announcement announcement;	/* what is left of it */
	struct loop_timer announce_timer;

	unsigned throttle;		/* percent of the time that vCPUs rest */
	bool rests;
	struct loop_timer throttle_timer;

	_Atomic(uint32_t) ejected, refused;	/* masks of slots, by the guest */
	struct loop_task on_slots;
};

/* NULL: there is none. */
struct machine_part *machine_part_find(const struct machine *m, enum board_device_kind kind,
				       const char *id);
struct machine_part *machine_part_of_device(const struct machine *m, const char *device_id);
struct machine_part *machine_part_in_slot(const struct machine *m, unsigned slot);

/* Its number among the disks. */
uint32_t machine_part_index(const struct machine *m, const struct machine_part *part);

/* The i-th disk; NULL: there are fewer. */
struct machine_part *machine_part_disk(const struct machine *m, uint32_t i);

/* Of the disk that is ctx, on its loop, and what is made of it on the main thread. */
void machine_parts_disk_failed(void *ctx, const struct disk_failure *failure);
void machine_parts_tell_trouble(struct loop_task *task);

/*
 * The loop of the disks that share the limits of this name; NULL: there are none.
 * Main, like what follows.
 */
struct loop *machine_part_group_loop(const struct machine *m, const char *group);

/* The limits that a new disk's configuration gives it or its group, and whose they are. */
int machine_part_limit(struct machine_part *part, const struct vm_disk_config *config,
		       struct err *err);

/* The same by now, instead of those that config has; -ENOMEM. */
int machine_part_describe_limits(const struct machine_part *part, struct vm_disk_config *config);

/* It is to be closed, while its loop may run. */
void machine_part_unlimit(struct machine_part *part);

/* Close and forget it; no board uses it. */
void machine_part_remove(struct machine *m, struct machine_part *part);

/* Of the card that is made of a net; -EINVAL where its packets would not come by. */
int machine_part_set_mac(struct machine_part *part, const uint8_t mac[6], struct err *err);

/*
 * The back end's MAC or one that stays the same from run to run, so that the guest's
 * network configuration does: locally administered, from the VM's name and these two.
 */
int machine_part_make_mac(struct machine_part *part, const char *id, uint32_t i,
			  struct err *err);

/* Open what the configuration names, with a device of each.  Main, like all here. */
int machine_parts_open(struct machine *m, struct err *err);

/* There is a machine of them: files that are made anew are.  Before it starts. */
int machine_parts_begin(struct machine *m, struct err *err);

/* There will be no machine of them: files that were made for it are not left behind. */
void machine_parts_undo(struct machine *m);

/* No board uses them any more. */
void machine_parts_close(struct machine *m);

/* All devices, for a board to be built of. */
struct board_device *machine_parts_devices(struct machine *m);

/* A board of them all; plan is that of a saved one that it is to be like, or NULL. */
int machine_parts_new_board(struct machine *m, struct state_reader *plan, struct err *err);

/* Has the guest done something that the main thread has not dealt with yet? */
bool machine_parts_undecided(const struct machine *m);

/* None is missing.  -ENOENT. */
int machine_parts_check_disks(const struct machine *m, struct err *err);

/* How disks that are asleep were left, and what a machine that gets them expects. */
void machine_parts_save_marks(const struct machine *m, struct state_writer *writer);
int machine_parts_load_marks(struct machine *m, struct state_reader *reader, struct err *err);

/* The board is about to go. */
void machine_parts_let_go(struct machine *m);

/*
 * The same, but another one is to follow.  True: who holds it waits for that, unless he has to
 * let go meanwhile.
 */
bool machine_parts_step_aside(struct machine *m);
void machine_parts_come_back(struct machine *m);

/* The board is gone: what the guest was asked to let go, it has. */
void machine_parts_settle(struct machine *m);

/* Once more. */
void machine_parts_announce(struct loop_timer *timer);

/* From work to rest, or back. */
void machine_parts_throttle(struct loop_timer *timer);

/* The board's word of slots, on vCPU threads, and what is made of it on the main thread. */
void machine_parts_slot_changed(void *ctx, unsigned slot, bool refused);
void machine_parts_look_at_slots(struct loop_task *task);

#endif
