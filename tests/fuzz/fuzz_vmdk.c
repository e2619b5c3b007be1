// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes are a vmdk image that can be read, wholly or in parts, or are refused
 * with a reason.  The file has a second name, which a descriptor can speak of.
 */
#include "block/disk.h"

#include "base/bits.h"
#include "base/err.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_LEN	(256 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct loop *loop;
static int file = -1;
static char folder[] = "/tmp/vmm-fuzz-vmdk-XXXXXX";
static char path[64], second[64];
static int nr_pending;

static void must(bool held)
{
	if (!held)
		abort();
}

static void clean_up(void)
{
	must(!unlink(path) && !unlink(second) && !rmdir(folder));
}

static void set_up(void)
{
	struct err err;

	must(loop_new(&loop, &err) == 0);
	must(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/a.vmdk", folder);
	snprintf(second, sizeof(second), "%s/b.vmdk", folder);
	file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	must(file >= 0 && !link(path, second));
	atexit(clean_up);
}

static void done(struct disk_request *request, int res)
{
	(void)request;
	must(res <= 0);
	if (!--nr_pending)
		loop_quit(loop);
}

static void read_parts(struct disk *disk)
{
	static uint8_t bytes[4][READ_LEN];
	struct disk_request requests[4];
	struct iovec segs[4];
	uint64_t size = disk_size(disk), len = min_u64(size, READ_LEN);

	nr_pending = 4;
	for (unsigned i = 0; i < 4; i++) {
		segs[i] = (struct iovec){ bytes[i], len };
		requests[i] = (struct disk_request){
			.op = DISK_READ, .nr_segs = 1, .segs = &segs[i], .len = len,
			.at = (size - len) / 512 * i / 3 * 512, .done = done,
		};
		disk_submit(disk, &requests[i]);
	}
	must(loop_run(loop) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct disk_config config = {
		.id = "fuzz", .path = path, .format = "vmdk", .read_only = true,
	};
	struct err err = { 0 };
	struct disk *disk;

	if (file < 0)
		set_up();
	must(!ftruncate(file, 0) && pwrite(file, data, len, 0) == (ssize_t)len);
	if (!disk_open(&disk, &config, loop, &err)) {
		read_parts(disk);
		disk_close(disk, NULL);
	} else {
		must(err.code < 0 && err.text[0]);
	}
	return 0;
}
