/* SPDX-License-Identifier: Apache-2.0 */
/*
 * made_file.h - files that are made for something, and go again where nothing comes of it.
 *
 * Whoever opens one keeps whether it was made, and unlinks it if so.  Any thread.
 */
#ifndef BASE_MADE_FILE_H
#define BASE_MADE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * open(2) with O_CREAT and O_CLOEXEC; *ret_made: there was nothing of that name before.
 * A descriptor or a negative errno.
 */
int made_file_open(const char *path, int flags, mode_t mode, bool *ret_made);

#endif
