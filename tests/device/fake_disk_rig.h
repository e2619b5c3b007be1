/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_disk_rig.h - a block device on a fake disk; each test includes it once.
 */
#ifndef TESTS_DEVICE_FAKE_DISK_RIG_H
#define TESTS_DEVICE_FAKE_DISK_RIG_H

#include "blk_requests.h"
#include "fake_disk.h"

#include <stdlib.h>

static uint8_t bytes[DISK_LEN];
static struct disk *disk;
static struct fake_disk_log *disk_log;

static inline void open_fake(bool read_only)
{
	rig_open(&rig, RIG_THREAD);
	disk = fake_disk_new(rig.loop, bytes, DISK_LEN, read_only);
	disk_log = fake_disk_log(disk);
	open_device(disk);
}

static inline void setup(void)
{
	open_fake(false);
}

static inline void setup_read_only(void)
{
	open_fake(true);
}

static inline void teardown(void)
{
	rig_unplug(&rig);
	disk = fake_disk_free(disk);
	rig_close(&rig);
}

static inline void release(void *ctx)
{
	(void)ctx;
	fake_disk_release(disk);
}

/* Run these test cases as a suite of this name. */
static inline int run_suite(const char *name, TCase *const *cases, unsigned nr)
{
	Suite *s = suite_create(name);
	SRunner *sr;
	int failed;

	for (unsigned i = 0; i < nr; i++) {
		tcase_set_timeout(cases[i], SECONDS_MAX);
		suite_add_tcase(s, cases[i]);
	}
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
