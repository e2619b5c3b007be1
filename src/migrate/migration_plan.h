/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration_plan.h - what of a migration's plan is not the machine's
 * (machine/machine_state.h): who sends it, over how many channels, and what its disks
 * have to be like on the other side.
 *
 * Any thread, but for what looks at a machine.
 */
#ifndef MIGRATE_MIGRATION_PLAN_H
#define MIGRATE_MIGRATION_PLAN_H

#include "machine/vm_config.h"
#include "message.h"

#include <stdbool.h>
#include <stdint.h>

#define MIGRATION_PLAN_SERIAL_MAX	20	/* bytes; what a virtio disk can tell */

#ifdef __x86_64__
#define MIGRATION_PLAN_ARCH "x86_64"
#else
#define MIGRATION_PLAN_ARCH "aarch64"
#endif

struct err;
struct machine;
struct state_reader;
struct state_writer;

/* One that is copied. */
struct migration_plan_disk {
	uint8_t id[VM_CONFIG_NAME_MAX + 1];	/* its device's: text */
	uint64_t size;			/* bytes */
};

/*
 * One that the guest sees.  Of what is zero nothing is known; a serial is always, an empty one
 * is none.
 */
struct migration_plan_shown {
	uint8_t id[VM_CONFIG_NAME_MAX + 1];	/* its device's: text */
	uint8_t serial[MIGRATION_PLAN_SERIAL_MAX + 1];	/* text */
	uint64_t size;			/* bytes; one that is copied has it above */
	uint64_t file_system, inode;	/* struct disk_identity, where both are to use one file */
};

struct migration_plan {
	uint8_t session[MESSAGE_SESSION_LEN];
	uint32_t streams;
	bool postcopy;			/* the guest may run before its memory is there */
	uint32_t nr_disks;
	struct migration_plan_disk disks[MESSAGE_DISKS_MAX];
	uint32_t nr_shown;		/* 0 also of a source that does not tell */
	struct migration_plan_shown shown[MESSAGE_DISKS_MAX];
};

/* What the machine shows; copied: what the guest writes, each side has in its own files.  Main. */
void migration_plan_show(struct migration_plan *plan, const struct machine *machine, bool copied);

/*
 * Does the machine, which is to take the guest over, show the same?  Before its memory comes:
 * whether the files have been written since is for the state to tell.  -EINVAL.  Main.
 */
int migration_plan_check(const struct migration_plan *plan, const struct machine *machine,
			 struct err *err);

void migration_plan_save(struct state_writer *writer, const struct migration_plan *plan);

/* -EINVAL. */
int migration_plan_load(struct state_reader *reader, struct migration_plan *ret_plan,
			struct err *err);

#endif
