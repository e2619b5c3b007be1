// SPDX-License-Identifier: Apache-2.0
#include "migrate/snapshot.h"

#include "base/err.h"
#include "base/folder.h"
#include "config/yaml.h"
#include "machine/vm_config.h"
#include "manifest.h"
#include "memory/ram.h"
#include "memory_file.h"
#include "pages.h"
#include "snapshot_file.h"
#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* One folder; the parents follow. */
struct layer {
	struct layer *parent;
	char *path;
	int folder, memory;		/* -1: closed */
	struct manifest manifest;
	uint64_t *pages;		/* bitmap; NULL: there is no parent */
};

struct snapshot {
	struct layer *top;
	char *state, *config;
	size_t state_len, config_len;
	struct state_reader *reader;
};

static struct layer *layer_free(struct layer *layer)
{
	while (layer) {
		struct layer *parent = layer->parent;

		if (layer->folder >= 0)
			close(layer->folder);
		if (layer->memory >= 0)
			close(layer->memory);
		option_fini(&manifest_options, &layer->manifest);
		free(layer->pages);
		free(layer->path);
		free(layer);
		layer = parent;
	}
	return NULL;
}

/* Both of the running release are told by the state itself, so the text is for people. */
static int check_manifest(const struct layer *layer, struct err *err)
{
	const struct manifest *m = &layer->manifest;

	if (!m->memory || m->memory % PAGES_LEN || m->pages > m->memory / PAGES_LEN)
		return err_set(err, -EINVAL, "snapshot '%s': a memory of %llu bytes cannot be",
			       layer->path, (unsigned long long)m->memory);
	return 0;
}

static int read_pages(struct layer *layer, struct err *err)
{
	size_t want = pages_words(layer->manifest.memory) * sizeof(uint64_t), len;
	char *bytes;
	int r = snapshot_file_read(layer->folder, SNAPSHOT_PAGES, want, &bytes, &len, err);

	if (!r) {
		layer->pages = (uint64_t *)(void *)bytes;
		if (len != want || crc32(0, (const Bytef *)bytes, (uInt)len) !=
					   layer->manifest.pages_crc)
			r = err_set(err, -EINVAL, "'%s' is damaged (checksum)", SNAPSHOT_PAGES);
	}
	return r < 0 ? err_at(err, r, "snapshot '%s'", layer->path) : 0;
}

