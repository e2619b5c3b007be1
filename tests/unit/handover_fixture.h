/* SPDX-License-Identifier: Apache-2.0 */
/* handover_fixture.h - a disk and another one of the same image, as two processes have it. */
#ifndef TESTS_UNIT_HANDOVER_FIXTURE_H
#define TESTS_UNIT_HANDOVER_FIXTURE_H

#include "qcow2_fixture.h"

#include <string.h>

static struct disk *other;
static struct disk_mark left;	/* by other */
static uint8_t bytes[4096];

static inline void setup_two(void)
{
	setup();
	other = NULL;
}

static inline void teardown_two(void)
{
	other = disk_close(other, NULL);
	teardown();
}

static inline struct disk_config writable(const char *name)
{
	struct disk_config c = config(name);

	c.backing = DISK_BACKING_ON;
	return c;
}

static inline void open_awake(const char *name)
{
	struct disk_config c = writable(name);

	ck_assert_msg(!disk_open(&disk, &c, loop, &err), "%s", err.text);
}

static inline void open_asleep(const char *name)
{
	struct disk_config c = writable(name);

	c.asleep = true;
	ck_assert_msg(!disk_open(&disk, &c, loop, &err), "%s", err.text);
}

static inline int open_other(const char *name)
{
	struct disk_config c = writable(name);

	return disk_open(&other, &c, loop, &err);
}

static inline void must_sleep(void)
{
	ck_assert_msg(!disk_sleep(disk, &err), "%s", err.text);
}

static inline void must_wake(void)
{
	ck_assert_msg(!disk_wake(disk, &err), "%s", err.text);
}

/* A code, and a message that names the disk and holds all that is said. */
static inline void refuses_to(int (*step)(struct disk *, struct err *), int code,
			      const char *says)
{
	ck_assert_int_eq(step(disk, &err), code);
	ck_assert_int_eq(strncmp(err.text, "disk 'root': ", 13), 0);
	ck_assert_msg(strstr(err.text, says) != NULL, "'%s' lacks '%s'", err.text, says);
}

static inline int fill(struct disk **which, uint64_t at, uint8_t value)
{
	struct disk *mine = disk;
	int r;

	memset(bytes, value, sizeof(bytes));
	disk = *which;
	r = transfer(DISK_WRITE, at, bytes, sizeof(bytes));
	disk = mine;
	return r;
}

static inline void other_leaves(void)
{
	ck_assert_msg(!disk_sleep(other, &err), "%s", err.text);
	left = disk_mark(other);
	other = disk_close(other, NULL);
}

static inline void other_writes(const char *name, uint64_t at, uint8_t value)
{
	ck_assert_msg(!open_other(name), "%s", err.text);
	ck_assert_int_eq(fill(&other, at, value), 0);
	other_leaves();
}

/* Or a write might fall into the same tick of the file system's clock as the one before. */
static inline void age(const char *name)
{
	const struct timespec times[2] = { { 1000, 1 }, { 1000, 1 } };

	ck_assert_int_eq(utimensat(AT_FDCWD, in_folder(name), times, 0), 0);
}

/* A chain of three, of which the lowest is raw. */
static inline void make_chain(void)
{
	run("qemu-img create -f qcow2 -b a.img -F raw mid.qcow2");
	run("qemu-img create -f qcow2 -b mid.qcow2 -F qcow2 top.qcow2");
}

static const char *const images[] = { "a.img", "a.qcow2", "top.qcow2" };

static inline const char *make_image(int i)
{
	if (!strcmp(images[i], "a.qcow2"))
		make_qcow2("a.qcow2", "-o cluster_size=4k");
	if (!strcmp(images[i], "top.qcow2"))
		make_chain();
	return images[i];
}

static inline void open_to_read(const char *name)
{
	struct disk_config c = config(name);

	c.read_only = true;
	ck_assert_msg(!disk_open(&disk, &c, loop, &err), "%s", err.text);
}

static inline TCase *make_case(const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, setup_two, teardown_two);
	return tc;
}

#endif
