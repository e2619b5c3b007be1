// SPDX-License-Identifier: Apache-2.0
/*
 * raw.c - the image is the disk.
 */
#include "format.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <string.h>

#define PEEK_LEN 512

/* What other formats begin with. */
static const struct {
	const char *format;
	unsigned at, len;
	const char *bytes;
} magics[] = {
	{ "qcow2", 0, 4, "QFI\xfb" },
	{ "vmdk", 0, 4, "KDMV" },
	{ "vmdk", 0, 4, "COWD" },
	{ "vmdk", 0, 21, "# Disk DescriptorFile" },
	{ "vhdx", 0, 8, "vhdxfile" },
	{ "vpc", 0, 8, "conectix" },
	{ "vdi", 64, 4, "\x7f\x10\xda\xbe" },
};

/*
 * Nobody who meant raw has such a file, unless a guest wrote the magic number
 * to make the next tool take it for something else.
 */
static int refuse_others(struct disk *disk, const struct disk_config *c, struct err *err)
{
	char head[PEEK_LEN];
	int r = file_peek(&disk->file, head, sizeof(head));

	if (r < 0)
		return err_sys(err, r, "disk '%s': cannot read '%s'", c->id, c->path);
	for (size_t i = 0; i < ARRAY_LEN(magics); i++)
		if (!memcmp(head + magics[i].at, magics[i].bytes, magics[i].len))
			return err_set(err, -EINVAL, "disk '%s': '%s' looks like a %s image "
				       "but would be used as raw (say 'format=raw' if that is "
				       "meant)", c->id, c->path, magics[i].format);
	return 0;
}

static int raw_open(struct disk *disk, const struct disk_config *c, struct err *err)
{
	disk->size = disk->file.size;
	return c->format ? 0 : refuse_others(disk, c, err);
}

static void raw_submit(struct disk *disk, struct disk_request *request)
{
	file_submit(&disk->file, disk->loop, request);
}

const struct disk_format disk_format_raw = {
	.name	= "raw",
	.open	= raw_open,
	.submit	= raw_submit,
};
