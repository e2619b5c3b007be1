// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes are a qcow2 image that can be read and written, or are refused with a
 * reason; they can be checked and repaired, resized, and have snapshots.  The first
 * byte chooses what is done.
 */
#include "block/disk.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk_create.h"
#include "block/disk_snapshot.h"
#include "block/qcow2_check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_LEN	(64 * 1024)
#define NR_REQUESTS	4
#define FILE_MAX	(1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct loop *loop;
static int file = -1;
static char path[64];
static int nr_pending;

static void must(bool held)
{
	if (!held)
		abort();
}

static void clean_up(void)
{
	unlink(path);
}

static void set_up(void)
{
	struct err err;

	must(loop_new(&loop, &err) == 0);
	snprintf(path, sizeof(path), "/dev/shm/vmm-fuzz-%d.qcow2", (int)getpid());
	file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	must(file >= 0);
	atexit(clean_up);
}

static void done(struct disk_request *request, int res)
{
	(void)request;
	must(res <= 0);
	if (!--nr_pending)
		loop_quit(loop);
}

static void submit(struct disk *disk, const enum disk_op *ops)
{
	static uint8_t bytes[NR_REQUESTS][REQUEST_LEN];
	struct disk_request requests[NR_REQUESTS];
	struct iovec segs[NR_REQUESTS];
	uint64_t size = disk_size(disk), len = min_u64(size, REQUEST_LEN);

	nr_pending = NR_REQUESTS;
	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		bool has_data = ops[i] == DISK_READ || ops[i] == DISK_WRITE;

		segs[i] = (struct iovec){ bytes[i], len };
		requests[i] = (struct disk_request){ .op = ops[i], .done = done };
		if (ops[i] != DISK_FLUSH) {
			requests[i].at = (size - len) / 512 * i / 3 * 512;
			requests[i].len = len;
		}
		if (has_data) {
			requests[i].segs = &segs[i];
			requests[i].nr_segs = 1;
		}
		disk_submit(disk, &requests[i]);
	}
	must(loop_run(loop) == 0);
}

static void use(bool read_only, unsigned choice)
{
	const struct disk_config config = {
		.id = "fuzz", .path = path, .format = "qcow2", .read_only = read_only,
		.backing = DISK_BACKING_OFF, .cache_len = 1,
	};
	static const enum disk_op reads[] = { DISK_READ, DISK_READ, DISK_READ, DISK_READ };
	const enum disk_op mixed[] = {
		choice & 1 ? DISK_WRITE : DISK_ZERO, choice & 2 ? DISK_WRITE : DISK_DISCARD,
		choice & 4 ? DISK_READ : DISK_WRITE, DISK_WRITE,
	};
	static const enum disk_op last[] = { DISK_FLUSH, DISK_DISCARD, DISK_WRITE, DISK_FLUSH };
	struct err err = { 0 };
	struct disk *disk;

	if (disk_open(&disk, &config, loop, &err)) {
		must(err.code < 0 && err.text[0]);
		return;
	}
	if (read_only) {
		submit(disk, reads);
	} else {
		submit(disk, mixed);
		submit(disk, last);
	}
	disk_close(disk, NULL);
}

/* Changes of the image as a whole. */

static void take_name(void *ctx, const struct disk_snapshot *snapshot)
{
	snprintf(ctx, DISK_SNAPSHOT_NAME_MAX + 1, "%s", snapshot->name);
}

static void resize(const struct disk_config *config, bool grow)
{
	struct err err = { 0 };
	struct disk *disk;
	uint64_t size;

	if (disk_open(&disk, config, loop, NULL))
		return;
	size = disk_size(disk);
	size = grow ? min_u64(size, UINT64_MAX / 4) * 3 + 512 : size / 3 / 512 * 512 + 512;
	if (disk_create_resize(disk, size, &err))
		must(err.code < 0 && err.text[0]);
	disk_close(disk, NULL);
}

static void change(unsigned choice)
{
	const struct disk_config config = {
		.id = "fuzz", .path = path, .format = "qcow2", .backing = DISK_BACKING_OFF,
		.cache_len = 1,
	};
	static const enum disk_snapshot_change changes[] = {
		DISK_SNAPSHOT_CREATE, DISK_SNAPSHOT_APPLY, DISK_SNAPSHOT_DELETE,
	};
	char name[DISK_SNAPSHOT_NAME_MAX + 1] = "fuzz";
	struct err err = { 0 };

	if (choice >= ARRAY_LEN(changes)) {
		resize(&config, choice & 1);
		return;
	}
	if (choice && disk_snapshot_list(&config, take_name, name, &err))
		must(err.code < 0 && err.text[0]);
	if (disk_snapshot_change(&config, changes[choice], name, &err))
		must(err.code < 0 && err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct qcow2_check check;
	struct err err = { 0 };

	if (file < 0)
		set_up();
	if (len < 2 || len > FILE_MAX)
		return 0;
	must(ftruncate(file, 0) == 0);
	must(pwrite(file, data + 1, len - 1, 0) == (ssize_t)(len - 1));
	use(true, data[0]);
	change(data[0] >> 5);
	use(false, data[0]);
	if (qcow2_check(&check, file, path, (enum qcow2_check_fix)(data[0] >> 3 & 3) % 3, NULL,
			&err))
		must(err.code < 0 && err.text[0]);
	return 0;
}
