// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_blk_4kn.c - a block device with sectors of 4096 bytes, past the page
 * cache, as a guest's driver sees it.  As root, where there are loop devices.
 */
#include "blk_requests.h"

#include "base/err.h"
#include "block/disk.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK	4096
#define FLUSH	BIT64(VIRTIO_BLK_F_FLUSH)
#define ODD	20			/* bytes that memory is off what direct I/O takes */

#define FIELD(name)							\
	driver_config(&driver, offsetof(struct virtio_blk_config, name),	\
		      sizeof(((struct virtio_blk_config *)0)->name))

static struct disk *disk;
static char folder[] = "/var/tmp/vmm-test-4kn-XXXXXX";
static char device[64];

static void run(const char *what)
{
	char command[256];

	snprintf(command, sizeof(command), "cd %s && %s", folder, what);
	ck_assert_int_eq(system(command), 0);
}

static void attach(void)
{
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	run("truncate -s 128K behind && "
	    "losetup --show --find --sector-size=4096 behind > device");
	ck_assert_int_eq(chdir(folder), 0);
	file = fopen("device", "r");
	ck_assert_int_eq(fscanf(file, "%63s", device), 1);
	fclose(file);
}

static void setup(void)
{
	const struct disk_config config = { .path = device, .cache = DISK_DIRECT };
	struct err err = { 0 };

	attach();
	rig_open(&rig, RIG_THREAD);
	if (disk_open(&disk, &config, rig.loop, &err))
		ck_abort_msg("%s", err.text);
	open_device(disk);
	start(FLUSH);
}

static void teardown(void)
{
	rig_unplug(&rig);
	disk = disk_close(disk, NULL);
	rig_close(&rig);
	run("losetup --detach $(cat device); rm -r $PWD");
}

START_TEST(driver_is_told_of_the_sectors)
{
	ck_assert_uint_eq(FIELD(capacity), NR_SECTORS);
	ck_assert_uint_eq(FIELD(blk_size), BLOCK);
	ck_assert_uint_eq(FIELD(physical_block_exp), 0);
	ck_assert_uint_eq(FIELD(alignment_offset), 0);
	ck_assert_uint_eq(FIELD(min_io_size), 1);
	ck_assert(driver_offered(&driver) & BIT64(VIRTIO_BLK_F_BLK_SIZE));
}
END_TEST

START_TEST(part_of_a_sector_is_neither_read_nor_written)
{
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 1, BLOCK), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 0, BLOCK), VIRTIO_BLK_S_OK);
}
END_TEST

/* Two sectors in three pieces, none of which begins where direct I/O could use it. */
static uint8_t transfer_odd(uint32_t type, uint64_t sector)
{
	const bool in = type == VIRTIO_BLK_T_IN;
	const struct buffer buffers[] = {
		{ HEADERS_AT, HEADER_LEN, false },
		{ DATA_AT + ODD, 100, in },
		{ DATA_AT + ODD + 100, BLOCK, in },
		{ DATA_AT + ODD + 100 + BLOCK, BLOCK - 100, in },
		{ STATUSES_AT, 1, true },
	};

	write_header(0, type, sector);
	return do_chain(buffers, ARRAY_LEN(buffers));
}

START_TEST(memory_that_direct_io_cannot_use_is_read_and_written_all_the_same)
{
	uint8_t *bytes = data(ODD, 2 * BLOCK), want[2 * BLOCK], got[2 * BLOCK];
	FILE *file;

	for (unsigned i = 0; i < sizeof(want); i++)
		want[i] = (uint8_t)(i * 7 + i / BLOCK);
	memcpy(bytes, want, sizeof(want));
	ck_assert_uint_eq(transfer_odd(VIRTIO_BLK_T_OUT, 16), VIRTIO_BLK_S_OK);
	memset(bytes, 0, sizeof(want));
	ck_assert_uint_eq(transfer_odd(VIRTIO_BLK_T_IN, 16), VIRTIO_BLK_S_OK);

	ck_assert_mem_eq(bytes, want, sizeof(want));
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	file = fopen("behind", "r");
	ck_assert_int_eq(fseek(file, 16 * SECTOR, SEEK_SET), 0);
	ck_assert_uint_eq(fread(got, 1, sizeof(got), file), sizeof(got));
	fclose(file);
	ck_assert_mem_eq(got, want, sizeof(want));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_blk_4kn");
	TCase *tc = tcase_create("loop device");
	SRunner *sr;
	int failed;

	if (geteuid() || access("/dev/loop-control", R_OK)) {
		puts("skipped: makes a loop device, which needs root and /dev/loop-control");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, driver_is_told_of_the_sectors);
	tcase_add_test(tc, part_of_a_sector_is_neither_read_nor_written);
	tcase_add_test(tc, memory_that_direct_io_cannot_use_is_read_and_written_all_the_same);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
