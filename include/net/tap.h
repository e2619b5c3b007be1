/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.h - the back end that is a tap device of the host, or a macvtap.
 */
#ifndef NET_TAP_H
#define NET_TAP_H

#include <stdbool.h>

struct err;
struct netdev;
struct netdev_lost;

struct tap_config {
	const char *id;			/* for messages */
	const char *name;		/* NULL: a new one, called as it comes */
	unsigned nr_pairs;		/* so many or, unless exact, one if it can do no more */
	bool exact;
	const char *bridge;		/* that it is to be a port of; NULL: none */
	const struct netdev_lost *lost;	/* told when it is deleted; NULL: nobody is */
};

/*
 * A tap or macvtap of the host; a tap that does not exist is made, and goes when it is
 * closed.  Main, like all here.
 */
int tap_open(struct netdev **ret_netdev, const struct tap_config *config, struct err *err);

/*
 * An open tap, inherited as these descriptors, one for each pair; on success they become
 * the netdev's.  Of config only id and lost.
 */
int tap_open_fds(struct netdev **ret_netdev, const struct tap_config *config, const int *fds,
		 unsigned nr, struct err *err);

#endif
