// SPDX-License-Identifier: Apache-2.0
#include "block/disk.h"

#include "base/bits.h"
#include "base/err.h"
#include "format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct disk_format *const formats[] = {
	&disk_format_raw,
};

/* What the ending of a name says, also of formats that are not read here. */
static const struct {
	const char *ending, *format;
} endings[] = {
	{ ".raw", "raw" },	{ ".img", "raw" },
	{ ".qcow2", "qcow2" },	{ ".qcow", "qcow" },	{ ".vmdk", "vmdk" },
	{ ".vdi", "vdi" },	{ ".vhd", "vpc" },	{ ".vhdx", "vhdx" },
};

static const char *format_by_ending(const char *path)
{
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(endings); i++)
		if (!strcasecmp(dot, endings[i].ending))
			return endings[i].format;
	return "raw";
}

static int find_format(const struct disk_config *c, const struct disk_format **ret_format,
		       struct err *err)
{
	const char *name = c->format ? c->format : format_by_ending(c->path);

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (!strcmp(formats[i]->name, name)) {
			*ret_format = formats[i];
			return 0;
		}
	}
	if (c->format)
		return err_set(err, -EINVAL, "disk '%s': format '%s' is not supported (only "
			       "raw is)", c->id, name);
	return err_set(err, -EINVAL, "disk '%s': '%s' is a %s image by its name, and only raw "
		       "is supported (convert it with 'qemu-img convert', or say 'format=raw' "
		       "if it is raw)", c->id, c->path, name);
}

int disk_open(struct disk **ret_disk, const struct disk_config *config,
	      struct loop *loop, struct err *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int r;

	if (!disk)
		return err_sys(err, -ENOMEM, "disk '%s'", config->id);
	disk->loop = loop;
	r = find_format(config, &disk->format, err);
	if (!r)
		r = file_open(&disk->file, config, err);
	if (r < 0) {
		free(disk);
		return r;
	}
	r = disk->format->open(disk, config, err);
	if (r < 0) {
		disk_close(disk);
		return r;
	}
	*ret_disk = disk;
	return 0;
}

struct disk *disk_close(struct disk *disk)
{
	if (disk) {
		file_close(&disk->file);
		free(disk);
	}
	return NULL;
}

static void run_fail(struct loop_task *task)
{
	struct disk_request *request = container_of(task, struct disk_request, fail);

	request->done(request, request->refusal);
}

void disk_complete(struct disk_request *request, struct loop *loop, int res)
{
	request->refusal = res;
	request->fail.run = run_fail;
	loop_defer(loop, &request->fail);
}

void disk_submit(struct disk *disk, struct disk_request *request)
{
	uint32_t block = disk->file.block_size;

	if (!range_within(request->at, request->len, disk->size) ||
	    request->at % block || request->len % block)
		disk_complete(request, disk->loop, -EINVAL);
	else if (request->op == DISK_WRITE && disk->file.read_only)
		disk_complete(request, disk->loop, -EROFS);
	else if (request->op != DISK_FLUSH && !request->len)
		disk_complete(request, disk->loop, 0);
	else
		disk->format->submit(disk, request);
}

uint64_t disk_size(const struct disk *disk)
{
	return disk->size;
}

uint32_t disk_block_size(const struct disk *disk)
{
	return disk->file.block_size;
}

bool disk_read_only(const struct disk *disk)
{
	return disk->file.read_only;
}
