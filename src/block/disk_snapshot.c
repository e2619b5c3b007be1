// SPDX-License-Identifier: Apache-2.0
#include "block/disk_snapshot.h"

#include "base/err.h"
#include "block/format.h"

#include <errno.h>
#include <string.h>

/* What a line of text can show. */
static int check_name(const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (!len || len > DISK_SNAPSHOT_NAME_MAX)
		return err_set(err, -EINVAL, "the name of a snapshot has 1 to %d bytes",
			       DISK_SNAPSHOT_NAME_MAX);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return err_set(err, -EINVAL, "the name of a snapshot holds no control "
				       "characters");
	return 0;
}

static int open_file(struct file *file, const struct disk_config *config, bool read_only,
		     const struct disk_format **ret_format, struct err *err)
{
	int r = file_open(file, config->path, read_only, err);

	if (r < 0)
		return r;
	r = disk_format_choose(ret_format, config, file, err);
	if (r < 0)
		file_close(file);
	return r;
}

int disk_snapshot_change(const struct disk_config *config, enum disk_snapshot_change change,
			 const char *name, struct err *err)
{
	const struct disk_format *format;
	struct file file;
	int r = change == DISK_SNAPSHOT_CREATE ? check_name(name, err) : 0;

	if (!r)
		r = open_file(&file, config, false, &format, err);
	if (r < 0)
		return r;
	if (format->snapshot)
		r = format->snapshot(&file, config, change, name, err);
	else
		r = err_set(err, -ENOTSUP, "'%s' is a %s image, which has no snapshots: "
			    "vmm disk convert makes it qcow2", config->path, format->name);
	file_close(&file);
	return r;
}

int disk_snapshot_list(const struct disk_config *config, disk_snapshot_each *each, void *ctx,
		       struct err *err)
{
	const struct disk_format *format;
	struct file file;
	int r = open_file(&file, config, true, &format, err);

	if (r < 0)
		return r;
	if (format->list_snapshots)
		r = format->list_snapshots(&file, config->path, each, ctx, err);
	file_close(&file);
	return r;
}
