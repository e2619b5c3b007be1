// SPDX-License-Identifier: Apache-2.0
/*
 * format.c - which format an image has.
 *
 * The user's word counts, else the ending of the file's name, else it is raw.
 * If content counted, the guest of a raw disk could write another format's
 * header and make the next start follow it to any file of the host.  Content is
 * looked at for one purpose: what nobody called raw, yet begins like something
 * else, is refused instead of being shown to a guest as noise, or destroyed.
 */
#include "block/format.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define HEAD_LEN	512

struct magic {
	unsigned at, len;
	const char *bytes;
};

/* Rows without a format are known so that they can be refused by name. */
static const struct row {
	const char *name;
	const char *endings[3];		/* of file names; up to a NULL */
	struct magic magic[4];		/* any of them; up to len 0 */
	const struct disk_format *format;
} rows[] = {
	{ "raw", { ".raw", ".img" }, { { 0 } }, &disk_format_raw },
	{ "qcow2", { ".qcow2", ".qcow" }, { { 0, 4, "QFI\xfb" } },
	  &disk_format_qcow2 },
	{ "vmdk", { ".vmdk" },
	  { { 0, 4, "KDMV" }, { 0, 4, "COWD" }, { 0, 21, "# Disk DescriptorFile" } },
	  &disk_format_vmdk },
	{ "vdi", { ".vdi" }, { { 0x40, 4, "\x7f\x10\xda\xbe" } }, NULL },
	{ "vhdx", { ".vhdx" }, { { 0, 8, "vhdxfile" } }, NULL },
	{ "vpc", { ".vhd", ".vpc" }, { { 0, 8, "conectix" } }, NULL },
};

static bool has_ending(const struct row *row, const char *path)
{
	size_t path_len = strlen(path);

	for (const char *const *ending = row->endings; *ending; ending++) {
		size_t len = strlen(*ending);

		if (len <= path_len && !strcasecmp(path + path_len - len, *ending))
			return true;
	}
	return false;
}

static bool begins_like(const struct row *row, const char *head, size_t head_len)
{
	for (const struct magic *m = row->magic; m->len; m++)
		if (range_within(m->at, m->len, head_len) &&
		    !memcmp(head + m->at, m->bytes, m->len))
			return true;
	return false;
}

static int find_by_name(const struct disk_format **ret_format, const char *name,
			const char *path, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].name, name))
			continue;
		if (!rows[i].format)
			return err_set(err, -ENOTSUP, "format %s is not supported: convert "
				       "'%s' to raw with qemu-img", rows[i].name, path);
		*ret_format = rows[i].format;
		return 0;
	}
	return err_set(err, -EINVAL, "format '%s' is unknown; there are raw, qcow2 and "
		       "vmdk", name);
}

static int find_by_ending(const struct disk_format **ret_format, const char *path,
			  struct err *err)
{
	const struct disk_format *format = &disk_format_raw;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!has_ending(&rows[i], path))
			continue;
		format = rows[i].format;
		if (!format)
			return err_set(err, -ENOTSUP, "'%s' is a %s image by its name, which "
				       "is not supported: convert it to raw, or add "
				       "format=raw if it is that", path, rows[i].name);
	}
	*ret_format = format;
	return 0;
}

int disk_format_find(const struct disk_format **ret_format, const char *name,
		     const char *path, struct err *err)
{
	if (name)
		return find_by_name(ret_format, name, path, err);
	return find_by_ending(ret_format, path, err);
}

/* Is what was taken for raw, without being called so, something else? */
static int doubt_raw(const struct disk_config *config, const struct file *file,
		     struct err *err)
{
	char head[HEAD_LEN];
	int len = file_read_head(file, head, sizeof(head));

	if (len < 0)
		return err_sys(err, len, "cannot read '%s'", config->path);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (begins_like(&rows[i], head, (size_t)len))
			return err_set(err, -EINVAL, "'%s' begins like a %s image: add "
				       "format=%s if it is one, or format=raw if it is that "
				       "all the same", config->path, rows[i].name,
				       rows[i].name);
	return 0;
}

int disk_format_choose(const struct disk_format **ret_format,
		       const struct disk_config *config, const struct file *file,
		       struct err *err)
{
	int r = disk_format_find(ret_format, config->format, config->path, err);

	if (!r && !config->format && *ret_format == &disk_format_raw)
		r = doubt_raw(config, file, err);
	return r;
}
