/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_sparse.h - a sparse extent of a vmdk image: its header and grain directory.
 *
 * The extent is cut into grains.  Its directory says where the tables are that say
 * where the grains are.
 */
#ifndef BLOCK_VMDK_SPARSE_H
#define BLOCK_VMDK_SPARSE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct file;

struct vmdk_sparse {
	uint64_t sectors;		/* of the disk */
	uint32_t grain_len;		/* bytes, a power of two */
	bool compressed, zero_grains;
	uint64_t overhead;		/* sectors in front of the first grain */
	uint64_t text_at, text_len;	/* bytes, within the file; 0: none is embedded */

	/* Sectors of the file; 0: no grain of the table is there. */
	uint32_t nr_tables;
	uint32_t *tables;
};

/*
 * Judge the file: what *sparse then says lies within it.  path is for messages.
 * Freed by vmdk_sparse_fini(), unless this fails.  Main.
 */
int vmdk_sparse_open(struct vmdk_sparse *sparse, const struct file *file, const char *path,
		     struct err *err);
void vmdk_sparse_fini(struct vmdk_sparse *sparse);

/*
 * Where an entry of a table lies, in bytes of the file.  Returns 1; 0 where the
 * grain reads as zeros; -EIO when it cannot be there.  Any thread.
 */
int vmdk_sparse_place(const struct vmdk_sparse *sparse, const struct file *file,
		      uint32_t entry, uint64_t *ret_at);

/* More bytes than a compressed grain has. */
uint32_t vmdk_sparse_packed_max(uint32_t grain_len);

/*
 * Unpack the compressed grain in from, which begins lba sectors into the extent, to
 * grain_len bytes at to.  -EIO when it is damaged.  Any thread.
 */
int vmdk_sparse_unpack(const struct vmdk_sparse *sparse, uint64_t lba, const uint8_t *from,
		       uint32_t from_len, uint8_t *to);

#endif
