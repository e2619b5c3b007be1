/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_fixture.h - a folder with an image, and a loop for its disk; for the tests
 * of disk.h.
 */
#ifndef TESTS_UNIT_DISK_FIXTURE_H
#define TESTS_UNIT_DISK_FIXTURE_H

#include "block/disk.h"

#include "base/bits.h"
#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE		(256 * 1024)

/* On a disk rather than in memory: not every kernel's tmpfs has direct I/O. */
#define FOLDER		"/var/tmp/vmm-test-disk-XXXXXX"

static struct loop *loop;
static struct disk *disk;
static struct err err;
static char folder[] = FOLDER;

static inline char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static inline void make_file(const char *name, off_t size)
{
	int fd = open(in_folder(name), O_CREAT | O_EXCL | O_RDWR, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	close(fd);
}

static inline void write_file(const char *name, off_t at, const void *bytes, size_t len)
{
	int fd = open(in_folder(name), O_WRONLY);

	ck_assert_int_eq(pwrite(fd, bytes, len, at), len);
	close(fd);
}

static inline void read_file(const char *name, off_t at, void *bytes, size_t len)
{
	int fd = open(in_folder(name), O_RDONLY);

	ck_assert_int_eq(pread(fd, bytes, len, at), len);
	close(fd);
}

static inline void setup(void)
{
	memcpy(folder, FOLDER, sizeof(folder));
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(loop_new(&loop, &err), 0);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chmod(folder, 0755), 0);
	make_file("a.img", SIZE);
}

static inline void teardown(void)
{
	char command[64];

	disk = disk_close(disk, NULL);
	loop = loop_free(loop);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static inline struct disk_config config(const char *name)
{
	return (struct disk_config){ .id = "root", .path = in_folder(name) };
}

static inline int open_disk(struct disk_config c)
{
	return disk_open(&disk, &c, loop, &err);
}

/* code, and a message that names the disk and holds all that is said. */
static inline void refuses(struct disk_config c, int code, const char *says)
{
	struct disk *none = NULL;

	ck_assert_int_eq(disk_open(&none, &c, loop, &err), code);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(err.code, code);
	ck_assert_int_eq(strncmp(err.text, "disk 'root': ", 13), 0);
	ck_assert_msg(strstr(err.text, says) != NULL, "'%s' lacks '%s'", err.text, says);
	ck_assert_ptr_nonnull(strstr(err.text, c.path));
}

#endif
