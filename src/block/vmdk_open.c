// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk_open.c - finds and opens the extents of a vmdk image.
 *
 * The descriptor decides which files are opened.  They lie beside it, under plain
 * names, and are regular files: an image from elsewhere leads nowhere else.
 */
#include "block/vmdk.h"

#include "base/err.h"
#include "base/folder.h"
#include "block/format.h"
#include "block/vmdk_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int wrong(const struct vmdk *v, struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "'%s' is no usable vmdk image: %s", v->path, what);
}

static bool has_header(const struct vmdk *v)
{
	char magic[4];

	return file_read_head(&v->disk->file, magic, sizeof(magic)) == sizeof(magic) &&
	       !memcmp(magic, "KDMV", sizeof(magic));
}

static int read_text(struct vmdk *v, struct vmdk_text *text, uint64_t at, uint64_t len,
		     struct err *err)
{
	char *bytes;
	ssize_t got;
	int r;

	if (len > VMDK_TEXT_MAX)
		return wrong(v, err, "its descriptor is longer than 256 KiB");
	bytes = malloc(len + 1);
	if (!bytes)
		return err_sys(err, -ENOMEM, "cannot open '%s'", v->path);
	got = pread(v->disk->file.fd, bytes, len, (off_t)at);
	if (got < 0)
		r = err_sys(err, -errno, "cannot read '%s'", v->path);
	else
		r = vmdk_text_parse(text, v->path, bytes, (size_t)got, err);
	free(bytes);
	return r;
}

static int add_extents(struct vmdk *v, const struct vmdk_text *text, struct err *err)
{
	uint64_t start = 0;

	v->extents = calloc(text->nr_lines, sizeof(*v->extents));
	if (!v->extents)
		return err_sys(err, -ENOMEM, "cannot open '%s'", v->path);
	v->type = text->type;
	v->nr_extents = text->nr_lines;
	for (uint32_t i = 0; i < text->nr_lines; i++) {
		v->extents[i].kind = text->lines[i].kind;
		v->extents[i].start = start;
		v->extents[i].len = text->lines[i].sectors * VMDK_SECTOR;
		v->extents[i].at = text->lines[i].at * VMDK_SECTOR;
		start += v->extents[i].len;
	}
	v->disk->size = start;
	return 0;
}

static int open_file(struct vmdk_extent *extent, const char *path, struct err *err)
{
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return err_sys(err, -errno, "cannot open extent '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "extent '%s' is not a regular file", path);
	r = file_open(&extent->own, path, true, err);
	if (!r)
		extent->file = &extent->own;
	return r;
}

static int check_extent(struct vmdk_extent *extent, const char *path, struct err *err)
{
	int r;

	if (extent->kind == VMDK_EXTENT_FLAT) {
		if (!range_within(extent->at, extent->len, extent->file->size))
			return err_set(err, -EINVAL, "extent '%s' is shorter than the image's "
				       "descriptor says", path);
		return 0;
	}
	r = vmdk_sparse_open(&extent->sparse, extent->file, path, err);
	if (!r && extent->sparse.sectors < extent->len / VMDK_SECTOR)
		r = err_set(err, -EINVAL, "extent '%s' has fewer sectors than the image's "
			    "descriptor says", path);
	return r;
}

static int open_beside(struct vmdk *v, const struct vmdk_text *text, struct err *err)
{
	char path[PATH_MAX];
	int r = 0;

	for (uint32_t i = 0; i < v->nr_extents && !r; i++) {
		if (v->extents[i].kind == VMDK_EXTENT_ZERO)
			continue;
		r = folder_join(path, v->path, text->lines[i].name);
		if (r < 0)
			err_sys(err, r, "cannot open extent '%s'", text->lines[i].name);
		else
			r = open_file(&v->extents[i], path, err);
		if (!r)
			r = check_extent(&v->extents[i], path, err);
	}
	return r < 0 ? err_at(err, r, "'%s'", v->path) : 0;
}

/* The descriptor is within the extent that it describes. */
static int open_monolith(struct vmdk *v, struct err *err)
{
	struct vmdk_text text;
	struct vmdk_sparse sparse;
	int r = vmdk_sparse_open(&sparse, &v->disk->file, v->path, err);

	if (r < 0)
		return r;
	if (!sparse.text_at)
		r = err_set(err, -EINVAL, "'%s' is but a part of a vmdk image: open the "
			    "descriptor, a small file that lists the parts", v->path);
	else
		r = read_text(v, &text, sparse.text_at, sparse.text_len, err);
	if (r < 0) {
		vmdk_sparse_fini(&sparse);
		return r;
	}
	if (text.nr_lines != 1 || text.lines[0].kind != VMDK_EXTENT_SPARSE ||
	    (text.type != VMDK_MONOLITHIC_SPARSE && text.type != VMDK_STREAM_OPTIMIZED))
		r = wrong(v, err, "its descriptor is one of several files");
	else if (text.lines[0].sectors > sparse.sectors)
		r = wrong(v, err, "its descriptor claims more sectors than there are");
	if (!r)
		r = add_extents(v, &text, err);
	if (!r) {
		v->extents[0].file = &v->disk->file;
		v->extents[0].sparse = sparse;
	} else {
		vmdk_sparse_fini(&sparse);
	}
	vmdk_text_fini(&text);
	return r;
}

static int open_descriptor(struct vmdk *v, struct err *err)
{
	struct vmdk_text text;
	int r = read_text(v, &text, 0, v->disk->file.size, err);

	if (r < 0)
		return r;
	if (text.type == VMDK_MONOLITHIC_SPARSE || text.type == VMDK_STREAM_OPTIMIZED)
		r = wrong(v, err, "its type does not have a descriptor of its own");
	if (!r)
		r = add_extents(v, &text, err);
	if (!r)
		r = open_beside(v, &text, err);
	vmdk_text_fini(&text);
	return r;
}

int vmdk_open_extents(struct vmdk *v, struct err *err)
{
	int r = has_header(v) ? open_monolith(v, err) : open_descriptor(v, err);

	if (r < 0)
		vmdk_close_extents(v);
	return r;
}

void vmdk_close_extents(struct vmdk *v)
{
	for (uint32_t i = 0; i < v->nr_extents; i++) {
		vmdk_sparse_fini(&v->extents[i].sparse);
		if (v->extents[i].file == &v->extents[i].own)
			file_close(&v->extents[i].own);
	}
	free(v->extents);
	v->extents = NULL;
	v->nr_extents = 0;
}
