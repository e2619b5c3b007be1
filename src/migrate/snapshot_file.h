/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_file.h - the files of a snapshot's folder.
 *
 *	config.yaml	what starts the VM
 *	state		all but its memory: a state stream
 *	memory		its RAM, each page where it lies in it; what is absent is zero
 *	pages		with a parent only: a bit for each page that "memory" has
 *	manifest	what the others have to be
 *	working-set	which pages a VM that was restored from here uses first; may come
 *			later, or never: a bit for each page, and a word with the CRC-32
 *
 * A folder is written under another name beside its place, each file with fsync, and
 * then renamed: whatever happens, there is the old one or the new one.  Where the file
 * system cannot exchange two names, the old one is renamed first, as the new one was named.
 *
 * Any thread.
 */
#ifndef MIGRATE_SNAPSHOT_FILE_H
#define MIGRATE_SNAPSHOT_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define SNAPSHOT_CONFIG "config.yaml"
#define SNAPSHOT_STATE "state"
#define SNAPSHOT_MEMORY "memory"
#define SNAPSHOT_PAGES "pages"
#define SNAPSHOT_MANIFEST "manifest"
#define SNAPSHOT_SET "working-set"
#define SNAPSHOT_NEW_SET "working-set.new"

/* All of a file of at most max bytes, to be freed.  -ENOENT, -EFBIG. */
int snapshot_file_read(int folder, const char *name, size_t max, char **ret_bytes,
		       size_t *ret_len, struct err *err);

/* All of these bytes of one that is open; -EIO: it has become shorter. */
int snapshot_file_read_at(int fd, void *to, size_t len, uint64_t at);

/* A new file, durable. */
int snapshot_file_write(int folder, const char *name, const void *bytes, size_t len,
			struct err *err);

/*
 * The working set of so many words, in place of one that may be there.  bitmap has a word
 * more.  To be freed; -ENOENT.
 */
int snapshot_file_read_set(int folder, uint64_t words, uint64_t **ret_bitmap, struct err *err);
int snapshot_file_write_set(int folder, uint64_t *bitmap, uint64_t words, struct err *err);

/* A folder on its way to its place. */
struct snapshot_folder {
	const char *path;
	char temporary[PATH_MAX];	/* "": nothing is to be removed */
	int fd;				/* -1: none */
	bool replaces;			/* a snapshot that is there */
};

/* -EEXIST if there is anything at path, but with replace a snapshot may be. */
int snapshot_folder_create(struct snapshot_folder *folder, const char *path, bool replace,
			   struct err *err);

/* All files are written and durable; so is the folder when this returns. */
int snapshot_folder_publish(struct snapshot_folder *folder, struct err *err);

/* Remove what is left over: a new one that was not published, or the one replaced. */
void snapshot_folder_close(struct snapshot_folder *folder);

#endif
