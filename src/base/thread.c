// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

#define STACK_BYTES (512 * 1024)

int thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *arg),
		 void *arg)
{
	pthread_attr_t attr;
	int r;

	r = pthread_attr_init(&attr);
	if (r)
		return -r;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = pthread_create(ret_thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	if (r)
		return -r;
	pthread_setname_np(*ret_thread, name);
	return 0;
}
