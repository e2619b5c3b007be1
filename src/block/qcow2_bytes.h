/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_bytes.h - parts of an image file while the main thread has it alone.
 *
 * Opening, closing, checking and creating an image wait for their I/O; whatever
 * happens in between goes through the loop.
 */
#ifndef BLOCK_QCOW2_BYTES_H
#define BLOCK_QCOW2_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* All len bytes; what lies beyond the end of the file reads as zeros. */
int qcow2_bytes_read(int fd, void *bytes, size_t len, uint64_t at);
int qcow2_bytes_write(int fd, const void *bytes, size_t len, uint64_t at);

/* Make what was written durable. */
int qcow2_bytes_sync(int fd);

/* nr big-endian 64-bit numbers, as numbers; or a new table of them. */
int qcow2_bytes_read_numbers(int fd, uint64_t *numbers, uint64_t nr, uint64_t at);
int qcow2_bytes_read_table(int fd, uint64_t **ret_table, uint64_t nr, uint64_t at);

/* Width and place of reference counts within a block; order is the header's. */
uint64_t qcow2_bytes_refcount(const uint8_t *block, unsigned order, uint64_t index);
void qcow2_bytes_set_refcount(uint8_t *block, unsigned order, uint64_t index, uint64_t to);

#endif
