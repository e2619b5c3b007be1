/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_uri.h - how a channel is named, taken apart.
 */
#ifndef MIGRATE_CHANNEL_URI_H
#define MIGRATE_CHANNEL_URI_H

#include <netdb.h>

struct err;

enum channel_uri_kind {
	CHANNEL_URI_TCP,
	CHANNEL_URI_TLS,
	CHANNEL_URI_UNIX,
	CHANNEL_URI_FD,
};

struct channel_uri {
	const char *text;		/* all of it, the caller's */
	enum channel_uri_kind kind;
	const char *rest;		/* behind the kind, in text: a path, a name */
	int fd;				/* -1: it has a name */
	char host[NI_MAXHOST];		/* tcp: and tls: without brackets */
	char port[sizeof("65535")];
};

/* -EINVAL, -ENAMETOOLONG */
int channel_uri_parse(struct channel_uri *ret_uri, const char *text, struct err *err);

#endif
