// SPDX-License-Identifier: Apache-2.0
#include "block/disk_check.h"

#include "base/err.h"
#include "block/format.h"

#include <errno.h>

int disk_check(struct disk_check *check, const struct disk_config *config, bool repair,
	       struct err *err)
{
	const struct disk_format *format;
	struct file file;
	int r = file_open(&file, config->path, !repair, err);

	if (r < 0)
		return r;
	*check = (struct disk_check){ 0 };
	r = disk_format_choose(&format, config, &file, err);
	if (!r && !format->check)
		r = err_set(err, -ENOTSUP, "'%s' is a %s image: there is nothing that could be "
			    "checked", config->path, format->name);
	if (!r)
		r = format->check(check, &file, config, repair, err);
	file_close(&file);
	return r;
}
