/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder.h - names of files, on the disk.
 */
#ifndef BASE_FOLDER_H
#define BASE_FOLDER_H

/* What path names now, it also names after a power cut.  0 or a negative errno. */
int folder_sync(const char *path);

#endif
