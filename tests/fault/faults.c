// SPDX-License-Identifier: Apache-2.0
#include "faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* The names are the linker's: see --wrap in ld(1). */
void *__real_malloc(size_t len);
void *__real_calloc(size_t nr, size_t len);
void *__real_realloc(void *old, size_t len);
int __real_posix_memalign(void **ret_memory, size_t align, size_t len);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
int __real_eventfd(unsigned count, int flags);

void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t nr, size_t len);
void *__wrap_realloc(void *old, size_t len);
int __wrap_posix_memalign(void **ret_memory, size_t align, size_t len);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
int __wrap_eventfd(unsigned count, int flags);

static bool armed, failed;
static unsigned left;

void faults_arm(unsigned nr)
{
	left = nr;
	failed = false;
	armed = true;
}

bool faults_disarm(void)
{
	armed = false;
	return failed;
}

bool faults_fail(int code)
{
	if (!armed || failed || left--)
		return false;
	failed = true;
	errno = code;
	return true;
}

void *__wrap_malloc(size_t len)
{
	return faults_fail(ENOMEM) ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t nr, size_t len)
{
	return faults_fail(ENOMEM) ? NULL : __real_calloc(nr, len);
}

void *__wrap_realloc(void *old, size_t len)
{
	return faults_fail(ENOMEM) ? NULL : __real_realloc(old, len);
}

int __wrap_posix_memalign(void **ret_memory, size_t align, size_t len)
{
	return faults_fail(ENOMEM) ? ENOMEM : __real_posix_memalign(ret_memory, align, len);
}

char *__wrap_strdup(const char *text)
{
	return faults_fail(ENOMEM) ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t len)
{
	return faults_fail(ENOMEM) ? NULL : __real_strndup(text, len);
}

int __wrap_eventfd(unsigned count, int flags)
{
	return faults_fail(EMFILE) ? -1 : __real_eventfd(count, flags);
}
