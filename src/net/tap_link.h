/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_link.h - what the kernel says of a network device before it is opened.
 */
#ifndef NET_TAP_LINK_H
#define NET_TAP_LINK_H

#include <stdbool.h>

enum tap_link_kind { TAP_LINK_OTHER, TAP_LINK_TAP };

struct tap_link {
	enum tap_link_kind kind;
	bool multi_queue;
	unsigned nr_queues;	/* that somebody has open */
};

/* -ENODEV: there is none of that name. */
int tap_link_read(struct tap_link *ret_link, const char *name);

#endif
