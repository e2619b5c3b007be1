/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - a VM as a folder.
 *
 *	config.yaml	what starts the VM
 *	state		all but its memory
 *	memory		its RAM, to be mapped
 *	manifest	sizes, checksums, disks, and which snapshot this one builds upon
 *	working-set	what of its memory is used first, where that was noted (working_set.h)
 *
 * A snapshot with a parent holds only what of the memory has changed since; the parent
 * has to stay where it is.  "state" is whole in each.
 *
 * Restoring maps the memory privately, so that the time it takes does not grow with it,
 * and pages that no VM has written are shared by all that were restored from here.  The
 * files must not be changed while such a VM lives; removing them is fine.
 *
 *	snapshot_open() --> machine_new(.incoming) --> machine_state_prepare(snapshot_state())
 *	--> snapshot_map() --> machine_state_load() --> machine_start(), snapshot_close()
 *
 * Any thread, one at a time.
 */
#ifndef MIGRATE_SNAPSHOT_H
#define MIGRATE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct ram;
struct snapshot;
struct state_reader;
struct vm_config;

/* Checks all but the memory, for which there is snapshot_verify(). */
int snapshot_open(struct snapshot **ret_snapshot, const char *path, struct err *err);
struct snapshot *snapshot_close(struct snapshot *snapshot);	/* -> NULL */

/* For option_fini(); whatever *config held is gone. */
int snapshot_config(const struct snapshot *snapshot, struct vm_config *ret_config,
		    struct err *err);
struct state_reader *snapshot_state(struct snapshot *snapshot);

/*
 * Has the file of a disk, where the configuration still has it by this name or another, or
 * as the base of an overlay, been written since?  -ESTALE.  One that was copied, or moved to
 * another file system, is another file.
 */
int snapshot_check_disks(const struct snapshot *snapshot, const struct vm_config *config,
			 struct err *err);

/* ram is as long as the VM's. */
int snapshot_map(const struct snapshot *snapshot, const struct ram *ram, struct err *err);

/* How far it is; false breaks it off with -ECANCELED. */
typedef bool snapshot_progress(void *ctx, uint64_t bytes);

/* Compare the memory with its checksum, parents included; progress may be NULL. */
int snapshot_verify(const struct snapshot *snapshot, snapshot_progress *progress, void *ctx,
		    struct err *err);

/*
 * Make the one at path stand by itself: it gets what it needs of its parents, and stays
 * what others build upon.  What is damaged is refused.  progress as above.
 */
int snapshot_merge(const char *path, snapshot_progress *progress, void *ctx,
		   struct err *err);

/*
 * Of the working set, which is -ENOENT where none was recorded and -EINVAL when damaged:
 * count its pages; or have the host read them.
 */
int snapshot_count_used(const struct snapshot *snapshot, uint64_t *ret_pages, struct err *err);
int snapshot_read_ahead(const struct snapshot *snapshot, snapshot_progress *progress, void *ctx,
			struct err *err);

/* Have the host forget what of the memory it has in its cache and no VM uses. */
void snapshot_uncache(const struct snapshot *snapshot);

/* Another descriptor of its folder, or a negative errno. */
int snapshot_folder(const struct snapshot *snapshot);

/* Remove one, as far as it is one. */
void snapshot_remove(const char *path);

struct snapshot_info {
	const char *path, *id, *name, *created, *release, *arch;
	const char *parent;		/* path; NULL: none */
	uint64_t memory;		/* bytes of RAM */
	uint64_t pages;			/* of 4 KiB that this one holds */
};

/* Of the i-th of the chain, this one first; false: there are fewer. */
bool snapshot_info(const struct snapshot *snapshot, unsigned i, struct snapshot_info *ret_info);

#endif
