// SPDX-License-Identifier: Apache-2.0
#include "manifest.h"

#include "base/err.h"
#include "config/yaml.h"
#include "machine/vm_config.h"
#include "snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define LAST_LINE "# crc32 "
#define LAST_LINE_LEN (sizeof(LAST_LINE) - 1 + 8 + 1) /* and 8 digits, and its end */

static const struct option disk_rows[] = {
	{ .key = "id", OPTION(struct manifest_disk, id), .required = true },
	{ .key = "path", OPTION_PATH(struct manifest_disk, path), .required = true },
	{ .key = "readonly", OPTION(struct manifest_disk, readonly) },
	{ .key = "size", OPTION(struct manifest_disk, size) },
	{ .key = "device", OPTION(struct manifest_disk, device) },
	{ .key = "inode", OPTION(struct manifest_disk, inode) },
	{ .key = "mtime", OPTION(struct manifest_disk, mtime) },
};

static const struct option_object disk_options = {
	.name = "disk",
	OPTION_OBJECT(struct manifest_disk, disk_rows),
};

static const struct option rows[] = {
	{ .key = "id", OPTION(struct manifest, id), .required = true, .max = MANIFEST_ID_LEN },
	{ .key = "name", OPTION(struct manifest, name), .required = true },
	{ .key = "created", OPTION(struct manifest, created), .required = true },
	{ .key = "release", OPTION(struct manifest, release), .required = true },
	{ .key = "arch", OPTION(struct manifest, arch), .required = true },
	{ .key = "parent", OPTION_PATH(struct manifest, parent) },
	{ .key = "parent-id", OPTION(struct manifest, parent_id), .max = MANIFEST_ID_LEN },
	{ .key = "memory", OPTION(struct manifest, memory), .required = true,
	  .max = VM_CONFIG_MEMORY_MAX },
	/* What is 0 is not written: a guest that sleeps changes no page. */
	{ .key = "pages", OPTION(struct manifest, pages) },
	{ .key = "memory-crc", OPTION(struct manifest, memory_crc) },
	{ .key = "pages-crc", OPTION(struct manifest, pages_crc) },
	{ .key = "state-crc", OPTION(struct manifest, state_crc) },
	{ .key = "config-crc", OPTION(struct manifest, config_crc) },
	{ .key = "disk", OPTION_LIST(struct manifest, disk, nr_disk, disk_options) },
};

const struct option_object manifest_options = {
	.name = "manifest",
	OPTION_OBJECT(struct manifest, rows),
};

static int check(const struct manifest *manifest, struct err *err)
{
	int r = option_check(&manifest_options, manifest, err);

	if (r < 0)
		return r;
	if (!manifest->parent != !manifest->parent_id)
		return err_set(err, -EINVAL, "parent and parent-id go together");
	return 0;
}

static int parse(struct manifest *manifest, const char *text, size_t len, struct err *err)
{
	char line[LAST_LINE_LEN + 1];
	size_t body;

	if (len < LAST_LINE_LEN)
		return err_set(err, -EINVAL, "it is cut off");
	body = len - LAST_LINE_LEN;
	snprintf(line, sizeof(line), LAST_LINE "%08lx\n",
		 crc32(0, (const Bytef *)text, (uInt)body));
	if (memcmp(text + body, line, LAST_LINE_LEN))
		return err_set(err, -EINVAL, "it is damaged (checksum)");
	if (option_defaults(&manifest_options, manifest))
		return err_sys(err, -ENOMEM, "cannot read it");
	return yaml_parse(&manifest_options, manifest, SNAPSHOT_MANIFEST, text, body, err);
}

int manifest_read(struct manifest *ret_manifest, int folder, const char *path, struct err *err)
{
	struct manifest manifest = { 0 };
	char *text;
	size_t len;
	int r = snapshot_file_read(folder, SNAPSHOT_MANIFEST, YAML_FILE_MAX, &text, &len, err);

	if (r == -ENOENT)
		return err_set(err, r, "'%s' is no snapshot: it has no file '%s'", path,
			       SNAPSHOT_MANIFEST);
	if (r < 0)
		return err_at(err, r, "snapshot '%s'", path);
	r = parse(&manifest, text, len, err);
	free(text);
	if (!r)
		r = check(&manifest, err);
	if (r < 0) {
		option_fini(&manifest_options, &manifest);
		return err_at(err, r, "snapshot '%s': %s", path, SNAPSHOT_MANIFEST);
	}
	*ret_manifest = manifest;
	return 0;
}

int manifest_write(const struct manifest *manifest, int folder, struct err *err)
{
	char *text = NULL, line[LAST_LINE_LEN + 1];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return err_sys(err, -ENOMEM, "cannot write the manifest");
	r = yaml_dump(&manifest_options, manifest, out, err);
	if (!r && fflush(out))
		r = err_sys(err, -ENOMEM, "cannot write the manifest");
	if (!r) {
		snprintf(line, sizeof(line), LAST_LINE "%08lx\n",
			 crc32(0, (const Bytef *)text, (uInt)len));
		fputs(line, out);
	}
	if (fclose(out) && !r)
		r = err_sys(err, -ENOMEM, "cannot write the manifest");
	if (!r)
		r = snapshot_file_write(folder, SNAPSHOT_MANIFEST, text, len, err);
	free(text);
	return r;
}

int manifest_see_disk(struct manifest_disk *disk, struct err *err)
{
	struct stat st;

	if (stat(disk->path, &st))
		return err_sys(err, -errno, "disk '%s': '%s'", disk->id, disk->path);
	disk->device = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	disk->inode = S_ISBLK(st.st_mode) ? 0 : st.st_ino;
	disk->size = S_ISBLK(st.st_mode) ? 0 : (uint64_t)st.st_size;
	disk->mtime = S_ISBLK(st.st_mode) ? 0
					  : (uint64_t)st.st_mtim.tv_sec * 1000000000 +
						    (uint64_t)st.st_mtim.tv_nsec;
	return 0;
}

/* The file at that path, which may be another by now. */
static struct manifest_disk at(const struct manifest_disk *disk, const char *path)
{
	struct manifest_disk now = *disk;

	now.path = (char *)path;
	return now;
}

/* Of one that has moved to another file system nothing is left to tell. */
bool manifest_is_disk(const struct manifest_disk *disk, const char *path)
{
	struct manifest_disk now = at(disk, path);

	return !manifest_see_disk(&now, NULL) && disk->inode && now.inode == disk->inode &&
	       now.device == disk->device;
}

/* Devices are numbered anew when the host starts, so only what a write changes counts. */
int manifest_check_disk(const struct manifest_disk *disk, const char *path, struct err *err)
{
	struct manifest_disk now = at(disk, path);
	int r = manifest_see_disk(&now, err);

	if (r < 0)
		return r;
	if (now.size == disk->size && now.mtime == disk->mtime && now.inode == disk->inode)
		return 0;
	return err_set(err, -ESTALE,
		       "disk '%s': '%s' was changed after the snapshot, so that "
		       "the guest's memory and its disk do not go together: give a copy from "
		       "that time with --disk id=%s,path=FILE, or --force",
		       disk->id, path, disk->id);
}
