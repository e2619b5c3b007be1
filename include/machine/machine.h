/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - one VM, from its configuration to its end.
 *
 * Life of a machine:
 *
 *	new --start()--> running --+--> ended --free()
 *	                 |  ^  ^   |
 *	         pause() |  |  +---+ reset
 *	                 v  | resume()
 *	                paused
 *
 * A guest that switches itself off, panics or restarts ends the machine or starts
 * anew, or the machine is paused and kept for a while: machine_set_actions().
 *
 * A reset replaces the whole board, so nothing of what the guest did before can
 * be left behind; disks, network back ends and the console stay.
 *
 * A machine may also begin where another one stopped: machine_state.h.
 *
 * All functions belong to the main loop's thread.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "devices/uart.h"

#include <stdbool.h>
#include <stdint.h>

struct disk_failure;
struct err;
struct kvm_opening;
struct loop;
struct machine;
struct pci_bus;
struct throttle_limits;
struct vm_action_config;
struct vm_config;

enum machine_state {
	MACHINE_PRELAUNCH,	/* its guest has done nothing yet */
	MACHINE_INCOMING,	/* waits for another's state (machine_state.h) */
	MACHINE_RUNNING,
	MACHINE_PAUSED,
	MACHINE_IO_ERROR,	/* paused, for the host has failed a disk; resuming tries again */
	MACHINE_SHUT_DOWN,	/* paused when the guest switched itself off */
	MACHINE_CRASHED,	/* paused when its kernel panicked */
	MACHINE_SAVING,		/* paused until its state is complete (machine_state.h) */
	MACHINE_HANDED_OVER,	/* paused, and may run elsewhere (machine_state.h) */
	MACHINE_MOVED,		/* runs elsewhere; never again here */
};

enum machine_end {
	MACHINE_POWEROFF,	/* the guest switched itself off, or see machine_shut_down() */
	MACHINE_DIED,		/* the guest cannot go on; the log says why */
	MACHINE_FORCED,		/* machine_force() */
	MACHINE_ABSENT,		/* no guest had come; see machine_shut_down() */
};

/* What happens to a machine; cause is given where the line says so. */
enum machine_event {
	MACHINE_STOP,		/* paused */
	MACHINE_RESUME,
	MACHINE_POWERDOWN,	/* the power button was pressed */
	MACHINE_RESET,		/* cause */
	MACHINE_PANICKED,	/* the guest's kernel said so; MACHINE_SHUTDOWN follows */
	MACHINE_PANIC_STOPS,	/* ... MACHINE_STOP follows */
	MACHINE_PANIC_IGNORED,	/* ... it runs on */
	MACHINE_SHUTDOWN,	/* cause; the end, or MACHINE_STOP follows */
};

enum machine_cause {
	MACHINE_CAUSE_GUEST_SHUTDOWN,
	MACHINE_CAUSE_GUEST_RESET,
	MACHINE_CAUSE_GUEST_PANIC,
	MACHINE_CAUSE_HOST_ERROR,	/* KVM or a vCPU gave up */
	MACHINE_CAUSE_HOST_SIGNAL,
	MACHINE_CAUSE_HOST_UI,		/* a key of the console */
	MACHINE_CAUSE_HOST_QUIT,	/* a command */
	MACHINE_CAUSE_HOST_RESET,	/* a command */
};

/* When the guest's cards are announced, and how often, once at least. */
struct machine_announcement {
	uint64_t initial_ms;	/* from the first time to the second */
	uint64_t step_ms, max_ms;	/* later the more, up to so long */
	uint32_t rounds;
};

struct machine_config {
	const struct vm_config *vm;
	struct loop *main;
	struct uart_backend console;

	/*
	 * Or NULL: one that was begun before (kvm/kvm.h).  The first board takes it, and makes
	 * it NULL; if none has, it is still whoever's began it.
	 */
	struct kvm_opening **opening;

	bool paused;			/* from the first instruction on */

	/*
	 * The machine is to go on where another was saved (machine_state.h): until it has
	 * been prepared for that it has back ends only, and its guest is never booted.
	 */
	bool incoming;

