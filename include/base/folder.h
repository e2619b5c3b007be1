/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder.h - names of files, on the disk.
 */
#ifndef BASE_FOLDER_H
#define BASE_FOLDER_H

#include <limits.h>
#include <stdbool.h>

/*
 * The path of what the file at path calls name: a relative one is seen from that file's
 * folder.  0 or -ENAMETOOLONG.
 */
int folder_join(char joined[PATH_MAX], const char *path, const char *name);

/*
 * The path of what a process in another folder would not find by this name: a relative one
 * is seen from our own.  It need not be there.  0 or a negative errno.
 */
int folder_absolute(char absolute[PATH_MAX], const char *name);

/* Do both paths lead to one file, or folder, that is there? */
bool folder_is_same(const char *a, const char *b);

/* What path names now, it also names after a power cut.  0 or a negative errno. */
int folder_sync(const char *path);

#endif
