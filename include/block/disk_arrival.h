/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_arrival.h - a disk that comes from another process, to where there is no image yet.
 *
 *	disk_open() asleep, of no file --> due --make()--> asleep --disk_wake()--> awake
 *	--> all has come --name()--> --keep()
 *
 * Until it is named its file has no name at all, so whatever ends this process before that
 * leaves nothing, and what is found under the name is whole.  Unless it is kept, the disk
 * takes the file with it when it is closed.
 *
 * For any other disk each of these does nothing.
 */
#ifndef BLOCK_DISK_ARRIVAL_H
#define BLOCK_DISK_ARRIVAL_H

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct disk_config;
struct err;

/* Is it yet to be made?  It has no bytes then, and cannot wake.  Main, like what follows. */
bool disk_arrival_is_due(const struct disk *disk);

/*
 * In the format that its disk_config says, of so many bytes.  If somebody has made an image
 * there meanwhile, that is the disk's.  On failure the disk is only to be closed.
 */
int disk_arrival_make(struct disk *disk, uint64_t size, struct err *err);

/* It is durable, and so is its name, when this returns.  Replaces nothing: -EEXIST.  Owner. */
int disk_arrival_name(struct disk *disk, struct err *err);

void disk_arrival_keep(struct disk *disk);

/* For disk_open() and disk_close(). */
bool disk_arrival_may_begin(const struct disk_config *config);
int disk_arrival_begin(struct disk *disk, struct err *err);
void disk_arrival_end(struct disk *disk);

#endif
