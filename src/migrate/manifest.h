/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - what a snapshot consists of: the file "manifest" of its folder.
 *
 * A YAML file, by an option table as any configuration, whose last line is a comment
 * with the checksum of all that stands above it.  It is written last, so a folder that
 * has one is whole.
 *
 * Any thread.
 */
#ifndef MIGRATE_MANIFEST_H
#define MIGRATE_MANIFEST_H

#include "config/option.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

#define MANIFEST_ID_LEN 36 /* a UUID as text */

/* What a disk was like, to notice that it was written since. */
struct manifest_disk {
	struct option_given given;
	char *id, *path;
	bool readonly;
	uint64_t size;			/* bytes, of the file */
	uint64_t device, inode;		/* of the host */
	uint64_t mtime;			/* nanoseconds since 1970; 0: a block device has none */
};

struct manifest {
	struct option_given given;
	char *id;			/* a UUID */
	char *name;			/* of the VM */
	char *created;			/* RFC 3339 */
	char *release, *arch;		/* that wrote it, that can load it */
	char *parent, *parent_id;	/* of a snapshot that holds differences to it only */
	uint64_t memory;		/* bytes of RAM */
	uint64_t pages;			/* that are stored */
	uint32_t memory_crc;		/* CRC-32 of these pages, in their order */
	uint32_t pages_crc;		/* of the file "pages" of a snapshot with a parent */
	uint32_t state_crc, config_crc;	/* of the files of these names */
	struct manifest_disk *disk;
	uint32_t nr_disk;
};

extern const struct option_object manifest_options;

/* For option_fini() of manifest_options.  folder is open; path names it in messages. */
int manifest_read(struct manifest *ret_manifest, int folder, const char *path, struct err *err);
int manifest_write(const struct manifest *manifest, int folder, struct err *err);

/* Note what the file or block device at disk->path is like now. */
int manifest_see_disk(struct manifest_disk *disk, struct err *err);

/* Is it at path now, under whatever name it was?  Is what is there as it was noted?  -ESTALE. */
bool manifest_is_disk(const struct manifest_disk *disk, const char *path);
int manifest_check_disk(const struct manifest_disk *disk, const char *path, struct err *err);

#endif
