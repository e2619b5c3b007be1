/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration_plan.h - what of a migration's plan is not the machine's
 * (machine/machine_state.h): who sends it, and over how many channels.
 *
 * Any thread.
 */
#ifndef MIGRATE_MIGRATION_PLAN_H
#define MIGRATE_MIGRATION_PLAN_H

#include "machine/vm_config.h"
#include "message.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __x86_64__
#define MIGRATION_PLAN_ARCH "x86_64"
#else
#define MIGRATION_PLAN_ARCH "aarch64"
#endif

struct err;
struct state_reader;
struct state_writer;

/* One that is copied. */
struct migration_plan_disk {
	uint8_t id[VM_CONFIG_NAME_MAX + 1];	/* its device's: text */
	uint64_t size;			/* bytes */
};

struct migration_plan {
	uint8_t session[MESSAGE_SESSION_LEN];
	uint32_t streams;
	bool postcopy;			/* the guest may run before its memory is there */
	uint32_t nr_disks;
	struct migration_plan_disk disks[MESSAGE_DISKS_MAX];
};

void migration_plan_save(struct state_writer *writer, const struct migration_plan *plan);

/* -EINVAL. */
int migration_plan_load(struct state_reader *reader, struct migration_plan *ret_plan,
			struct err *err);

#endif