static int open_files(struct layer *layer, struct err *err)
{
	int r;

	layer->folder = open(layer->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (layer->folder < 0)
		return err_sys(err, -errno, "cannot open snapshot '%s'", layer->path);
	r = manifest_read(&layer->manifest, layer->folder, layer->path, err);
	if (!r)
		r = check_manifest(layer, err);
	if (r < 0)
		return r;
	layer->memory = openat(layer->folder, SNAPSHOT_MEMORY, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (layer->memory < 0)
		return err_sys(err, -errno, "snapshot '%s': '%s'", layer->path,
			       SNAPSHOT_MEMORY);
	return layer->manifest.parent ? read_pages(layer, err) : 0;
}

/* A parent is named as seen from the folder.  One that is there is told without detours. */
static char *parent_path(const struct layer *layer)
{
	char path[2 * PATH_MAX], *real;

	if (layer->manifest.parent[0] == '/')
		return strdup(layer->manifest.parent);
	snprintf(path, sizeof(path), "%s/%s", layer->path, layer->manifest.parent);
	real = realpath(path, NULL);
	return real ? real : strdup(path);
}

static int check_parent(const struct layer *layer, struct err *err)
{
	const struct layer *parent = layer->parent;

	if (strcmp(parent->manifest.id, layer->manifest.parent_id))
		return err_set(err, -EINVAL, "snapshot '%s' builds upon one that was at '%s', "
			       "where another is now", layer->path, parent->path);
	if (parent->manifest.memory != layer->manifest.memory)
		return err_set(err, -EINVAL, "snapshot '%s' and its parent '%s' are of different "
			       "memory", layer->path, parent->path);
	return 0;
}

/* A chain that comes back to one of its own has no end. */
static int check_no_loop(const struct layer *top, const struct layer *layer, struct err *err)
{
	for (; top != layer; top = top->parent)
		if (!strcmp(top->manifest.id, layer->manifest.id))
			return err_set(err, -ELOOP, "snapshot '%s' builds upon itself",
				       layer->path);
	return 0;
}

static int open_chain(struct layer **ret_top, const char *path, struct err *err)
{
	struct layer **at = ret_top, *child = NULL;
	char *next = strdup(path);
	int r = 0;

	while (next) {
		struct layer *layer = calloc(1, sizeof(*layer));

		if (!layer) {
			free(next);
			break;
		}
		*layer = (struct layer){ .path = next, .folder = -1, .memory = -1 };
		*at = layer;
		at = &layer->parent;
		r = open_files(layer, err);
		if (!r && child)
			r = check_parent(child, err);
		if (!r)
			r = check_no_loop(*ret_top, layer, err);
		if (r < 0 || !layer->manifest.parent)
			return r;
		next = parent_path(layer);
		child = layer;
	}
	return err_sys(err, -ENOMEM, "snapshot '%s'", path);
}

static int read_checked(const struct snapshot *snapshot, const char *name, size_t max,
			uint32_t crc, char **ret_bytes, size_t *ret_len, struct err *err)
{
	const struct layer *top = snapshot->top;
	int r = snapshot_file_read(top->folder, name, max, ret_bytes, ret_len, err);

	if (!r && crc32(0, (const Bytef *)*ret_bytes, (uInt)*ret_len) != crc)
		r = err_set(err, -EINVAL, "'%s' is damaged (checksum)", name);
	return r < 0 ? err_at(err, r, "snapshot '%s'", top->path) : 0;
}

static int read_top(struct snapshot *snapshot, struct err *err)
{
	const struct manifest *m = &snapshot->top->manifest;
	int r = read_checked(snapshot, SNAPSHOT_CONFIG, YAML_FILE_MAX, m->config_crc,
			     &snapshot->config, &snapshot->config_len, err);

	if (!r)
		r = read_checked(snapshot, SNAPSHOT_STATE, STATE_LEN_MAX, m->state_crc,
				 &snapshot->state, &snapshot->state_len, err);
	if (r < 0)
		return r;
	r = state_reader_new(&snapshot->reader, snapshot->state, snapshot->state_len, err);
	return r < 0 ? err_at(err, r, "snapshot '%s'", snapshot->top->path) : 0;
}

int snapshot_open(struct snapshot **ret_snapshot, const char *path, struct err *err)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	int r;

	if (!snapshot)
		return err_sys(err, -ENOMEM, "snapshot '%s'", path);
	r = open_chain(&snapshot->top, path, err);
	if (!r)
		r = read_top(snapshot, err);
	if (r < 0) {
		snapshot_close(snapshot);
		return r;
	}
	*ret_snapshot = snapshot;
	return 0;
}

struct snapshot *snapshot_close(struct snapshot *snapshot)
{
	if (!snapshot)
		return NULL;
	state_reader_free(snapshot->reader);
	layer_free(snapshot->top);
	free(snapshot->state);
	free(snapshot->config);
	free(snapshot);
	return NULL;
}

int snapshot_config(const struct snapshot *snapshot, struct vm_config *ret_config,
		    struct err *err)
{
	char name[PATH_MAX];
	int r = option_defaults(&vm_config_options, ret_config);

	if (r < 0)
		return err_sys(err, r, "cannot read the options");
	snprintf(name, sizeof(name), "%s/%s", snapshot->top->path, SNAPSHOT_CONFIG);
	r = yaml_parse(&vm_config_options, ret_config, name, snapshot->config,
		       snapshot->config_len, err);
	if (r < 0)
		option_fini(&vm_config_options, ret_config);
	return r;
}

struct state_reader *snapshot_state(struct snapshot *snapshot)
{
	return snapshot->reader;
}

static const struct manifest_disk *find_disk(const struct manifest *m, const char *id)
{
	for (uint32_t i = 0; i < m->nr_disk; i++)
		if (!strcmp(m->disk[i].id, id))
			return &m->disk[i];
	return NULL;
}

/* One that is gone is so by its name only. */
static bool is_file(const char *a, const char *b)
{
	return !strcmp(a, b) || folder_is_same(a, b);
}

/* Where it is the one that the guest wrote to, whatever it is called by now. */
static int check_disk(const struct manifest_disk *disk, const char *path, struct err *err)
{
	if (!path || !(is_file(disk->path, path) || manifest_is_disk(disk, path)))
		return 0;
	return manifest_check_disk(disk, path, err);
}

int snapshot_check_disks(const struct snapshot *snapshot, const struct vm_config *config,
			 struct err *err)
{
	for (uint32_t i = 0; i < config->nr_disk; i++) {
		const struct vm_disk_config *by = &config->disk[i];
		const struct manifest_disk *disk = by->id ?
			find_disk(&snapshot->top->manifest, by->id) : NULL;
		int r = disk ? check_disk(disk, by->path, err) : 0;

		if (!r && disk)
			r = check_disk(disk, by->overlay, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int map_layer(const struct layer *layer, const struct ram *ram, struct err *err)
{
	int r = layer->parent ? map_layer(layer->parent, ram, err) : 0;

	if (r < 0)
		return r;
	r = layer->pages ? memory_file_lay_over(layer->memory, ram, layer->pages, err) :
			   memory_file_map(layer->memory, ram, err);
	return r < 0 ? err_at(err, r, "snapshot '%s'", layer->path) : 0;
}

int snapshot_map(const struct snapshot *snapshot, const struct ram *ram, struct err *err)
{
	if (ram->len != snapshot->top->manifest.memory)
		return err_set(err, -EINVAL, "snapshot '%s' is of a VM with another memory",
			       snapshot->top->path);
	return map_layer(snapshot->top, ram, err);
}

int snapshot_verify(const struct snapshot *snapshot, snapshot_progress *progress, void *ctx,
		    struct err *err)
{
	for (const struct layer *layer = snapshot->top; layer; layer = layer->parent) {
		const struct manifest *m = &layer->manifest;
		uint64_t nr;
		uint32_t crc;
		int r = memory_file_sum(layer->memory, m->memory, layer->pages, &crc, &nr,
					progress, ctx, err);

		if (!r && (crc != m->memory_crc || nr != m->pages))
			r = err_set(err, -EINVAL, "'%s' is damaged (checksum)",
				    SNAPSHOT_MEMORY);
		if (r < 0)
			return err_at(err, r, "snapshot '%s'", layer->path);
	}
	return 0;
}

static int read_set(const struct snapshot *snapshot, uint64_t **ret_bitmap, struct err *err)
{
	const struct layer *top = snapshot->top;
	int r = snapshot_file_read_set(top->folder, pages_words(top->manifest.memory),
				       ret_bitmap, err);

	return r < 0 ? err_at(err, r, "snapshot '%s'", top->path) : 0;
}

int snapshot_count_used(const struct snapshot *snapshot, uint64_t *ret_pages, struct err *err)
{
	uint64_t *bitmap;
	int r = read_set(snapshot, &bitmap, err);

	if (r < 0)
		return r;
	*ret_pages = pages_count(bitmap, pages_words(snapshot->top->manifest.memory));
	free(bitmap);
	return 0;
}

/* What a layer has is not looked for in its parents. */
int snapshot_read_ahead(const struct snapshot *snapshot, snapshot_progress *progress, void *ctx,
			struct err *err)
{
	uint64_t len = snapshot->top->manifest.memory, words = pages_words(len);
	uint64_t *wanted, *here = calloc(words, sizeof(*here));
	int r = here ? read_set(snapshot, &wanted, err) : err_sys(err, -ENOMEM, "working set");

	if (r < 0) {
		free(here);
		return r;
	}
	for (const struct layer *layer = snapshot->top; layer && !r; layer = layer->parent) {
		for (uint64_t i = 0; i < words; i++) {
			here[i] = layer->pages ? wanted[i] & layer->pages[i] : wanted[i];
			wanted[i] &= ~here[i];
		}
		r = memory_file_read_ahead(layer->memory, len, here, progress, ctx, err);
	}
	free(wanted);
	free(here);
	return r;
}

void snapshot_uncache(const struct snapshot *snapshot)
{
	for (const struct layer *layer = snapshot->top; layer; layer = layer->parent)
		(void)posix_fadvise(layer->memory, 0, 0, POSIX_FADV_DONTNEED);
}

int snapshot_folder(const struct snapshot *snapshot)
{
	int fd = fcntl(snapshot->top->folder, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

bool snapshot_info(const struct snapshot *snapshot, unsigned i, struct snapshot_info *ret_info)
{
	const struct layer *layer = snapshot->top;
	const struct manifest *m;

	while (layer && i-- > 0)
		layer = layer->parent;
	if (!layer)
		return false;
	m = &layer->manifest;
	*ret_info = (struct snapshot_info){
		.path = layer->path,
		.id = m->id,
		.name = m->name,
		.created = m->created,
		.release = m->release,
		.arch = m->arch,
		.parent = layer->parent ? layer->parent->path : NULL,
		.memory = m->memory,
		.pages = m->pages,
	};
	return true;
}

/* The memory as a restored VM would find it, into a file of its own. */
static int write_whole(const struct snapshot *snapshot, int fd, struct manifest *m,
		       snapshot_progress *progress, void *ctx, struct err *err)
{
	struct ram ram;
	int r = ram_open(&ram, m->memory, err);

	if (r < 0)
		return r;
	r = snapshot_map(snapshot, &ram, err);
	if (!r)
		r = memory_file_write(fd, &ram, NULL, NULL, NULL, err);
	ram_close(&ram);
	if (!r)
		r = memory_file_sum(fd, m->memory, NULL, &m->memory_crc, &m->pages, progress,
				    ctx, err);
	if (!r && fsync(fd))
		r = err_sys(err, -errno, "cannot write '%s'", SNAPSHOT_MEMORY);
	return r;
}

/* The memory is the same, and so is what is used of it. */
static int keep_set(const struct snapshot *snapshot, int folder, struct err *err)
{
	struct err ignored = { 0 };
	uint64_t *bitmap;
	int r;

	if (read_set(snapshot, &bitmap, &ignored) < 0)
		return 0;
	r = snapshot_file_write_set(folder, bitmap,
				    pages_words(snapshot->top->manifest.memory), err);
	free(bitmap);
	return r;
}

static int write_merged(const struct snapshot *snapshot, int folder,
			snapshot_progress *progress, void *ctx, struct err *err)
{
	struct manifest merged = snapshot->top->manifest;
	int r, fd = openat(folder, SNAPSHOT_MEMORY, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, -errno, "cannot write '%s'", SNAPSHOT_MEMORY);
	merged.parent = merged.parent_id = NULL;
	merged.pages_crc = 0;
	r = write_whole(snapshot, fd, &merged, progress, ctx, err);
	close(fd);
	if (!r)
		r = snapshot_file_write(folder, SNAPSHOT_CONFIG, snapshot->config,
					snapshot->config_len, err);
	if (!r)
		r = snapshot_file_write(folder, SNAPSHOT_STATE, snapshot->state,
					snapshot->state_len, err);
	if (!r)
		r = keep_set(snapshot, folder, err);
	return r < 0 ? r : manifest_write(&merged, folder, err);
}

int snapshot_merge(const char *path, snapshot_progress *progress, void *ctx,
		   struct err *err)
{
	struct snapshot_folder folder = { .fd = -1 };
	struct snapshot *snapshot;
	int r = snapshot_open(&snapshot, path, err);

	if (r < 0)
		return r;
	if (snapshot->top->parent) {
		r = snapshot_verify(snapshot, NULL, NULL, err);
		if (!r)
			r = snapshot_folder_create(&folder, path, true, err);
		if (!r)
			r = write_merged(snapshot, folder.fd, progress, ctx, err);
		if (!r)
			r = snapshot_folder_publish(&folder, err);
		snapshot_folder_close(&folder);
	}
	snapshot_close(snapshot);
	return r;
}
