/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_state.h - a paused machine as something to keep, and to go on with elsewhere.
 *
 * Three things make it up: its configuration, as it is by now; its RAM; and the rest,
 * a state stream (state/state.h).  Another machine takes them over like this:
 *
 *	machine_new(.incoming) --> machine_state_prepare() --> RAM is filled
 *	--> machine_state_load() --> machine_start()
 *
 * The configurations need not be the same, but what a guest can see has to be: memory,
 * vCPUs, devices.  What differs is told by machine_state_prepare(), before any RAM is
 * moved.
 *
 * Main.
 */
#ifndef MACHINE_MACHINE_STATE_H
#define MACHINE_MACHINE_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct err;
struct machine;
struct ram;
struct state_reader;
struct state_writer;
struct vm_config;

/*
 * What makes a machine like this one, hot-plugged devices included and those that have
 * gone left out, with all names of files absolute.  For option_fini().
 */
int machine_state_describe(const struct machine *machine, struct vm_config *ret_config,
		     struct err *err);

/*
 * What another has to know before it takes the state: devices, their places, and what the
 * vCPUs can do.  At any time.
 */
int machine_state_save_plan(struct machine *machine, struct state_writer *writer,
			    struct err *err);

/*
 * Once it is paused: what of its state is kept in RAM is written there.  For whoever saves
 * it, before the last look at the log.
 */
int machine_state_settle(struct machine *machine, struct err *err);

/*
 * -EBUSY while it runs, or where something of it cannot be kept; -EPERM where its guest has
 * ended, -EAGAIN where it has just asked for something that is about to happen.  While its
 * disks are asleep their marks are a part of it: the machine that loads it wakes no others.
 */
int machine_state_save(struct machine *machine, struct state_writer *writer, struct err *err);

/*
 * From the first to the last of what has to be of one moment, it is paused, and pausing and
 * resuming say what it is to be afterwards; with paused, it is to be that unless it was so
 * already: true if it would run but for this.  Nothing where it does not save, as one does not
 * whose guest has ended: -EPERM.
 */
int machine_state_begin_save(struct machine *machine, struct err *err);
bool machine_state_end_save(struct machine *machine, bool paused);

/* What is other than after a pause. */
struct machine_change {
	bool clock;			/* the guest's clocks have gone on all the time */
	bool fork;			/* it may go on elsewhere, too, and has to know */
};

/*
 * Make all but the RAM's content and the state, by the plan or by the whole state.  -EINVAL,
 * -ENOTSUP: this is not, or cannot be, what was saved.  Once; on failure all that can be
 * done is machine_free(), as below.
 */
int machine_state_prepare(struct machine *machine, struct state_reader *reader,
			  struct err *err);

/* Once. */
int machine_state_load(struct machine *machine, struct state_reader *reader,
		       const struct machine_change *change, struct err *err);

/*
 * Could it be kept, or moved, as it is now?  -EBUSY while there is no board yet, -EPERM where
 * the machine is another's or may be, or its guest has ended, -ESHUTDOWN when it has ended
 * itself.
 */
int machine_state_check(const struct machine *machine, struct err *err);

/*
 * Whoever looks at the RAM from another thread, or has a log kept, holds the board.  When
 * a reset or the end is about to take it away, let_go() is called and returns when it has
 * let go.  -EBUSY while another holds it, or what machine_state_check() says.
 *
 * A holder that has step_aside() is asked first whether it goes on after a reset.  When that
 * returns true it is not in the RAM, keeps no log, and waits for come_back(): there is other
 * RAM, as large, and the same devices are in the same slots.
 *
 * One of RAM that is not all there has fill_soon(): the guest is about to be stopped before
 * let_go(), and what it or its devices wait for has to come soon, or to fail.
 *
 * One that has give_way() is asked when somebody else wants the board, and releases it if it can.
 */
struct machine_holder {
	void (*let_go)(struct machine_holder *holder);
	void (*fill_soon)(struct machine_holder *holder);
	void (*give_way)(struct machine_holder *holder);
	bool (*step_aside)(struct machine_holder *holder);
	void (*come_back)(struct machine_holder *holder);
};

int machine_state_hold(struct machine *machine, struct machine_holder *holder,
		       struct err *err);
void machine_state_release(struct machine *machine, struct machine_holder *holder);

/* While it is held; the RAM also until machine_start(). */
struct ram *machine_state_ram(struct machine *machine);

/*
 * Have a log kept of what is written to the RAM, and add to the bitmap (one bit for each
 * 4 KiB) what was since the last time; that on any thread.
 */
int machine_state_log(struct machine *machine, bool on, struct err *err);
int machine_state_log_take(struct machine *machine, uint64_t *bitmap, struct err *err);

/*
 * While it is held: of all the time that it runs, have its vCPUs rest so many percent, up
 * to 99.  0, release and reset end that.
 */
void machine_state_throttle(struct machine *machine, unsigned percent);

/*
 * Giving a machine away.  machine_state_hand_over() pauses it, if it runs, so that nothing
 * but these can make it run: machine_state_take_back() has it go on as it was;
 * machine_state_moved() says that it is another's for good.  -EAGAIN where the guest has just
 * asked for something that is about to happen, -ESTALE where what the plan said has changed;
 * it then goes on.
 */
int machine_state_hand_over(struct machine *machine, struct err *err);
int machine_state_take_back(struct machine *machine, struct err *err);
void machine_state_moved(struct machine *machine);

/* Does it run, or did it before it was handed over? */
bool machine_state_runs(const struct machine *machine);

/*
 * Of one that was loaded: its guest was stopped so long ago by now, and its clocks are to
 * show that; and its owner wants it paused.
 */
void machine_state_set_away(struct machine *machine, uint64_t ns);
void machine_state_set_paused(struct machine *machine, bool paused);

/*
 * The i-th disk that a device shows and the guest can write, and the device's id; NULL: there
 * are fewer.  One that is logged (block/disk.h) is not taken away before whoever holds the
 * board has let go.
 */
struct disk *machine_state_disk(const struct machine *machine, uint32_t i,
				const char **ret_id);

/*
 * All that the guest has written to its disks is durable when this returns.  Any thread of
 * whoever holds the board.
 */
int machine_state_flush(struct machine *machine, struct err *err);

/*
 * Let go of all disks, so that another process can have them, or take them back, as
 * disk_sleep() and disk_wake() do, while the machine does not run.  All or none, as far as
 * that goes: if one cannot wake all sleep, if one cannot sleep all are woken.  Putting to sleep
 * is for any thread of whoever holds the board and has it handed over.
 */
int machine_state_sleep_disks(struct machine *machine, struct err *err);
int machine_state_wake_disks(struct machine *machine, struct err *err);

/*
 * Disks that come with their content.  make: have an image of so many bytes made, before
 * machine_state_prepare(), if there is none where the disk of this device is to be.  name: all
 * that has come is durable, and there under its name.  What is not kept goes with the machine.
 */
int machine_state_make_disk(struct machine *machine, const char *id, uint64_t size,
			    struct err *err);
int machine_state_name_disks(struct machine *machine, struct err *err);
void machine_state_keep_disks(struct machine *machine);

#endif
