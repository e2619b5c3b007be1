/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_tool.h - what tools do to an image that is open, and no guest does.
 */
#ifndef BLOCK_QCOW2_TOOL_H
#define BLOCK_QCOW2_TOOL_H

#include "block/disk_map.h"
#include "block/disk_snapshot.h"

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct disk_check;
struct disk_config;
struct disk_create;
struct err;
struct file;

/* As those of struct disk_format. */
int qcow2_tool_map(struct disk *disk, struct disk_extent *extent);
void qcow2_tool_facts(const struct disk *disk, disk_fact *fact, void *ctx);
int qcow2_tool_create(int fd, const char *path, const struct disk_create *create,
		      struct err *err);
int qcow2_tool_check(struct disk_check *check, const struct file *file,
		     const struct disk_config *config, bool repair, struct err *err);
int qcow2_tool_snapshot(const struct file *file, const struct disk_config *config,
			enum disk_snapshot_change change, const char *name, struct err *err);
int qcow2_tool_list_snapshots(const struct file *file, const char *path,
			      disk_snapshot_each *each, void *ctx, struct err *err);
int qcow2_tool_set_size(struct disk *disk, uint64_t size, struct err *err);

/* qcow2_shrink.c: the part of it that loses something. */
int qcow2_tool_shrink(struct disk *disk, uint64_t size, struct err *err);

#endif
