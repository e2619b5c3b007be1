// SPDX-License-Identifier: Apache-2.0
/*
 * slow_sync.c - a disk that takes its time to close: with this in LD_PRELOAD fdatasync() on
 * a main thread, which does so when all I/O threads have ended, takes SECONDS longer.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECONDS	4

int fdatasync(int fd)
{
	struct timespec left = { .tv_sec = SECONDS };

	while (syscall(SYS_gettid) == getpid() && nanosleep(&left, &left))
		;
	return (int)syscall(SYS_fdatasync, fd);
}
