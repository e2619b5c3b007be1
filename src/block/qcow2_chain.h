/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_chain.h - an image and its backing file, as those of struct disk_format.
 */
#ifndef BLOCK_QCOW2_CHAIN_H
#define BLOCK_QCOW2_CHAIN_H

struct disk;
struct err;

struct disk *qcow2_chain_backing(const struct disk *disk);
int qcow2_chain_empty(struct disk *disk, struct err *err);
int qcow2_chain_set_backing(struct disk *disk, const char *backing, const char *format,
			    struct err *err);

#endif
