/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h - the keys that are ours and not the guest's: Ctrl-A and the one after.
 */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keys {
	/* The key after Ctrl-A, but for Ctrl-A itself, which is the guest's. */
	void (*pressed)(void *ctx, uint8_t key);
	void *ctx;
	bool escaped;			/* the last key was Ctrl-A; false to start */
};

/* Take our keys out of fresh input, in place; returns what is left. */
size_t keys_filter(struct keys *keys, uint8_t *bytes, size_t len);

#endif
