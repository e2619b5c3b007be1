/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_snapshots.h - the list of an image's snapshots, as commands print it.
 */
#ifndef CLI_DISK_SNAPSHOTS_H
#define CLI_DISK_SNAPSHOTS_H

struct disk_config;
struct err;
struct json_t;

/* A new array of objects, in the order of the image; NULL: err tells why. */
struct json_t *disk_snapshots_read(const struct disk_config *config, struct err *err);

/* A line for each, under a heading; nothing where there are none. */
void disk_snapshots_print(const struct json_t *snapshots);

#endif
