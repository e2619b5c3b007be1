/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread.h - threads with small stacks.
 *
 * A stack of the usual 8 MiB is given huge pages by hosts that are set up so,
 * which costs each thread 2 MiB for the few KiB that it uses.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* name has at most 15 bytes.  0 or a negative errno. */
int thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *arg),
		 void *arg);

#endif
