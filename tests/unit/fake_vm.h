/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_vm.h - machine/machine_state.h without a machine: memory, disks that are only
 * shown, and what is done to it.
 *
 * There is one.  Whatever is linked with this has no other machine.
 */
#ifndef TESTS_UNIT_FAKE_VM_H
#define TESTS_UNIT_FAKE_VM_H

#include "machine/hotplug.h"
#include "machine/machine_state.h"
#include "memory/ram.h"

#include <stdbool.h>

#define FAKE_VM_MACHINE	((struct machine *)&fake_vm)

struct fake_vm {
	struct ram ram;
	struct machine_holder *holder;
	bool running, handed_over, asleep, moved, named, kept;
	int wake_fails, load_fails, flush_fails, name_fails;	/* with this errno */
	unsigned waits;			/* so often the guest cannot be handed over yet */
	void (*at_disks)(void);		/* unless NULL: while its disks are flushed */
	const struct machine_disk *shown;	/* nr_shown of them */
	uint32_t nr_shown;
	bool saving, stopped;		/* stopped: somebody has said so meanwhile */
};

extern struct fake_vm fake_vm;

/* As new, and with so much zeroed memory; a source, which runs, or a target. */
void fake_vm_open(uint64_t len, bool source);
void fake_vm_close(void);

/* As its end does; and a reset: false is as its end, else there is zeroed memory then. */
void fake_vm_let_go(void);
bool fake_vm_reset(void);

#endif
