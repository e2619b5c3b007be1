/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost_memory.h - a guest's memory that is lost while somebody may still touch it.
 *
 * To a system call it is an error.  Who touches it himself finds zeroes, and can tell by this
 * that he has: the number is another than before.
 */
#ifndef BASE_LOST_MEMORY_H
#define BASE_LOST_MEMORY_H

/* So often by now, by anybody; any thread. */
unsigned lost_memory_count(void);

/* Once more; from a signal handler, too. */
void lost_memory_touched(void);

#endif
