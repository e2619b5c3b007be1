/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - an image under test, and a plain array that says what it should hold.
 *
 * Requests are sent in batches that do not overlap within a batch; the array is
 * changed when a request has succeeded.  QEMU's tools give a second opinion.
 */
#ifndef TESTS_BLOCK_IMAGE_H
#define TESTS_BLOCK_IMAGE_H

#include "block/disk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_BATCH_MAX 16

struct image {
	struct loop *loop;
	struct disk *disk;
	struct disk_config config;
	char folder[64];
	char path[128];
	uint64_t size;
	uint8_t *model;		/* what a read must give */
	uint64_t seed;
	uint64_t len_max;	/* bytes of a random request */
	bool exact_discard;	/* what was discarded reads as zeros */
	void (*midway)(struct image *image);	/* NULL, or called when half a batch is done */
};

/* A folder and a loop; no image yet.  Its name is name in the folder. */
void image_init(struct image *image, const char *name, uint64_t seed);
void image_fini(struct image *image);

/* Run a command, a format string, in the folder; fails the test unless it exits 0. */
void image_run(struct image *image, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Read all of it by qemu-img into the model. */
void image_take_model(struct image *image);

void image_open(struct image *image);
void image_close(struct image *image);

/* One request, filled in but for what follows from bytes; its result.  bytes or NULL. */
int image_do(struct image *image, const struct disk_request *request, void *bytes);

/* The same with nothing but these.  bytes are of len, or NULL. */
int image_request(struct image *image, enum disk_op op, uint64_t at, void *bytes,
		  uint64_t len);

/* A number below n, from the seed. */
uint64_t image_random(struct image *image, uint64_t n);

/*
 * A batch of random requests; returns how many failed.  Reads are compared with
 * the model.
 */
unsigned image_batch(struct image *image, unsigned nr);

/* All of it is what the model says. */
void image_compare(struct image *image);

/* Our own check finds nothing. */
void image_check_own(struct image *image);

/* Nor does qemu-img check, and qemu-img compare agrees. */
void image_check_clean(struct image *image);

#endif
