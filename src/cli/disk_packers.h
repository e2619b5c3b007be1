/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_packers.h - threads that compress what a loop has read.
 */
#ifndef CLI_DISK_PACKERS_H
#define CLI_DISK_PACKERS_H

#include "loop/loop.h"

#include <stdint.h>

struct disk_pack;
struct disk_packers;
struct err;

/* Bytes of the disk, in whole units.  Zeros are left out. */
struct disk_packers_job {
	const uint8_t *bytes;
	uint64_t at, len;
	struct loop *loop;
	struct loop_task done;		/* posted to loop; res is known then */
	int res;
	struct disk_packers_job *next;
};

/* One for each processor that there is. */
int disk_packers_start(struct disk_packers **ret_packers, struct disk_pack *pack,
		       struct err *err);

/* No job is under way.  -> NULL */
struct disk_packers *disk_packers_stop(struct disk_packers *packers);

/* job stays as it is until done. */
void disk_packers_submit(struct disk_packers *packers, struct disk_packers_job *job);

#endif
