/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder.h - names of files, on the disk.
 */
#ifndef BASE_FOLDER_H
#define BASE_FOLDER_H

#include <limits.h>

/*
 * The path of what the file at path calls name: a relative one is seen from that file's
 * folder.  0 or -ENAMETOOLONG.
 */
int folder_join(char joined[PATH_MAX], const char *path, const char *name);

/* What path names now, it also names after a power cut.  0 or a negative errno. */
int folder_sync(const char *path);

#endif
