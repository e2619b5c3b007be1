// SPDX-License-Identifier: Apache-2.0
/*
 * slow_sync.c - a disk that takes its time, with this in LD_PRELOAD.  To close: fdatasync()
 * on a main thread, which does so when all I/O threads have ended, takes SECONDS longer.  To
 * take a snapshot: fsync() takes a second longer.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECONDS	4

int fsync(int fd)
{
	struct timespec left = { .tv_sec = 1 };

	while (nanosleep(&left, &left))
		;
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	struct timespec left = { .tv_sec = SECONDS };

	while (syscall(SYS_gettid) == getpid() && nanosleep(&left, &left))
		;
	return (int)syscall(SYS_fdatasync, fd);
}