	/* While it is incoming another process has the disks: machine_state_wake_disks(). */
	bool asleep;

	/* On the main loop, after it has happened. */
	void (*happened)(void *ctx, enum machine_event event, enum machine_cause cause);

	/*
	 * On the main loop: the host has failed a request of the disk.  What fails
	 * before this is called is told as one.  Before MACHINE_STOP, if it stops.
	 */
	void (*disk_failed)(void *ctx, uint32_t disk, const struct disk_failure *failure);

	/*
	 * On the main loop: the device of that id is gone or, if not, the guest
	 * refuses to let go of it (hotplug.h).
	 */
	void (*unplugged)(void *ctx, const char *id, bool gone);

	/* Once, on the main loop; the machine no longer runs. */
	void (*ended)(void *ctx, enum machine_end end);
	void *ctx;
};

/* Opens everything; what the configuration points to outlives the machine. */
int machine_new(struct machine **ret_machine, const struct machine_config *config,
		struct err *err);
struct machine *machine_free(struct machine *machine);		/* -> NULL */

/* It will not be started: files that were made for it are not left behind. */
void machine_undo(struct machine *machine);

/* Write the guest's device tree to a file, before start; -ENOTSUP where it has none. */
int machine_dump_tree(struct machine *machine, const char *path, struct err *err);

int machine_start(struct machine *machine, struct err *err);

/*
 * Ask the guest to shut down.  The first call presses the power button and
 * gives it the configured time; a second call, or the time's end, forces it.  A
 * guest that resets within that time has shut down, too.  Where there is no guest to
 * ask, the machine ends at once.
 */
void machine_shut_down(struct machine *machine);

/* End it now. */
void machine_force(struct machine *machine, enum machine_cause cause);

/*
 * When machine_pause() returns, no vCPU runs and nothing is in flight; the
 * guest's clocks stand still until machine_resume().  What is so already is left
 * alone.  A machine that is reset while paused does not run: it is as before its
 * launch.  One that waits for another's state notes whether it is to run then.  -EPERM
 * when nothing but a reset can make it run again, or nothing at all.
 */
void machine_pause(struct machine *machine);
int machine_resume(struct machine *machine, struct err *err);
enum machine_state machine_state(const struct machine *machine);

/* -EPERM: it is another's, or may be (machine_state.h), and what it is told would be lost. */
int machine_check_ours(const struct machine *machine, struct err *err);

/* What is done from now on; at first what the configuration says. */
const struct vm_action_config *machine_actions(const struct machine *machine);
void machine_set_actions(struct machine *machine, const struct vm_action_config *actions);

/* As the reset button would; an action may make it a shutdown. */
void machine_reset(struct machine *machine);

/* Ask the guest, and leave the rest to it. */
void machine_power_button(struct machine *machine);
int machine_nmi(struct machine *machine, struct err *err);

/* The kernel's id of the thread of the i-th vCPU, or I/O loop; 0: there is none. */
int machine_vcpu_thread(const struct machine *machine, uint32_t i);
int machine_io_thread(const struct machine *machine, uint32_t i);

/* Each another one after a reset, so ask each time; NULL once it has ended. */
struct uart *machine_console(struct machine *machine);
struct pci_bus *machine_pci(struct machine *machine);

/* The failure of the i-th disk for which the machine is paused; 0: it is not. */
int machine_disk_error(const struct machine *machine, uint32_t i);

/*
 * Limits (block/throttle.h) of the i-th disk, which is there, and of all that share
 * its group.  group is one to join or make; NULL: its own.  No limit at all is one of
 * this disk's only: it leaves its group.
 */
int machine_throttle_disk(struct machine *machine, uint32_t i,
			  const struct throttle_limits *limits, const char *group,
			  struct err *err);

/* Guests that know how to tell the network by themselves; one that is under way ends. */
void machine_announce(struct machine *machine, const struct machine_announcement *how);

/* As disk_resize(); the disk is there. */
int machine_resize_disk(struct machine *machine, uint32_t i, uint64_t size, struct err *err);

#endif
