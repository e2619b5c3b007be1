/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_link.h - what the kernel says of a network device before it is opened.
 */
#ifndef NET_TAP_LINK_H
#define NET_TAP_LINK_H

#include <stdbool.h>
#include <stdint.h>

enum tap_link_kind { TAP_LINK_OTHER, TAP_LINK_TAP, TAP_LINK_MACVTAP };

struct tap_link {
	enum tap_link_kind kind;
	unsigned index;
	unsigned master;	/* index of the bridge, or the like, that it is in; or 0 */
	uint8_t mac[6];

	/* Of a tap. */
	bool multi_queue;
	unsigned nr_queues;	/* that somebody has open */
};

/* -ENODEV: there is none of that name. */
int tap_link_read(struct tap_link *ret_link, const char *name);

#endif
